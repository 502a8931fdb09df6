"""A task and runs that many tests of the engine train.

The task has the shape of `first-value` as it is by itself: programs for that serve tests of Keras
and of benchmarks too, and are compiled once.
"""

from collections.abc import Callable

import numpy as np
import pytest

from studies.run import Configuration, Run
from studies.tasks import Task


def first_value(records: int = 200, timesteps: int = 3, features: int = 1) -> Task:
    """The class of a record is its first value; half of the records are of each."""
    rng = np.random.default_rng(5)
    x = rng.integers(0, 10, (records, timesteps, features)).astype(np.float32)
    y = np.arange(records, dtype=np.int32) % 2
    x[:, 0, 0] = y
    return Task("first-value", x, y, ("0", "1"))


def made_run(seed: int = 0, epochs: int = 12, target: float = 1.0, **settings: object) -> Run:
    """A run of a layer of 5 units with adam at 0.01, but for what is given."""
    given = {"units": 5, "learning_rate": 0.01, **settings}
    return Run(Configuration.model_validate(given), seed, epochs, target)


@pytest.fixture(scope="session")
def task() -> Task:
    return first_value()


@pytest.fixture(scope="session")
def a_task() -> Callable[..., Task]:
    return first_value


@pytest.fixture(scope="session")
def a_run() -> Callable[..., Run]:
    return made_run
