"""Temporal order: which of two symbols came first, and which then?"""

import numpy as np
from pydantic import Field, model_validator

from studies.tasks import Builtin, Settings, Size, Task, recipe, step_columns

SYMBOLS = ("a", "b", "c", "d", "B", "E", "X", "Y")


class TemporalOrder(Settings):
    """Settings of `temporal-order`.

    Sequences have `shortest` to a tenth more steps; `relevant` of them are X or Y.
    """

    shortest: int = Field(default=50, ge=10, le=10_000)
    relevant: int = Field(default=2, ge=2, le=3)

    @model_validator(mode="after")
    def _possible(self) -> "TemporalOrder":
        if self.records < 2**self.relevant:
            raise ValueError(
                f"records ({self.records}) must be at least {2**self.relevant}, one of each class"
            )
        self.check_size(self.longest * len(SYMBOLS))
        return self

    @property
    def longest(self) -> int:
        return self.shortest + self.shortest // 10


def temporal_order(
    records: int, shortest: int, relevant: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sequences B … E of random a, b, c and d, in which two or three symbols are X or Y.

    The class is which of them are X and Y, in order: XX, XY, YX, YY, or XXX … YYY. Tasks 6a and 6b
    of Hochreiter and Schmidhuber (1997, "Long short-term memory"), whose sequences have 100 to 110
    steps: the first relevant symbol comes at step 10 … 20 (counted from 0), the second at 50 … 60;
    where there are three, at 10 … 20, 33 … 43 and 66 … 76. For other lengths these places are
    scaled.
    """
    rng = np.random.default_rng(seed)
    spread = shortest // 10
    steps = np.arange(shortest + spread)
    everyone = np.arange(records)
    y = rng.permutation(everyone % 2**relevant)
    lengths = rng.integers(shortest, len(steps) + 1, size=records)
    symbols = rng.integers(0, 4, size=(records, len(steps)))
    symbols[:, 0] = 4
    symbols[everyone, lengths - 1] = 5
    starts = (10, 50) if relevant == 2 else (10, 33, 66)
    for place, percent in enumerate(starts):
        at = percent * shortest // 100 + rng.integers(0, spread + 1, size=records)
        symbols[everyone, at] = 6 + (y >> (relevant - 1 - place) & 1)
    x = np.eye(8, dtype="float32")[symbols]
    x[steps >= lengths[:, None]] = 0.0
    return x, y.astype("int32"), lengths.astype("int32")


def make_temporal_order(settings: TemporalOrder) -> Task:
    """`temporal_order` as a task of four or eight classes, in equal numbers, as far as they divide.

    Inputs are one-hot in the order of `SYMBOLS`. Hochreiter and Schmidhuber count an error below
    0.3 of every output unit as right, stop when 2,000 sequences in a row are right and the average
    error is below 0.1, and test on 2,560 others. Solved is here, as everywhere, that the running
    accuracy on these records reaches the target, the largest output being the answer.
    """
    x, y, lengths = temporal_order(**settings.model_dump())
    relevant = settings.relevant
    classes = tuple(
        "".join("XY"[number >> bit & 1] for bit in reversed(range(relevant)))
        for number in range(2**relevant)
    )
    columns = step_columns(x.shape[1], SYMBOLS)
    return Task("temporal-order", x, y, classes, columns, lengths=lengths)


TASKS = (
    Builtin(
        "temporal-order",
        "the class is the order of two or three symbols X and Y, far apart among others",
        TemporalOrder,
        make_temporal_order,
        lambda settings: Size(
            settings.records, settings.longest, len(SYMBOLS), 2**settings.relevant, masked=True
        ),
        lambda settings: recipe(temporal_order, "x, y, lengths", settings),
    ),
)
