"""Where runs of own models are trained: processes beside this one, each with one run at a time.

What a person's code does to its process (raise, hang, run out of memory, end it) is done to one
run: that run has failed, and a new process takes the next.
"""

import faulthandler
import tempfile
import time
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path

from studies.functions import check_allowed, file_of
from studies.run import FinishedRun, Run
from studies.study import Study
from studies.tasks import Task
from sweep.workers.processes import SpawnedProcess

RUNS_OF_A_PROCESS = 50
"""Runs after which a process is replaced, so that memory that a person's code leaks comes back."""

GRACE = 10.0
"""Seconds beyond its limit after which a process is ended from here, if it did not end itself."""


def check_own_model(study: Study, *, allow_code: bool) -> None:
    """That a study's own model may be run, and is the one that the study was read with.

    Raises BadInput as `studies.functions.check_allowed` does.
    """
    training = study.training
    if training.model is not None:
        key = f"{study.name}: training.model"
        check_allowed(key, training.model, training.code, allow_code=allow_code)


def train_own_models(
    runs: Iterable[Run | None], task: Task, *, study: Study, workers: int | None = None
) -> Generator[FinishedRun]:
    """Trains runs of a study's own model and yields each when it ends, as `sweep.engine.train`.

    In `workers` processes, by default one per core. A run that takes longer than the study's
    `time_limit`, or whose process ends, has failed. Raises BadInput where a process is to be
    started and the file of the function has changed.
    """
    from sweep.machine import cores

    offered = iter(runs)
    model = study.training.model
    if model is None:
        raise ValueError(f"{study.name} has no own model")
    exhausted = False
    with tempfile.TemporaryDirectory(prefix="sweep-") as logs:
        places = [_Process(Path(logs, f"{n}.log"), task, study) for n in range(workers or cores())]
        try:
            while True:
                for place in places:
                    if place.training is None and not exhausted:
                        run = next(offered, _END)
                        exhausted = isinstance(run, _End)
                        if run is None or isinstance(run, _End):
                            break
                        place.begin(run)
                busy = [place for place in places if place.training is not None]
                if not busy:
                    if exhausted:
                        return
                    raise RuntimeError("no run is in training, and none was offered")
                yield from _finished(busy)
        finally:
            for place in places:
                place.end()


class _End:
    """What comes after the last run."""


_END = _End()


@dataclass(frozen=True)
class _Training:
    """A run in a process: its result to come, and when it is ended from here."""

    run: Run
    future: Future[FinishedRun]
    deadline: float


class _Process:
    """A place for one process, which is started when it is first needed and when one has died."""

    def __init__(self, log: Path, task: Task, study: Study) -> None:
        self.log, self.task, self.study = log, task, study
        self.model, self.limit = study.training.model or "", study.training.time_limit
        self.training: _Training | None = None
        self._process: SpawnedProcess | None = None
        self._runs = 0

    def begin(self, run: Run) -> None:
        if self._runs >= RUNS_OF_A_PROCESS:
            self.end()
        if self._process is None:
            # What it imports is the file as it is now.
            check_own_model(self.study, allow_code=True)
            self._process = SpawnedProcess(self.log, _prepare, self.task, self.model)
            self._runs = 0
        self._runs += 1
        deadline = float("inf")
        future = self._process.submit(_train, run, self.limit)
        if self.limit is not None:
            # A new process takes its time to start, which is no run's.
            deadline = time.monotonic() + self.limit + GRACE + (60.0 if self._runs == 1 else 0.0)
        self.training = _Training(run, future, deadline)

    def result(self) -> FinishedRun | None:
        """The run that was in training, if it is over; the place is then free."""
        training = self.training
        if training is None:
            return None
        if not training.future.done():
            if time.monotonic() < training.deadline:
                return None
            self.end()
        self.training = None
        try:
            # Runs are pickled on their way; the caller has the one that it gave.
            return replace(training.future.result(), run=training.run)
        except BrokenProcessPool:
            from sweep.keras.own import failed

            if self._process is not None:
                self._process.shutdown()
            said = self._last_words()
            self.end()
            return failed(training.run, said)

    def end(self) -> None:
        """Ends the process, whatever it does."""
        if self._process is not None:
            self._process.shutdown()
        self._process = self.training = None

    def _last_words(self) -> str:
        """Why a process died, as far as can be known here."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        _, late, stack = text.rpartition("Timeout (")
        if late:
            own = [line.strip() for line in stack.splitlines() if _of(line, self.model)]
            where = f"; it was in {own[0]}" if own else ""
            return f"took longer than time_limit = {self.limit:g} seconds{where}"
        how = "ended" if self._process is None else self._process.ending()
        return f"its process {how}"


def _of(line: str, model: str) -> bool:
    return f'File "{file_of(model)}"' in line


def _finished(busy: list[_Process]) -> Iterator[FinishedRun]:
    """Waits until a run ends, and yields those that have."""
    trainings = [place.training for place in busy if place.training is not None]
    nearest = min(training.deadline for training in trainings) - time.monotonic()
    timeout = None if nearest == float("inf") else max(0.0, nearest)
    wait([training.future for training in trainings], timeout, FIRST_COMPLETED)
    for place in busy:
        finished = place.result()
        if finished is not None:
            yield finished


_here: tuple[Task, str] | None = None
"""In a process: the data and the function of its runs."""


def _prepare(task: Task, model: str) -> None:
    """Begins a process: it has the data, and Keras."""
    global _here
    _here = (task, model)
    from sweep.keras.model import keras_on_tensorflow

    keras_on_tensorflow()


def _train(run: Run, limit: float | None) -> FinishedRun:
    """One run, in a process; a process in which it takes longer than `limit` seconds ends."""
    from sweep.keras.own import train_own

    assert _here is not None
    if limit is not None:
        # From a thread of the interpreter's own: code that never lets go of it is ended too.
        faulthandler.dump_traceback_later(limit, exit=True, file=2)
    try:
        return train_own(run, *_here)
    finally:
        faulthandler.cancel_dump_traceback_later()
