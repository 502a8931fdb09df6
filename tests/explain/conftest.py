"""A world in which the length of every plateau is known: what an explanation has to find out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest

from studies.run import Configuration, FinishedRun, Run
from studies.tasks import Task
from sweep.engine.hidden import series

Length = Callable[[Configuration, Task], float]


@dataclass
class World:
    """Trains as `sweep.explain.training.TrainJob`: a plateau of `length` epochs, give or take one
    by the seed, then three epochs to the target. `trained` are the runs in the order they came,
    after their task's fingerprint."""

    length: Length
    trained: list[tuple[str, Run]] = field(default_factory=list[tuple[str, Run]])

    def __call__(self, runs: Iterator[Run], task: Task, hidden: bool) -> Iterator[FinishedRun]:
        for run in runs:
            self.trained.append((task.fingerprint, run))
            yield self.finished(run, task, hidden)

    def finished(self, run: Run, task: Task, hidden: bool) -> FinishedRun:
        c = run.configuration
        wait = max(0, round(self.length(c, task) + [-1, 0, 0, 1][run.seed % 4]))
        epochs = min(run.epochs, wait + 3)
        ended = "solved" if wait + 3 <= run.epochs else "censored"
        t = np.arange(1, epochs + 1)
        chance, unknown = task.chance
        accuracy = np.where(t <= wait, chance, np.where(t == wait + 3, 1.0, 0.9))
        names = ("loss", "accuracy")
        columns = {"loss": np.where(t <= wait, 1.0, 0.3) * unknown, "accuracy": accuracy}
        if hidden:
            names += series(c.layers, task.timesteps * task.features)
            if task.target != "class":
                names = names[: names.index("contrast")]
        if "contrast" in names:
            # From 0.001 nats to 1 within the plateau, whatever its length.
            columns["contrast"] = 0.001 * np.exp(np.log(1000.0) * t / max(1, wait))
            columns["separation"] = np.full(epochs, 2.0)
        curves = np.zeros((epochs, len(names)), np.float32)
        for name, values in columns.items():
            curves[:, names.index(name)] = values
        return FinishedRun(run, ended, curves, names)


def by_learning_rate(c: Configuration, task: Task) -> float:
    """20 epochs of plateau at adam's 0.001, in inverse proportion to the learning rate alone; sgd
    needs a rate 20,000 times as high; inputs of another size and other weights change nothing."""
    rate = c.learning_rate / (20_000.0 if c.optimizer == "sgd" else 1.0)
    return 20.0 * 0.001 / rate


@pytest.fixture
def world() -> World:
    return World(by_learning_rate)
