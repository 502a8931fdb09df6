"""The state of one compiled program: its slots, the runs in them, and their curves so far.

A chunk at a time: arrivals are seated in empty slots with the weights that Keras would draw for
their seeds, every slot is trained for a chunk of epochs, and runs that are done leave.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from studies.run import Ending, FinishedRun, Run
from studies.tasks import Task
from sweep.engine import optimizers
from sweep.engine.compiled import compiled
from sweep.engine.initializers import DRAWN_FROM, initial_weights
from sweep.engine.optimizers import COEFFICIENTS
from sweep.engine.program import means
from sweep.engine.runtime import prepare
from sweep.engine.shapes import Shape, gates_of

REMEMBERED = 32 * 1024**2
"""Bytes of record orders that are kept for the runs that need the same."""


class Population:
    """The state of one program: its slots' weights, accumulators, runs and curves so far.

    `epochs` are those that it has trained, summed over its runs, those that have left included.
    """

    def __init__(self, shape: Shape, task: Task, data: tuple[Any, ...]) -> None:
        self.shape = shape
        self.busy = False
        self.epochs = 0
        self._task = task
        self._data = data
        self._runs: list[Run | None] = [None] * shape.slots
        self._curves: list[list[np.ndarray]] = [[] for _ in self._runs]
        self._trained = np.zeros(shape.slots, int)
        self._units = np.zeros((shape.slots, shape.width), np.float32)
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
        *state, sums = compiled(shape)(
            *self._state,
            tf.constant(fresh),
            news,
            tf.constant(fresh_v),
            tf.constant(self._units),
            list(self._data),
            *(tf.constant(table) for table in self._tables()),
        )
        self._state = state
        return self._collect(means(shape, sums.numpy()))

    def _tables(self) -> tuple[np.ndarray, np.ndarray]:
        """The order of records and the optimizers' coefficients of the chunk's updates."""
        shape, per_epoch = self.shape, self.shape.updates_per_epoch
        updates, orders = shape.chunk * per_epoch, _orders(shape.records)
        order = np.zeros((shape.chunk, per_epoch, shape.slots, shape.batch), np.int32)
        filled = np.zeros(per_epoch * shape.batch, np.int32)
        table = np.zeros((updates, len(COEFFICIENTS), shape.slots), np.float32)
        table[:, COEFFICIENTS.index("floor")] = 1.0
        for slot, run in enumerate(self._runs):
            if run is None:
                continue
            done = int(self._trained[slot])
            for epoch in range(shape.chunk):
                filled[: shape.records] = orders(run.seed, done + epoch + 1)
                order[epoch, :, slot] = filled.reshape(per_epoch, shape.batch)
            first = done * per_epoch + 1
            table[:, :, slot] = optimizers.coefficients(run.configuration, first, updates)
        return order.reshape(updates, shape.slots, shape.batch), table

    def _seat(self, arrivals: list[Run]) -> tuple[np.ndarray, np.ndarray]:
        fresh = np.zeros(self.shape.slots, np.float32)
        fresh_v = np.zeros(self.shape.slots, np.float32)
        empty = [slot for slot, run in enumerate(self._runs) if run is None]
        for slot, run in zip(empty, arrivals, strict=False):
            self._runs[slot] = run
            self._curves[slot] = []
            self._trained[slot] = 0
            self._units[slot] = np.arange(self.shape.width) < run.configuration.units
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
            self.epochs += length
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


def record_order(seed: int, epoch: int, records: int) -> np.ndarray:
    """The order of records in an epoch (counted from 1): a permutation for each seed and epoch."""
    return np.random.default_rng([seed, epoch]).permutation(records).astype(np.int32)


@lru_cache(maxsize=1)
def _orders(records: int) -> Callable[[int, int], np.ndarray]:
    """`record_order` of (seed, epoch), which remembers what the replicates of other trials, whose
    seeds are the same, had."""
    remembered = lru_cache(maxsize=REMEMBERED // (4 * records + 256))
    return remembered(lambda seed, epoch: record_order(seed, epoch, records))
