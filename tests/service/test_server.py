"""`serve`, the command, from its start to its end."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.service.served import SECRET


@contextmanager
def command(url: str, *words: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "sweep", "serve", "--storage", url, *words],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_the_command_serves_with_workers_and_ends_them_when_it_ends(sqlite_url: str) -> None:
    words = ("--port", "0", "--workers", "1", "--log-format", "json")
    with command(sqlite_url, *words) as process:
        assert process.stderr is not None
        events = (json.loads(line) for line in process.stderr)
        first = next(events)
        assert first["event"] == "serving"
        pid = next(event["pid"] for event in events if event["event"] == "worker started")
        next(event for event in events if event["event"] == "worker begins")
        assert httpx.get(f"{first['url']}health", timeout=240).json() == {"status": "ok"}
        process.send_signal(signal.SIGTERM)
        said = [event["event"] for event in events]
        assert process.wait() == 0
    assert {"server ends", "worker ends"} <= set(said)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_another_address_needs_a_token(sqlite_url: str) -> None:
    with command(sqlite_url, "--host", "0.0.0.0", SWEEP_TOKEN="") as process:
        said = process.communicate()[1]
    assert process.returncode == 2
    assert "needs a token: --token-file FILE, or the variable SWEEP_TOKEN" in said


def test_a_server_of_all_addresses_knows_the_machine_s_name(sqlite_url: str) -> None:
    with command(sqlite_url, "--host", "0.0.0.0", "--port", "0", SWEEP_TOKEN=SECRET) as process:
        assert process.stderr is not None
        url = process.stderr.readline().split(" · ")[1].removeprefix("url ")
        name, port = url.removeprefix("http://").strip("/").split(":")
        assert name == socket.gethostname()
        for host, status in ((name, 200), ("evil.example", 421)):
            asked = httpx.get(f"http://127.0.0.1:{port}/health", headers={"Host": f"{host}:{port}"})
            assert asked.status_code == status
        process.send_signal(signal.SIGINT)
        process.communicate()


def test_neither_token_nor_password_is_in_the_log(sqlite_url: str) -> None:
    with command(sqlite_url, "--port", "0", SWEEP_TOKEN=SECRET) as process:
        assert process.stderr is not None
        url = process.stderr.readline().split(" · ")[1].removeprefix("url ")
        right = {"Authorization": f"Bearer {SECRET}"}
        assert (
            httpx.get(f"{url}v1/queue?token={SECRET}", headers=right, timeout=240).status_code
            == 200
        )
        assert httpx.post(f"{url}login", data={"token": SECRET}, timeout=240).status_code == 303
        process.send_signal(signal.SIGINT)
        said = process.communicate()[1]
    assert "path /v1/queue" in said
    assert SECRET not in said
    assert "token=" not in said
