"""Which run sits in which population, and which population has a thread.

A population is the state of one compiled program: a fixed number of slots, each empty or training a
run. After every chunk of epochs, runs that are done leave and waiting runs of the same shape take
their slots, without recompiling. Threads, one per core, take turns with the populations, the
fullest first. Nothing of this has an influence on any run's curve.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

from studies.run import FinishedRun, Run
from studies.tasks import Task
from sweep.engine.population import Population
from sweep.engine.program import data_of
from sweep.engine.runtime import has_gpu
from sweep.engine.shapes import MOST_SLOTS, MOST_SLOTS_ON_GPU, Shape, shape_of
from sweep.machine import cores

AHEAD = 8
"""Populations' worth of runs, for each thread, that may wait: enough that every shape in use finds
company, few enough that memory stays bounded however many runs there are."""

ALIVE = 4
"""Times the memory of a population, for each thread, that all of them may take together."""

ASK_AGAIN = 0.1
"""Seconds after which runs are asked for again where there were none to train."""

PATIENCE = 0.5
"""Seconds that an interruption waits for the threads to end their chunks. One that compiles cannot
be stopped, and is left behind."""

COMPANY = 0.01
"""Seconds that a population with empty slots waits for the next run while runs are coming in: one
run takes as much of a core's time as a population of them."""

_COMPILED: set[Shape] = set()
"""Shapes whose programs this process has run. Of another, one population waits for XLA, and no
second one is begun meanwhile."""


def fed(
    runs: Iterator[Run | None], hungry: Callable[[], bool], admit: Callable[[Run], None]
) -> bool:
    """Has runs admitted while more are wanted; whether there are no more.

    An item None means that there is nothing to train just now.
    """
    while hungry():
        try:
            run = next(runs)
        except StopIteration:
            return True
        if run is None:
            return False
        admit(run)
    return False


