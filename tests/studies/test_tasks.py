"""The built-in tasks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.errors import BadInput
from studies.tasks import builtin_tasks, make_task, settings_model
from studies.tasks.first_value import FirstValue


def test_every_task_has_settings_with_defaults_and_makes_data():
    assert "first-value" in builtin_tasks()
    for name, builtin in builtin_tasks().items():
        assert builtin.name == name
        assert builtin.description
        task = make_task(name, {})
        assert task.name == name
        assert task.x.dtype == np.float32
        assert task.y.dtype == np.int32
        assert np.isfinite(task.x).all()
        assert task.x.shape[0] == len(task.y)
        assert len(task.columns) == task.timesteps * task.features
        assert min(task.class_counts) > 0
        assert make_task(name, settings_model(name)()).fingerprint == task.fingerprint


def test_the_class_is_the_first_value_and_the_others_are_digits():
    task = make_task("first-value", {})
    assert task.x.shape == (200, 3, 1)
    assert np.array_equal(task.x[:, 0, 0], task.y)
    assert set(np.unique(task.x[:, 1:])) == set(range(10))
    assert task.class_counts == (100, 100)
    assert task.classes == ("0", "1")
    assert task.columns == ("t1", "t2", "t3")


def test_the_documented_recipe_makes_the_same_data():
    rng = np.random.default_rng(7)
    x = rng.integers(-2, 5 + 1, size=(50, 4))
    y = rng.permutation(np.arange(50) % 2)
    x[:, 0] = y
    made = FirstValue(records=50, timesteps=4, low=-2, high=5, seed=7)
    task = make_task("first-value", made)
    assert np.array_equal(task.x, x.astype("float32")[:, :, None])
    assert np.array_equal(task.y, y)

    rng = np.random.default_rng(7)
    rng.integers(-2, 5 + 1, size=(50, 4))
    drawn = make_task("first-value", made.model_copy(update={"balanced": False}))
    assert np.array_equal(drawn.y, rng.integers(0, 2, size=50))


@settings(max_examples=50, deadline=None)
@given(
    records=st.integers(2, 300),
    timesteps=st.integers(1, 10),
    low=st.integers(-20, 20),
    width=st.integers(0, 20),
    seed=st.integers(0, 2**63 - 1),
)
def test_balanced_classes_differ_by_one_record_at_most(records, timesteps, low, width, seed):
    task = make_task(
        "first-value",
        {"records": records, "timesteps": timesteps, "low": low, "high": low + width, "seed": seed},
    )
    assert task.class_counts == ((records + 1) // 2, records // 2)
    assert np.array_equal(task.x[:, 0, 0], task.y)
    assert ((task.x[:, 1:] >= low) & (task.x[:, 1:] <= low + width)).all()


def test_the_seed_decides_the_data():
    prints = {make_task("first-value", {"seed": seed}).fingerprint for seed in (0, 0, 1, 2)}
    assert len(prints) == 3


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"records": 1}, "first-value.records = 1: must be a whole number from 2 to"),
        ({"record": 10}, "did you mean records?"),
        ({"low": 3, "high": 2}, r"low \(3\) must not be above high \(2\)"),
        ({"records": 10_000_000, "timesteps": 10_000}, "at most 200,000,000"),
        ({"balanced": 1}, "true or false"),
    ],
)
def test_settings_that_make_no_data_are_refused(settings, words):
    with pytest.raises(BadInput, match=words):
        make_task("first-value", settings)


def test_drawn_classes_that_are_all_the_same_are_refused():
    drawn = {"records": 2, "balanced": False}
    same = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        rng.integers(0, 10, size=(2, 3))
        if len(set(rng.integers(0, 2, size=2))) == 1:
            same.append(seed)
            with pytest.raises(BadInput, match="all 2 records drawn with seed"):
                make_task("first-value", {**drawn, "seed": seed})
        else:
            assert make_task("first-value", {**drawn, "seed": seed}).class_counts == (1, 1)
    assert 0 < len(same) < 8


def test_an_unknown_task_comes_with_the_nearest():
    with pytest.raises(BadInput, match="did you mean first-value"):
        settings_model("first-valu")
