"""The adding and the multiplication problem: a number made of two marked ones among many."""

from functools import partial

import numpy as np
from pydantic import Field, model_validator

from studies.tasks import TOLERANCE, Builtin, Settings, Size, Task, recipe, step_columns


class Marked(Settings):
    """Settings of `adding` and `multiplication`: sequences of `shortest` to a tenth more pairs."""

    records: int = Field(default=1000, ge=2, le=10_000_000)
    shortest: int = Field(default=50, ge=6, le=10_000)

    @model_validator(mode="after")
    def _possible(self) -> "Marked":
        self.check_size(2 * self.longest)
        return self

    @property
    def longest(self) -> int:
        return self.shortest + self.shortest // 10


def marked_numbers(
    records: int, shortest: int, product: bool, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of a number and a marker, and the sum or the product of the two marked numbers.

    Tasks 4 and 5 of Hochreiter and Schmidhuber (1997, "Long short-term memory"), whose `shortest`
    was 100, and for the sum 500 and 1000 too. Numbers are drawn from -1 … 1 for a sum, from 0 … 1
    for a product. One of the first ten pairs is marked by 1, then one of the first shortest / 2 - 1
    others; the first and the last pair have the marker -1, all others 0. Is the first pair one of
    the two, it keeps its -1 and counts as 0 in a sum, as 1 in a product. A sum is scaled to 0 … 1:
    the target is 0.5 + (X1 + X2) / 4.
    """
    rng = np.random.default_rng(seed)
    steps = np.arange(shortest + shortest // 10)
    everyone = np.arange(records)
    lengths = rng.integers(shortest, len(steps) + 1, size=records)
    numbers = rng.uniform(0.0 if product else -1.0, 1.0, size=(records, len(steps)))
    one = rng.integers(0, min(10, shortest // 2), size=records)
    other = rng.integers(0, shortest // 2 - 1, size=records)
    other += other >= one
    markers = np.zeros((records, len(steps)))
    markers[everyone, one] = markers[everyone, other] = 1.0
    markers[:, 0] = markers[everyone, lengths - 1] = -1.0
    if product:
        y = np.where(markers == 1.0, numbers, 1.0).prod(axis=1)
    else:
        y = 0.5 + np.where(markers == 1.0, numbers, 0.0).sum(axis=1) / 4.0
    x = np.stack([numbers, markers], axis=2)
    x[steps >= lengths[:, None]] = 0.0
    return x.astype("float32"), y[:, None].astype("float32"), lengths.astype("int32")


def make_marked(settings: Marked, *, product: bool) -> Task:
    """`marked_numbers` as a task with one value to be told at the end.

    A sequence is right if the value is off by less than 0.04, as Hochreiter and Schmidhuber have
    it. They stop when 2,000 sequences in a row (of products: all but 13) are right and test on
    2,560 others; solved is here, as everywhere, that the running accuracy on these records reaches
    the target. Their output is a logistic unit, ours is linear.
    """
    x, y, lengths = marked_numbers(**settings.model_dump(), product=product)
    name, value = ("multiplication", "product") if product else ("adding", "sum")
    columns = step_columns(x.shape[1], ("number", "marker"))
    return Task(name, x, y, (value,), columns, "values", lengths)


TASKS = tuple(
    Builtin(
        name,
        f"tell the {value} of the two marked numbers of a sequence, within {TOLERANCE:g}",
        Marked,
        partial(make_marked, product=product),
        lambda settings: Size(settings.records, settings.longest, 2, 1, "values", masked=True),
        partial(recipe, marked_numbers, "x, y, lengths", product=product),
    )
    for name, value, product in (("adding", "sum", False), ("multiplication", "product", True))
)
