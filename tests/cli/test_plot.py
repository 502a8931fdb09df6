"""Curves in braille: where their dots lie, and what the axes say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.cli.plot import Plot


def dots(lines: list[str]) -> set[tuple[int, int]]:
    """The dots that are set, as (column, row) from the top left of the drawing."""
    found: set[tuple[int, int]] = set()
    for row, line in enumerate(lines[:-2]):
        drawn = line[line.index("│" if "│" in line else "┤") + 1 :]
        for column, sign in enumerate(drawn):
            bits = ord(sign) - 0x2800 if sign != " " else 0
            for bit, (across, down) in enumerate(
                [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]
            ):
                if bits >> bit & 1:
                    found.add((2 * column + across, 4 * row + down))
    return found


def plot(columns: int = 10, rows: int = 5) -> Plot:
    return Plot(columns, rows, (1, 20), (0.0, 1.0))


def test_a_line_goes_from_corner_to_corner_without_a_gap():
    drawing = plot()
    drawing.curve(np.array([1, 20]), np.array([0.0, 1.0]), 34)
    found = dots(drawing.lines([], {}, colours=False))
    assert {(0, 19), (19, 0)} <= found
    assert {column for column, _ in found} == set(range(20))
    assert {row for _, row in found} == set(range(20))


def test_a_single_point_is_one_dot():
    drawing = plot()
    drawing.curve(np.array([1]), np.array([1.0]), 34)
    assert dots(drawing.lines([], {}, colours=False)) == {(0, 0)}


def test_the_axis_is_heavy_along_the_plateau():
    lines = plot().lines([1, 20], {0.0: "0", 1.0: "1"}, colours=False, heavy_to=10)
    assert lines[-2] == " └┯━━━━────┬"
    assert lines[-1] == "  1       20"
    assert lines[0].startswith("1┤")
    assert lines[4].startswith("0┤")


def test_what_lies_behind_keeps_no_colour_where_a_curve_is():
    drawing = plot()
    drawing.level(0.5)
    drawing.curve(np.array([1, 20]), np.array([0.5, 0.5]), 34)
    row = next(line for line in drawing.lines([], {}, colours=True) if "\x1b" in line)
    assert "\x1b[34m" in row
    assert "\x1b[90m" not in row
    assert row.endswith("\x1b[0m")


@given(
    st.lists(st.floats(-2, 3), min_size=1, max_size=30),
    st.integers(1, 60),
    st.integers(1, 12),
)
def test_no_curve_leaves_the_drawing(heights, columns, rows):
    drawing = plot(columns, rows)
    drawing.curve(np.linspace(1, 20, len(heights)), np.array(heights), 34)
    drawing.mark(7)
    drawing.level(0.3)
    lines = drawing.lines([1, 10, 20], {0.0: "0"}, colours=False, heavy_to=5)
    assert len(lines) == rows + 2
    assert all(len(line) <= columns + 2 for line in lines[:-1])


@pytest.mark.parametrize("columns", [1, 2, 7])
def test_numbers_that_have_no_room_are_left_out(columns):
    lines = plot(columns).lines([1, 5, 10, 15, 20], {}, colours=False)
    assert len(lines[-1]) <= max(columns, 2) + 1
