"""How the commands put text and tables on a terminal.

Text of the user's (names, settings, labels) is never read as markup. In a pipe all is plain text;
on a terminal colours follow NO_COLOR.
"""

import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

PLAIN_WIDTH = 80
"""Columns where the output is no terminal, and the fewest that a table is made for."""

PLAIN: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False, "soft_wrap": False}
"""Texts are the user's: nothing in them is read as an instruction."""


class Screen(Console):
    """A console that cuts no table: of a number too long for its column the rest would be another
    number. A terminal too narrow folds a table's lines instead."""

    def print(self, *objects: Any, **how: Any) -> None:
        if self.width < PLAIN_WIDTH and any(isinstance(one, Table) for one in objects):
            wide = Console(file=self.file, width=PLAIN_WIDTH, **PLAIN)
            wide.print(*objects, crop=False, **how)
        else:
            super().print(*objects, **how)


def console(stream: TextIO | None = None) -> Console:
    """Where text goes, by default standard output: it wraps at the terminal's width, and in a pipe
    at 80 columns."""
    where = sys.stdout if stream is None else stream
    return Screen(file=where, width=None if where.isatty() else PLAIN_WIDTH, **PLAIN)


def table(columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> Table:
    """A table of plain text; a column is a heading and "left" or "right"."""
    result = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for heading, side in columns:
        right = side == "right"
        result.add_column(
            Text(heading),
            justify="right" if right else "left",
            no_wrap=right,
            overflow="fold",
        )
    for row in rows:
        result.add_row(*(Text(cell) for cell in row))
    return result
