"""A person's own model: a Python function that returns a compiled Keras model.

A study file names it as `model = "mymodels:build"`. Reading the file here runs none of it: that the
function is there is seen in its text. A study's runs depend on that text, so a digest of it is part
of what they are known by.
"""

import ast
import hashlib
import keyword
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from studies.errors import BadInput
from studies.problems import nearest, plain

RESERVED = ("function", "code", "goal", "model", "epochs", "replicates", "target", "time_limit")
"""Names that no argument of an own model's function can have in a study."""


IMPORTED = "imported from Optuna"
"""What stands for the digest of a function that was never here: that of a study taken over."""


class OwnModel(BaseModel):
    """A configuration of an own model: its function, and the arguments, which are extra fields.

    `function` is the file's name without its ending and the function's, as in "mymodels:build",
    `code` the digest of the file. `goal` says what counts as solved, as the text of a `Goal`.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    function: str
    code: str
    goal: str
    batch_size: int = Field(default=32, ge=1, le=1_000_000)

    @property
    def arguments(self) -> dict[str, Any]:
        """What the function is called with."""
        return dict(self.model_extra or {})

    def identity(self) -> dict[str, Any]:
        """What distinguishes this configuration, by name: equal identities train equally."""
        return self.model_dump()


@dataclass(frozen=True)
class Goal:
    """What counts as solved: a metric that `fit` reports reaches a value, from below or above."""

    metric: str
    at_least: bool
    value: float

    @classmethod
    def parse(cls, target: object) -> "Goal":
        """The goal that a study file's `target` says: a text, or a number for an accuracy.

        Raises ValueError, saying what is allowed, for another one.
        """
        if isinstance(target, int | float) and not isinstance(target, bool):
            target = f"accuracy >= {target}"
        text = target if isinstance(target, str) else ""
        found = re.fullmatch(r"\s*([A-Za-z_]\w*)\s*(>=|<=|≥|≤)\s*(\S+)\s*", text)
        try:
            value = float(found[3]) if found else math.nan
        except ValueError:
            value = math.nan
        if found is None or not math.isfinite(value):
            raise ValueError('an accuracy, or a metric with its bound: "val_accuracy >= 0.98"')
        return cls(found[1], found[2] in (">=", "≥"), value)

    def reached(self, value: float) -> bool:
        """Whether the metric, in single precision as Keras has it, is as good as that."""
        import numpy as np

        # The bound 0.9 is reached by the single precision number that is nearest to it.
        ours, due = np.float32(value), np.float32(self.value)
        return bool(ours >= due if self.at_least else ours <= due)

    def __str__(self) -> str:
        return f"{self.metric} {'>=' if self.at_least else '<='} {self.value:.12g}"


def is_argument(name: str) -> bool:
    """Whether an argument of an own model's function can be called so in a study."""
    return name.isidentifier() and not keyword.iskeyword(name) and name not in RESERVED


def is_value(value: Any) -> bool:
    """Whether a study file can give this to an argument: text, a finite number, a truth value."""
    return isinstance(value, str | bool | int) or (
        isinstance(value, float) and math.isfinite(value)
    )


def located(model: object, directory: str | os.PathLike[str]) -> str:
    """A study file's `model` with the full path of its file: "/home/me/mymodels.py:build".

    `directory` is that of the study file. Raises ValueError for what names no function in a file
    that is there and is Python.
    """
    where, colon, function = model.rpartition(":") if isinstance(model, str) else ("", "", "")
    if not colon or not where or not function.isidentifier():
        raise ValueError('a file and a function in it, such as "mymodels:build"')
    name = where if where.endswith(".py") else f"{where.replace('.', '/')}.py"
    path = Path(directory, name).expanduser().absolute()
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
    if function not in names:
        near = nearest(function, names)
        hint = f"; did you mean {near}?" if near else ""
        raise ValueError(f"a function of {path.name}, which has no {plain(function)}{hint}")
    return f"{path}:{function}"


def digest(model: str) -> str:
    """16 hexadecimal digits that the file of a located model has as long as it is not changed.

    Raises BadInput where it cannot be read.
    """
    path = Path(model.rpartition(":")[0])
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None


def short_name(model: str) -> str:
    """A located model without its directory: "mymodels:build"."""
    path, _, function = model.rpartition(":")
    return f"{Path(path).stem}:{function}"


def is_imported(code: str | None) -> bool:
    """Whether this digest says that a study was taken over, with no function to be called."""
    return code == IMPORTED


def is_own(configuration: object) -> bool:
    """Whether a run's configuration is that of an own model."""
    return isinstance(configuration, OwnModel)


def configuration_from(identity: Mapping[str, Any]) -> Any:
    """The configuration that has this identity: a `Configuration`, or an `OwnModel`."""
    from studies.run import Configuration

    kind = OwnModel if "function" in identity else Configuration
    return kind.model_validate(identity)


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
