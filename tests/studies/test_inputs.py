"""A task's inputs changed: same records and labels, other numbers."""

import numpy as np
import pytest

from studies.errors import BadInput
from studies.inputs import column_names, fewer_records, scaled, standardised, without_steps
from studies.tasks import Task, make_task


@pytest.fixture
def task() -> Task:
    return make_task("first-value", {})


@pytest.fixture
def pairs() -> Task:
    """Two timesteps of two features; the last is the same everywhere."""
    x = np.arange(24, dtype=np.float32).reshape(6, 2, 2)
    x[:, 1, 1] = 7.0
    return Task("pairs", x, np.arange(6, dtype=np.int32) % 2, ("a", "b"), ("1x", "1y", "2x", "2y"))


def test_standardised_columns_have_mean_0_and_deviation_1(pairs):
    changed = standardised(pairs)
    columns = changed.x.reshape(6, 4)
    np.testing.assert_allclose(columns.mean(axis=0), 0.0, atol=1e-6)
    np.testing.assert_allclose(columns.std(axis=0), [1.0, 1.0, 1.0, 0.0], atol=1e-6)
    assert (changed.name, changed.x.dtype) == ("pairs, standardised", np.float32)
    assert np.array_equal(changed.y, pairs.y)
    assert changed.fingerprint != pairs.fingerprint


def test_columns_are_scaled_and_the_others_stay(task):
    quieter = scaled(task, [1, 2], 0.1)
    assert np.array_equal(quieter.x[:, 0], task.x[:, 0])
    np.testing.assert_allclose(quieter.x[:, 1:], 0.1 * task.x[:, 1:], rtol=1e-6)
    assert quieter.name == "first-value, t2 and t3 × 0.1"
    assert not scaled(task, [1, 2], 0.0).x[:, 1:].any()
    assert task.x[:, 1:].any(), "the task itself is not changed"


def test_whole_timesteps_can_be_left_out(task, pairs):
    short = without_steps(task, [1, 2])
    assert short.x.shape == (200, 1, 1)
    assert short.columns == ("t1",)
    assert np.array_equal(short.x[:, 0], task.x[:, 0])
    assert without_steps(pairs, [1, 0]).columns == ("2x", "2y")


@pytest.mark.parametrize(
    ("columns", "said"),
    [([1], "not whole timesteps"), ([0, 1, 2, 3], "without 2 of its timesteps")],
)
def test_parts_of_timesteps_or_all_of_them_cannot(pairs, columns, said):
    with pytest.raises(BadInput, match=said):
        without_steps(pairs, columns)


def test_fewer_records_are_drawn_and_fewer_still_are_among_them(task):
    hundred, fifty = fewer_records(task, 100), fewer_records(task, 50)
    assert (hundred.records, fifty.records) == (100, 50)
    assert sum(hundred.class_counts) == 100
    rows = {row.tobytes() for row in hundred.x}
    assert all(row.tobytes() in rows for row in fifty.x)
    assert fewer_records(task, 100).fingerprint == hundred.fingerprint
    assert fewer_records(task, 100, seed=1).fingerprint != hundred.fingerprint


@pytest.mark.parametrize("records", [0, 200, 201])
def test_as_many_records_or_none_are_not_fewer(task, records):
    with pytest.raises(BadInput, match="are not fewer"):
        fewer_records(task, records)


def test_a_class_must_not_be_lost(pairs):
    with pytest.raises(BadInput, match="1 records have none of a class"):
        fewer_records(pairs, 1)


def test_padding_stays_what_it_is(pairs):
    x = pairs.x + 1.0
    x[0, 1] = 0.0
    masked = Task("m", x, pairs.y, ("a", "b"), lengths=np.array([1, 2, 2, 2, 2, 2], np.int32))
    for change in (standardised, lambda t: scaled(t, [0], 2.0), lambda t: without_steps(t, [0, 1])):
        with pytest.raises(BadInput, match="differ in length"):
            change(masked)
    kept = fewer_records(masked, 5)
    assert kept.lengths is not None
    assert len(kept.lengths) == 5


def test_columns_are_named_as_a_person_names_them(task, pairs):
    assert column_names(task, [0]) == "t1"
    assert column_names(pairs, [0, 1, 3]) == "1x, 1y and 2y"
    nameless = Task("n", pairs.x, pairs.y, ("a", "b"))
    assert column_names(nameless, [0, 2]) == "column 1 and column 3"
