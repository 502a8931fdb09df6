"""The rows that the page is made from: their order, their words, the Pareto front."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.report.drawing import percent
from sweep.report.rows import count, describe, number, quantity, ranked


def test_rows_come_in_the_order_of_what_the_search_minimises(result):
    rows = ranked(result)
    trials = {trial.number: trial for trial in result.trials}
    values = [trials[row.number].summary.objective for row in rows]
    assert values == sorted(values)
    assert [row.place for row in rows] == list(range(1, 41))
    assert sorted(row.number for row in rows) == list(range(40))


def test_among_equals_the_smaller_model_and_then_the_earlier_trial_comes_first(make_result):
    rows = ranked(make_result(30))
    equal = [(a, b) for a, b in pairwise(rows) if a.par2 == b.par2 and b.solved]
    assert equal, "the example has ties"
    assert all((a.parameters, a.number) < (b.parameters, b.number) for a, b in equal)


def test_a_configuration_is_described_in_words():
    settings = {"layers": 3, "units": 1, "optimizer": "adam", "learning_rate": 0.001}
    assert describe(settings) == "3 layers, 1 unit, adam, learning rate 0.001"
    assert describe({"nesterov": False, "momentum": 0.95}) == "no nesterov, momentum 0.95"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00012345, "0.000123"),
        (12.0, "12"),
        (12.34, "12.3"),
        (0.0, "0"),
        (1234567.0, "1\u202f230\u202f000"),
        (None, "–"),
        (float("inf"), "–"),
    ],
)
def test_numbers_have_three_significant_digits(value, text):
    assert number(value) == text


def test_large_quantities_have_a_prefix():
    assert [quantity(v) for v in (None, 12.0, 1_330_000.0, 2.5e12)] == [
        "–",
        "12",
        "1.33\u00a0M",
        "2.5\u00a0T",
    ]


def test_whole_counts_keep_every_digit():
    assert count(1234567) == "1\u202f234\u202f567"


@given(st.floats(min_value=0, max_value=1))
def test_a_hundred_percent_is_only_the_whole(share):
    if percent(share).startswith("100"):
        assert share > 1 - 1e-8
