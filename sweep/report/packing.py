"""Figures packed for the page: what many of them share is written once.

The page's script undoes both: a trace is `[style, own]`, to be merged from a list of styles and
what is its own; a text of many figures is a mark that stands for it.
"""

import json
from collections.abc import Iterable
from typing import Any

from sweep.report.drawing import Figure

OWN = ("x", "y", "x0", "x1", "y0", "y1", "name")
"""What is a trace's or a shape's own, while the rest is style."""

MARK = "\ue000"
"""Begins what stands for a text: a character of private use, which nobody types."""


class Styles:
    """Styles of traces and shapes, each kept once."""

    def __init__(self) -> None:
        self.list: list[Figure] = []
        self._known: dict[str, int] = {}

    def pack(self, parts: Iterable[Figure]) -> list[list[Any]]:
        """Each of the parts as [index of its style, what is its own]."""
        packed: list[list[Any]] = []
        for part in parts:
            style = {key: value for key, value in part.items() if key not in OWN}
            key = json.dumps(style, sort_keys=True)
            if key not in self._known:
                self._known[key] = len(self.list)
                self.list.append(style)
            packed.append([self._known[key], {k: part[k] for k in OWN if k in part}])
        return packed
