"""Where the time of a whole study goes, on all threads.

    main(), called with STUDY

It runs the study in a storage in the working directory. Every few milliseconds it looks how much
processor time each thread took since the last look, and which code it is in. What threads took that
are not Python's ran the engine's programs. It prints one line of JSON: the seconds from start to
end, and processor seconds for each kind of work.
"""

import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from types import FrameType

from sweep.machine import cores

EVERY = 0.005
"""Seconds between two looks."""

KINDS = ("import", "programs", "seats", "optuna", "storage", "results", "idle")
"""What a study's time is spent on: importing libraries; running (and first loading or compiling)
the engine's programs; preparing what they take, and what else the engine does in Python; Optuna's
sampler; writing and reading, the copy for Optuna's dashboard included; the rest, which makes
results of runs; and cores that had nothing of this to do."""


def kind_of(modules: Sequence[str]) -> str:
    """What a thread is at, from the modules of its calls, innermost first."""
    if any(module.startswith("importlib._bootstrap") for module in modules):
        return "import"
    for module in modules:
        package = module.partition(".")[0]
        if package == "storage" or package in ("sqlalchemy", "sqlite3", "alembic", "psycopg"):
            return "storage"
        if package == "optuna":
            # Its storage is ours; its samplers are the search.
            return "storage" if any(m.startswith("storage.") for m in modules) else "optuna"
        if package == "tensorflow":
            return "programs"
        if module.startswith("sweep.engine"):
            return "seats"
    return "results"


class Looks:
    """Counts, from a thread of its own, what all others took their time for."""

    def __init__(self) -> None:
        self._counted: Counter[str] = Counter()
        self._before: dict[int, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="looks", daemon=True)

    def __enter__(self) -> "Looks":
        self._started, self._cpu = time.perf_counter(), time.process_time()
        self.look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self.seconds = time.perf_counter() - self._started
        self.cpu = time.process_time() - self._cpu

    def by_kind(self) -> dict[str, float]:
        """Processor seconds of each kind; idle is what the cores had left."""
        seconds = {kind: self._counted[kind] / 1e6 for kind in KINDS}
        own = self._counted["looks"] / 1e6
        seconds["programs"] += max(0.0, self.cpu - sum(seconds.values()) - own)
        seconds["idle"] = max(0.0, cores() * self.seconds - self.cpu)
        return seconds

    def look(self) -> None:
        """Looks once, at all threads but the calling one."""
        frames = sys._current_frames()  # pyright: ignore[reportPrivateUsage]
        looking = threading.get_ident()
        for thread in threading.enumerate():
            if thread.ident is None or thread.ident not in frames:
                continue
            taken = time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
            new = taken - self._before.get(thread.ident, 0.0)
            self._before[thread.ident] = taken
            kind = "looks" if thread is self._thread else kind_of(_modules(frames[thread.ident]))
            if thread.ident != looking or thread is self._thread:
                self._counted[kind] += round(1e6 * new)

    def _watch(self) -> None:
        while not self._ended.wait(EVERY):
            self.look()


def _modules(frame: FrameType | None) -> list[str]:
    modules: list[str] = []
    while frame is not None:
        modules.append(frame.f_globals.get("__name__", ""))
        frame = frame.f_back
    return modules


def main() -> None:
    with Looks() as looks:
        from studies.study import read_study
        from sweep.search import run_study

        run_study(read_study(sys.argv[1]), "sqlite:///sampled.db")
    print(json.dumps({"seconds": looks.seconds, "by_kind": looks.by_kind()}))
