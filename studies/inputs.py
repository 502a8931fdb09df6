"""A task's inputs changed: the same records and labels, seen otherwise.

Each function takes a task and gives another one, whose name says what was changed. Columns are
places in `Task.columns`, from 0: the timesteps · features inputs, step by step. All raise BadInput
for sequences of unequal length, whose padding must stay what it is.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from studies.errors import BadInput
from studies.tasks import Task


def standardised(task: Task) -> Task:
    """Every column minus its mean and divided by its standard deviation over the records.

    A column that is the same everywhere becomes 0.
    """
    columns = _columns(task)
    centred = columns - columns.mean(axis=0)
    spread = centred.std(axis=0)
    return _with(task, centred / np.where(spread > 0.0, spread, 1.0), "standardised")


def scaled(task: Task, columns: Sequence[int], factor: float) -> Task:
    """These columns times a factor; 0 silences them and keeps their timesteps."""
    changed = _columns(task)
    changed[:, list(columns)] *= factor
    return _with(task, changed, f"{column_names(task, columns)} × {factor:g}")


def without_steps(task: Task, columns: Sequence[int]) -> Task:
    """The task without the timesteps of these columns, which are whole timesteps.

    Raises BadInput where they are not, where no timestep would be left, and for targets that belong
    to timesteps.
    """
    _columns(task)
    gone = sorted({column // task.features for column in columns})
    whole = [step * task.features + f for step in gone for f in range(task.features)]
    if whole != sorted(set(columns)):
        raise BadInput(f"{task.name}: {column_names(task, columns)} are not whole timesteps")
    if len(gone) == task.timesteps or task.target == "sets":
        raise BadInput(f"{task.name}: nothing can be learned without {len(gone)} of its timesteps")
    kept = [step for step in range(task.timesteps) if step not in gone]
    names = task.columns and tuple(
        task.columns[step * task.features + f] for step in kept for f in range(task.features)
    )
    return replace(
        task,
        name=f"{task.name}, without {column_names(task, columns)}",
        x=np.ascontiguousarray(task.x[:, kept]),
        columns=names,
    )


def fewer_records(task: Task, records: int, seed: int = 0) -> Task:
    """Some of the records, drawn with `default_rng(seed).permutation`; fewer are among more.

    Raises BadInput for as many records as there are or more, and where a class would be lost.
    """
    if not 1 <= records < task.records:
        raise BadInput(f"{task.name}: of {task.records} records {records} are not fewer")
    kept = np.sort(np.random.default_rng(seed).permutation(task.records)[:records])
    lengths = None if task.lengths is None else task.lengths[kept]
    some = replace(
        task,
        name=f"{task.name}, {records} records",
        x=task.x[kept],
        y=task.y[kept],
        lengths=lengths,
    )
    if task.target == "class" and 0 in some.class_counts:
        raise BadInput(f"{task.name}: {records} records have none of a class")
    return some


def column_names(task: Task, columns: Sequence[int]) -> str:
    """What columns are called: "t2 and t3"."""
    names = [task.columns[c] if task.columns else f"column {c + 1}" for c in columns]
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _columns(task: Task) -> np.ndarray:
    """The inputs as float64 [records, columns], to be changed at will."""
    if task.lengths is not None:
        raise BadInput(
            f"{task.name}: its sequences differ in length, so its inputs stay as they are"
        )
    return task.x.reshape(task.records, -1).astype(np.float64)


def _with(task: Task, columns: np.ndarray, how: str) -> Task:
    x = columns.astype(np.float32).reshape(task.x.shape)
    return replace(task, name=f"{task.name}, {how}", x=x)
