"""What takes the engine's place in the processes of these tests, which import it by its name."""

import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from studies.run import FinishedRun, Run
from studies.tasks import Task
from sweep.bench.simulated import made_up

GATE = "SWEEP_TESTS_GATE"
"""Names the file without which `gated` trains no more than `BEFORE_THE_GATE` runs."""

BEFORE_THE_GATE = 5

REACHED = ".reached"
"""Ends the name of the file that says that `gated` has trained so many, and waits."""


def quick(runs: Iterable[Run | None], task: Task, *, threads: int) -> Iterator[FinishedRun]:
    for run in runs:
        if run is not None:
            yield made_up(run)


def gated(runs: Iterable[Run | None], task: Task, *, threads: int) -> Iterator[FinishedRun]:
    held: list[Run] = []
    done = 0
    for run in runs:
        if run is not None:
            held.append(run)
        if held and (done < BEFORE_THE_GATE or Path(os.environ[GATE]).exists()):
            done += 1
            yield made_up(held.pop(0))
        else:
            if done == BEFORE_THE_GATE:
                Path(os.environ[GATE]).with_suffix(REACHED).touch()
            time.sleep(0.005)


def deadly(runs: Iterable[Run | None], task: Task, *, threads: int) -> Iterator[FinishedRun]:
    """One run is too large for any process."""
    for run in runs:
        if run is not None:
            if is_deadly(run):
                os.kill(os.getpid(), signal.SIGKILL)
            yield made_up(run)


def is_deadly(run: Run) -> bool:
    return run.configuration.units == 13 and run.seed == 1


def failing(runs: Iterable[Run | None], task: Task, *, threads: int) -> Iterator[FinishedRun]:
    for run in runs:
        if run is not None:
            if run.seed == 2:
                raise Peculiar("it", "broke")
            yield made_up(run)


class Peculiar(Exception):
    """An error that does not survive being sent."""

    def __init__(self, what: str, how: str) -> None:
        super().__init__(f"{what} {how}")


class Unbeginnable:
    """An engine whose process ends as it is sent there."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return os._exit, (7,)

    def __call__(self) -> None:
        """Never called."""
