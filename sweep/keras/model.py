"""A configuration as a Keras model, and a run of it trained by `keras.Model.fit`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from studies.errors import BadInput
from studies.run import CELL_SETTINGS, OPTIMIZER_SETTINGS, Configuration, Ending, FinishedRun, Run
from studies.tasks import Task
from sweep.engine.runtime import prepare

if TYPE_CHECKING:
    import keras


def build_model(
    configuration: Configuration, task_shape: tuple[int, int], outputs: int, seed: int
) -> keras.Model:
    """The compiled Keras model with which a run of `configuration` from `seed` starts.

    `task_shape` is (timesteps, features), `outputs` the number of classes. Weight tensors are
    counted k = 0, 1, 2 … : each layer's kernel, then its recurrent kernel; last the output kernel.
    The initialiser of tensor k has the seed 1000 · seed + k. Raises BadInput where the process has
    started Keras on another backend than TensorFlow: the same seeds give other weights there.
    """
    keras = _keras()
    c = configuration
    recurrent_layer = {
        "lstm": keras.layers.LSTM,
        "gru": keras.layers.GRU,
        "rnn": keras.layers.SimpleRNN,
    }[c.cell]
    settings = {name: getattr(c, name) for name in CELL_SETTINGS[c.cell]}
    if "recurrent_activation" in settings:
        settings["recurrent_activation"] = _activation(c.recurrent_activation)

    model = keras.Sequential([keras.Input(task_shape)])
    for layer in range(c.layers):
        model.add(
            recurrent_layer(
                c.units,
                activation=_activation(c.activation),
                kernel_initializer=_initializer(c.kernel_initializer, 1000 * seed + 2 * layer),
                recurrent_initializer=_initializer(
                    c.recurrent_initializer, 1000 * seed + 2 * layer + 1
                ),
                return_sequences=layer < c.layers - 1,
                **settings,
            )
        )
    model.add(
        keras.layers.Dense(
            outputs,
            activation="softmax",
            kernel_initializer=_initializer(c.output_initializer, 1000 * seed + 2 * c.layers),
        )
    )
    model.compile(
        optimizer=_optimizer(c), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def train_in_keras(
    run: Run, task: Task, *, stop_when_solved: bool = True, epochs: int | None = None
) -> FinishedRun:
    """Train one run with stock `keras.Model.fit`, an epoch at a time.

    The records of epoch e, counted from 1, come in the order
    `numpy.random.default_rng([seed, e]).permutation(records)`. The run ends at the first epoch
    that reaches its target or whose loss is not finite, else at its budget; `epochs` replaces that
    budget. With `stop_when_solved=False` it trains on when the target is reached, which the result
    then does not count as solved. The result's series are loss and accuracy as `fit` reports them.
    Raises BadInput as `build_model` does.
    """
    if epochs is not None:
        run = Run(run.configuration, run.seed, epochs, run.target)
    model: Any = build_model(
        run.configuration, (task.timesteps, task.features), len(task.classes), run.seed
    )
    curves = np.empty((run.epochs, 2), np.float32)
    for epoch in range(1, run.epochs + 1):
        order = np.random.default_rng([run.seed, epoch]).permutation(task.records)
        history: dict[str, list[float]] = model.fit(
            task.x[order],
            task.y[order],
            batch_size=run.configuration.batch_size,
            initial_epoch=epoch - 1,
            epochs=epoch,
            shuffle=False,
            verbose=0,
        ).history
        loss, accuracy = curves[epoch - 1] = history["loss"][0], history["accuracy"][0]
        ending: Ending | None = None
        if not np.isfinite(loss):
            ending = "diverged"
        elif stop_when_solved and np.float32(accuracy) >= np.float32(run.target):
            ending = "solved"
        if ending:
            return FinishedRun(run, ending, curves[:epoch].copy())
    return FinishedRun(run, "censored", curves)


def hard_sigmoid_keras2(x: Any) -> Any:
    """Keras 2's hard sigmoid, 0.2 x + 0.5 clipped to 0 … 1; Keras 3's is relu6(x + 3) / 6."""
    return _keras().ops.clip(0.2 * x + 0.5, 0.0, 1.0)


def _activation(name: str) -> Any:
    return hard_sigmoid_keras2 if name == "hard_sigmoid_keras2" else name


def _initializer(name: str, seed: int) -> keras.Initializer:
    initializers = _keras().initializers
    return {
        "glorot_uniform": lambda: initializers.GlorotUniform(seed=seed),
        "he_uniform": lambda: initializers.HeUniform(seed=seed),
        "lecun_uniform": lambda: initializers.LecunUniform(seed=seed),
        "random_uniform": lambda: initializers.RandomUniform(-0.05, 0.05, seed=seed),
        "random_normal": lambda: initializers.RandomNormal(0.0, 0.05, seed=seed),
        "orthogonal": lambda: initializers.Orthogonal(seed=seed),
        "zeros": initializers.Zeros,
    }[name]()


def _optimizer(configuration: Configuration) -> keras.Optimizer:
    optimizers = _keras().optimizers
    optimizer = {
        "adam": optimizers.Adam,
        "sgd": optimizers.SGD,
        "rmsprop": optimizers.RMSprop,
        "adagrad": optimizers.Adagrad,
        "adamw": optimizers.AdamW,
        "nadam": optimizers.Nadam,
    }[configuration.optimizer]
    settings = {
        name: getattr(configuration, name) for name in OPTIMIZER_SETTINGS[configuration.optimizer]
    }
    return optimizer(configuration.learning_rate, **settings)


def _keras() -> Any:
    """The module keras, on TensorFlow whatever a person's own configuration of Keras says."""
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
        prepare()
    import keras

    if keras.backend.backend() != "tensorflow":
        raise BadInput(
            f"Keras was started on {keras.backend.backend()}, but runs are those of Keras on "
            "TensorFlow: set the environment variable KERAS_BACKEND to tensorflow and start again"
        )
    return keras
