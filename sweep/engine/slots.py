"""Which run sits in which slot of which population, and which population has a thread.

A population is the state of one compiled program: a fixed number of slots, each empty or training a
run. After every chunk of epochs, runs that are done leave and waiting runs of the same shape take
their slots, without recompiling. Threads, one per core, take turns with the populations, the
fullest first. Nothing of this has an influence on any run's curve.
"""

import queue
import threading
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from studies.run import Ending, FinishedRun, Run
from studies.tasks import Task
from sweep.engine import optimizers
from sweep.engine.initializers import DRAWN_FROM, initial_weights
from sweep.engine.optimizers import COEFFICIENTS
from sweep.engine.program import Shape, data_of, gates_of, means, program, shape_of
from sweep.engine.runtime import cores, prepare

AHEAD = 8
"""Populations' worth of runs, for each thread, that may wait: enough that every shape in use finds
company, few enough that memory stays bounded however many runs there are."""


class Scheduler:
    """Threads that train runs of one task."""

    def __init__(
        self,
        task: Task,
        *,
        chunk: int,
        memory: int,
        threads: int | None,
        hidden_progress: bool = False,
    ) -> None:
        self._task = task
        self._chunk = chunk
        self._memory = memory
        self._hidden_progress = hidden_progress
        self._threads = threads or cores()
        self._change = threading.Condition()
        self._waiting: dict[Shape, deque[Run]] = {}
        self._populations: list[Population] = []
        self._compiled: set[Shape] = set()
        self._closed = False
        self._finished: queue.SimpleQueue[FinishedRun | BaseException] = queue.SimpleQueue()
        self._workers: list[threading.Thread] = []
        self._data: tuple[Any, ...] | None = None

    def __enter__(self) -> "Scheduler":
        return self

    def __exit__(self, *_: object) -> None:
        with self._change:
            self._closed = True
            self._waiting.clear()
            self._change.notify_all()
        for worker in self._workers:
            worker.join()

    def train(self, runs: Iterator[Run | None]) -> Iterator[FinishedRun]:
        """Feed runs to the threads and yield what they finish."""
        inside, exhausted = 0, False
        while True:
            idle = False
            while not exhausted and not idle and self._hungry():
                try:
                    run = next(runs)
                except StopIteration:
                    exhausted = True
                    break
                if run is None:
                    idle = True
                    break
                inside += 1
                self._admit(run)
            if inside == 0:
                if exhausted:
                    return
                raise RuntimeError("no run is in training, and none was offered")
            result = self._finished.get()
            while True:
                if isinstance(result, BaseException):
                    raise result
                inside -= 1
                yield result
                try:
                    result = self._finished.get_nowait()
                except queue.Empty:
                    break

    def _hungry(self) -> bool:
        with self._change:
            waiting = sum(len(line) for line in self._waiting.values())
        return waiting < AHEAD * 16 * self._threads

    def _admit(self, run: Run) -> None:
        if self._data is None:
            self._data = data_of(self._task)
        shape = shape_of(
            run.configuration,
            self._task,
            chunk=self._chunk,
            memory=self._memory,
            hidden_progress=self._hidden_progress,
        )
        with self._change:
            self._waiting.setdefault(shape, deque()).append(run)
            self._change.notify()
        if len(self._workers) < self._threads:
            worker = threading.Thread(target=self._work, daemon=True, name="sweep-engine")
            self._workers.append(worker)
            worker.start()

    def _work(self) -> None:
        try:
            while True:
                with self._change:
                    population = self._choose()
                    while population is None and not self._closed:
                        self._change.wait()
                        population = self._choose()
                    if self._closed or population is None:
                        return
                    population.busy = True
                    line = self._waiting.get(population.shape)
                    arrivals = (
                        [line.popleft() for _ in range(min(population.free, len(line)))]
                        if line
                        else []
                    )
                for finished in population.advance(arrivals):
                    self._finished.put(finished)
                with self._change:
                    population.busy = False
                    self._compiled.add(population.shape)
                    if population.free == population.shape.slots:
                        self._populations.remove(population)
                    self._change.notify_all()
        except BaseException as error:  # a worker's error belongs to who reads the results
            self._finished.put(error)

    def _choose(self) -> "Population | None":
        """The population that would train most runs now; a new one where that would be fuller."""
        best, most = None, 0
        for population in self._populations:
            if not population.busy:
                line = self._waiting.get(population.shape, ())
                runs = population.shape.slots - population.free
                runs += min(population.free, len(line))
                if runs > most:
                    best, most = population, runs
        compiling = {p.shape for p in self._populations if p.busy and p.shape not in self._compiled}
        for shape, line in self._waiting.items():
            runs = min(len(line), shape.slots)
            idle = any(p.shape == shape and not p.busy and p.free for p in self._populations)
            if runs > most and shape not in compiling and not idle:
                best, most = shape, runs
        if isinstance(best, Shape):
            assert self._data is not None
            best = Population(best, self._task, self._data)
            self._populations.append(best)
        return best


