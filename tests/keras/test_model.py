"""Runs in stock Keras are what a configuration, a seed and a task say."""

import os
import subprocess
import sys
from typing import Any, get_args

import numpy as np
import pytest

from studies.errors import BadInput
from studies.run import (
    OPTIMIZER_SETTINGS,
    Cell,
    Configuration,
    Initializer,
    Optimizer,
    Run,
    parameters,
)
from studies.tasks import Task
from sweep.engine.initializers import initial_weights
from sweep.engine.optimizers import COEFFICIENTS, coefficients
from sweep.keras import Trainer, build_model, train_in_keras

NOT_DEFAULT: dict[str, Any] = {
    "learning_rate": 0.0125,
    "momentum": 0.75,
    "nesterov": True,
    "rho": 0.8125,
    "beta_1": 0.875,
    "beta_2": 0.9375,
    "epsilon": 0.0009765625,
    "initial_accumulator_value": 0.25,
    "weight_decay": 0.0625,
}


@pytest.fixture
def task() -> Task:
    random = np.random.default_rng(4)
    x = random.normal(size=(50, 3, 2)).astype(np.float32)
    y = (x[:, 0, 0] > 0).astype(np.int32) + (x[:, 0, 1] > 0).astype(np.int32)
    return Task("signs", x, y, ("none", "one", "both"))


@pytest.mark.parametrize("name", get_args(Initializer))
@pytest.mark.parametrize("cell", get_args(Cell))
def test_a_model_starts_with_the_weights_of_its_seed(cell, name):
    configuration = Configuration(
        cell=cell,
        layers=2,
        units=5,
        kernel_initializer=name,
        recurrent_initializer=name,
        output_initializer=name,
        unit_forget_bias=name != "zeros",
    )
    model = build_model(configuration, (3, 2), 4, seed=12_345)
    assert model.count_params() == parameters(configuration, 2, 4)
    ours = initial_weights(configuration, [12_345], 2, 4)
    for a, b in zip(ours, model.get_weights(), strict=True):
        np.testing.assert_allclose(a[0], b, rtol=0, atol=5e-6)


@pytest.mark.parametrize("name", get_args(Optimizer))
def test_an_optimizer_gets_all_its_settings(name):
    configuration = Configuration(units=2, optimizer=name, **NOT_DEFAULT)
    optimizer: Any = build_model(configuration, (1, 1), 2, seed=0).optimizer
    assert type(optimizer).__name__.lower() == name
    given = optimizer.get_config()
    for setting in ("learning_rate", *OPTIMIZER_SETTINGS[name]):
        assert given[setting] == pytest.approx(NOT_DEFAULT[setting], rel=1e-7), setting


@pytest.mark.parametrize("name", get_args(Initializer))
def test_the_output_layer_is_scaled_by_the_initialiser_s_own_argument(name):
    configuration = Configuration(units=5, output_initializer=name, output_scale=0.125)
    model = build_model(configuration, (3, 2), 4, seed=77)
    for a, b in zip(initial_weights(configuration, [77], 2, 4), model.get_weights(), strict=True):
        np.testing.assert_allclose(a[0], b, rtol=0, atol=5e-6)


def correction(t: float, beta_1: float = 0.9, beta_2: float = 0.999) -> float:
    return float(np.sqrt(1.0 - beta_2**t) / (1.0 - beta_1**t))


@pytest.mark.parametrize(
    ("name", "due"),
    [
        ("off", lambda t: 1.0),
        ("frozen", lambda t: correction(min(t, 5))),
        ("flat", lambda t: correction(5)),
        ("shifted", lambda t: correction(t + 5)),
    ],
)
def test_a_schedule_takes_the_place_of_adam_s_own_bias_correction(name, due):
    configuration = Configuration(
        units=2, learning_rate=0.02, bias_correction=name, bias_correction_update=5
    )
    optimizer: Any = build_model(configuration, (1, 1), 2, seed=0).optimizer
    table = coefficients(configuration, 1, 40)[:, COEFFICIENTS.index("rate")]
    for t in range(1, 41):
        optimizer.iterations.assign(t - 1)
        step = float(optimizer.learning_rate) * correction(t)
        assert step == pytest.approx(0.02 * due(t), rel=1e-4)
        assert table[t - 1] == pytest.approx(0.02 * due(t), rel=1e-5)


@pytest.mark.parametrize("cell", get_args(Cell))
def test_layers_get_their_activations_and_only_the_last_returns_one_step(cell):
    configuration = Configuration(
        cell=cell, layers=3, units=2, activation="relu", recurrent_activation="hard_sigmoid_keras2"
    )
    *stack, output = build_model(configuration, (4, 1), 2, seed=0).layers
    assert [layer.return_sequences for layer in stack] == [True, True, False]
    assert {layer.activation.__name__ for layer in stack} == {"relu"}
    if cell != "rnn":
        from sweep.keras.additions import hard_sigmoid_keras2

        assert {layer.recurrent_activation for layer in stack} == {hard_sigmoid_keras2}
    assert output.activation.__name__ == "softmax"


