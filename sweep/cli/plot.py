"""Curves on a terminal, in braille: two by four dots a character.

A plotting library would take longer to import than the whole of `show` may.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

COLOURS = (34, 33, 32, 35, 36, 31)
"""ANSI colours of curves, one after another; what lies behind them is grey."""

GREY = 90

_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]], dtype=np.uint8)
"""The bit of each dot of a braille character, [row, column]."""

_BLANK = 0x2800


@dataclass
class Plot:
    """A drawing of `columns` × `rows` characters over the ranges `x` and `y`, (low, high) each.

    What is drawn later covers the colour of what was drawn before. What lies outside is left out.
    """

    columns: int
    rows: int
    x: tuple[float, float]
    y: tuple[float, float]

    def __post_init__(self) -> None:
        self._dots = np.zeros((self.rows, self.columns), dtype=np.uint8)
        self._colours = np.zeros((self.rows, self.columns), dtype=np.int64)
        self._letters: dict[tuple[int, int], str] = {}

    def curve(self, xs: np.ndarray, ys: np.ndarray, colour: int) -> None:
        """A line through the points (`xs`, `ys`), float [points], finite."""
        across, down = self._place(xs, ys)
        if len(across) == 1:
            self._put(across, down, colour)
            return
        steps = np.maximum(np.abs(np.diff(across)), np.abs(np.diff(down))).round().astype(int) + 1
        at = np.concatenate([i + np.arange(n) / n for i, n in enumerate(steps)] + [[len(steps)]])
        points = np.arange(len(across))
        self._put(np.interp(at, points, across), np.interp(at, points, down), colour)

    def level(self, y: float) -> None:
        """A dotted line across, behind what is drawn later."""
        across = np.arange(0, 2 * self.columns, 4)
        _, down = self._place(np.array([self.x[0]]), np.array([y]))
        self._put(across, np.full(len(across), down[0]), GREY)

    def mark(self, x: float) -> None:
        """A dotted line from top to bottom, behind what is drawn later."""
        down = np.arange(0, 4 * self.rows, 2)
        across, _ = self._place(np.array([x]), np.array([self.y[0]]))
        self._put(np.full(len(down), across[0]), down, GREY)

    def letter(self, x: float, y: float, letter: str, colour: int) -> None:
        """A letter in place of what is drawn at a point, or beside it where another letter is."""
        across, down = self._place(np.array([x]), np.array([y]))
        column = int(np.clip(across[0] // 2, 0, self.columns - 1))
        row = int(np.clip(down[0] // 4, 0, self.rows - 1))
        while (row, column) in self._letters and column + 1 < self.columns:
            column += 1
        self._letters[row, column] = letter
        self._colours[row, column] = colour

    def lines(
        self,
        x_ticks: Sequence[float] | Mapping[float, str],
        y_ticks: Mapping[float, str],
        colours: bool,
        heavy_to: float | None = None,
    ) -> list[str]:
        """The drawing with its axes; the axis is heavy up to `heavy_to`.

        Numbers stand as they are below their ticks on the axis, unless they are given as texts.
        """
        if not isinstance(x_ticks, Mapping):
            x_ticks = {tick: f"{tick:g}" for tick in x_ticks}
        margin = max((len(text) for text in y_ticks.values()), default=0)
        _, heights = self._place(np.full(len(y_ticks), self.x[0]), np.array([*y_ticks], float))
        labels = dict(zip((heights // 4).astype(int).tolist(), y_ticks.values(), strict=True))
        drawn: list[str] = []
        for row in range(self.rows):
            label = labels.get(row, "")
            drawn.append(f"{label:>{margin}}{'┤' if label else '│'}{self._row(row, colours)}")
        columns, _ = self._place(np.array([*x_ticks], float), np.full(len(x_ticks), self.y[0]))
        places = np.clip(columns // 2, 0, self.columns - 1).astype(int).tolist()
        axis = ["─"] * self.columns
        if heavy_to is not None:
            end, _ = self._place(np.array([heavy_to]), np.array([self.y[0]]))
            stretch = min(self.columns, int(end[0] // 2) + 1)
            axis[:stretch] = ["━"] * stretch
        for place in places:
            axis[place] = "┯" if axis[place] == "━" else "┬"
        drawn.append(f"{'':>{margin}}└{''.join(axis)}")
        drawn.append(" " * (margin + 1) + self._numbers(x_ticks.values(), places))
        return drawn

    def _place(self, xs: np.ndarray, ys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values as dots: to the right, and down from the top."""
        (left, right), (low, high) = self.x, self.y
        across = (np.asarray(xs) - left) / (right - left) * (2 * self.columns - 1)
        down = (high - np.asarray(ys)) / (high - low) * (4 * self.rows - 1)
        return across, down

    def _put(self, across: np.ndarray, down: np.ndarray, colour: int) -> None:
        column, row = np.rint(across).astype(int), np.rint(down).astype(int)
        inside = (column >= 0) & (column < 2 * self.columns) & (row >= 0) & (row < 4 * self.rows)
        column, row = column[inside], row[inside]
        np.bitwise_or.at(self._dots, (row // 4, column // 2), _DOTS[row % 4, column % 2])
        self._colours[row // 4, column // 2] = colour

    def _row(self, row: int, colours: bool) -> str:
        text, before = "", 0
        cells = zip(self._dots[row].tolist(), self._colours[row].tolist(), strict=True)
        for column, (dots, colour) in enumerate(cells):
            sign = self._letters.get((row, column)) or (chr(_BLANK + dots) if dots else " ")
            if colours and sign != " " and colour != before:
                text += f"\x1b[{colour}m"
                before = colour
            text += sign
        return f"{text.rstrip()}\x1b[0m" if before else text.rstrip()

    def _numbers(self, texts: Iterable[str], places: Sequence[int]) -> str:
        """The numbers below the axis, each under its tick where there is room for it."""
        line = ""
        for text, place in zip(texts, places, strict=True):
            start = max(0, min(place - (len(text) - 1) // 2, self.columns - len(text)))
            if not line or start > len(line):
                line += " " * (start - len(line)) + text
        return line
