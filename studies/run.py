"""A configuration, a run of it, and what a finished run is.

A `Configuration` holds every setting of a model and of its training. A `Run` is one training of a
configuration from one seed; its `key` names the fact that the training establishes. A `FinishedRun`
is that fact: the curve of each epoch and why the run ended.
"""

import hashlib
import json
import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, Literal, cast

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

SEMANTICS = 1
"""Version of what training a run means. It is part of every run's key: a change that alters curves
beyond float rounding raises it, and old runs are then no answers any more."""

MAX_SEED = 2_000_000
"""Largest seed of a run. The seeds of a run's initialisers are 1000 · seed + k and have to fit into
the 31 bits that Keras takes."""

Cell = Literal["lstm", "gru", "rnn"]
Optimizer = Literal["adam", "sgd", "rmsprop", "adagrad", "adamw", "nadam"]
Activation = Literal["tanh", "sigmoid", "relu", "linear", "hard_sigmoid", "hard_sigmoid_keras2"]
Initializer = Literal[
    "glorot_uniform",
    "he_uniform",
    "lecun_uniform",
    "random_uniform",
    "random_normal",
    "orthogonal",
    "zeros",
]
BiasCorrection = Literal["on", "off", "frozen", "flat", "shifted"]
Ending = Literal["solved", "censored", "diverged", "failed"]
"""How a run ends. Only an own model's fails: its function or its training raised an error, took
longer than it may, or took its process down."""

VALUE = "value"
"""The series of what a trial of another tool's reported; NaN after the last that it did."""

VALUE_ALONE = "final"
"""The series of a run of which only its last value is known: of no epoch of it, nor how many there
were. Such a run is another tool's; its curves are no course of anything."""

DEFAULT_LEARNING_RATE: dict[str, float] = {
    "adam": 0.001,
    "sgd": 0.01,
    "rmsprop": 0.001,
    "adagrad": 0.001,
    "adamw": 0.001,
    "nadam": 0.001,
}
"""Keras's own defaults."""

OPTIMIZER_SETTINGS: dict[str, tuple[str, ...]] = {
    "adam": ("beta_1", "beta_2", "epsilon"),
    "sgd": ("momentum", "nesterov"),
    "rmsprop": ("rho", "momentum", "epsilon"),
    "adagrad": ("initial_accumulator_value", "epsilon"),
    "adamw": ("beta_1", "beta_2", "epsilon", "weight_decay"),
    "nadam": ("beta_1", "beta_2", "epsilon"),
}
"""Which of its settings each optimizer takes in Keras, besides the learning rate."""

CORRECTION_SETTINGS: dict[str, tuple[str, ...]] = {
    "adam": ("bias_correction", "bias_correction_update"),
}
"""Which optimizers' step size over time may be another than Keras's; there it is a learning rate
schedule."""

CELL_SETTINGS: dict[str, tuple[str, ...]] = {
    "lstm": ("recurrent_activation", "unit_forget_bias"),
    "gru": ("recurrent_activation",),
    "rnn": (),
}
"""Which settings only some cells read."""

ALWAYS_NAMED = ("cell", "layers", "units", "optimizer", "learning_rate", "batch_size")
"""The settings that an identity names whatever they are; of the others only what is no default."""

KERAS_2_0_3: dict[str, Any] = {"recurrent_activation": "hard_sigmoid_keras2", "epsilon": 1e-8}
"""What the defaults of an LSTM with adam were in Keras 2.0.3, where they were not today's."""

Rate = Annotated[float, Field(ge=0.0, lt=1.0)]


