"""Losses: their gradients, what counts as right, and whole trainings held against stock Keras.

The trainings are on made-up sequences of unequal length, or all of one length, with classes, sets
or values to be told; each is trained by the engine and by `keras.Model.fit` from the same seed.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from studies.run import Configuration, Run
from studies.tasks import TOLERANCE, Target, Task
from sweep.engine import train
from sweep.engine.losses import LOSSES
from sweep.engine.runtime import prepare
from sweep.keras import train_in_keras

OUT_OF_REACH = 2.0
"""A target that no accuracy reaches: the run lasts for its whole budget."""


@cache
def made_up(target: Target, timesteps: int, unequal: bool) -> Task:
    """70 sequences of two features, of 1 to `timesteps` steps each if they are `unequal`.

    The class is where the sum of all inputs lies, the values are the mean inputs; the sets at a
    step are the features above 0 there, and a third symbol where the one before was: every fifth
    step asks for nothing.
    """
    random = np.random.default_rng(timesteps)
    records = 70
    x = random.normal(size=(records, timesteps, 2)).astype(np.float32)
    lengths = random.integers(1, timesteps + 1, size=records).astype(np.int32)
    lengths = lengths if unequal else np.full(records, timesteps, np.int32)
    within = np.arange(timesteps) < lengths[:, None]
    x[~within] = 0.0
    if target == "class":
        y = np.digitize(x.sum(axis=(1, 2)), [-1.0, 1.0]).astype(np.int32)
    elif target == "values":
        y = (x.sum(axis=1) / lengths[:, None]).astype(np.float32)
    else:
        before = np.roll(x[:, :, :1], 1, axis=1)
        y = (np.concatenate([x, before], axis=2) > 0.0).astype(np.float32)
        y[:, ::5] = 0.0
        y[~within] = 0.0
    names = ("a", "b") if target == "values" else ("a", "b", "c")
    return Task("made up", x, y, names, target=target, lengths=lengths if unequal else None)


TRAININGS: dict[str, tuple[Target, int, bool, dict[str, Any]]] = {
    "classes, unequal, a loop": ("class", 12, True, {"layers": 2}),
    "sets, unequal, a loop": ("sets", 12, True, {"cell": "gru", "layers": 2}),
    "sets, unequal, written out": (
        *("sets", 3, True),
        {"layers": 2, "optimizer": "sgd", "learning_rate": 0.5},
    ),
    "sets, equal, written out": ("sets", 3, False, {"cell": "rnn", "optimizer": "rmsprop"}),
    "values, unequal, a loop": ("values", 12, True, {"cell": "rnn"}),
    "values, unequal, written out": ("values", 3, True, {}),
    "values, equal, a loop": ("values", 12, False, {"cell": "gru"}),
}


@pytest.mark.parametrize("name", TRAININGS)
def test_the_engine_s_curve_is_keras_s(name):
    target, timesteps, unequal, given = TRAININGS[name]
    settings = {"units": 7, "learning_rate": 0.01, **given}
    run = Run(Configuration(**settings), 5, 15, OUT_OF_REACH)
    task = made_up(target, timesteps, unequal)
    (ours,) = train([run], task)
    theirs = train_in_keras(run, task)
    assert (ours.ended, ours.epochs) == (theirs.ended, theirs.epochs) == ("censored", 15)
    np.testing.assert_allclose(ours.curve("loss"), theirs.curve("loss"), rtol=1e-4)
    np.testing.assert_array_equal(ours.curve("accuracy"), theirs.curve("accuracy"))
    assert ours.curve("loss")[-1] < ours.curve("loss")[0]


@pytest.mark.parametrize(
    ("target", "timesteps", "unequal", "cell"),
    [("sets", 3, True, "lstm"), ("values", 12, False, "gru")],
)
def test_a_run_is_the_same_whoever_trains_beside_it(target, timesteps, unequal, cell):
    task = made_up(target, timesteps, unequal)
    settings = {"cell": cell, "layers": 2 if target == "sets" else 1}
    runs = [
        Run(Configuration(units=units, optimizer=optimizer, **settings), seed, 10, OUT_OF_REACH)
        for seed in range(2)
        for units, optimizer in [(3, "adam"), (16, "sgd"), (9, "rmsprop")]
    ]
    together = {finished.run: finished.curves for finished in train(runs, task)}
    for run in runs[:2]:
        (alone,) = train([run], task)
        np.testing.assert_array_equal(alone.curves, together[run])


def test_what_stands_after_a_sequence_s_end_has_no_influence():
    """Sequences with their steps written out, and padded to four times as many, in a loop."""
    task = made_up("values", 3, True)
    padding = np.zeros((task.records, 9, task.features), np.float32)
    longer = replace(task, x=np.concatenate([task.x, padding], axis=1))
    run = Run(Configuration(cell="rnn", units=5, learning_rate=0.02), 1, 10, OUT_OF_REACH)
    (short,), (long,) = train([run], task), train([run], longer)
    np.testing.assert_allclose(short.curve("loss"), long.curve("loss"), rtol=2e-6)


def outputs_and_truth(target: Target) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outputs, truth and what counts, for two slots, three outputs, a batch of five, four steps."""
    random = np.random.default_rng(3)
    shape = (4, 2, 3, 5) if target == "sets" else (2, 3, 5)
    outputs = random.normal(size=shape).astype(np.float32)
    counted = np.array([1, 1, 1, 1, 0], np.float32)
    if target == "class":
        truth = np.eye(3, dtype=np.float32)[random.integers(0, 3, (2, 5))].transpose(0, 2, 1)
    elif target == "values":
        truth = random.normal(size=shape).astype(np.float32)
    else:
        truth = random.integers(0, 2, shape).astype(np.float32)
        within = np.arange(4)[:, None, None] < random.integers(1, 5, (2, 5))
        truth *= within[:, :, None]
        counted = counted * within
    return outputs, np.ascontiguousarray(truth), counted.astype(np.float32)


