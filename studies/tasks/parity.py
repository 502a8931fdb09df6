"""Parity: whether an even or an odd number of the first bits is set."""

import numpy as np
from pydantic import Field, model_validator

from studies.tasks import Builtin, Settings, Size, Task, recipe, step_columns


class Parity(Settings):
    """Settings of `parity`: sequences of `bits`, of which the first `relevant` make the class."""

    records: int = Field(default=1000, ge=2, le=10_000_000)
    bits: int = Field(default=10, ge=1, le=10_000)
    relevant: int = Field(default=3, ge=1, le=10_000)

    @model_validator(mode="after")
    def _possible(self) -> "Parity":
        if self.relevant > self.bits:
            raise ValueError(f"relevant ({self.relevant}) must not be above bits ({self.bits})")
        self.check_size(self.bits)
        return self


def parity(
    records: int,
    bits: int,
    relevant: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Bits as 1 and -1, one a step; the class is 1 where the product of the first ones is -1.

    The sparse parity of Barak, Edelman, Goel, Kakade, Malach and Zhang (2022, "Hidden progress in
    deep learning: SGD learns parities near the computational limit"), there for feedforward
    networks and a fresh sample at each update: for a long time loss and accuracy show nothing of
    the progress that the weights make. The classes are of equal size.
    """
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(records) % 2)
    x = 2.0 * rng.integers(0, 2, size=(records, bits)) - 1.0
    x[:, relevant - 1] = (1.0 - 2.0 * y) * x[:, : relevant - 1].prod(axis=1)
    return x[:, :, None].astype("float32"), y.astype("int32")


def make_parity(settings: Parity) -> Task:
    """`parity` as a task of two classes.

    Barak et al. measure the error on fresh samples. Solved is here, as everywhere, that the running
    accuracy on these records reaches the target; with few records a large network gets there by
    heart.
    """
    x, y = parity(**settings.model_dump())
    return Task("parity", x, y, ("even", "odd"), step_columns(settings.bits))


TASKS = (
    Builtin(
        "parity",
        "the class is whether an even or an odd number of the first bits is set",
        Parity,
        make_parity,
        lambda settings: Size(settings.records, settings.bits, 1, 2, numbers=2),
        lambda settings: recipe(parity, "x, y", settings),
    ),
)