def test_both_hard_sigmoids_are_those_of_their_keras():
    import keras

    from sweep.keras.additions import hard_sigmoid_keras2

    x = np.array([-4, -3, -2.75, -1, 0, 1, 2.25, 2.75, 3, 4], np.float32)
    np.testing.assert_allclose(
        hard_sigmoid_keras2(x), np.clip(0.2 * x + 0.5, 0, 1), rtol=1e-6, atol=1e-7
    )
    np.testing.assert_allclose(
        keras.activations.hard_sigmoid(x), np.clip(x / 6 + 0.5, 0, 1), rtol=1e-6, atol=1e-7
    )


def test_an_epoch_takes_the_records_in_its_own_order_and_weighs_the_smaller_last_batch(task):
    configuration = Configuration(units=3, optimizer="sgd", learning_rate=0.5, batch_size=16)
    finished = train_in_keras(Run(configuration, seed=6, epochs=3), task)

    model = build_model(configuration, (3, 2), 3, seed=6)
    for epoch in (1, 2, 3):
        order = np.random.default_rng([6, epoch]).permutation(50)
        losses, hits = [], []
        for start in (0, 16, 32, 48):
            batch = order[start : start + 16]
            answers = np.asarray(model(task.x[batch]), np.float64)
            losses += list(-np.log(answers[np.arange(len(batch)), task.y[batch]]))
            hits += list(answers.argmax(axis=1) == task.y[batch])
            model.train_on_batch(task.x[batch], task.y[batch])
        assert len(losses) == 50
        assert finished.curve("loss")[epoch - 1] == pytest.approx(np.mean(losses), rel=1e-5)
        assert finished.curve("accuracy")[epoch - 1] == pytest.approx(np.mean(hits), rel=1e-6)


def test_a_run_ends_at_the_first_epoch_that_reaches_the_target(task):
    run = Run(
        Configuration(units=8, learning_rate=0.02, batch_size=16), seed=1, epochs=60, target=0.8
    )
    finished = train_in_keras(run, task)
    accuracy = finished.curve("accuracy")
    assert finished.ended == "solved"
    assert finished.run is run
    assert 1 < finished.epochs < 60
    assert accuracy[-1] >= 0.8
    assert (accuracy[:-1] < 0.8).all()

    longer = train_in_keras(run, task, stop_when_solved=False, epochs=finished.epochs + 2)
    assert longer.ended == "censored"
    assert longer.epochs == longer.run.epochs == finished.epochs + 2
    assert np.array_equal(longer.curves[: finished.epochs], finished.curves)

    shorter = train_in_keras(run, task, epochs=finished.epochs - 1)
    assert shorter.ended == "censored"
    assert np.array_equal(shorter.curves, finished.curves[:-1])


def test_a_run_whose_loss_is_not_finite_has_diverged(task):
    configuration = Configuration(
        cell="rnn", units=4, activation="relu", optimizer="sgd", learning_rate=1000.0, batch_size=5
    )
    finished = train_in_keras(Run(configuration, seed=0, epochs=20), task)
    assert finished.ended == "diverged"
    assert finished.epochs < 20
    assert not np.isfinite(finished.curve("loss")[-1])
    assert np.isfinite(finished.curve("loss")[:-1]).all()


def test_a_model_that_was_trained_before_trains_as_a_new_one_does(task):
    configuration = Configuration(units=4, layers=2, optimizer="nadam", learning_rate=0.01)
    trainer = Trainer(configuration, task)
    runs = [Run(configuration, seed, epochs=4) for seed in (5, 9, 5)]
    curves = [trainer.train(run).curves for run in runs]
    assert np.array_equal(curves[0], curves[2])
    assert not np.array_equal(curves[0], curves[1])
    for run, curve in zip(runs[:2], curves[:2], strict=True):
        assert np.array_equal(train_in_keras(run, task).curves, curve)


def test_a_run_trained_afresh_has_weights_and_order_of_its_own_seed(task):
    configuration = Configuration(units=8, learning_rate=0.02, batch_size=16)
    trainer = Trainer(configuration, task)
    runs = [Run(configuration, seed, epochs=60, target=0.8) for seed in (1, 2, 1)]
    first, second, again = (trainer.train_afresh(run) for run in runs)
    assert np.array_equal(first.curves, again.curves)
    assert not np.array_equal(first.curves[:2], second.curves[:2])
    assert not np.array_equal(first.curves[:2], trainer.train(runs[0]).curves[:2])
    for finished in (first, second):
        accuracy = finished.curve("accuracy")
        assert finished.ended == "solved"
        assert accuracy[-1] >= 0.8
        assert (accuracy[:-1] < 0.8).all()
    few = trainer.train_afresh(Run(configuration, 1, epochs=2))
    assert few.ended == "censored"
    assert few.epochs == 2


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_keras_is_imported_only_when_a_model_is_built():
    done = python("import sys, sweep.keras; sys.exit('keras' in sys.modules)")
    assert done.returncode == 0, done.stderr


BUILD = (
    "from studies.run import Configuration\n"
    "from sweep.keras import build_model\n"
    "print(build_model(Configuration(units=2), (3, 1), 2, 0).count_params())\n"
)


def test_keras_runs_on_tensorflow_and_quietly_whatever_the_environment_says():
    done = python(BUILD, KERAS_BACKEND="jax")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{parameters(Configuration(units=2), 1, 2)}\n"
    assert done.stderr == ""


def test_keras_started_on_another_backend_is_refused_with_what_to_do(monkeypatch):
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(BadInput, match=r"started on jax.*KERAS_BACKEND to tensorflow"):
        build_model(Configuration(units=2), (3, 1), 2, 0)
