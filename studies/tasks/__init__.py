"""A task: sequences and what is to be told of them, made from a seed or read from a CSV.

The built-in tasks are the modules of this package, a module a family. Each has a tuple `TASKS` of
`Builtin`; a new module with one is found by itself.
"""

import ast
import hashlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import import_module
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from studies.errors import BadInput
from studies.problems import checked, nearest

Target = Literal["class", "sets", "values"]

TOLERANCE = 0.04
"""A value is told right if it is off by less than this (Hochreiter and Schmidhuber 1997)."""

MOST_VALUES = 200_000_000
"""Numbers of a built-in task's inputs: 0.8 GB as the float32 that they are."""


@dataclass(frozen=True)
class Size:
    """How large a task's data are, which can be told before they are made.

    `timesteps` are those of the longest sequence, `outputs` the classes, symbols or values;
    `validation` are records besides `records`, `masked` says whether sequences differ in length,
    and `numbers` how many different numbers the inputs are at most, if they are whole ones.
    """

    records: int
    timesteps: int
    features: int
    outputs: int
    target: Target = "class"
    masked: bool = False
    validation: int = 0
    numbers: int = 1


@dataclass(frozen=True, eq=False)
class Task:
    """Sequences and what is to be told of them.

    `x` is float32 [records, timesteps, features], finite. What `y` is, `target` says:

    - "class": int32 [records], the class of each sequence, in 0 … len(classes) − 1, told at its
      end. A record is right if the largest output is its class's.
    - "sets": float32 [records, timesteps, len(classes)], 1 for each symbol of the set that is to be
      told at a step, else 0; all 0 at steps where nothing is asked. A record is right if at every
      step where something is asked the outputs of the set are all larger than all others.
    - "values": float32 [records, len(classes)], numbers told at the end. A record is right if each
      of them is off by less than `TOLERANCE`.

    `classes` are the labels, the symbols or the names of the values as a person knows them, and
    `columns` the names of the timesteps · features inputs in order, step by step.

    Where sequences differ in length, `lengths` is int32 [records], and the steps after a sequence's
    end are padding: all zero in `x` (and in `y`, for sets). No step of a sequence is all zero, so
    that Keras's `Masking` finds the same ends. Raises ValueError where that does not hold.

    `validation` are records that are measured after every epoch and never trained on, of the same
    shape; all else is said of the records to train on.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]
    columns: tuple[str, ...] = field(default=())
    target: Target = "class"
    lengths: np.ndarray | None = None
    validation: "Task | None" = None

    def __post_init__(self) -> None:
        if self.lengths is not None:
            within = np.arange(self.timesteps) < self.lengths[:, None]
            if not np.array_equal((self.x != 0.0).any(axis=2), within):
                raise ValueError("the steps that are all zero are not those after the lengths")

    @property
    def records(self) -> int:
        return self.x.shape[0]

    @property
    def timesteps(self) -> int:
        return self.x.shape[1]

    @property
    def features(self) -> int:
        return self.x.shape[2]

    @property
    def size(self) -> Size:
        return Size(
            records=self.records,
            timesteps=self.timesteps,
            features=self.features,
            outputs=len(self.classes),
            target=self.target,
            masked=self.lengths is not None,
            validation=0 if self.validation is None else self.validation.records,
        )

    @cached_property
    def class_counts(self) -> tuple[int, ...]:
        """Records of each class; empty where the targets are no classes."""
        if self.target != "class":
            return ()
        return tuple(int(n) for n in np.bincount(self.y, minlength=len(self.classes)))

    @cached_property
    def chance(self) -> tuple[float, float]:
        """Accuracy and loss that are reached without looking at the inputs.

        The accuracy is the largest share of records that one answer for all gets right. The loss is
        that of the best such answer: the cross-entropy of the class frequencies in nats; for sets
        the mean binary cross-entropy of each symbol's frequency among the steps where something is
        asked; for values the mean of their variances.
        """
        if self.target == "class":
            return class_chance(self.class_counts)
        if self.target == "values":
            return _share_of_one_value(self.y), float(self.y.var(axis=0, dtype=np.float64).mean())
        asked = np.any(self.y, axis=2)
        share = np.clip(self.y[asked].mean(axis=0, dtype=np.float64), 1e-12, 1.0 - 1e-12)
        unknown = -share * np.log(share) - (1.0 - share) * np.log1p(-share)
        return _share_of_one_set(self.y, asked), float(unknown.mean())

    @cached_property
    def fingerprint(self) -> str:
        """32 hexadecimal digits that equal data share, whatever it is called."""
        kind = "<i4" if self.target == "class" else "<f4"
        digest = hashlib.sha256(repr((self.x.shape, len(self.classes))).encode())
        digest.update(np.ascontiguousarray(self.x, dtype="<f4").tobytes())
        digest.update(np.ascontiguousarray(self.y, dtype=kind).tobytes())
        # What is the same for most tasks is left out: their fingerprints are those of old.
        if self.target != "class":
            digest.update(self.target.encode())
        if self.lengths is not None:
            digest.update(np.ascontiguousarray(self.lengths, dtype="<i4").tobytes())
        if self.validation is not None:
            digest.update(self.validation.fingerprint.encode())
        return digest.hexdigest()[:32]


def class_chance(class_counts: Sequence[int]) -> tuple[float, float]:
    """Accuracy and loss, in nats, of the best answer that is the same for all records, from the
    number of records of each class."""
    share = np.array([n for n in class_counts if n]) / sum(class_counts)
    return float(share.max()), float(-(share * np.log(share)).sum())


def _share_of_one_value(y: np.ndarray) -> float:
    """The largest share of records that lie within an interval of twice `TOLERANCE`."""
    ordered = np.sort(y.astype(np.float64), axis=0)
    most = [
        (np.searchsorted(column, column + 2.0 * TOLERANCE) - np.arange(len(column))).max()
        for column in ordered.T
    ]
    return float(min(most) / len(y))


def _share_of_one_set(y: np.ndarray, asked: np.ndarray) -> float:
    """The largest share of records that are asked for one and the same set at all their steps."""
    counts: dict[bytes, int] = {}
    for sets, where in zip(y, asked, strict=True):
        if where.any() and (sets[where] == sets[where][0]).all():
            key = sets[where][0].tobytes()
            counts[key] = counts.get(key, 0) + 1
    return max(counts.values(), default=0) / len(y)


@dataclass(frozen=True)
class Builtin:
    """A built-in task: its name, a sentence on it, its settings and how data is made from them.

    `size(settings)` says how large the data of `make(settings)` will be, and makes none.

    `script(settings)` is Python text that makes the same `x` and `y` (and `lengths`, where the task
    has them) with NumPy (imported as `np`) alone, for a person who wants the data without this
    package.
    """

    name: str
    description: str
    settings: type[BaseModel]
    make: Callable[[Any], Task]
    size: Callable[[Any], Size]
    script: Callable[[Any], str] | None = None


class Settings(BaseModel):
    """What the built-in tasks have in common: the number of records, and the seed of the data."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    records: int = Field(default=500, ge=2, le=10_000_000)
    seed: int = Field(default=0, ge=0, le=2**63 - 1)

    def check_size(self, numbers: int) -> None:
        """Raises ValueError if a record's `numbers` make too large an `x`."""
        if self.records * numbers > MOST_VALUES:
            raise ValueError(
                f"{self.records:,} records of {numbers:,} numbers are more than {MOST_VALUES:,}"
            )