class Population:
    """The state of one program: its slots' weights, accumulators, runs and curves so far."""

    def __init__(self, shape: Shape, task: Task, data: tuple[Any, ...]) -> None:
        self.shape = shape
        self.busy = False
        self._task = task
        self._data = data
        self._runs: list[Run | None] = [None] * shape.slots
        self._curves: list[list[np.ndarray]] = [[] for _ in self._runs]
        self._trained = np.zeros(shape.slots, int)
        self._fresh = [np.zeros((shape.slots, *one), np.float32) for one in shape.weights()]
        self._no_news: list[Any] | None = None
        self._state: Any = None

    @property
    def free(self) -> int:
        return sum(run is None for run in self._runs)

    def advance(self, arrivals: list[Run]) -> list[FinishedRun]:
        """Seat the arrivals, train every slot for a chunk of epochs, and return who is done."""
        tf = prepare()
        shape = self.shape
        fresh, fresh_v = self._seat(arrivals)
        if self._no_news is None:
            self._no_news = [tf.zeros(w.shape) for w in self._fresh]
        if self._state is None:
            self._state = (self._no_news, self._no_news, self._no_news)
        news = [tf.constant(w) for w in self._fresh] if arrivals else self._no_news
        updates = shape.chunk * shape.updates_per_epoch
        order = np.zeros(
            (shape.slots, shape.chunk, shape.updates_per_epoch * shape.batch), np.int32
        )
        table = np.zeros((updates, len(COEFFICIENTS), shape.slots), np.float32)
        table[:, COEFFICIENTS.index("floor")] = 1.0
        for slot, run in enumerate(self._runs):
            if run is None:
                continue
            done = int(self._trained[slot])
            for epoch in range(shape.chunk):
                order[slot, epoch, : shape.records] = record_order(
                    run.seed, done + epoch + 1, shape.records
                )
            first = done * shape.updates_per_epoch + 1
            table[:, :, slot] = optimizers.coefficients(run.configuration, first, updates)
        batches = order.reshape(shape.slots, updates, shape.batch).transpose(1, 0, 2)
        *state, sums = program(shape)(
            *self._state,
            tf.constant(fresh),
            news,
            tf.constant(fresh_v),
            *self._data,
            tf.constant(np.ascontiguousarray(batches)),
            tf.constant(table),
        )
        self._state = state
        return self._collect(means(shape, sums.numpy()))

    def _seat(self, arrivals: list[Run]) -> tuple[np.ndarray, np.ndarray]:
        fresh = np.zeros(self.shape.slots, np.float32)
        fresh_v = np.zeros(self.shape.slots, np.float32)
        empty = [slot for slot, run in enumerate(self._runs) if run is None]
        for slot, run in zip(empty, arrivals, strict=False):
            self._runs[slot] = run
            self._curves[slot] = []
            self._trained[slot] = 0
            fresh[slot] = 1.0
            fresh_v[slot] = optimizers.initial_v(run.configuration)
        for slots in self._same_weights(np.flatnonzero(fresh).tolist()):
            weights = self._weights([self._runs[slot] for slot in slots])
            for own, padded in zip(weights, self._fresh, strict=True):
                padded[slots] = own
        return fresh, fresh_v

    def _same_weights(self, slots: list[int]) -> list[list[int]]:
        """Slots whose runs differ in nothing that initial weights depend on but their seeds."""
        groups: dict[Any, list[int]] = {}
        for slot in slots:
            run = self._runs[slot]
            assert run is not None
            alike = tuple(getattr(run.configuration, name) for name in DRAWN_FROM)
            groups.setdefault(alike, []).append(slot)
        return list(groups.values())

    def _weights(self, runs: list[Run | None]) -> list[np.ndarray]:
        """Initial weights of like runs in the program's layout, padded with zeros to its width."""
        seated = [run for run in runs if run is not None]
        configuration, shape = seated[0].configuration, self.shape
        drawn = initial_weights(
            configuration,
            [run.seed for run in seated],
            self._task.features,
            len(self._task.classes),
        )
        padded: list[np.ndarray] = []
        for index, (own, target) in enumerate(zip(drawn, shape.weights(), strict=True)):
            own = own.transpose(0, 2, 1) if own.ndim == 3 else own[:, :, None]
            blocks = 1 if index >= 3 * shape.layers else gates_of(shape.cell)
            own = own.reshape(len(seated), blocks, -1, own.shape[2])
            full = np.zeros((len(seated), blocks, target[0] // blocks, target[1]), np.float32)
            full[:, :, : own.shape[2], : own.shape[3]] = own
            padded.append(full.reshape(len(seated), *target))
        return padded

    def _collect(self, measured: np.ndarray) -> list[FinishedRun]:
        """Take a chunk's [epochs, slots, series] into the curves; empty the slots that are done."""
        done: list[FinishedRun] = []
        for slot, run in enumerate(self._runs):
            if run is None:
                continue
            piece = measured[: run.epochs - self._trained[slot], slot]
            ended, length = _ending(piece, run)
            self._curves[slot].append(piece[:length])
            self._trained[slot] += length
            if ended is None and self._trained[slot] >= run.epochs:
                ended = "censored"
            if ended is not None:
                curves = np.concatenate(self._curves[slot])
                done.append(FinishedRun(run, ended, curves, self.shape.series))
                self._runs[slot] = None
                self._curves[slot] = []
        return done


def _ending(piece: np.ndarray, run: Run) -> tuple[Ending | None, int]:
    """Whether a run ends within these epochs [epochs, (loss, accuracy, …)], and how many count."""
    finite = np.isfinite(piece[:, 0])
    # Accuracies are counts over records in single precision: a target such as 0.99 has to be
    # reached by the count that a person would say reaches it.
    solved = (piece[:, 1] >= np.float32(run.target)) & finite
    ends = np.flatnonzero(solved | ~finite)
    if len(ends) == 0:
        return None, len(piece)
    return ("solved" if solved[ends[0]] else "diverged"), int(ends[0]) + 1


@lru_cache(maxsize=4096)
def record_order(seed: int, epoch: int, records: int) -> np.ndarray:
    """The order of records in an epoch (counted from 1): a permutation for each seed and epoch."""
    return np.random.default_rng([seed, epoch]).permutation(records).astype(np.int32)
