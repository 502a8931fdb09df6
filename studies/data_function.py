"""Data that a person's function makes. It is code, so it is called only where that is allowed."""

import contextlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from studies.data_files import Read, task_of
from studies.errors import BadInput
from studies.own import digest, short_name

RETURNED = ("x", "y", "classes", "columns", "groups", "validation")
"""What a function may return in a dictionary; of `validation`, a pair of its own x and y."""


def call(model: str, code: str, arguments: Mapping[str, Any], *, allow_code: bool) -> Read:
    """The data that a function makes, called with `arguments`.

    `model` is the function as `studies.own.located` names it, `code` the digest that its file had
    when the study was read. It returns a pair of arrays x and y, as an NPZ file has them, or a
    dictionary with these and what else is in `RETURNED`. What it prints goes to standard error.
    Raises BadInput where code is not allowed, before anything of it is imported; and for a function
    that raises, with its own traceback, or returns something else.
    """
    name, path = short_name(model), Path(model.rpartition(":")[0])
    if not allow_code:
        raise BadInput(
            f"task.function = {name} is Python code, which can do anything that you can; `run` "
            "with --allow-code calls it, and without nothing of it is imported"
        )
    if digest(model) != code:
        raise BadInput(f"{path} is not the file that the study was read with; it changed since")
    try:
        with contextlib.redirect_stdout(sys.stderr):
            returned = _function(model)(**arguments)
    except BadInput:
        raise
    except Exception as error:
        raise BadInput(f"{name} failed:\n{_told(error, path)}") from error
    return _taken(name, returned)


def _function(model: str) -> Any:
    path, _, name = model.rpartition(":")
    file = Path(path)
    specification = importlib.util.spec_from_file_location(file.stem, file)
    if specification is None or specification.loader is None:
        raise BadInput(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(specification)
    sys.path.insert(0, str(file.parent))
    try:
        specification.loader.exec_module(module)
    finally:
        sys.path.remove(str(file.parent))
    function = getattr(module, name, None)
    if not inspect.isroutine(function):
        raise BadInput(f"{path} has no function {name}")
    return function


def _taken(name: str, returned: object) -> Read:
    if isinstance(returned, tuple) and len(cast(tuple[Any, ...], returned)) == 2:
        returned = dict(zip(("x", "y"), cast(tuple[Any, Any], returned), strict=True))
    if not isinstance(returned, dict) or not {"x", "y"} <= set(cast(dict[str, Any], returned)):
        what = "nothing" if returned is None else f"a {type(returned).__name__}"
        raise BadInput(
            f"{name} returned {what}; it has to return a pair of arrays x and y, or a dictionary "
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


def _held_back(name: str, task: Any, x: np.ndarray, y: np.ndarray) -> Any:
    """The part to validate on, its labels numbered as those to train on are."""
    if task.target == "class":
        known = {text: place for place, text in enumerate(task.classes)}
        texts = [str(one) for one in np.asarray(y).tolist()]
        strange = [text for text in texts if text not in known]
        if strange:
            raise BadInput(f"{name}: the label {strange[0]} is to be validated only, not trained")
        numbers = np.array([known[text] for text in texts], np.int32)
    else:
        numbers = np.asarray(y, np.float32).reshape(len(y), -1)
    x = np.asarray(x, np.float32).reshape(len(x), *task.x.shape[1:])
    return replace(task, x=x, y=numbers, validation=None)


def _names(name: str, key: str, given: Any, own: tuple[str, ...]) -> tuple[str, ...]:
    names = tuple(str(one) for one in given)
    if len(names) != len(own):
        raise BadInput(f"{name}: {len(names)} {key}, where there are {len(own)}")
    return names


def _told(error: BaseException, path: Path) -> str:
    directory = str(path.parent) + os.sep
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(directory)] or frames[-3:]
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(own)]
    return "".join([*lines, *traceback.format_exception_only(error)]).rstrip()
