"""The Hello World of sequence classification: the class is the first value of the sequence."""

from dataclasses import replace

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from studies.errors import BadInput
from studies.tasks import MOST_VALUES, Builtin, Settings, Size, Task, step_columns


class FirstValue(BaseModel):
    """Settings of `first-value`.

    `low` and `high` bound the whole numbers after the first step, both included. `balanced` makes
    as many records of class 0 as of class 1 (one more, where `records` is odd); else each record's
    class is drawn.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    records: int = Field(default=200, ge=2, le=10_000_000)
    timesteps: int = Field(default=3, ge=1, le=10_000)
    low: int = Field(default=0, ge=-1_000_000, le=1_000_000)
    high: int = Field(default=9, ge=-1_000_000, le=1_000_000)
    balanced: bool = True
    seed: int = Field(default=0, ge=0, le=2**63 - 1)

    @model_validator(mode="after")
    def _possible(self) -> "FirstValue":
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) must not be above high ({self.high})")
        if self.records * self.timesteps > MOST_VALUES:
            raise ValueError(f"records times timesteps must be at most {MOST_VALUES:,}")
        return self


class CopyFirst(Settings):
    """Settings of `copy-first`: `distractors` whole numbers of `low` … `high` follow the first."""

    records: int = Field(default=200, ge=2, le=10_000_000)
    distractors: int = Field(default=10, ge=0, le=9_999)
    low: int = Field(default=0, ge=-1_000_000, le=1_000_000)
    high: int = Field(default=9, ge=-1_000_000, le=1_000_000)

    @model_validator(mode="after")
    def _possible(self) -> "CopyFirst":
        self.as_first_value()
        return self

    def as_first_value(self) -> FirstValue:
        """The settings of `first-value` that make the same data."""
        given = self.model_dump(exclude={"distractors"})
        return FirstValue(timesteps=self.distractors + 1, **given)


def first_value(settings: FirstValue) -> Task:
    """Sequences whose first value, 0 or 1, is their class; the values after it are noise.

    The recipe, which other programs may repeat, is in full (NumPy's `default_rng`, PCG64):

        rng = np.random.default_rng(seed)
        x = rng.integers(low, high + 1, size=(records, timesteps))
        y = rng.permutation(np.arange(records) % 2)    # balanced
        y = rng.integers(0, 2, size=records)           # else
        x[:, 0] = y
        x = x.astype("float32")[:, :, None]

    `x` has shape [records, timesteps, 1], raw values. Raises BadInput if the classes drawn are all
    the same.
    """
    rng = np.random.default_rng(settings.seed)
    x = rng.integers(settings.low, settings.high + 1, size=(settings.records, settings.timesteps))
    if settings.balanced:
        y = rng.permutation(np.arange(settings.records) % 2)
    else:
        y = rng.integers(0, 2, size=settings.records)
        if y.min() == y.max():
            raise BadInput(
                f"task: all {settings.records} records drawn with seed {settings.seed} are of "
                f"class {y[0]}; take more records, another seed, or balanced = true"
            )
    x[:, 0] = y
    columns = step_columns(settings.timesteps)
    return Task(
        "first-value", x.astype(np.float32)[:, :, None], y.astype(np.int32), ("0", "1"), columns
    )


def first_value_size(settings: FirstValue) -> Size:
    """The size of the data of `first_value`, whose inputs are `low` … `high`, and 0 and 1."""
    numbers = settings.high - settings.low + 3
    return Size(settings.records, settings.timesteps, 1, 2, numbers=numbers)


def first_value_script(settings: FirstValue) -> str:
    """The recipe of `first_value` as Python text."""
    drawn = (
        f"rng.permutation(np.arange({settings.records}) % 2)"
        if settings.balanced
        else f"rng.integers(0, 2, size={settings.records})"
    )
    size = f"({settings.records}, {settings.timesteps})"
    return (
        f"rng = np.random.default_rng({settings.seed})\n"
        f"x = rng.integers({settings.low}, {settings.high + 1}, size={size})\n"
        f"y = {drawn}\n"
        "x[:, 0] = y\n"
        'x = x.astype("float32")[:, :, None]\n'
    )


def copy_first(settings: CopyFirst) -> Task:
    """`first-value` made longer: the first value, 0 or 1, is to be told after some distractors.

    The plainest of the tasks with a time lag (Hochreiter and Schmidhuber 1997, "Long short-term
    memory", have several of the kind): nothing has to be found out but which step to keep, and for
    how long. With two distractors its data are those of `first-value`.
    """
    return replace(first_value(settings.as_first_value()), name="copy-first")


TASKS = (
    Builtin(
        "first-value",
        "the class is the first value of the sequence, 0 or 1; the others are noise",
        FirstValue,
        first_value,
        first_value_size,
        first_value_script,
    ),
    Builtin(
        "copy-first",
        "the class is the first value of the sequence, 0 or 1; any number of distractors follow",
        CopyFirst,
        copy_first,
        lambda settings: first_value_size(settings.as_first_value()),
        lambda settings: first_value_script(settings.as_first_value()),
    ),
)
