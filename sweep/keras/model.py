"""A configuration as a Keras model."""

from __future__ import annotations

import os
import sys
from functools import reduce
from importlib import import_module
from typing import TYPE_CHECKING, Any

from studies.errors import BadInput
from studies.run import Configuration
from studies.tasks import Target
from sweep.engine.runtime import prepare, uncollected
from sweep.keras.calls import (
    ADDITIONS,
    LOSSES,
    METRICS,
    Call,
    Name,
    first_layers,
    optimizer,
    output_layer,
    recurrent_layer,
)

if TYPE_CHECKING:
    import keras


def build_model(
    configuration: Configuration,
    task_shape: tuple[int, int],
    outputs: int,
    seed: int | None,
    *,
    target: Target = "class",
    masked: bool = False,
) -> keras.Model:
    """The compiled Keras model with which a run of `configuration` from `seed` starts.

    `task_shape` is (timesteps, features), `outputs` the number of classes, of symbols or of values
    that are told, as `target` says; `masked` is for sequences of unequal length. Weight tensors are
    counted k = 0, 1, 2 … : each layer's kernel, then its recurrent kernel; last the output kernel.
    The initialiser of tensor k has the seed 1000 · seed + k; without a seed Keras draws as it does.
    Raises BadInput where the process has started Keras on another backend than TensorFlow: the same
    seeds give other weights there.
    """
    keras = keras_on_tensorflow()
    c = configuration

    def seed_of(k: int) -> int | None:
        return None if seed is None else 1000 * seed + k

    model = keras.Sequential([_made(layer) for layer in first_layers(*task_shape, masked=masked)])
    for layer in range(c.layers):
        seeds = seed_of(2 * layer), seed_of(2 * layer + 1)
        sequences = layer < c.layers - 1 or target == "sets"
        model.add(_made(recurrent_layer(c, *seeds, sequences)))
    model.add(_made(output_layer(c, outputs, seed_of(2 * c.layers), target)))
    metrics = [_made(METRICS[target])]
    model.compile(optimizer=_made(optimizer(c)), loss=LOSSES[target], metrics=metrics)
    return model


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
        with uncollected():
            import_module("keras")
    import keras

    if keras.backend.backend() != "tensorflow":
        raise BadInput(
            f"Keras was started on {keras.backend.backend()}, but runs are those of Keras on "
            "TensorFlow: set the environment variable KERAS_BACKEND to tensorflow and start again"
        )
    return keras