def step_columns(timesteps: int, features: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Names of the inputs: t1, t2 … for the steps, t1 a, t1 b, t2 a … where steps have features."""
    steps = [f"t{step}" for step in range(1, timesteps + 1)]
    return tuple(f"{step} {name}".strip() for step in steps for name in features or ("",))


def recipe(generator: Callable[..., Any], made: str, settings: BaseModel, **more: bool) -> str:
    """The text of a function that stands on NumPy alone, and its call with these settings.

    `made` are the names of what it returns, such as "x, y". Its docstring is left out.
    """
    text = inspect.getsource(generator)
    lines = text.splitlines()
    (function,) = ast.parse(text).body
    assert isinstance(function, ast.FunctionDef)
    if ast.get_docstring(function) is not None:
        said = function.body[0]
        del lines[said.lineno - 1 : said.end_lineno]
    values = settings.model_dump() | more
    given = "".join(f"    {key}={value!r},\n" for key, value in values.items())
    return "\n".join([*lines, "", "", f"{made} = {generator.__name__}(\n{given})\n"])


@cache
def builtin_tasks() -> Mapping[str, Builtin]:
    """The built-in tasks by name, sorted."""
    modules = [
        import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)
    ]
    tasks: list[Builtin] = [task for module in modules for task in module.TASKS]
    return {task.name: task for task in sorted(tasks, key=lambda task: task.name)}


def settings_model(name: str) -> type[BaseModel]:
    """The model of a built-in task's settings; raises BadInput for a name that none has."""
    return _builtin(name).settings


def make_task(name: str, settings: BaseModel | Mapping[str, Any]) -> Task:
    """The data of a built-in task; the same settings make the same data.

    Raises BadInput for an unknown name, settings that are not allowed, or ones that make no data to
    learn from.
    """
    task = _builtin(name)
    if isinstance(settings, Mapping):
        problems: list[str] = []
        known = checked(task.settings, name, settings, problems)
        if known is None:
            raise BadInput("\n".join(problems))
        settings = known
    return task.make(settings)


def task_size(name: str, settings: BaseModel) -> Size:
    """How large the data of a built-in task with these settings are; nothing is made."""
    return _builtin(name).size(settings)


def task_script(name: str, settings: BaseModel) -> str | None:
    """The lines that make a built-in task's data with NumPy alone, where the task has them."""
    written = _builtin(name).script
    return None if written is None else written(settings)


def _builtin(name: str) -> Builtin:
    tasks = builtin_tasks()
    if name in tasks:
        return tasks[name]
    near = nearest(name, tasks)
    hint = f"; did you mean {near}?" if near else ""
    raise BadInput(f"there is no task {name!r}{hint} (there are: {', '.join(tasks)})")
