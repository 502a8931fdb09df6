"""The work that all contenders of a row do: the same task, model, seeds, epochs and ending."""

from dataclasses import asdict, dataclass, replace
from functools import lru_cache

import numpy as np

from studies.run import Configuration, Run, flops_per_record
from studies.tasks import Task, make_task


@dataclass(frozen=True)
class Work:
    """Training `models` models of one kind, which differ in their seeds.

    With `to_target` every model trains until it has learned the task, at most `BUDGET` epochs;
    without it, the task cannot be learned, and every model trains for as long as it is asked to.
    """

    layers: int = 3
    units: int = 15
    models: int = 64
    timesteps: int = 3
    features: int = 1
    records: int = 200
    batch_size: int = 32
    learning_rate: float = 0.001
    to_target: bool = False

    def configuration(self) -> Configuration:
        """The question's own model: adam, and a softmax layer that starts within ±0.05."""
        return Configuration(
            layers=self.layers,
            units=self.units,
            output_initializer="random_uniform",
            optimizer="adam",
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
        )

    def task(self) -> Task:
        """The class is the first value; or, to train for ever, every sequence is of both classes.

        The second half of the records then repeats the first, with the classes exchanged: no model
        can tell them apart, so its accuracy cannot become 1. All features but the first are noise.
        """
        settings = {"records": self.records, "timesteps": self.timesteps}
        task = make_task("first-value", settings)
        if self.features > 1:
            more = np.random.default_rng(0).random(
                (self.records, self.timesteps, self.features - 1), np.float32
            )
            task = replace(task, x=np.concatenate([task.x, more], axis=2))
        if self.to_target:
            return task
        half = self.records // 2
        x, y = task.x.copy(), task.y.copy()
        x[half : 2 * half], y[half : 2 * half] = x[:half], 1 - y[:half]
        return replace(task, name="both-classes", x=x, y=y)

    def runs(self, epochs: int, first_seed: int = 0) -> list[Run]:
        """A run for each model, from the seeds `first_seed`, `first_seed` + 1 …"""
        configuration = self.configuration()
        return [Run(configuration, first_seed + k, epochs) for k in range(self.models)]

    def flops(self) -> int:
        """Floating point operations that training one model for one epoch needs."""
        one = flops_per_record(self.configuration(), self.timesteps, self.features, outputs=2)
        return self.records * one

    def document(self) -> dict[str, float]:
        """The fields by name, as `Work(**document)` takes them."""
        return asdict(self)


BUDGET = 300
"""Epochs after which a model that has not learned its task is given up."""


@lru_cache(maxsize=1 << 14)
def record_order(seed: int, epoch: int, records: int) -> np.ndarray:
    """The order of records in an epoch, counted from 1: that of `sweep.keras.train_in_keras`."""
    return np.random.default_rng([seed, epoch]).permutation(records).astype(np.int32)
