"""What trains in a place: an engine that stays there, called now and then.

Between two calls it goes on training. A call brings runs and takes what is finished, so slots are
filled again as they become free, and a place never waits for the slowest of a batch. One that
nobody calls any more has been abandoned, and stops.
"""

import pickle
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from studies.run import Ending, FinishedRun, Run
from studies.tasks import Task
from sweep.machine import here

TAKING = 0.5
"""Seconds for which a call waits for something to be finished."""

ABANDONED = 60.0
"""Seconds without a call after which nobody is taken to be there any more."""

Engine = Callable[..., Iterator[FinishedRun]]
"""`sweep.engine.train`, or what takes its place: called with runs, their task and `threads`."""


class Forgotten(Exception):
    """This process knows nothing of that session: it is another one, or was abandoned."""


@dataclass(frozen=True)
class Result:
    """A finished run on its way: its number instead of the run, which is known where it goes."""

    number: int
    ended: Ending
    curves: np.ndarray
    series: tuple[str, ...]
    error: str | None

    def of(self, run: Run, machine: Mapping[str, Any]) -> FinishedRun:
        return FinishedRun(run, self.ended, self.curves, self.series, self.error, machine)


class _Resident:
    """An engine in a thread, and what was brought to it and is not taken from it yet."""

    def __init__(self, session: str, task: Task, threads: int, engine: Engine) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._change = threading.Condition(self._lock)
        self._brought: deque[tuple[int, Run]] = deque()
        self._inside: dict[int, tuple[int, Run]] = {}
        self._finished: list[Result] = []
        self._failure: BaseException | None = None
        self._answered: tuple[int, list[Result]] = (0, [])
        self._callers = 0
        self._called_at = time.monotonic()
        self.closed = False
        self._thread = threading.Thread(
            target=self._work, args=(task, threads, engine), daemon=True, name="sweep-resident"
        )
        self._thread.start()

    def exchange(self, call: int, runs: Sequence[tuple[int, Run]]) -> list[Result]:
        """Brings numbered runs and takes what is finished; waits for that, not long."""
        limit = time.monotonic() + TAKING
        with self._lock:
            if call == self._answered[0]:
                return self._answered[1]
            self._callers += 1
            self._brought.extend(runs)
            self._change.notify_all()
            try:
                while not (self._finished or self._failure or self.closed):
                    left = limit - time.monotonic()
                    if left <= 0:
                        break
                    self._change.wait(left)
                finished, self._finished = self._finished, []
                if self._failure is not None and not finished:
                    raise self._failure
                self._answered = (call, finished)
                return finished
            finally:
                self._callers -= 1
                self._called_at = time.monotonic()

    def close(self) -> None:
        with self._lock:
            self.closed = True
            self._change.notify_all()

    def _work(self, task: Task, threads: int, engine: Engine) -> None:
        try:
            for finished in engine(self._feed(), task, threads=threads):
                with self._lock:
                    number, _ = self._inside.pop(id(finished.run), (None, None))
                    if number is not None:
                        self._finished.append(
                            Result(
                                number,
                                finished.ended,
                                finished.curves,
                                finished.series,
                                finished.error,
                            )
                        )
                        self._change.notify_all()
        except _Closed:
            sessions.pop(self._session, None)
        except BaseException as error:
            self._failure = _portable(error)
        finally:
            self.close()

    def _feed(self) -> Iterator[Run | None]:
        while True:
            with self._lock:
                while not (self._brought or self._inside or self.closed):
                    self._change.wait(1.0)
                    self._look()
                self._look()
                run = None
                if self._brought:
                    number, run = self._brought.popleft()
                    self._inside[id(run)] = (number, run)
            yield run

    def _look(self) -> None:
        """Whether anybody is there still."""
        silent = 0.0 if self._callers else time.monotonic() - self._called_at
        if self.closed or silent > ABANDONED:
            raise _Closed


class _Closed(Exception):
    """Nothing more is to be trained."""


def _portable(error: BaseException) -> BaseException:
    """The same error where it can be sent, else one that says the same."""
    with suppress(Exception):
        if type(pickle.loads(pickle.dumps(error))) is type(error):
            return error
    return RuntimeError(f"{type(error).__name__}: {error}")


sessions: dict[str, _Resident] = {}
"""In a place: what trains there, by session."""


def begin(session: str, task: Task, threads: int, engine: Engine | None) -> dict[str, Any]:
    """Makes ready to train runs of a task in a session; says on which machine, as `here` does."""
    if engine is None:
        from sweep.engine import prepare, train

        prepare()
        engine = train
    sessions[session] = _Resident(session, task, threads, engine)
    return here()


def exchange(session: str, call: int, runs: Sequence[tuple[int, Run]]) -> list[Result]:
    """Brings numbered runs of a session and takes finished ones, within about `TAKING` seconds.

    Calls are counted from 1. A cluster may make one again whose answer it has lost, and gets the
    same answer. Raises Forgotten where the session did not begin in this process, and what the
    engine raised.
    """
    resident = sessions.get(session)
    if resident is None:
        raise Forgotten
    return resident.exchange(call, runs)


def end(session: str) -> None:
    """Stops what trains in a session."""
    resident = sessions.pop(session, None)
    if resident is not None:
        resident.close()
