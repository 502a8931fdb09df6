"""Records that are not trained on are measured after every epoch, as Keras measures them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from studies.run import Configuration, FinishedRun, Run
from studies.tasks import Task, make_task
from sweep.engine import train
from sweep.keras import train_in_keras


def split(task: Task, records: int) -> Task:
    """The task with its last records to validate on."""

    def some(which: slice) -> Task:
        lengths = None if task.lengths is None else task.lengths[which]
        return replace(task, x=task.x[which], y=task.y[which], lengths=lengths)

    return replace(some(slice(None, -records)), validation=some(slice(-records, None)))


CASES: dict[str, tuple[Task, dict[str, Any]]] = {
    "classes": (
        make_task("first-value", {"records": 220}),
        {"units": 5, "learning_rate": 0.02},
    ),
    "classes, few to validate on, wide": (
        make_task("first-value", {"records": 53}),
        {"units": 20, "cell": "gru", "optimizer": "sgd", "learning_rate": 0.1},
    ),
    "values": (
        make_task("adding", {"records": 60, "shortest": 6}),
        {"cell": "rnn", "units": 7, "batch_size": 20, "learning_rate": 0.01},
    ),
    "sets of unequal length": (
        make_task("embedded-reber", {"records": 50}),
        {"units": 6, "batch_size": 13, "learning_rate": 0.02},
    ),
}


def trained(task: Task, run: Run, **more: Any) -> FinishedRun:
    (finished,) = train([run], task, **more)
    return finished


@pytest.mark.parametrize("name", CASES)
def test_validation_curves_are_those_of_keras(name):
    whole, settings = CASES[name]
    task = split(whole, 3 if "few" in name else 20)
    run = Run(Configuration(**settings), 4, 5)
    ours, theirs = trained(task, run), train_in_keras(run, task)
    assert ours.series == theirs.series == ("loss", "accuracy", "val_loss", "val_accuracy")
    assert ours.epochs == theirs.epochs
    for series in ("loss", "val_loss"):
        np.testing.assert_allclose(ours.curve(series), theirs.curve(series), rtol=1e-4)
    np.testing.assert_allclose(ours.curve("val_accuracy"), theirs.curve("val_accuracy"), atol=1e-6)


def test_validation_has_no_influence_on_training():
    whole, settings = CASES["classes"]
    task = split(whole, 20)
    run = Run(Configuration(**settings), 4, 12)
    with_it, without = trained(task, run), trained(replace(task, validation=None), run)
    for series in ("loss", "accuracy"):
        np.testing.assert_allclose(with_it.curve(series), without.curve(series), rtol=1e-5)
    assert task.fingerprint != replace(task, validation=None).fingerprint


def test_hidden_progress_is_recorded_beside_it():
    whole, settings = CASES["classes"]
    task = split(whole, 20)
    run = Run(Configuration(**settings), 4, 6)
    both, only = trained(task, run, hidden_progress=True), trained(task, run)
    assert both.series[-2:] == ("val_loss", "val_accuracy")
    assert "contrast" in both.series
    np.testing.assert_allclose(both.curve("val_loss"), only.curve("val_loss"), rtol=1e-5)
