"""What is printed: it fits 80 columns and says what was measured."""

from sweep.bench import BENCHES
from sweep.bench.machine import described, machine
from sweep.bench.ratios import compared
from sweep.bench.rows import Result
from sweep.bench.screen import names, screen

ROWS = [row for bench in BENCHES for row in bench.rows]


def measured(value: float, peer: float) -> list[Result]:
    """All rows with these figures; a share is of something larger."""
    return [
        Result(
            row,
            compared([value, 1.5 * value], [max(peer, 2.0 * value)] * 2)
            if row.meaning == "share"
            else compared([value, 1.5 * value], [peer, peer]),
            12.3456,
        )
        for row in ROWS
    ]


def test_every_row_fits_eighty_columns_whatever_was_measured():
    where = {**machine(), "load": 20.0}
    for value, peer in ((1.234567, 0.123456), (123456.7, 67890.12), (0.00123456, 98.7654)):
        lines = screen(measured(value, peer), where)
        assert max(len(line) for line in lines) <= 80


def test_a_row_shows_both_sides_the_ratio_and_whether_the_goal_is_met():
    row = next(row for row in ROWS if row.name == "keras-3x15-64")
    text = "\n".join(screen([Result(row, compared([2000.0], [8.0]))], machine()))
    line = next(line for line in text.splitlines() if line.startswith("keras-3x15-64"))
    assert line.split(" ")[0] == "keras-3x15-64"
    assert [word for word in line.split(" ")[1:] if word][:3] == [
        "2\N{NARROW NO-BREAK SPACE}000",
        "8",
        "250×",
    ]
    assert line.endswith("≥ 200× met")
    assert "not met" in "\n".join(screen([Result(row, compared([20.0], [8.0]))], machine()))


def test_a_share_is_in_percent():
    row = next(row for row in ROWS if row.name == "peak-3x15")
    text = "\n".join(screen([Result(row, compared([20.0], [100.0]))], machine()))
    assert "20 %" in text


def test_a_skipped_row_says_why():
    row = next(row for row in ROWS if row.name == "jax-3x15-64")
    text = "\n".join(screen([Result(row, None, skipped="jax is not installed")], machine()))
    assert "jax-3x15-64: skipped: jax is not installed" in text


def test_a_busy_machine_is_told_of_with_ratios_by_processor_seconds():
    idle, busy = ({**machine(), "load": load} for load in (0.0, 30.0))
    assert "busy" not in "\n".join(screen(measured(1.0, 2.0), idle))
    assert "12.3×" in "\n".join(screen(measured(1.0, 2.0), busy))


def test_the_machine_is_named_with_its_cores_and_versions():
    facts = machine()
    assert facts["cores"] >= 1
    assert set(facts["packages"]) >= {"tensorflow", "keras", "numpy", "optuna"}
    assert "tensorflow" in described(facts)
    assert "of memory" not in described({**facts, "memory_gib": None, "load": None})


def test_all_names_are_listed_in_eighty_columns():
    lines = list(names(ROWS))
    assert max(len(line) for line in lines) <= 80
    words = {word.rstrip("*") for line in lines for word in line.split()}
    assert {row.name for row in ROWS} <= words
