"""A configuration as a Keras model, and a run of it trained by `keras.Model.fit`."""

from __future__ import annotations

import os
import sys
from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from studies.errors import BadInput
from studies.run import Configuration, Ending, FinishedRun, Run
from studies.tasks import Task
from sweep.engine.runtime import prepare
from sweep.keras.calls import (
    ADDITIONS,
    LOSS,
    METRICS,
    Call,
    Name,
    optimizer,
    output_layer,
    recurrent_layer,
)

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
    keras = keras_on_tensorflow()
    c = configuration
    model = keras.Sequential([keras.Input(task_shape)])
    for layer in range(c.layers):
        seed_k = 1000 * seed + 2 * layer
        model.add(_made(recurrent_layer(c, seed_k, seed_k + 1, layer < c.layers - 1)))
    model.add(_made(output_layer(c, outputs, 1000 * seed + 2 * c.layers)))
    model.compile(optimizer=_made(optimizer(c)), loss=LOSS, metrics=METRICS)
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


def _made(value: Any) -> Any:
    """What a call or a name stands for; other values stand for themselves."""
    if isinstance(value, Name):
        return _named(value.text)
    if not isinstance(value, Call):
        return value
    return _named(value.name)(
        *(_made(arg) for arg in value.args),
        **{key: _made(arg) for key, arg in value.kwargs.items()},
    )


def _named(name: str) -> Any:
    keras = keras_on_tensorflow()
    if name in ADDITIONS:
        from sweep.keras import additions

        return getattr(additions, name)
    return reduce(getattr, name.split(".")[1:], keras)


def keras_on_tensorflow() -> Any:
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
