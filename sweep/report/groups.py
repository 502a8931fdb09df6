"""The rows by the values of a setting: a group a value, or a range where there are many."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sweep.report.rows import Row, number, value_text, words

MOST_GROUPS = 6
"""Groups that a figure tells apart."""

RANGES = 4
"""Ranges into which the values of a setting are divided that has more than `MOST_GROUPS`."""


@dataclass(frozen=True)
class Group:
    """Some rows: `label` is their value or range as a legend has it, `words` as a sentence does."""

    label: str
    words: str
    rows: tuple[Row, ...]


def grouped(rows: Sequence[Row], name: str) -> list[Group]:
    """The rows that have a setting, by its value.

    Numbers of many values are divided into `RANGES` with about as many configurations each; of many
    words the most frequent stand alone, and the others are one group.
    """
    having = [row for row in rows if name in row.settings]
    values = [row.settings[name] for row in having]
    distinct = list(dict.fromkeys(values))
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in distinct)
    if len(distinct) <= MOST_GROUPS:
        order = sorted(distinct) if numeric else sorted(distinct, key=str)
        return [_group(name, value_text(v), _having(having, name, [v])) for v in order]
    if not numeric:
        return _frequent(having, name, values)
    marks = np.quantile(np.array(values, dtype=float), np.linspace(0, 1, RANGES + 1))
    edges = sorted(set(marks.tolist()))
    groups: list[Group] = []
    for low, high in itertools.pairwise(edges):
        first = not groups
        own = [
            row
            for row, value in zip(having, values, strict=True)
            if (low <= value if first else low < value) and value <= high
        ]
        if own:
            least = min(row.settings[name] for row in own)
            most = max(row.settings[name] for row in own)
            label = number(least) if least == most else f"{number(least)} to {number(most)}"
            groups.append(_group(name, label, own))
    return groups


def _having(rows: Sequence[Row], name: str, values: Sequence[Any]) -> list[Row]:
    return [row for row in rows if row.settings[name] in values]


def _frequent(having: Sequence[Row], name: str, values: Sequence[Any]) -> list[Group]:
    counts: dict[Any, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    alone = sorted(counts, key=lambda value: (-counts[value], str(value)))[: MOST_GROUPS - 1]
    groups = [_group(name, value_text(v), _having(having, name, [v])) for v in alone]
    rest = [row for row in having if row.settings[name] not in alone]
    return [*groups, _group(name, f"{len(counts) - len(alone)} others", rest)]


def _group(name: str, label: str, rows: Sequence[Row]) -> Group:
    if name in ("layers", "units"):
        text = f"{label} {name[:-1] if label == '1' else name}"
    elif name in ("cell", "optimizer"):
        text = label
    else:
        text = f"{words(name)} {label}"
    return Group(label, text, tuple(rows))
