"""A task: a data set for sequence classification, made from a seed or read from a CSV.

The built-in tasks are the modules of this package, a module a family. Each has a tuple `TASKS` of
`Builtin`; a new module with one is found by itself.
"""

import hashlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import import_module
from typing import Any

import numpy as np
from pydantic import BaseModel

from studies.errors import BadInput
from studies.problems import checked, nearest


@dataclass(frozen=True, eq=False)
class Task:
    """Sequences and their classes.

    `x` is float32 [records, timesteps, features], finite; `y` is int32 [records], in
    0 … len(classes) − 1; `classes` are the labels as a person knows them, and `columns` the names
    of the timesteps · features inputs in order, step by step.
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]
    columns: tuple[str, ...] = field(default=())

    @property
    def records(self) -> int:
        return self.x.shape[0]

    @property
    def timesteps(self) -> int:
        return self.x.shape[1]

    @property
    def features(self) -> int:
        return self.x.shape[2]

    @cached_property
    def class_counts(self) -> tuple[int, ...]:
        """Records of each class."""
        return tuple(int(n) for n in np.bincount(self.y, minlength=len(self.classes)))

    @cached_property
    def fingerprint(self) -> str:
        """32 hexadecimal digits that equal data share, whatever it is called."""
        digest = hashlib.sha256(repr((self.x.shape, len(self.classes))).encode())
        digest.update(np.ascontiguousarray(self.x, dtype="<f4").tobytes())
        digest.update(np.ascontiguousarray(self.y, dtype="<i4").tobytes())
        return digest.hexdigest()[:32]


@dataclass(frozen=True)
class Builtin:
    """A built-in task: its name, a sentence on it, its settings and how data is made from them.

    `script(settings)` is Python text that makes the same `x` and `y` with NumPy (imported as `np`)
    alone, in a few lines, for a person who wants the data without this package.
    """

    name: str
    description: str
    settings: type[BaseModel]
    make: Callable[[Any], Task]
    script: Callable[[Any], str] | None = None


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
