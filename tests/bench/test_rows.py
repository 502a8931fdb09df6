"""Which rows there are, and how they are chosen."""

import json
import math

import pytest

from studies.errors import BadInput
from sweep.bench import BENCHES, chosen
from sweep.bench.ratios import Ratio, compared
from sweep.bench.rows import Goal, Result, Row

ROWS = [row for bench in BENCHES for row in bench.rows]


def a_row(**more: object) -> Row:
    return Row("a-row", "steady", "a against b", "s", "faster", **more)  # type: ignore[arg-type]


def named(*words: str) -> list[str]:
    return [row.name for row in chosen(words, BENCHES)]


def test_names_are_unique_and_belong_to_their_bench():
    assert len({row.name for row in ROWS}) == len(ROWS)
    assert all(row.group == bench.name for bench in BENCHES for row in bench.rows)


def test_the_rows_that_are_promised_are_there():
    promised = {"keras-3x15-64", "jax-3x15-64", "keras-models-3x15-64", "peak-3x15"}
    promised |= {"study-cold", "study-warm", "study-optuna-keras", "overhead-tpe-1000"}
    promised |= {"growth-100000", "start-help", "start-list"}
    assert promised <= {row.name for row in ROWS}


def test_without_words_the_usual_rows_are_chosen():
    assert named() == [row.name for row in ROWS if row.usual]
    assert "growth-100000" not in named()


def test_a_row_is_chosen_by_its_name():
    assert named("peak-3x15") == ["peak-3x15"]


def test_rows_are_chosen_by_patterns_and_groups_each_once():
    assert named("start-*", "start-help") == named("start")
    assert named("study") == [row.name for row in ROWS if row.group == "study"]
    assert named("all") == [row.name for row in ROWS]


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("kears-3x15-64", "did you mean keras-3x15-64?"),
        ("grwth", "did you mean growth?"),
        ("study-*-", "bench study-*-: no row or group"),
        ("qqqqqq", "`sweep bench --list` shows all"),
    ],
)
def test_an_unknown_row_is_refused_with_the_nearest(word, hint):
    with pytest.raises(BadInput) as error:
        chosen([word], BENCHES)
    assert hint in str(error.value)


def test_a_result_has_the_keys_that_programs_read():
    document = Result(a_row(), compared([1.0, 2.0], [4.0, 4.0])).document()
    assert {"name", "value", "unit", "peer_value", "ratio", "low", "high"} <= document.keys()
    assert (document["name"], document["unit"], document["value"]) == ("a-row", "s", 1.5)


def test_a_skipped_row_has_no_numbers_but_a_reason():
    document = Result(a_row(), None, skipped="jax is not installed").document()
    assert document["value"] is document["ratio"] is document["low"] is None
    assert document["skipped"] == "jax is not installed"


def test_a_number_that_does_not_exist_is_null():
    ratio = Ratio(1.0, math.nan, math.inf, -math.inf, 2.0, 1)
    document = Result(a_row(), ratio).document()
    assert json.loads(json.dumps(document, allow_nan=False))["ratio"] is None
    assert document["peer_value"] is document["low"] is None
    assert document["high"] == 2.0


def test_a_goal_is_met_or_not_or_unknown():
    result = Result(a_row(), compared([10.0], [2.0]))
    assert Goal("ratio", 5.0).met(result) is True
    assert Goal("ratio", 5.1).met(result) is False
    assert Goal("value", 10.0, "most").met(result) is True
    assert Goal("value", 9.0, "most").met(result) is False
    assert Goal("ratio", 5.0).met(Result(a_row(), None, skipped="no")) is None