class Scheduler:
    """Threads that train runs of one task. They call `on_epochs` after every chunk with the epochs
    that it trained, summed over its runs.
    """

    def __init__(
        self,
        task: Task,
        *,
        chunk: int,
        memory: int,
        threads: int | None = None,
        hidden_progress: bool = False,
        on_epochs: Callable[[int], None] = lambda epochs: None,
    ) -> None:
        self._task = task
        self._chunk = chunk
        self._memory = memory
        self._hidden_progress = hidden_progress
        self._threads = threads or cores()
        self._most_slots = MOST_SLOTS
        self._on_epochs = on_epochs
        # A plain lock: an interruption may strike as one is taken, and `Condition` would keep it.
        self._lock = threading.Lock()
        self._change = threading.Condition(self._lock)
        self._waiting: dict[Shape, deque[Run]] = {}
        self._populations: list[Population] = []
        self._feeding = False
        self._closed = False
        self._inside = 0
        self._finished: deque[FinishedRun] = deque()
        self._failure: BaseException | None = None
        self._news: SimpleQueue[None] = SimpleQueue()
        self._workers: list[threading.Thread] = []
        self._data: tuple[Any, ...] | None = None

    def __enter__(self) -> "Scheduler":
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def train(self, runs: Iterator[Run | None]) -> Iterator[FinishedRun]:
        """Feed runs to the threads and yield what they finish.

        What raises, in a thread, in `runs` or by being thrown into this generator, stops the
        training, and is raised when all that is finished was yielded. A finished run may then come
        twice: it stays here until the next was asked for.
        """
        try:
            yield from self._train(runs)
        except GeneratorExit:
            raise
        except BaseException:
            self._stop()
            yield from self._take()
            raise

    def _train(self, runs: Iterator[Run | None]) -> Iterator[FinishedRun]:
        exhausted = False
        while True:
            if not exhausted:
                self._feed(True)
                exhausted = fed(runs, self._hungry, self._admit)
                self._feed(False)
            if self._inside == 0:
                if exhausted:
                    return
                raise RuntimeError("no run is in training, and none was offered")
            with suppress(Empty):
                self._news.get(timeout=None if exhausted else ASK_AGAIN)
            for finished in self._take():
                self._inside -= 1
                yield finished
            if self._failure is not None:
                raise self._failure

    def _feed(self, begins: bool) -> None:
        with self._lock:
            self._feeding = begins
            self._change.notify_all()

    def _take(self) -> Iterator[FinishedRun]:
        while self._finished:
            yield self._finished[0]
            self._finished.popleft()

    def _hungry(self) -> bool:
        with self._lock:
            waiting = sum(len(line) for line in self._waiting.values())
        return waiting < AHEAD * self._most_slots * self._threads

    def _admit(self, run: Run) -> None:
        self._inside += 1
        if self._data is None:
            self._data = data_of(self._task)
            if has_gpu():
                self._most_slots = MOST_SLOTS_ON_GPU
        shape = shape_of(
            run.configuration,
            self._task,
            chunk=self._chunk,
            memory=self._memory,
            hidden_progress=self._hidden_progress,
            most_slots=self._most_slots,
        )
        with self._lock:
            self._waiting.setdefault(shape, deque()).append(run)
            self._change.notify()
        if len(self._workers) < self._threads:
            worker = threading.Thread(target=self._work, daemon=True, name="sweep-engine")
            self._workers.append(worker)
            worker.start()

    def _stop(self) -> None:
        """Lets the threads end after the chunks that they train, and waits for that, not long."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            self._change.notify_all()
        limit = time.monotonic() + PATIENCE
        for worker in self._workers:
            worker.join(max(0.0, limit - time.monotonic()))

    def _work(self) -> None:
        try:
            while True:
                with self._lock:
                    population = self._next()
                    if population is None:
                        return
                    population.busy = True
                    line = self._waiting.get(population.shape)
                    arrivals = (
                        [line.popleft() for _ in range(min(population.free, len(line)))]
                        if line
                        else []
                    )
                before = population.epochs
                finished = population.advance(arrivals)
                self._on_epochs(population.epochs - before)
                with self._lock:
                    self._finished.extend(finished)
                    population.busy = False
                    _COMPILED.add(population.shape)
                    if population.free == population.shape.slots:
                        self._populations.remove(population)
                    self._change.notify_all()
                if finished:
                    self._news.put(None)
        except BaseException as error:  # a worker's error belongs to who reads the results
            self._failure = error
            self._news.put(None)

    def _next(self) -> Population | None:
        """The population to train next, waited for; None where the threads are to end."""
        company = True
        while not self._closed:
            population = self._choose()
            if population is None:
                self._change.wait()
            elif company and self._feeding and self._runs_of(population) < population.shape.slots:
                company = self._change.wait(COMPANY)
            else:
                return population
        return None

    def _runs_of(self, population: Population) -> int:
        """Runs that the population would train now."""
        line = self._waiting.get(population.shape, ())
        return population.shape.slots - population.free + min(population.free, len(line))

    def _choose(self) -> Population | None:
        """The population that would train most runs now; a new one where that would be fuller."""
        best, most = None, 0
        for population in self._populations:
            if not population.busy:
                runs = self._runs_of(population)
                if runs > most:
                    best, most = population, runs
        compiling = {p.shape for p in self._populations if p.busy and p.shape not in _COMPILED}
        for shape, line in self._waiting.items():
            runs = min(len(line), shape.slots)
            idle = any(p.shape == shape and not p.busy and p.free for p in self._populations)
            ready = shape not in compiling and not idle
            if runs > most and ready and self._fits(shape):
                best, most = shape, runs
        if isinstance(best, Shape):
            assert self._data is not None
            best = Population(best, self._task, self._data)
            self._populations.append(best)
        return best

    def _fits(self, shape: Shape) -> bool:
        """Whether there is memory for one more population. Each thread may have one in any case."""
        alive = [population.shape for population in self._populations]
        room = ALIVE * self._threads * self._memory
        return len(alive) < self._threads or sum(s.bytes() for s in [*alive, shape]) <= room
