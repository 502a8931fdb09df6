"""Text and tables on a terminal, wide or narrow."""

import io

import pytest

from sweep.cli.screens import PLAIN_WIDTH, Screen, table


@pytest.mark.parametrize("width", [20, 40, 79, 80, 200])
def test_no_number_of_a_table_is_cut_on_a_narrow_terminal(width: int) -> None:
    stream = io.StringIO()
    columns = [("configuration", "left"), *((f"number {n}", "right") for n in range(5))]
    rows = [("3 layers, 15 units, adam", *("1234567" for _ in range(5)))]
    Screen(file=stream, width=width).print(table(columns, rows))
    text = stream.getvalue()
    assert text.count("1234567") == 5
    assert max(len(line) for line in text.splitlines()) <= max(width, PLAIN_WIDTH)


def test_text_is_wrapped_at_the_terminal_s_width() -> None:
    stream = io.StringIO()
    Screen(file=stream, width=20).print("a sentence of more than twenty characters")
    assert max(len(line) for line in stream.getvalue().splitlines()) <= 20
