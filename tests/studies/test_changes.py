"""Studies changed by dotted keys, and compared."""

from pathlib import Path

import pytest

from studies.errors import BadInput
from studies.space import Choice, Range
from studies.study import BuiltinTask, CsvTask, Difference, at_least, differences, extends
from studies.tasks.first_value import FirstValue


def test_settings_are_changed_by_dotted_key_as_on_the_command_line(small):
    changed = small.changed(
        {
            "training.batch_size": "16",
            "training.cell": "gru",
            "training.target": "0.9",
            "search.trials": 3,
            "space.units": "{ low = 8, high = 16 }",
            "task.records": "40",
        }
    )
    assert changed.training.settings["batch_size"] == 16
    assert changed.training.settings["cell"] == "gru"
    assert changed.training.target == 0.9
    assert changed.search.trials == 3
    assert changed.space["units"] == Range(8, 16)
    assert changed.load_task().records == 40
    assert small.training.settings["batch_size"] == 32
    assert small.space["units"] == Range(4, 32, log=True)


def test_a_part_of_a_range_can_be_changed(small):
    assert small.changed({"space.units.high": "16"}).space["units"] == Range(4, 16, log=True)


def test_name_and_description_are_taken_as_text(small):
    changed = small.changed({"name": "7", "description": "true"})
    assert (changed.name, changed.description) == ("7", "true")


def test_fixing_a_searched_setting_takes_it_out_of_the_space(small):
    changed = small.changed({"training.units": "15"})
    assert "units" not in changed.space
    assert changed.training.settings["units"] == 15
    assert changed.search.enqueue == small.search.enqueue


def test_searching_a_fixed_setting_takes_it_out_of_the_training(small):
    changed = small.changed({"space.layers": "[1, 2]"})
    assert changed.space["layers"] == Choice((1, 2))
    assert "layers" not in changed.training.settings


def test_what_was_to_be_tried_first_is_left_out_where_a_change_excludes_it(small):
    assert small.changed({"training.units": 8}).search.enqueue == ()
    assert small.changed({"space.units": [4, 8]}).search.enqueue == ()
    with pytest.raises(BadInput, match=r"entry 1 of search\.enqueue"):
        small.changed({"training.units": 8, "search.enqueue": [{"units": 15}]})


def test_fixing_what_others_depend_on_resolves_their_conditions(small):
    sgd = small.changed({"training.optimizer": "sgd"})
    assert sgd.space["momentum"] == Range(0.0, 0.9)
    adam = small.changed({"training.optimizer": "adam"})
    assert list(adam.space) == ["units"]
    assert adam.training.settings["momentum"] == 0.0


def test_a_space_given_anew_has_its_conditions_resolved_too(small):
    space = {"units": [4], "optimizer": ["adam", "sgd"]}
    for when in ("sgd", ["sgd"]):
        space["momentum"] = {"choices": [0.5], "when": {"optimizer": when}}
        changed = small.changed({"training.optimizer": "sgd", "space": space})
        assert changed.space == {"units": Choice((4,)), "momentum": Choice((0.5,))}


def test_what_depended_on_something_that_left_the_space_leaves_it_too(small):
    nested = small.changed(
        {
            "space.nesterov": "{ choices = [true, false], when = { momentum = 0.5 } }",
            "space.momentum": "{ choices = [0.1, 0.5], when = { optimizer = 'sgd' } }",
        }
    )
    assert list(nested.changed({"training.optimizer": "adam"}).space) == ["units"]
    sgd = nested.changed({"training.optimizer": "sgd", "training.momentum": "0.5"})
    assert sgd.space["nesterov"] == Choice((True, False))


def test_the_optimizers_default_rate_follows_the_optimizer(small):
    fixed = small.changed({"training.optimizer": "adam"}).changed({"training.optimizer": "sgd"})
    assert fixed.configuration({"units": 4}).learning_rate == 0.01


def test_another_task_replaces_the_whole_task(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changed = small.changed(
        {"task.label": "y", "task.csv": "LSTM_hello.csv", "task.timesteps": "3"}
    )
    assert changed.task == CsvTask(csv=str(tmp_path / "LSTM_hello.csv"), label="y", timesteps=3)
    assert small.changed({"task.csv": Path("1")}).task == CsvTask(csv=str(tmp_path / "1"))
    back = changed.changed({"task.name": "first-value"})
    assert back.task == BuiltinTask(name="first-value", settings=FirstValue())


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"training.batch_size": "big"},
            'small: training.batch_size = "big": must be a whole number',
        ),
        (
            {"training.batchsize": "3"},
            "small: training.batchsize: there is no such key; did you mean",
        ),
        ({"batch_size": "3"}, "small: batch_size: batch_size belongs in [training]"),
        ({"trials": "3"}, "small: trials: trials belongs in [search]"),
        ({"training.epochs.x": "3"}, "small: training.epochs.x: training.epochs is no table"),
        ({"training": "3"}, "small: training = 3: must be a table"),
        ({"space.units.low": "99"}, "small: space.units: low (99) must be below high (32)"),
        ({"space.layers.low": "2"}, "small: space.layers.high is missing"),
        (
            {"training.units": "3", "space.units": "[3, 4]"},
            "small: training.units: units is searched by another change",
        ),
        (
            {"training.units": "3", "space.momentum.when": "3"},
            "small: space.momentum.when = 3: must be a table",
        ),
        ({"space": "3", "training.units": "3"}, "small: space = 3: must be a table"),
        ({"name": "a/b"}, 'small: name = "a/b": must be'),
        ({"": "1"}, "small: : there is no such key"),
    ],
)
def test_a_change_that_is_not_allowed_is_refused(small, settings, line):
    with pytest.raises(BadInput) as caught:
        small.changed(settings)
    assert line in str(caught.value)


def test_differences_name_key_old_and_new(small):
    changed = small.changed(
        {"name": "other", "description": "else", "training.batch_size": 16, "space.rho": [0.8, 0.9]}
    )
    assert differences(small, changed) == [
        Difference("training.rho", 0.9, None),
        Difference("training.batch_size", 32, 16),
        Difference("space.rho", None, [0.8, 0.9]),
    ]


@pytest.mark.parametrize(
    ("settings", "yes"),
    [
        ({}, True),
        ({"name": "other", "description": "else"}, True),
        ({"search.trials": 8}, True),
        ({"training.replicates": 6, "training.epochs": 51}, True),
        ({"search.trials": 6}, False),
        ({"training.replicates": 4}, False),
        ({"training.epochs": 49, "search.trials": 9}, False),
        ({"search.seed": 1}, False),
        ({"training.target": 0.9}, False),
        ({"training.units": 8}, False),
        ({"task.seed": 1}, False),
    ],
)
def test_more_of_the_same_extends_a_study_and_nothing_else(small, settings, yes):
    assert extends(small, small.changed(settings)) is yes


def test_a_study_keeps_what_it_has_more_of(small):
    larger = small.changed({"search.trials": 9, "training.replicates": 7})
    asked = small.changed({"training.epochs": 80, "training.target": 0.9})
    kept = at_least(larger, asked)
    assert (kept.search.trials, kept.training.replicates, kept.training.epochs) == (9, 7, 80)
    assert kept.training.target == 0.9
    assert at_least(small, larger) == larger
