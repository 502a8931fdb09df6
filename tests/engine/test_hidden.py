"""Hidden progress is what NumPy makes of the gradients, weights and states of a Keras model."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from studies.run import Configuration, FinishedRun, Run
from studies.tasks import Task, make_task
from sweep.engine import hidden, train
from sweep.engine.optimizers import step_sizes
from sweep.engine.shapes import shape_of
from sweep.keras import build_model

OUT_OF_REACH = 2.0


def quadrants(records: int = 60, timesteps: int = 3) -> Task:
    """Two features a step and three classes, of 60 records, 28 of which lie in no full batch."""
    random = np.random.default_rng(1)
    x = random.normal(size=(records, timesteps, 2)).astype(np.float32)
    y = np.digitize(x[:, 0, 0], [-0.5, 0.5]).astype(np.int32)
    return Task("quadrants", x, y, ("low", "middle", "high"))


QUESTION = Run(
    Configuration(layers=3, units=15, output_initializer="random_uniform"), 4, 3, OUT_OF_REACH
)
CASES: list[tuple[Run, Task]] = [
    (QUESTION, make_task("first-value", {})),
    (
        Run(
            Configuration(
                cell="gru",
                units=5,
                optimizer="sgd",
                momentum=0.5,
                learning_rate=0.2,
            ),
            1,
            4,
            OUT_OF_REACH,
        ),
        quadrants(),
    ),
    (
        Run(
            Configuration(cell="rnn", units=6, activation="sigmoid", learning_rate=0.01),
            2,
            4,
            OUT_OF_REACH,
        ),
        quadrants(timesteps=12),
    ),
]


def recorded(run: Run, task: Task) -> FinishedRun:
    (finished,) = train([run], task, hidden_progress=True)
    return finished


def in_keras(run: Run, task: Task) -> dict[str, list[float]]:
    """The series of a run by NumPy, from a Keras model trained batch by batch."""
    import keras
    import tensorflow as tf

    c = run.configuration
    model: Any = build_model(c, (task.timesteps, task.features), len(task.classes), run.seed)
    recurrent, output = model.layers[:-1], model.layers[-1]
    ends = [layer.output[:, -1] for layer in recurrent[:-1]] + [recurrent[-1].output]
    states_of = keras.Model(model.inputs[0], ends)
    loss_of = keras.losses.SparseCategoricalCrossentropy()
    found: dict[str, list[float]] = {}
    for epoch in range(1, run.epochs + 1):
        order = np.random.default_rng([run.seed, epoch]).permutation(task.records)
        sums: dict[str, list[float]] = {}
        for start in range(0, task.records, c.batch_size):
            batch = order[start : start + c.batch_size]
            with tf.GradientTape() as tape:
                loss = loss_of(task.y[batch], model(task.x[batch], training=True))
            gradients = tape.gradient(loss, model.trainable_variables)
            before = model.get_weights()
            model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            changes = [a - b for a, b in zip(model.get_weights(), before, strict=True)]
            for name, tensors in (("gradient", gradients), ("update", changes)):
                starts = [*range(0, 3 * c.layers + 1, 3), 3 * c.layers + 2]
                for layer, (first, last) in enumerate(pairwise(starts), start=1):
                    part = [np.asarray(t, np.float64).ravel() for t in tensors[first:last]]
                    label = str(layer) if layer <= c.layers else "output"
                    norm = float(np.linalg.norm(np.concatenate(part)))
                    sums.setdefault(f"{name}_{label}", []).append(norm)
        for name, norms in sums.items():
            found.setdefault(name, []).append(float(np.mean(norms)))
        states = [np.asarray(s, np.float64) for s in tf.nest.flatten(states_of(task.x))]
        kernel, bias = (w.astype(np.float64) for w in output.get_weights())
        contrast, separation = apart(states[-1] @ kernel + bias, task.y)
        found.setdefault("contrast", []).append(contrast)
        found.setdefault("separation", []).append(separation)
        columns = task.x.reshape(task.records, -1).astype(np.float64)
        one_hot = np.eye(len(task.classes))[task.y]
        for layer, state in enumerate(states, start=1):
            found.setdefault(f"label_{layer}", []).append(explained(state, one_hot))
            for column in range(columns.shape[1] * (columns.shape[1] <= hidden.MOST_COLUMNS)):
                name = f"column_{column + 1}_layer_{layer}"
                found.setdefault(name, []).append(explained(state, columns[:, [column]]))
    return found


def apart(logits: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    contrasts, separations = [], []
    for k in range(logits.shape[1]):
        scores = logits[:, k] - np.delete(logits, k, axis=1).mean(axis=1)
        inside, outside = scores[y == k], scores[y != k]
        contrasts.append(inside.mean() - outside.mean())
        separations.append(contrasts[-1] / np.sqrt((inside.var() + outside.var()) / 2))
    return float(np.mean(contrasts)), float(np.mean(separations))


def explained(state: np.ndarray, by: np.ndarray) -> float:
    """R² of a least-squares regression of all units on `by` and a constant."""
    design = np.column_stack([np.ones(len(by)), by])
    residual = state - design @ np.linalg.lstsq(design, state, rcond=None)[0]
    centred = state - state.mean(axis=0)
    return float(1.0 - (residual**2).sum() / (centred**2).sum())


@pytest.mark.parametrize(("run", "task"), CASES, ids=["question", "gru", "rnn in a loop"])
def test_every_series_is_what_numpy_makes_of_a_keras_model(run, task):
    ours, due = recorded(run, task), in_keras(run, task)
    due["step_size"] = (
        step_sizes(run.configuration, run.epochs * -(-task.records // run.configuration.batch_size))
        .reshape(run.epochs, -1)
        .mean(axis=1)
        .tolist()
    )
    assert set(ours.series) == {"loss", "accuracy", *due}
    assert len(set(ours.series)) == len(ours.series)
    for name, values in due.items():
        np.testing.assert_allclose(ours.curve(name), values, rtol=2e-3, atol=2e-5, err_msg=name)


@pytest.mark.parametrize(("run", "task"), CASES[::2], ids=["question", "rnn in a loop"])
def test_recording_changes_neither_loss_nor_accuracy(run, task):
    (plain,) = train([run], task)
    assert plain.series == ("loss", "accuracy")
    ours = recorded(run, task)
    np.testing.assert_array_equal(ours.curves[:, :2], plain.curves)
    assert ours.series[:2] == plain.series


def test_d_prime_of_two_normal_classes_is_their_distance_in_standard_deviations():
    import tensorflow as tf

    random = np.random.default_rng(0)
    y = np.arange(20_000) % 2
    score = random.normal(size=20_000) * 0.5 + 1.5 * y
    logits = np.stack([-score / 2, score / 2])[None].astype(np.float32)
    labels = np.eye(2, dtype=np.float32)[y]
    state = np.zeros((1, 1, 20_000), np.float32)
    contrast, separation, *shares = hidden.knowledge(
        [tf.constant(state)], tf.constant(logits), tf.constant(labels), tf.constant(labels)
    )
    assert float(contrast[0]) == pytest.approx(1.5, rel=0.01)
    assert float(separation[0]) == pytest.approx(3.0, rel=0.02)
    assert [float(share[0]) for share in shares] == [0.0, 0.0, 0.0]


def test_where_nothing_varies_nothing_is_known():
    import tensorflow as tf

    labels = tf.constant(np.eye(3, dtype=np.float32)[np.arange(7) % 3])
    logits = tf.constant(np.full((1, 3, 7), 0.1, np.float32))
    state = tf.constant(np.full((1, 4, 7), 0.3, np.float32))
    constant = tf.constant(np.full((7, 2), 5.0, np.float32))
    found = hidden.knowledge([state], logits, labels, constant)
    assert [float(value[0]) for value in found] == [0.0] * 5


def test_of_many_records_so_many_are_measured_evenly_spread():
    assert hidden.measured_rows(200, 4096).tolist() == list(range(200))
    rows = hidden.measured_rows(1_000_000, 10_000)
    assert len(rows) == hidden.MOST_RECORDS
    assert (rows[0], np.ptp(np.diff(rows))) == (0, 1)
    assert rows[-1] >= 1_000_000 - 1_000
    assert hidden.measured_rows(1_000_000, 32).tolist() == [i * 31_250 for i in range(32)]


def test_sequences_of_many_columns_have_no_series_of_columns():
    names = hidden.series(2, hidden.MOST_COLUMNS + 1)
    assert "label_2" in names
    assert not [name for name in names if name.startswith("column")]
    assert sum(name.startswith("column") for name in hidden.series(2, 16)) == 32


def test_adam_s_step_size_is_the_published_formula_by_update():
    t = np.arange(1, 2001)
    due = 0.001 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    np.testing.assert_allclose(step_sizes(Configuration(units=2), 2000), due, rtol=2e-5)
    sgd = Configuration(units=2, optimizer="sgd", momentum=0.9, learning_rate=0.05)
    np.testing.assert_allclose(step_sizes(sgd, 3), 0.05)


def test_a_program_that_records_is_another_one():
    plain = shape_of(QUESTION.configuration, quadrants(), chunk=5, memory=2**28)
    recording = shape_of(
        QUESTION.configuration, quadrants(), chunk=5, memory=2**28, hidden_progress=True
    )
    assert plain != recording
    assert recording.series[:2] == plain.series == ("loss", "accuracy")
