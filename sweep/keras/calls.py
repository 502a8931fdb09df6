"""A configuration as calls of Keras: the one description from which a model is built or written.

`sweep.keras.model` makes the calls, `sweep.keras.script` writes them down, so that a script says
what the oracle trains. An argument that has Keras's own default is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from studies.run import CELL_SETTINGS, CORRECTION_SETTINGS, OPTIMIZER_SETTINGS, Configuration
from studies.tasks import Target

WIDTH = 88
"""Columns of a script's lines, as formatters of Python have them by default."""


@dataclass(frozen=True)
class Call:
    """A call such as `keras.layers.Dense(2, activation="softmax")`; `name` is dotted, or that of an
    addition."""

    name: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Name:
    """A name that stands for itself in a script: a variable, or an addition."""

    text: str


LAYERS = {"lstm": "LSTM", "gru": "GRU", "rnn": "SimpleRNN"}

OPTIMIZERS = {
    "adam": "Adam",
    "sgd": "SGD",
    "rmsprop": "RMSprop",
    "adagrad": "Adagrad",
    "adamw": "AdamW",
    "nadam": "Nadam",
}

INITIALIZERS = {
    "glorot_uniform": "GlorotUniform",
    "he_uniform": "HeUniform",
    "lecun_uniform": "LecunUniform",
    "random_uniform": "RandomUniform",
    "random_normal": "RandomNormal",
    "orthogonal": "Orthogonal",
    "zeros": "Zeros",
}

SCALED_VARIANCE = {
    "glorot_uniform": (1.0, "fan_avg"),
    "he_uniform": (2.0, "fan_in"),
    "lecun_uniform": (1.0, "fan_in"),
}
"""The initialisers that are Keras's `VarianceScaling`, by its arguments `scale` and `mode`."""

ADDITIONS = ("hard_sigmoid_keras2", "CorrectedOtherwise", "SetsRight", "ValuesRight")
"""What `sweep.keras.additions` has, since Keras 3 has nothing of that kind."""

ACTIVATIONS: dict[Target, str | None] = {"class": "softmax", "sets": "sigmoid", "values": None}
"""The output layer's, by what a task's targets are."""

LOSSES: dict[Target, str] = {
    "class": "sparse_categorical_crossentropy",
    "sets": "binary_crossentropy",
    "values": "mean_squared_error",
}

METRICS: dict[Target, str | Call] = {
    "class": "accuracy",
    "sets": Call("SetsRight", (), {"name": "accuracy"}),
    "values": Call("ValuesRight", (), {"name": "accuracy"}),
}


def first_layers(timesteps: int, features: int, *, masked: bool) -> list[Call]:
    """The input, and where sequences differ in length the layer that finds their ends."""
    inputs = Call("keras.Input", ((timesteps, features),))
    return [inputs, Call("keras.layers.Masking")] if masked else [inputs]


def recurrent_layer(
    configuration: Configuration, kernel_seed: Any, recurrent_seed: Any, return_sequences: Any
) -> Call:
    """One layer of the stack. The last three are values, or names that a script has for them."""
    c = configuration
    kwargs = _changed(c, ("activation",))
    kwargs |= _changed(c, CELL_SETTINGS[c.cell])
    kwargs["kernel_initializer"] = _initializer(c.kernel_initializer, kernel_seed)
    kwargs["recurrent_initializer"] = _initializer(c.recurrent_initializer, recurrent_seed)
    if return_sequences is not False:
        kwargs["return_sequences"] = return_sequences
    return Call(f"keras.layers.{LAYERS[c.cell]}", (c.units,), kwargs)


def output_layer(
    configuration: Configuration, outputs: int, kernel_seed: Any, target: Target = "class"
) -> Call:
    """The dense layer after the stack."""
    c = configuration
    initializer = _initializer(c.output_initializer, kernel_seed, c.output_scale)
    activation = ACTIVATIONS[target]
    kwargs: dict[str, Any] = {} if activation is None else {"activation": activation}
    kwargs["kernel_initializer"] = initializer
    return Call("keras.layers.Dense", (outputs,), kwargs)


def optimizer(configuration: Configuration) -> Call:
    """The optimizer, with its learning rate and those of its settings that are not Keras's."""
    c = configuration
    rate: Any = c.learning_rate
    if c.optimizer in CORRECTION_SETTINGS and c.bias_correction != "on":
        settings = (c.bias_correction, c.bias_correction_update, c.beta_1, c.beta_2)
        rate = Call("CorrectedOtherwise", (c.learning_rate, *settings))
    kwargs = {"learning_rate": rate} | _changed(c, OPTIMIZER_SETTINGS[c.optimizer])
    return Call(f"keras.optimizers.{OPTIMIZERS[c.optimizer]}", (), kwargs)


def written(value: Any, indent: int = 0, room: int = WIDTH) -> str:
    """A call, name or value as Python text, broken into lines where it does not fit.

    `indent` is that of the line on which it begins; `room` the columns that are left on that line.
    A script imports modules of Keras: `keras.layers.Dense` is `layers.Dense` there.
    """
    if isinstance(value, Name):
        return value.text
    if isinstance(value, str):
        plain = value.isprintable() and not set(value) & set('"\\')
        return f'"{value}"' if plain else repr(value)
    if not isinstance(value, Call):
        return repr(value)
    name = value.name.removeprefix("keras.") if value.name.count(".") == 2 else value.name
    parts = [("", arg) for arg in value.args]
    parts += [(f"{key}=", arg) for key, arg in value.kwargs.items()]
    line = ", ".join(key + written(arg, 0, 10**6) for key, arg in parts)
    if len(f"{name}({line})") <= room or not parts:
        return f"{name}({line})"
    inner = indent + 4
    if len(line) <= WIDTH - inner:
        return f"{name}(\n{' ' * inner}{line}\n{' ' * indent})"
    comma = "," if len(parts) > 1 else ""
    lines = [
        f"{' ' * inner}{key}{written(arg, inner, WIDTH - inner - len(key) - 1)}{comma}\n"
        for key, arg in parts
    ]
    return f"{name}(\n{''.join(lines)}{' ' * indent})"


def _changed(configuration: Configuration, names: tuple[str, ...]) -> dict[str, Any]:
    """Those of the settings that differ from the default, which is Keras's."""
    fields = Configuration.model_fields
    values = {name: getattr(configuration, name) for name in names}
    return {
        name: Name(value) if value in ADDITIONS else value
        for name, value in values.items()
        if value != fields[name].default
    }


def _initializer(name: str, seed: Any, scale: float = 1.0) -> Call:
    """The initialiser of that name, its weights times `scale`."""
    # Zeros draw nothing, so they take no seed.
    drawn = {} if name == "zeros" else {"seed": seed}
    made, args, kwargs = INITIALIZERS[name], (), {}
    if name in SCALED_VARIANCE and scale != 1.0:
        variance, mode = SCALED_VARIANCE[name]
        made = "VarianceScaling"
        kwargs = {"scale": variance * scale**2, "mode": mode, "distribution": "uniform"}
    elif name == "random_uniform":
        args = (-0.05 * scale, 0.05 * scale)
    elif name == "random_normal":
        args = (0.0, 0.05 * scale)
    elif name == "orthogonal" and scale != 1.0:
        kwargs = {"gain": scale}
    return Call(f"keras.initializers.{made}", args, kwargs | drawn)
