"""A study may name a person's own function; nothing of it runs when the study is read."""

from pathlib import Path
from typing import Any

import pytest

from studies.errors import BadInput
from studies.functions import digest
from studies.own import Goal, OwnModel, configuration_from, is_argument
from studies.run import Configuration, Run
from studies.space import Choice, Range
from studies.study import Study, differences, extends, read_study

FUNCTION = """
raise RuntimeError("this must not run")

def build(width, rate=0.1):
    return None
"""

STUDY = """
[task]
name = "first-value"

[space]
width = { low = 4, high = 64, log = true }
rate = { low = 0.001, high = 1, log = true }
kind = ["plain", "gated"]
depth = { low = 1, high = 3, when = { kind = "gated" } }

[training]
model = "mymodels:build"
epochs = 30
target = "val_accuracy >= 0.98"
time_limit = 20
bias = true
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "mymodels.py").write_text(FUNCTION)
    path = tmp_path / "mine.toml"
    path.write_text(STUDY)
    return path


def test_a_study_of_an_own_model_searches_any_argument(path):
    study = read_study(path)
    assert study.training.model == f"{path.parent}/mymodels.py:build"
    assert study.training.goal == "val_accuracy >= 0.98"
    assert study.training.target == 0.98
    assert study.training.settings == {"bias": True, "batch_size": 32}
    assert study.space["width"] == Range(4, 64, log=True)
    assert study.space["rate"] == Range(0.001, 1.0, log=True)
    assert study.space["kind"] == Choice(("plain", "gated"))
    assert study.space["depth"] == Range(1, 3, when={"kind": ("gated",)})

    configuration: Any = study.configuration({"width": 8, "rate": 0.5, "kind": "plain"})
    assert isinstance(configuration, OwnModel)
    assert configuration.function == "mymodels:build"
    assert configuration.batch_size == 32
    assert configuration.arguments == {"bias": True, "width": 8, "rate": 0.5, "kind": "plain"}
    assert configuration.width == 8


def test_it_is_the_same_study_after_it_was_stored_wherever_the_file_is_then(path):
    study = read_study(path)
    (path.parent / "mymodels.py").unlink()
    stored = Study.from_document(study.document(), "mine")
    assert stored == study
    assert stored.document() == study.document()
    assert stored.document()["training"]["target"] == "val_accuracy >= 0.98"


def test_a_changed_function_makes_another_study(path):
    study = read_study(path)
    (path.parent / "mymodels.py").write_text(FUNCTION + "\n# changed\n")
    changed = read_study(path)
    assert [key for key, _, _ in differences(study, changed)] == ["training.code"]
    assert not extends(study, changed)


def test_settings_of_the_command_line_reach_it(path):
    study = read_study(path).changed({"training.epochs": 99, "training.width": 16})
    assert study.training.settings["width"] == 16
    assert "width" not in study.space
    searched = study.changed({"space.batch_size": [8, 16]})
    assert "batch_size" not in searched.training.settings
    configuration: Any = searched.configuration({"batch_size": 8})
    assert configuration.batch_size == 8


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"mymodels:build"', '"mymodels"', "a file and a function in it"),
        ('"mymodels:build"', "3", "a file and a function in it"),
        ('"mymodels:build"', '"mymodel:build"', r"mymodel\.py is not"),
        ('"mymodels:build"', '"mymodels:biuld"', r"mymodels\.py, which has no biuld; did you mean"),
        ('"mymodels:build"', '"broken:build"', r"broken\.py is none: .*line 2"),
        ('"mymodels:build"', '"binary:build"', r"binary\.py"),
        ('"val_accuracy >= 0.98"', '"val_accuracy > much"', "an accuracy, or a metric with its"),
        ('"val_accuracy >= 0.98"', '"0.98"', "an accuracy, or a metric with its bound"),
        ('"val_accuracy >= 0.98"', "true", "an accuracy, or a metric with its bound"),
        ("time_limit = 20", "time_limit = 0", "the seconds that a run may take"),
        ("bias = true", "bias = []", "text, a finite number, true or false"),
        ("bias = true", "bias = nan", "text, a finite number, true or false"),
        ("bias = true", '"a b" = 1', "a b: this cannot be an argument's name"),
        ("bias = true", "class = 1", "class: this cannot be an argument's name"),
        ("bias = true", "batch_size = 0", "batch_size = 0: must be a whole number from 1"),
        ("width = {", "function = {", "function cannot be searched: it is no argument's name"),
        ("low = 4", 'low = "4"', r"space\.width\.low = .*must be a number"),
        ("width = {", "bias = {", "bias is searched in .space. too"),
        ("[space]", '[search]\nobjective = "flops"\n[space]', "search.objective"),
        ("[space]", '[search]\nobjective = ["flops"]\n[space]', "nobody counts the FLOPs"),
        ("[space]", '[search]\nsampler = "grid"\n[space]', "space.rate: a grid needs single"),
        (
            "[space]",
            "[search]\nenqueue = [{ width = 5.5 }]\n[space]",
            "entry 1 of search.enqueue: width = 5.5: must be a value that space.width has",
        ),
    ],
)
def test_what_is_wrong_with_it_is_said(path, old, new, message):
    (path.parent / "broken.py").write_text("def build():\n  return (\n")
    (path.parent / "binary.py").write_bytes(b"\x00\xff\x00")
    path.write_text(STUDY.replace(old, new, 1))
    with pytest.raises(BadInput, match=message):
        read_study(path)


def test_code_and_time_limits_are_for_own_models(path):
    path.write_text(STUDY.replace('model = "mymodels:build"\n', "units = 3\n"))
    with pytest.raises(BadInput) as caught:
        read_study(path)
    assert "training.time_limit: it is for own models" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown", "good", "bad"),
    [
        ("val_accuracy >= 0.98", "val_accuracy >= 0.98", 0.98, 0.9799),
        ("loss<=1e-2", "loss <= 0.01", 0.01, 0.0101),
        ("auc ≥ 0.9", "auc >= 0.9", 1.0, 0.5),
        (0.9, "accuracy >= 0.9", 0.9, 0.89),
        (1, "accuracy >= 1", 1.0, 0.995),
    ],
)
def test_a_goal_is_reached_from_its_own_side(text, shown, good, bad):
    import numpy as np

    goal = Goal.parse(text)
    assert str(goal) == shown
    assert Goal.parse(str(goal)) == goal
    assert goal.reached(good)
    assert goal.reached(float(np.float32(good)))
    assert not goal.reached(bad)
    assert not goal.reached(float("nan"))


def test_a_target_that_is_no_accuracy_has_words_of_its_own(path):
    study = read_study(path)
    assert study.training.bound == "val_accuracy ≥ 0.98"
    assert study.changed({"training.target": 0.9}).training.bound is None
    assert study.changed({"training.target": "loss <= 0.1"}).training.bound == "loss ≤ 0.1"
    assert read_study("hello-lstm").training.bound is None


def test_a_run_of_an_own_model_has_a_key_of_its_own(path):
    study = read_study(path)
    params = {"width": 8, "rate": 0.5, "kind": "plain"}
    run = Run(study.configuration(params), 1, 30, 0.98)
    same = Run(study.configuration(params), 1, 99, 0.98)
    other = Run(study.configuration({**params, "width": 9}), 1, 30, 0.98)
    assert run.key("task") == same.key("task")
    assert len({run.key("task"), run.key("other task"), other.key("task")}) == 3
    again = configuration_from(run.configuration.identity())
    assert again == run.configuration
    plain = Configuration(units=3)
    assert configuration_from(plain.identity()) == plain


def test_names_that_are_no_arguments(path):
    assert is_argument("width")
    for name in ("a b", "class", "1st", "", "epochs", "target", "code"):
        assert not is_argument(name)


def test_a_file_that_has_gone_is_said(path):
    with pytest.raises(BadInput, match=r"gone\.py: cannot be read"):
        digest(f"{path.parent}/gone.py:build")
