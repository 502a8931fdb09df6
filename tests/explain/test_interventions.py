"""The interventions are one change each, follow from the baseline, and are what a study can run."""

from dataclasses import replace

import numpy as np
import pytest

from studies.run import Configuration
from studies.study import read_study
from studies.task_tables import BuiltinTask, CsvTask
from studies.tasks import Task, make_task, settings_model
from sweep.explain.interventions import (
    GRIDS,
    LOWEST,
    Intervention,
    distractors,
    first_interventions,
    grids,
    later_interventions,
)

QUESTION = Configuration(layers=3, units=15, output_initializer="random_uniform")
BEST = {"sgd": 1.0, "sgd+momentum": 1.0, "rmsprop": 0.03}


@pytest.fixture(scope="module")
def source() -> BuiltinTask:
    return BuiltinTask(name="first-value", settings=settings_model("first-value")())


@pytest.fixture(scope="module")
def task(source: BuiltinTask) -> Task:
    return source.load()


def all_of(c: Configuration, task: Task, source: BuiltinTask | CsvTask) -> list[Intervention]:
    return [*first_interventions(c, task, source), *later_interventions(c, task, BEST, 15.0)]


def changed(one: Intervention, c: Configuration) -> set[str]:
    before, after = c.model_dump(), one.configuration(c).model_dump()
    return {name for name in before if before[name] != after[name]}


def test_every_intervention_changes_one_thing(task, source):
    together = {
        "optimizer": {"optimizer", "learning_rate", "momentum"},
        "sgd, lower rates": {"optimizer", "learning_rate"},
        "step size over time": {"bias_correction", "bias_correction_update"},
        "Keras 2.0.3": {"recurrent_activation", "epsilon"},
    }
    found = all_of(QUESTION, task, source)
    assert len(found) > 45
    for one in found:
        settings = changed(one, QUESTION)
        if one.data is not None:
            assert not settings
            assert one.data(task).fingerprint != task.fingerprint
        else:
            assert len(settings) == 1 or settings <= together[one.group], one.name
            assert one.configuration(QUESTION).identity() != QUESTION.identity()


def test_names_are_different_and_fit_a_table(task, source):
    names = [one.name for one in all_of(QUESTION, task, source)]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= 34


def test_everything_that_the_plateau_may_depend_on_is_asked(task, source):
    groups = {one.group for one in all_of(QUESTION, task, source)}
    assert groups == {
        "learning rate", "optimizer", "sgd, lower rates", "step size over time", "inputs",
        "output layer's scale", "layers", "units", "forget bias", "recurrent initialiser",
        "batch size", "records", "Keras 2.0.3",
    }  # fmt: skip


def test_an_intervention_that_changes_nothing_is_left_out(task, source):
    other = QUESTION.model_copy(
        update={"layers": 2, "units": 30, "unit_forget_bias": False, "batch_size": 64}
    )
    names = {one.name for one in all_of(other, task, source)}
    assert "2 layers" not in names
    assert "3 layers" in names
    assert {"15 units", "60 units", "120 units"} <= names
    assert "forget gate's bias 1" in names
    assert "forget gate's bias 0" not in names
    assert "batches of 32" in names
    assert "batches of 64" not in names


def test_without_adam_its_step_size_is_not_asked_about(task, source):
    sgd = QUESTION.model_copy(update={"optimizer": "sgd", "learning_rate": 1.0})
    assert set(grids(sgd)) == {"adam", "sgd+momentum", "rmsprop"}
    best = {"adam": 0.01, "sgd+momentum": 0.3, "rmsprop": 0.01}
    found = [*first_interventions(sgd, task, source), *later_interventions(sgd, task, best, 15.0)]
    assert not [one for one in found if one.group in ("step size over time", "sgd, lower rates")]
    assert set(grids(QUESTION)) == set(GRIDS) - {"adam"}


def test_other_cells_have_no_forget_gate(task, source):
    gru = QUESTION.model_copy(update={"cell": "gru"})
    groups = {one.group for one in all_of(gru, task, source)}
    assert not groups & {"forget bias", "Keras 2.0.3"}


def test_weights_that_are_all_zero_have_no_other_scale(task, source):
    zeros = QUESTION.model_copy(update={"output_initializer": "zeros"})
    assert "output layer's scale" not in {one.group for one in all_of(zeros, task, source)}


def test_a_plateau_that_never_ends_has_no_end_to_hold_a_step_size_at(task):
    names = {one.name for one in later_interventions(QUESTION, task, BEST, None)}
    assert not [name for name in names if "step size" in name]


def test_adam_s_step_size_is_looked_at_where_its_correction_is_smallest():
    t = np.arange(1, 3000)
    correction = np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    assert t[correction.argmin()] == LOWEST


def test_distractors_are_the_columns_that_do_not_tell_the_label(task):
    assert distractors(task) == ([0], [1, 2])
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 4, 1)).astype(np.float32)
    x[:, 3] = 1.0
    parity = ((x[:, 0, 0] > 0) ^ (x[:, 1, 0] > 0)).astype(np.int32)
    assert distractors(Task("parity", x, parity, ("0", "1"))) == ([], [0, 1, 2, 3])
    noisy = (x[:, 2, 0] + random.normal(size=300) > 0).astype(np.int32)
    assert distractors(Task("noisy", x, noisy, ("0", "1"))) == ([2], [0, 1, 3])


def test_where_no_column_tells_the_label_there_are_no_distractors_to_remove(source):
    parity = make_task("parity", {})
    made = BuiltinTask(name="parity", settings=settings_model("parity")())
    names = {one.name for one in first_interventions(QUESTION, parity, made) if one.data}
    assert not [name for name in names if "distractor" in name]


def test_a_csv_has_fewer_records_but_not_more(task):
    csv = CsvTask(csv="/nowhere/data.csv")
    found = [one for one in first_interventions(QUESTION, task, csv) if one.group == "records"]
    assert [one.name for one in found] == ["50 records", "100 records"]
    assert [one.data(task).records for one in found if one.data] == [50, 100]


def test_inputs_of_unequal_length_stay_as_they_are(task, source):
    lengths = np.full(task.records, 3, np.int32)
    x = task.x + 1.0
    masked = replace(task, x=x, lengths=lengths)
    assert "inputs" not in {one.group for one in first_interventions(QUESTION, masked, source)}


def test_the_shipped_study_tries_the_changes_of_settings(task, source):
    study = read_study("plateau-causes")
    assert study.load_task().fingerprint == task.fingerprint
    tried = [study.configuration(entry) for entry in study.search.enqueue]
    due = [
        one.configuration(QUESTION)
        for one in first_interventions(QUESTION, task, source)
        if one.data is None
    ]
    assert [c.identity() for c in tried] == [c.identity() for c in (QUESTION, *due)]
    assert study.search.trials == len(tried)
    assert (study.training.replicates, study.training.epochs, study.training.target) == (30, 100, 1)