class Configuration(BaseModel):
    """The settings of a model and its training; every default is Keras's.

    A stack of `layers` recurrent layers of `units` units each, and a dense softmax output. Settings
    that the chosen cell or optimizer does not read may be given; they are no part of `identity`.
    `learning_rate` left out is the optimizer's default in Keras. The initial weights of the output
    layer are the initialiser's times `output_scale`.

    `bias_correction` says by what adam multiplies its learning rate at update t, which is
    c(t) = √(1 − beta_2ᵗ) / (1 − beta_1ᵗ) in Keras ("on"). With n for `bias_correction_update` it is
    1 ("off"), c(min(t, n)) ("frozen": as ever up to update n, then held), c(n) ("flat": held from
    the start) or c(t + n) ("shifted": as if n updates had gone before).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell: Cell = "lstm"
    layers: int = Field(default=1, ge=1, le=64)
    units: int = Field(ge=1, le=4096)
    activation: Activation = "tanh"
    recurrent_activation: Activation = "sigmoid"
    kernel_initializer: Initializer = "glorot_uniform"
    recurrent_initializer: Initializer = "orthogonal"
    unit_forget_bias: bool = True
    output_initializer: Initializer = "glorot_uniform"
    output_scale: float = Field(default=1.0, gt=0.0, le=1e6)
    optimizer: Optimizer = "adam"
    learning_rate: float = Field(default=0.0, gt=0.0, le=1000.0)
    momentum: Rate = 0.0
    nesterov: bool = False
    rho: Rate = 0.9
    beta_1: Rate = 0.9
    beta_2: Rate = 0.999
    epsilon: float = Field(default=1e-7, gt=0.0, le=1.0)
    initial_accumulator_value: float = Field(default=0.1, ge=0.0, le=1e6)
    weight_decay: float = Field(default=0.004, ge=0.0, le=1.0)
    bias_correction: BiasCorrection = "on"
    bias_correction_update: int = Field(default=1, ge=1, le=1_000_000_000)
    batch_size: int = Field(default=32, ge=1, le=1_000_000)

    @model_validator(mode="before")
    @classmethod
    def _default_learning_rate(cls, data: Any) -> Any:
        if isinstance(data, dict) and "learning_rate" not in data:
            rate = DEFAULT_LEARNING_RATE.get(str(data.get("optimizer", "adam")))
            if rate is not None:
                return {**data, "learning_rate": rate}
        return data

    def identity(self) -> dict[str, Any]:
        """What distinguishes this configuration, by name: equal identities train equally.

        Settings that have no influence are left out, and, but for `ALWAYS_NAMED`, those at their
        default: what is added to configurations later then changes no older one's identity.
        """
        unread = {name for names in OPTIMIZER_SETTINGS.values() for name in names}
        unread |= {name for names in CORRECTION_SETTINGS.values() for name in names}
        unread |= {name for names in CELL_SETTINGS.values() for name in names}
        unread -= set(OPTIMIZER_SETTINGS[self.optimizer]) | set(CELL_SETTINGS[self.cell])
        unread -= set(CORRECTION_SETTINGS.get(self.optimizer, ()))
        if self.optimizer == "sgd" and self.momentum == 0.0:
            unread.add("nesterov")
        if self.bias_correction in ("on", "off"):
            unread.add("bias_correction_update")
        fields = type(self).model_fields
        return {
            name: value
            for name, value in self.model_dump().items()
            if name in ALWAYS_NAMED or (name not in unread and value != fields[name].default)
        }


@dataclass(frozen=True, slots=True)
class Run:
    """One training of a configuration from one seed.

    `epochs` is the budget, `target` the training accuracy in (0, 1] that counts as solved. The
    configuration may be an `OwnModel` (`studies.own`) too, whose goal says what counts as solved;
    `target` is then that goal's value.
    """

    configuration: Configuration
    seed: int
    epochs: int
    target: float = 1.0

    def key(self, task_fingerprint: str) -> str:
        """32 hexadecimal digits that name what this run finds out, whatever its budget."""
        # Compact JSON with sorted keys; asked for often, so the configuration's is kept.
        configuration = _identity_text(cast(Hashable, self.configuration))
        text = (
            f'{{"configuration":{configuration},"seed":{self.seed},"semantics":{SEMANTICS},'
            f'"target":{json.dumps(self.target)},'
            f'"task":{json.dumps(task_fingerprint)}}}'
        )
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@lru_cache(maxsize=4096)
def _identity_text(configuration: Hashable) -> str:
    # Frozen models are hashable, which pydantic does not tell type checkers.
    identity = cast(Configuration, configuration).identity()
    return json.dumps(identity, sort_keys=True, separators=(",", ":"))


@dataclass(frozen=True, slots=True, eq=False)
class FinishedRun:
    """What a run found out.

    `curves` is float32 [epochs trained, len(series)], row 0 being epoch 1; its last row is the
    epoch that solved the task, the epoch whose loss was not finite, or the last of the budget. A
    run that failed has a last row that is all NaN, and `error` says why; the storage keeps that
    with the trial. `machine` is where it was trained, in the words of `sweep.machine.here`, if that
    was elsewhere than in this process.
    """

    run: Run
    ended: Ending
    curves: np.ndarray
    series: tuple[str, ...] = ("loss", "accuracy")
    error: str | None = None
    machine: Mapping[str, Any] | None = None

    @property
    def epochs(self) -> int:
        """Epochs trained: the epochs to target where the run solved the task."""
        return len(self.curves)

    @property
    def timed(self) -> bool:
        """Whether its epochs and its curve are known; else only that it was solved, or was not."""
        return VALUE_ALONE not in self.series

    @property
    def reported(self) -> float | None:
        """The last value that a trial of another tool's reported; None for a run of ours."""
        for name in (VALUE, VALUE_ALONE):
            if name in self.series:
                values = self.curve(name)
                finite = np.flatnonzero(np.isfinite(values))
                return float(values[finite[-1]]) if len(finite) else None
        return None

    def curve(self, name: str) -> np.ndarray:
        """One series, float32 [epochs]."""
        return self.curves[:, self.series.index(name)]

    def within(self, epochs: int) -> "FinishedRun":
        """The same run as a budget of `epochs` shows it.

        A run that ended later is censored there. Raises ValueError when a censored run was not
        trained for as long as that.
        """
        run = Run(self.run.configuration, self.run.seed, epochs, self.run.target)
        if self.epochs <= epochs and self.ended != "censored":
            return FinishedRun(run, self.ended, self.curves, self.series)
        if self.epochs < epochs:
            raise ValueError(f"censored after {self.epochs} epochs, asked for {epochs}")
        return FinishedRun(run, "censored", self.curves[:epochs], self.series)


