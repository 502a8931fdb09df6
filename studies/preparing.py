"""What is done to a task's records before anything is trained: a part held back, inputs changed.

A part to validate on is held back first. Whatever is learned from the data (means, spreads, which
numbers there are) is then learned from the records to train on alone, and applied to both.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from studies.errors import BadInput
from studies.tasks import MOST_VALUES, Size, Task

MOST_TOKENS = 1_000
"""Different whole numbers that inputs may have to be embedded."""


class Preparation(BaseModel):
    """The keys of [task] that say what is done to its records, whatever task it is.

    `validation` is the share of the records that is held back, drawn with `validation_seed`: by
    class where a task has classes and `stratify` is on, or, with a `group` (see the kinds of tasks
    that have one), whole groups. `standardise` subtracts a column's mean and divides by its
    standard deviation, `scale` divides all inputs by a number, and `embed` makes of inputs that are
    whole numbers vectors with a 1 in the place of the number: one feature becomes as many as there
    are numbers, and a number that is not among those to train on is a vector of zeros.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    validation: float = Field(
        default=0.0, ge=0.0, lt=1.0, description="a number from 0 to below 1: a share of records"
    )
    validation_seed: int = Field(default=0, ge=0, le=2**63 - 1)
    stratify: bool = True
    standardise: bool = False
    scale: float | None = Field(default=None, gt=0.0, description="a number above 0")
    embed: bool = False

    @model_validator(mode="after")
    def _agrees(self) -> "Preparation":
        if self.embed and (self.standardise or self.scale is not None):
            raise ValueError("embed takes numbers as they are; leave out standardise and scale")
        return self

    def table(self) -> dict[str, Any]:
        """What is not as by default, for a study's document."""
        return {
            name: value for name, value in self if value != type(self).model_fields[name].default
        }


class Fitted(BaseModel):
    """How inputs are changed, as learned from the records to train on.

    `subtract` and `divide` are [timesteps · features]; `numbers` are those that are embedded, in
    the order of their places. None is where nothing is done.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    subtract: tuple[float, ...] | None = None
    divide: tuple[float, ...] | None = None
    numbers: tuple[float, ...] | None = None

    def applied(self, x: np.ndarray) -> np.ndarray:
        """Inputs float32 [records, timesteps, features], changed."""
        if self.numbers is not None:
            vectors = x[..., None] == np.array(self.numbers, np.float32)
            return vectors.astype(np.float32).reshape(*x.shape[:2], -1)
        changed = x.astype(np.float64)
        if self.subtract is not None:
            changed = changed - np.reshape(self.subtract, x.shape[1:])
        if self.divide is not None:
            changed = changed / np.reshape(self.divide, x.shape[1:])
        return np.ascontiguousarray(changed, np.float32)


def prepared(task: Task, how: Preparation, groups: np.ndarray | None = None) -> Task:
    """The task with a part held back and its inputs changed.

    `groups` says of each record which group it is of (any labels [records]). Raises BadInput where
    a part would be empty or lack a class, or inputs cannot be changed so.
    """
    if how.validation:
        if task.validation is not None:
            raise BadInput(
                f"task.validation = {how.validation:g}: {task.name} has records to validate on of "
                "its own; leave it out"
            )
        task = _held_back(task, how, groups)
    changes = fitted(task, how)
    if changes == Fitted():
        return task
    columns = task.columns
    if changes.numbers is not None:
        columns = tuple(f"{name}={n:g}" for name in task.columns for n in changes.numbers)
    held = task.validation
    if held is not None:
        held = replace(held, x=changes.applied(held.x), columns=columns)
    return replace(task, x=changes.applied(task.x), columns=columns, validation=held)


def prepared_size(size: Size, how: Preparation) -> Size:
    """How large data of this size are at most when they are prepared so."""
    numbers = min(size.numbers, MOST_TOKENS) if how.embed else 1
    return replace(size, features=size.features * numbers)


def fitted(task: Task, how: Preparation) -> Fitted:
    """How the inputs of a task are changed, learned from its records to train on.

    Raises BadInput for inputs that cannot be changed so.
    """
    if not (how.standardise or how.scale is not None or how.embed):
        return Fitted()
    if task.lengths is not None:
        raise BadInput(
            f"task: the sequences of {task.name} differ in length, so their inputs stay as they are"
        )
    if how.embed:
        return Fitted(numbers=_numbers(task))
    inputs = task.x.reshape(task.records, -1).astype(np.float64)
    subtract, divide = np.zeros(inputs.shape[1]), np.ones(inputs.shape[1])
    if how.standardise:
        spread = inputs.std(axis=0)
        subtract, divide = inputs.mean(axis=0), np.where(spread > 0.0, spread, 1.0)
    divide = divide * (how.scale or 1.0)
    return Fitted(subtract=tuple(subtract.tolist()), divide=tuple(divide.tolist()))


def subset(task: Task, rows: np.ndarray) -> Task:
    """The task of these records alone."""
    lengths = None if task.lengths is None else task.lengths[rows]
    return replace(task, x=task.x[rows], y=task.y[rows], lengths=lengths, validation=None)


def _held_back(task: Task, how: Preparation, groups: np.ndarray | None) -> Task:
    random = np.random.default_rng(how.validation_seed)
    if groups is not None:
        names = np.unique(groups)
        held = random.permutation(names)[: max(1, round(how.validation * len(names)))]
        away = np.isin(groups, held)
    else:
        away = np.zeros(task.records, bool)
        stratified = how.stratify and task.target == "class"
        labels = task.y if stratified else np.zeros(task.records, int)
        for label in np.unique(labels):
            rows = random.permutation(np.flatnonzero(labels == label))
            away[rows[: round(how.validation * len(rows))]] = True
    if away.all() or not away.any():
        what = "no group" if groups is not None else "no record"
        where = "validate" if not away.any() else "train"
        raise BadInput(f"task.validation = {how.validation:g}: it leaves {what} to {where} on")
    kept = subset(task, np.flatnonzero(~away))
    if task.target == "class" and 0 in kept.class_counts:
        lost = task.classes[kept.class_counts.index(0)]
        raise BadInput(
            f"task.validation = {how.validation:g}: it leaves no record of class {lost} to train on"
        )
    return replace(kept, validation=subset(task, np.flatnonzero(away)))


def _numbers(task: Task) -> tuple[float, ...]:
    parts = [task.x] if task.validation is None else [task.x, task.validation.x]
    if not all(np.array_equal(x, np.round(x)) for x in parts):
        raise BadInput(f"task.embed: the inputs of {task.name} are not all whole numbers")
    numbers = np.unique(task.x)
    if len(numbers) > MOST_TOKENS:
        raise BadInput(
            f"task.embed: the inputs of {task.name} have {len(numbers):,} different numbers, more "
            f"than {MOST_TOKENS:,}"
        )
    made = sum(x.size for x in parts) * len(numbers)
    if made > MOST_VALUES:
        raise BadInput(
            f"task.embed: the inputs of {task.name} would become {made:,} numbers, more than "
            f"{MOST_VALUES:,}"
        )
    return tuple(float(n) for n in numbers)
