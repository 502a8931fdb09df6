"""The process of `serve`: the application on a port, and the worker processes beside it."""

import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from storage.database import Database
from sweep.service.guard import Token
from sweep.service.limits import Limits
from sweep.service.logs import Format, log

FAREWELL = 30.0
"""Seconds in which workers may save what is finished when the server ends."""

PAUSE = 2.0
"""Seconds before a worker that died is started again; doubled each time, up to a minute."""

PATIENCE = 2.0
"""Seconds for which the server waits for a storage that was lost; workers wait longer."""

NICENESS = 10
"""How much more the workers give way than the server, so that it answers while they train."""


class Workers:
    """So many worker processes on the storage, each started again when it dies."""

    def __init__(self, count: int, url: str, form: Format) -> None:
        words = [sys.executable, "-m", "sweep", "worker", "--log-format", form]
        self._words = words
        root = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
        # In the environment, where other users do not see its password.
        self._environment = os.environ | {"SWEEP_STORAGE": url, "PYTHONPATH": path}
        self._environment.pop("SWEEP_TOKEN", None)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._keep, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _keep(self) -> None:
        pause = PAUSE
        while not self._stop.is_set():
            process = subprocess.Popen(self._words, env=self._environment, start_new_session=True)
            with suppress(OSError):
                os.setpriority(
                    os.PRIO_PROCESS, process.pid, os.getpriority(os.PRIO_PROCESS, 0) + NICENESS
                )
            log("worker started", pid=process.pid)
            while process.poll() is None and not self._stop.wait(0.2):
                pass
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(FAREWELL)
                process.kill()
                process.wait()
                return
            log("worker died", pid=process.pid, status=process.returncode)
            self._stop.wait(pause)
            pause = min(2 * pause, 60.0)

    def end(self) -> None:
        """Ends all of them, once what they have finished is saved."""
        self._stop.set()
        for thread in self._threads:
            thread.join()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there. Raises OSError, naming the option to change."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    taken = socket.socket(family)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
        taken.listen()
    except OSError as error:
        taken.close()
        reason = f"cannot listen on {host}, port {port}: {error.strerror}; try another --port"
        raise OSError(error.errno, reason) from error
    return taken


def serve(
    db: Database,
    taken: socket.socket,
    *,
    hosts: frozenset[str],
    token: Token | None,
    limits: Limits,
    workers: int,
    form: Format,
) -> None:
    """Serves until SIGINT or SIGTERM, and ends in good order."""
    import uvicorn

    from sweep.service.app import service

    application = service(db, hosts=hosts, token=token, limits=limits)
    config = uvicorn.Config(
        application,
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=3,
    )
    server: Any = uvicorn.Server(config)

    def heard(number: int, frame: FrameType | None) -> None:
        # The server raises its signal again once it has ended.
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, heard)
    beside = Workers(workers, db.secret_url, form)
    try:
        server.run(sockets=[taken])
    finally:
        log("server ends")
        beside.end()