def gates(cell: Cell) -> int:
    """How many pre-activations a unit of this cell has: 4, 3 or 1."""
    return {"lstm": 4, "gru": 3, "rnn": 1}[cell]


def parameters(configuration: Configuration, features: int, outputs: int) -> int:
    """Trainable parameters, as `keras.Model.count_params` counts them.

    Keras's GRU (`reset_after=True`) has one bias for the input and one for the recurrent kernel.
    """
    g, u = gates(configuration.cell), configuration.units
    biases = 2 if configuration.cell == "gru" else 1
    widths = [features] + [u] * (configuration.layers - 1)
    stack = sum(g * u * (width + u + biases) for width in widths)
    return stack + outputs * (u + 1)


def flops_per_record(
    configuration: Configuration, timesteps: int, features: int, outputs: int
) -> int:
    """Floating point operations of one training step for one record.

    The matrix products of the forward pass (a multiplication and an addition count as two), times
    three, since the backward pass has two products for each of the forward's. Element-wise work and
    the optimizer are left out, as is usual.
    """
    g, u = gates(configuration.cell), configuration.units
    widths = [features] + [u] * (configuration.layers - 1)
    forward = sum(2 * g * u * (width + u) for width in widths) * timesteps + 2 * u * outputs
    return 3 * forward


def updates_per_epoch(configuration: Configuration, records: int) -> int:
    """Batches, so optimizer steps, of an epoch; the last may be smaller."""
    return math.ceil(records / configuration.batch_size)
