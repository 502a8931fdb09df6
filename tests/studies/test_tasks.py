"""The built-in tasks."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.errors import BadInput
from studies.preparing import Preparation
from studies.task_tables import BuiltinTask
from studies.tasks import Task, builtin_tasks, make_task, settings_model, task_size
from studies.tasks.first_value import FirstValue


def test_every_task_has_settings_with_defaults_and_makes_data():
    assert "first-value" in builtin_tasks()
    for name, builtin in builtin_tasks().items():
        assert builtin.name == name
        assert builtin.description
        task = make_task(name, {})
        assert task.name == name
        assert task.x.dtype == np.float32
        assert task.y.dtype == (np.int32 if task.target == "class" else np.float32)
        assert np.isfinite(task.x).all()
        assert task.x.shape[0] == len(task.y)
        assert len(task.columns) == task.timesteps * task.features
        assert len(set(task.columns)) == len(task.columns)
        assert make_task(name, settings_model(name)()).fingerprint == task.fingerprint
        assert make_task(name, {"seed": 1}).fingerprint != task.fingerprint
        if task.target == "class":
            assert min(task.class_counts) > 0
        accuracy, loss = task.chance
        assert 0.0 <= accuracy < 1.0
        assert 0.0 < loss < 3.0


@pytest.mark.parametrize("name", list(builtin_tasks()))
@pytest.mark.parametrize("records", [None, 3001])
def test_the_size_of_every_task_is_known_before_it_is_made(name, records):
    chosen = settings_model(name).model_validate({} if records is None else {"records": records})
    size = task_size(name, chosen)
    assert replace(make_task(name, chosen).size, numbers=size.numbers) == size


def test_the_size_of_embedded_inputs_is_known_at_most():
    for table in ({"name": "copy-first", "distractors": 5, "high": 30}, {"name": "parity"}):
        name, more = table["name"], {k: v for k, v in table.items() if k != "name"}
        asked = BuiltinTask(
            name=name,
            settings=settings_model(name).model_validate(more),
            prepare=Preparation(embed=True, validation=0.25),
        )
        made, most = asked.load().size, asked.size()
        # The first inputs are 0 and 1, which may be among the others.
        assert made.features <= most.features <= made.features + 2
        assert made.records + made.validation == most.records


def test_the_script_of_every_task_makes_its_data_with_numpy_alone():
    for name, builtin in builtin_tasks().items():
        for few in ({}, {"records": 41, "seed": 5}):
            made = settings_model(name).model_validate(few)
            assert builtin.script is not None
            lines = builtin.script(made).splitlines()
            assert len(lines) < 50
            assert max(len(line) for line in lines) <= 88
            names: dict[str, Any] = {"np": np}
            exec("\n".join(lines), names)
            task = make_task(name, made)
            np.testing.assert_array_equal(names["x"], task.x)
            np.testing.assert_array_equal(names["y"], task.y)
            if task.lengths is not None:
                np.testing.assert_array_equal(names["lengths"], task.lengths)


def test_data_of_old_keep_their_fingerprints():
    """Runs are found by them: these are of the first version."""
    assert make_task("first-value", {}).fingerprint == "93848d6208684a7b167675319385807d"
    other = make_task("first-value", {"seed": 3, "records": 41})
    assert other.fingerprint == "8284568addf2517581eb3b3e30ab4942"
    x = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    plain = Task("a", x, np.array([2, 0], np.int32), ("a", "b", "c"))
    assert plain.fingerprint == "3b0c7bb2011bd6cf114287a4800664fb"


def test_what_is_asked_and_where_sequences_end_are_part_of_the_fingerprint():
    x = np.ones((4, 3, 1), np.float32)
    x[:, 2] = 0.0
    y = np.array([[0.0], [1.0], [1.0], [0.0]], np.float32)
    values = Task("a", x, y, ("v",), target="values")
    padded = Task("a", x, y, ("v",), target="values", lengths=np.full(4, 2, np.int32))
    sets = Task("a", x, y[:, None].repeat(3, 1), ("v",), target="sets")
    prints = {task.fingerprint for task in (values, padded, sets)}
    assert len(prints) == 3


def test_lengths_that_the_zeros_do_not_show_are_refused():
    x = np.ones((2, 3, 2), np.float32)
    x[1, 2] = 0.0
    y = np.array([0, 1], np.int32)
    right = Task("a", x, y, ("0", "1"), lengths=np.array([3, 2], np.int32))
    assert right.timesteps == 3
    for lengths in ([3, 3], [2, 2], [3, 1]):
        with pytest.raises(ValueError, match="are not those after the lengths"):
            Task("a", x, y, ("0", "1"), lengths=np.array(lengths, np.int32))


def test_chance_of_classes_is_the_largest_share_and_the_entropy():
    y = np.repeat(np.arange(3, dtype=np.int32), [5, 3, 2])
    task = Task("a", np.ones((10, 1, 1), np.float32), y, ("a", "b", "c", "none"))
    accuracy, loss = task.chance
    assert accuracy == 0.5
    assert loss == pytest.approx(-(0.5 * np.log(0.5) + 0.3 * np.log(0.3) + 0.2 * np.log(0.2)))


def test_chance_of_sets_counts_the_records_that_ask_for_one_set_throughout():
    y = np.zeros((4, 2, 2), np.float32)
    y[0, :, 0] = y[1, :, 0] = y[2, :, 1] = 1.0
    y[3, 0, 0] = y[3, 1, 1] = 1.0
    task = Task("a", np.ones((4, 2, 1), np.float32), y, ("a", "b"), target="sets")
    assert task.chance[0] == 0.5
    assert task.chance[1] == pytest.approx(-(5 * np.log(5 / 8) + 3 * np.log(3 / 8)) / 8)


def test_copy_first_is_first_value_made_longer():
    short = make_task("copy-first", {"distractors": 2})
    assert short.fingerprint == make_task("first-value", {}).fingerprint
    for distractors in (0, 3, 100):
        task = make_task("copy-first", {"distractors": distractors})
        assert task.x.shape == (200, distractors + 1, 1)
        assert np.array_equal(task.x[:, 0, 0], task.y)


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
