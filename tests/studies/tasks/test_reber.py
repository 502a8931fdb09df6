"""The embedded Reber grammar, held against a description of it that shares nothing with ours."""

import re
from collections import defaultdict

import numpy as np
import pytest

from studies.errors import BadInput
from studies.tasks import Task, make_task

REBER = r"B(?:(?:TS*X|PT*VP)(?:XT*VP)*(?:S|XT*VV)|PT*VV)E"
"""The grammar as a regular expression, worked out by hand from its graph."""

EMBEDDED = re.compile(rf"B(?:T{REBER}T|P{REBER}P)E")


def strings(task: Task) -> list[str]:
    """The inputs as strings, without the last symbol, which is no input."""
    assert task.lengths is not None
    return [
        "".join(task.classes[code] for code in x[:length].argmax(axis=1))
        for x, length in zip(task.x, task.lengths, strict=True)
    ]


@pytest.fixture(scope="module")
def task() -> Task:
    return make_task("embedded-reber", {"records": 4000, "longest": 40})


def test_every_string_is_of_the_grammar(task):
    for string in strings(task):
        assert EMBEDDED.fullmatch(string + "E"), string


def test_inputs_are_one_hot_and_padding_is_zero(task):
    within = np.arange(task.timesteps) < task.lengths[:, None]
    assert np.array_equal(task.x.sum(axis=2), within)
    assert np.array_equal(task.y.any(axis=2), within)


def test_the_sets_are_what_follows_in_the_strings_themselves(task):
    followers: dict[str, set[str]] = defaultdict(set)
    counts: dict[str, int] = defaultdict(int)
    for string in strings(task):
        for end in range(1, len(string) + 1):
            followers[string[:end]].add((string + "E")[end])
            counts[string[:end]] += 1
    checked = 0
    for string, sets in zip(strings(task), task.y, strict=True):
        for end in range(1, len(string) + 1):
            told = {
                symbol for symbol, asked in zip(task.classes, sets[end - 1], strict=True) if asked
            }
            assert followers[string[:end]] <= told
            # Of two ways out of a fork, both were taken by one of thirty strings.
            if counts[string[:end]] >= 30:
                assert followers[string[:end]] == told
                checked += 1
    assert checked > 10_000


def test_the_last_symbol_but_one_is_told_by_the_second_one_alone(task):
    for string, sets, length in zip(strings(task), task.y, task.lengths, strict=True):
        before_last = sets[length - 2]
        assert before_last.sum() == 1.0
        assert task.classes[before_last.argmax()] == string[1]
    seconds = [string[1] for string in strings(task)]
    assert 0.45 < seconds.count("T") / len(seconds) < 0.55


def test_strings_are_no_longer_than_asked_and_as_short_as_can_be():
    task = make_task("embedded-reber", {"records": 300, "longest": 12})
    lengths = {len(string) + 1 for string in strings(task)}
    assert min(lengths) == 9
    assert max(lengths) == 12
    assert task.timesteps == 11
    with pytest.raises(BadInput, match="longest = 8: must be a whole number from 9"):
        make_task("embedded-reber", {"longest": 8})


def test_no_answer_for_all_steps_gets_a_string_right_by_chance(task):
    accuracy, loss = task.chance
    assert accuracy == 0.0
    share = task.y[task.y.any(axis=2)].mean(axis=0)
    by_hand = np.mean([-p * np.log(p) - (1 - p) * np.log(1 - p) for p in share])
    assert loss == pytest.approx(by_hand, rel=1e-6)
