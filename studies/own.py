"""A person's own model: a Python function that returns a compiled Keras model.

A study file names it as `model = "mymodels:build"`, as `studies.functions` reads it. A study's runs
depend on what is in that file, so a digest of it is part of what they are known by.
"""

import keyword
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

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