@pytest.mark.parametrize("target", ["class", "sets", "values"])
def test_a_gradient_is_that_of_the_mean_loss(target):
    tf = prepare()
    outputs, truth, counted = outputs_and_truth(target)
    records = 4.0
    variable = tf.Variable(outputs)
    with tf.GradientTape() as tape:
        loss, _, gradient = LOSSES[target](variable, tf.constant(truth), tf.constant(counted))
        total = tf.reduce_sum(loss) / records
    np.testing.assert_allclose(gradient, tape.gradient(total, variable), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("target", ["class", "sets", "values"])
def test_padding_counts_for_nothing(target):
    tf = prepare()
    outputs, truth, counted = outputs_and_truth(target)
    padded = np.broadcast_to(counted[..., None, :] == 0.0, outputs.shape)
    before = LOSSES[target](tf.constant(outputs), tf.constant(truth), tf.constant(counted))
    other = np.where(padded, 50.0, outputs).astype(np.float32)
    after = LOSSES[target](tf.constant(other), tf.constant(truth), tf.constant(counted))
    np.testing.assert_array_equal(before[0], after[0])
    assert not np.asarray(after[2])[padded].any()


def right(target: Target, outputs: Any, truth: Any) -> float:
    tf = prepare()
    outputs, truth = (tf.constant(np.asarray(each, np.float32)) for each in (outputs, truth))
    return float(LOSSES[target](outputs, truth, tf.ones([outputs.shape[-1]]))[1][0])


def test_a_value_is_right_if_it_is_off_by_less_than_the_tolerance():
    assert TOLERANCE == 0.04
    truth = [[[0.5, 0.5, 0.5, 0.5], [1.0, 1.0, 1.0, 1.0]]]
    outputs = [[[0.539, 0.541, 0.461, 0.5], [1.0, 1.0, 1.0, 1.05]]]
    assert right("values", outputs, truth) == 2.0


def test_a_set_is_right_if_its_outputs_are_the_largest():
    sets = [[1, 0, 1], [0, 1, 0], [1, 1, 1], [0, 0, 0]]
    good = [[3.0, 1.0, 2.0], [-5.0, -4.0, -6.0], [0.0, -9.0, 9.0], [4.0, 4.0, 4.0]]
    equal = [[3.0, 2.0, 2.0], *good[1:]]
    wrong = [*good[:1], [-5.0, -4.0, -3.0], *good[2:]]
    steps = np.array([good, equal, wrong]).transpose(1, 2, 0)[:, None]
    truth = np.array([sets] * 3).transpose(1, 2, 0)[:, None]
    assert right("sets", steps, truth) == 1.0
