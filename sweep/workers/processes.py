"""Places on this machine: spawned processes, which share nothing with this one.

Each is an executor of its own with a single process, so that it is known what was in it when it
died. A process leaves Ctrl-C to its parent, ends when its parent has, and prints into a file that
nobody sees unless it dies.
"""

import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from multiprocessing import parent_process
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from typing import Any

from sweep.machine import cores
from sweep.workers.places import Place

LOG_LINES = 8
"""Lines of what a process printed that are shown when it dies."""

SILENCE = 60.0
"""Seconds without an answer after which a process is ended: it is suspended, or hangs."""

SAFE_PATH = "PYTHONSAFEPATH"
"""What keeps a starting Python from looking for modules in the working directory."""

REAPING = 5.0
"""Seconds in which the exit status of a process that has ended is to be known."""


class SpawnedProcess(Executor):
    """One process, started when something is first submitted; then `begin(*arguments)` is called in
    it before anything else.

    What it prints goes to the file `log`.
    """

    def __init__(self, log: Path, begin: Callable[..., None] | None = None, *arguments: Any):
        self.log = log
        self._begin = (str(log), os.environ.get(SAFE_PATH), begin, arguments)
        self._spawning = _Spawning()
        self._executor: ProcessPoolExecutor | None = None

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        if self._executor is None:
            self._executor = ProcessPoolExecutor(1, self._spawning, _prepare, self._begin)
        with _starting() if not self._spawning.processes else nullcontext():
            return self._executor.submit(fn, *args, **kwargs)

    def kill(self) -> None:
        """Ends the process, also one that is suspended; what was submitted fails."""
        for process in self._spawning.processes:
            process.kill()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = True) -> None:
        """Ends the process, whatever it does."""
        self.kill()
        if self._executor is not None:
            self._executor.shutdown(wait, cancel_futures=cancel_futures)

    def printed(self) -> list[str]:
        """The last lines that the process printed."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return [line for line in text.splitlines() if line.strip()][-LOG_LINES:]

    def ending(self) -> str:
        """How the process ended, once it was shut down, and the last that it printed."""
        limit = time.monotonic() + REAPING
        codes = [process.exitcode for process in self._spawning.processes]
        while None in codes and time.monotonic() < limit:
            time.sleep(0.01)
            codes = [process.exitcode for process in self._spawning.processes]
        code = codes[0] if codes else None
        how = "ended" if code is None else f"ended with status {code}"
        if code == -signal.SIGKILL:
            how = "was killed (SIGKILL): by hand, or by the system for want of memory"
        elif code is not None and code < 0:
            how = f"was ended by signal {-code}"
        said = "\n".join(self.printed())
        return f"{how}; the last that it printed:\n{said}" if said else how


class _Spawning(SpawnContext):
    """Spawns processes, and remembers them."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[SpawnProcess] = []

    def Process(self, *args: Any, **kwargs: Any) -> SpawnProcess:  # type: ignore[override]
        process = SpawnProcess(*args, **kwargs)
        self.processes.append(process)
        return process


class Processes:
    """So many processes on this machine, with an equal share of its cores each."""

    patience = SILENCE

    def __init__(self, count: int) -> None:
        self._threads = max(1, cores() // count)
        self._logs = tempfile.TemporaryDirectory(prefix="sweep-")
        self._started = 0
        self._places: list[Place] = []
        self._count = count

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        for place in self._places:
            _process(place).kill()
        for place in self._places:
            place.executor.shutdown()
        self._places = []
        self._logs.cleanup()

    def there(self) -> Sequence[Place]:
        while len(self._places) < self._count:
            self._started += 1
            name = f"worker {self._started}"
            process = SpawnedProcess(Path(self._logs.name, f"{self._started}.log"))
            self._places.append(Place(name, self._threads, process))
        return self._places

    def is_loss(self, error: BaseException) -> bool:
        return isinstance(error, BrokenProcessPool)

    def lost(self, place: Place) -> str:
        place.executor.shutdown()
        self._places = [other for other in self._places if other is not place]
        return _process(place).ending()


def _process(place: Place) -> SpawnedProcess:
    assert isinstance(place.executor, SpawnedProcess)
    return place.executor


@contextmanager
def _starting() -> Generator[None]:
    """Processes started within this never hear of Ctrl-C, not even while they start, and do not
    look for modules in the working directory before they know where this one does."""
    with _deaf_to_interrupts():
        before = os.environ.get(SAFE_PATH)
        os.environ[SAFE_PATH] = "1"
        try:
            yield
        finally:
            _restore_safe_path(before)


def _restore_safe_path(before: str | None) -> None:
    os.environ.pop(SAFE_PATH, None)
    if before is not None:
        os.environ[SAFE_PATH] = before


@contextmanager
def _deaf_to_interrupts() -> Generator[None]:
    """Processes started within this never hear of Ctrl-C, not even while they start."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare(
    log: str,
    safe_path: str | None,
    begin: Callable[..., None] | None,
    arguments: tuple[Any, ...],
) -> None:
    """The first that is called in a process."""
    _restore_safe_path(safe_path)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True, name="sweep-parent").start()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    if begin is not None:
        begin(*arguments)


def _end_with_parent() -> None:
    # A parent that is killed cannot end its processes, and they would wait for it for ever.
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
