"""The studies that come with the package."""

import itertools
from importlib.resources import files

import pytest

from studies.run import Configuration
from studies.space import Choice, Range, grid
from studies.study import BuiltinTask, Study, read_study, shipped_studies
from studies.tasks import builtin_tasks

NAMES = [name for name, _ in shipped_studies()]


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_study_is_valid_and_describes_itself(name):
    study = read_study(name)
    assert study.name == name
    assert study.description
    assert study.load_task().records
    assert Study.from_document(study.document(), name) == study
    for entry in study.search.enqueue:
        study.configuration(entry)
    text = files("studies").joinpath("shipped", f"{name}.toml").read_text()
    assert sum(line.startswith("#") for line in text.splitlines()) >= 5


def test_the_default_study_is_the_hello_world():
    study = read_study("hello-lstm")
    task = study.load_task()
    assert (task.x.shape, task.class_counts) == ((200, 3, 1), (100, 100))
    assert study.space == {
        "layers": Range(1, 4),
        "units": Range(4, 32, log=True),
        "optimizer": Choice(("adam", "sgd", "rmsprop")),
        "learning_rate": Range(1e-4, 1e-1, log=True),
    }
    assert (study.search.sampler, study.search.trials) == ("tpe", 100)
    assert (study.training.epochs, study.training.replicates) == (100, 5)


def test_the_questions_model_is_tried_first():
    study = read_study("hello-lstm")
    (entry,) = study.search.enqueue
    assert study.configuration(entry) == Configuration(
        layers=3,
        units=15,
        optimizer="adam",
        learning_rate=0.001,
        output_initializer="random_uniform",
    )


def test_adam_or_sgd_is_a_grid_of_both_around_their_defaults():
    study = read_study("adam-or-sgd")
    points = list(grid(study.space))
    assert study.search.sampler == "grid"
    assert study.search.trials == len(points)
    for optimizer in ("adam", "sgd"):
        rates = [p["learning_rate"] for p in points if p["optimizer"] == optimizer]
        default = study.configuration({"optimizer": optimizer}).learning_rate
        assert default in rates
        assert min(rates) < default < max(rates)
        ratios = [high / low for low, high in itertools.pairwise(rates)]
        assert all(2.9 < ratio < 3.5 for ratio in ratios)
    assert study.training.settings["layers"] == 3
    assert study.training.settings["units"] == 15


def test_every_built_in_task_has_a_study():
    asked = [read_study(name).task for name in NAMES]
    assert {task.name for task in asked if isinstance(task, BuiltinTask)} == set(builtin_tasks())


def test_most_efficient_is_a_grid_around_the_question_s_model_for_a_front():
    study = read_study("most-efficient")
    points = list(grid(study.space))
    assert study.search.objectives == ("epochs", "flops")
    assert study.search.trials == len(points)
    assert {"layers": 3, "units": 15} in points
    assert {point["layers"] for point in points} == {1, 2, 3, 4}
    assert {min(p["units"] for p in points), max(p["units"] for p in points)} == {2, 64}
    (question,) = read_study("hello-lstm").search.enqueue
    model = read_study("hello-lstm").configuration(question)
    assert study.configuration({"layers": 3, "units": 15}) == model
    assert study.load_task().fingerprint == read_study("hello-lstm").load_task().fingerprint


def test_how_long_asks_the_question_s_model_over_any_distance():
    study = read_study("how-long")
    (question,) = read_study("hello-lstm").search.enqueue
    model = read_study("hello-lstm").configuration(question)
    assert study.configuration({"learning_rate": 0.001}) == model
    for distractors in (3, 10, 30, 100):
        longer = study.changed({"task.distractors": distractors, "name": f"how-long-{distractors}"})
        assert longer.load_task().timesteps == distractors + 1
        assert list(grid(longer.space)) == list(grid(study.space))
