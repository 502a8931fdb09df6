"""A task: a data set for sequence classification, made from a seed or read from a CSV."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np


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
