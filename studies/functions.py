"""A person's own Python function, which a study file names: where it is, and whether it may run.

A study file names it as "mymodels:build". Reading the file here runs none of it: that the function
is there is seen in its text. What it makes depends on that text, so a study remembers a digest of
it. It is imported by `function_of` alone, for who has asked `check_allowed` before.
"""

import ast
import hashlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from studies.errors import BadInput
from studies.problems import nearest, plain

OURS = tuple(
    str(Path(__file__).parent.parent / package) + os.sep
    for package in ("studies", "storage", "sweep")
)
"""Where the code is that no traceback of a person's function needs to show."""

LONGEST_ERROR = 4_000
"""Characters of a traceback that are kept: its end."""


def located(function: object, directory: str | os.PathLike[str]) -> str:
    """What a study file says, with the full path of its file: "/home/me/mymodels.py:build".

    `directory` is that of the study file. Raises ValueError for what names no function in a file
    that is there and is Python.
    """
    text = function if isinstance(function, str) else ""
    where, colon, name = text.rpartition(":")
    if not colon or not where or not name.isidentifier():
        raise ValueError('a file and a function in it, such as "mymodels:build"')
    file = where if where.endswith(".py") else f"{where.replace('.', '/')}.py"
    path = Path(directory, file).expanduser().absolute()
    try:
        if not path.is_file():
            raise ValueError(f"a function in a file that is there, and {path} is not")
        tree = ast.parse(path.read_bytes(), str(path))
    except SyntaxError as error:
        said = f"{error.msg}, line {error.lineno}"
        raise ValueError(f"a function in a Python file, and {path} is none: {said}") from None
    except (OSError, ValueError) as error:
        if str(error).startswith("a function"):
            raise
        raise ValueError(f"a function in a file that can be read: {path}: {error}") from None
    names = _names(tree)
    if name not in names:
        near = nearest(name, names)
        hint = f"; did you mean {near}?" if near else ""
        raise ValueError(f"a function of {path.name}, which has no {plain(name)}{hint}")
    return f"{path}:{name}"


def file_of(function: str) -> Path:
    """The file of a located function."""
    return Path(function.rpartition(":")[0])


def short_name(function: str) -> str:
    """A located function without its directory: "mymodels:build"."""
    return f"{file_of(function).stem}:{function.rpartition(':')[2]}"


def digest(function: str) -> str:
    """16 hexadecimal digits that the file of a located function has as long as it is not changed.

    Raises BadInput where it cannot be read.
    """
    path = file_of(function)
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None


def check_allowed(key: str, function: str, code: str | None, *, allow_code: bool) -> None:
    """That a located function may be run, and is the one that the study was read with.

    `key` is where the study file names it, `code` the digest that its file had then. Nothing of it
    is imported for that. Raises BadInput.
    """
    if not allow_code:
        raise BadInput(
            f"{key} = {short_name(function)} is Python code, which can do anything that you can; "
            "with --allow-code (in Python, allow_code=True) it is run, and without nothing of it "
            "is imported"
        )
    _check_unchanged(key, function, code)


def function_of(function: str, code: str) -> Callable[..., Any]:
    """A located function itself, its file imported once in this process for each digest.

    The file's directory and the working directory are where Python looks last from then on, so that
    what lies there can be imported, and nothing of it takes the place of a library. A file that is
    in a package may import from it (`from . import layers`). Raises BadInput where there is no such
    function, or the file that is to be imported has another digest, and whatever the file raises.
    """
    name = function.rpartition(":")[2]
    found = getattr(_module(function, code), name, None)
    if not callable(found):
        raise BadInput(f"{file_of(function)} has no function {name}")
    return found


def told(error: BaseException, function: str) -> str:
    """An error with its traceback from the code of a located function on, which is its author's to
    read; at most `LONGEST_ERROR` characters."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((*OURS, "<frozen importlib"))
    ]
    directory = str(file_of(function).parent) + os.sep
    own = [place for place, frame in enumerate(frames) if frame.filename.startswith(directory)]
    shown = frames[own[0] :] if own else frames[-3:]
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(shown)]
    lines += traceback.format_exception_only(error)
    return "".join(lines)[-LONGEST_ERROR:].rstrip()


def _check_unchanged(key: str, function: str, code: str | None) -> None:
    if digest(function) != code:
        raise BadInput(
            f"{key}: {file_of(function)} is not the file that the study was read with; it changed "
            "since"
        )


@cache
def _module(function: str, code: str) -> Any:
    _check_unchanged(short_name(function), function, code)
    path = file_of(function)
    directory, name = path.parent, path.stem
    while (directory / "__init__.py").is_file() and directory != directory.parent:
        directory, name = directory.parent, f"{directory.name}.{name}"
    if _is_elsewhere(name.partition(".")[0], directory):
        # keras.py of a person's own is no Keras for what imports that.
        name = f"own_{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise BadInput(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(specification)
    for place in (str(directory), str(Path.cwd())):
        if place not in sys.path:
            sys.path.append(place)
    sys.modules[name] = module
    try:
        specification.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _is_elsewhere(top: str, directory: Path) -> bool:
    """Whether Python has, or would find, a module of this name in another place."""
    if top in sys.modules:
        origin = getattr(sys.modules[top], "__file__", None)
    else:
        specification = importlib.util.find_spec(top)
        if specification is None or specification.origin is None:
            return False
        origin = specification.origin
    return origin is None or directory not in Path(origin).parents


def _names(tree: ast.Module) -> list[str]:
    """What a module's text defines or imports at its top, so far as that can be seen."""
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names += [alias.asname or alias.name for alias in node.names]
        elif isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
    return names
