"""Data that a person's function makes. It is code, so it is called only where that is allowed."""

import contextlib
import random
import sys
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np

from studies import data_batches
from studies.data_files import Read, check_numbers, labels, task_of
from studies.errors import BadInput
from studies.functions import check_allowed, function_of, short_name, told
from studies.tasks import Task

RETURNED = ("x", "y", "classes", "columns", "groups", "validation")
"""What a function may return in a dictionary; of `validation`, a pair of its own x and y."""


def call(function: str, code: str, arguments: Mapping[str, Any], *, allow_code: bool) -> Read:
    """The data that a function makes, called with `arguments`.

    `function` is named as `studies.functions.located` does, `code` the digest that its file had
    when the study was read. It returns a pair of arrays x and y, as an NPZ file has them; a data
    set of TensorFlow's or Keras's in batches; two of either, of which the second is to validate on;
    or a dictionary with x and y and what else is in `RETURNED`. What it prints goes to standard
    error. It starts from fixed seeds of Python, NumPy and TensorFlow, so that what it draws is the
    same whenever the study goes on.

    Raises BadInput where code is not allowed, before anything of it is imported; and for a function
    that raises, with its own traceback, or returns something else.
    """
    check_allowed("task.function", function, code, allow_code=allow_code)
    name = short_name(function)
    try:
        with contextlib.redirect_stdout(sys.stderr), _seeded():
            returned = _gathered(name, function_of(function, code)(**arguments))
    except BadInput:
        raise
    except (Exception, SystemExit) as error:
        raise BadInput(f"{name} failed:\n{told(error, function)}") from error
    return _taken(name, returned)


@contextlib.contextmanager
def _seeded() -> Generator[None]:
    """Within this, what is drawn from seeds that all share is the same each time."""
    before, numpy_before = random.getstate(), np.random.get_state()
    random.seed(0)
    np.random.seed(0)
    # Only where it is imported already is there anything of it to seed.
    tensorflow: Any = sys.modules.get("tensorflow")
    if tensorflow is not None:
        tensorflow.random.set_seed(0)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(numpy_before)


def _gathered(name: str, returned: Any) -> Any:
    """What a function returned, its data sets as pairs of arrays."""
    if data_batches.is_batched(returned):
        return data_batches.gathered(name, returned)
    if not isinstance(returned, tuple) or len(cast(tuple[Any, ...], returned)) != 2:
        return returned
    parts = [
        data_batches.gathered(name, part) if data_batches.is_batched(part) else part
        for part in cast(tuple[Any, Any], returned)
    ]
    if all(isinstance(part, tuple) and len(cast(tuple[Any, ...], part)) == 2 for part in parts):
        return {"x": parts[0][0], "y": parts[0][1], "validation": parts[1]}
    return returned


def _taken(name: str, returned: object) -> Read:
    if isinstance(returned, tuple) and len(cast(tuple[Any, ...], returned)) == 2:
        returned = dict(zip(("x", "y"), cast(tuple[Any, Any], returned), strict=True))
    if not isinstance(returned, dict) or not {"x", "y"} <= set(cast(dict[str, Any], returned)):
        what = "nothing" if returned is None else f"a {type(returned).__name__}"
        raise BadInput(
            f"{name} returned {what}; it has to return a pair of arrays x and y, a data set of "
            "TensorFlow's or Keras's, two of either (to train and to validate on), or a dictionary "
            f"with {', '.join(RETURNED[:2])} and, if need be, {', '.join(RETURNED[2:])}"
        )
    given = cast(dict[str, Any], returned)
    unknown = [str(key) for key in given if key not in RETURNED]
    if unknown:
        raise BadInput(f"{name} returned {unknown[0]}; known are {', '.join(RETURNED)}")
    try:
        task = task_of(name.replace(":", "-"), name, np.asarray(given["x"]), np.asarray(given["y"]))
        held = None
        if given.get("validation") is not None:
            x, y = given["validation"]
            held = _held_back(name, task, np.asarray(x), np.asarray(y))
        called = {
            key: _names(name, key, given[key], getattr(task, key))
            for key in ("classes", "columns")
            if given.get(key) is not None
        }
        task = replace(task, **called, validation=None if held is None else replace(held, **called))
        groups = None if given.get("groups") is None else np.asarray(given["groups"])
    except (TypeError, ValueError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{name} returned what makes no data: {error}") from error
    if groups is not None and groups.shape != (task.records,):
        raise BadInput(f"{name}: groups of shape {groups.shape} for {task.records} records")
    return Read(task, groups)


def _held_back(name: str, task: Task, x: np.ndarray, y: np.ndarray) -> Task:
    """The part to validate on, its labels numbered as those to train on are."""
    where = f"{name}, to validate on"
    if x.ndim < 2 or len(x) != len(y) or not len(x):
        raise BadInput(f"{where}: inputs of shape {x.shape} and labels of shape {y.shape}")
    if x[0].size != task.timesteps * task.features:
        raise BadInput(
            f"{where}: records of {x[0].size} inputs, where those to train on have "
            f"{task.timesteps * task.features}"
        )
    check_numbers(where, "the inputs", x)
    if task.target == "class":
        known = {text: place for place, text in enumerate(task.classes)}
        texts = [str(one) for one in labels(y).tolist()]
        strange = [text for text in texts if text not in known]
        if strange:
            raise BadInput(f"{where}: the label {strange[0]} is not among those to train on")
        numbers = np.array([known[text] for text in texts], np.int32)
    else:
        check_numbers(where, "what is to be predicted", y)
        numbers = np.asarray(y, np.float32).reshape(len(y), -1)
    x = np.ascontiguousarray(x, np.float32).reshape(len(x), *task.x.shape[1:])
    return replace(task, x=x, y=numbers, validation=None)


def _names(name: str, key: str, given: Any, own: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(str(one) for one in given)
    if len(names) != len(own):
        raise BadInput(f"{name}: {len(names)} {key}, where there are {len(own)}")
    return names
