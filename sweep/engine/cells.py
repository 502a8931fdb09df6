"""Recurrent cells as pairs of pure functions: one step forwards, the same step backwards.

All tensors are in the layout [slots, features, batch]. A layer's weights are (W, R, b): W
[slots, gates · units, inputs], R [slots, gates · units, units], b [slots, gates · units, biases],
the gates one below the other in Keras's order.

    forward(weights, x, state) -> state', saved
    backward(weights, x, state, saved, d_state') -> d_input_gates, d_recurrent_gates, d_state

`state` is a tuple whose first element is the output h. Before the first step it may be of `None`
instead of zeros, which then cost nothing. What `backward` returns are the gradients of the
pre-activations that come from the input and from the recurrent kernel: the gradients of weights and
inputs follow from them in the same way for every cell, which `stack` does.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sweep.engine.runtime import prepare

Tensor = Any
State = tuple[Tensor, ...]

FLAT = -50.0
"""Below this sigmoid and tanh are as flat as single precision says."""


@dataclass(frozen=True)
class Cell:
    """A cell with its activations fixed. `states` is the length of its state tuple."""

    gates: int
    states: int
    forward: Callable[[State, Tensor, State], tuple[State, Any]]
    backward: Callable[[State, Tensor, State, Any, State], tuple[Tensor, Tensor, State]]


def make_cell(
    name: str, activation: str, recurrent_activation: str, one: Tensor | None = None
) -> Cell:
    """The cell of that name; activations by their names in a study file.

    `one` [slots, 1, 1] are ones that XLA does not know to be ones: what is divided by them is
    computed once, while XLA repeats whatever it holds for cheap wherever that is used.
    """
    if name == "lstm":
        return _lstm(activation, recurrent_activation, one)
    return {"gru": _gru, "rnn": _rnn}[name](activation, recurrent_activation)


def keeps_zero(activation: str) -> bool:
    """Whether a unit without weights stays at zero, so that it may pad a narrower model."""
    return activation not in ("sigmoid", "hard_sigmoid", "hard_sigmoid_keras2")


def silenced(cell: Cell, units: Tensor) -> Cell:
    """The cell with an output of zero where `units` [slots, units, 1] is 0, instead of 1.

    A unit without weights is then without influence whatever its activation makes of zero, and gets
    no gradient, since none comes through weights that are zero.
    """

    def forward(weights: State, x: Tensor, state: State) -> tuple[State, Any]:
        (h, *others), saved = cell.forward(weights, x, state)
        return (h * units, *others), saved

    return replace(cell, forward=forward)


def _lstm(activation: str, recurrent_activation: str, one: Tensor | None) -> Cell:
    """Long short-term memory (Hochreiter and Schmidhuber 1997) with forget gates: i, f, c, o."""
    tf = prepare()
    gate_kinds = (recurrent_activation, recurrent_activation, activation, recurrent_activation)

    def forward(weights: State, x: Tensor, state: State) -> tuple[State, Any]:
        kernel, recurrent, bias = weights
        h, c = state
        values, slopes = _gates(_added(_times(kernel, x), recurrent, h) + bias, gate_kinds)
        i, f, g, o = tf.split(values, 4, axis=1)
        c = i * g if c is None else f * c + i * g
        squashed, slope = _activate(c, activation)
        return (o * squashed, c), (values, slopes, squashed, slope)

    def backward(weights: State, x: Tensor, state: State, saved: Any, d_state: State) -> Any:
        values, slopes, squashed, slope = saved
        i, f, g, o = tf.split(values, 4, axis=1)
        d_h, d_c = d_state
        d_c = d_c + d_h * o * slope
        if one is not None:
            d_c = d_c / one
        d_f = tf.zeros_like(d_c) if state[1] is None else d_c * state[1]
        d_gates = tf.concat([d_c * g, d_f, d_c * i, d_h * squashed], axis=1) * slopes
        return d_gates, d_gates, (None, d_c * f)

    return Cell(4, 2, forward, backward)


def _gru(activation: str, recurrent_activation: str) -> Cell:
    """Gated recurrent unit (Cho et al. 2014), Keras's `reset_after=True`: z, r, h; two biases."""
    tf = prepare()

    def forward(weights: State, x: Tensor, state: State) -> tuple[State, Any]:
        kernel, recurrent, bias = weights
        (h,) = state
        from_input = _times(kernel, x) + bias[:, :, :1]
        from_state = _added(bias[:, :, 1:], recurrent, h)
        x_z, x_r, x_h = tf.split(from_input, 3, axis=1)
        h_z, h_r, h_h = tf.split(from_state, 3, axis=1)
        z, slope_z = _activate(x_z + h_z, recurrent_activation)
        r, slope_r = _activate(x_r + h_r, recurrent_activation)
        candidate, slope_h = _activate(x_h + r * h_h, activation)
        new = (1.0 - z) * candidate
        if h is not None:
            new = z * h + new
        return (new,), (z, r, candidate, slope_z, slope_r, slope_h, h_h)

    def backward(weights: State, x: Tensor, state: State, saved: Any, d_state: State) -> Any:
        z, r, candidate, slope_z, slope_r, slope_h, h_h = saved
        (h,), (d_h,) = state, d_state
        d_candidate = d_h * (1.0 - z) * slope_h
        d_z = d_h * (-candidate if h is None else h - candidate) * slope_z
        d_r = d_candidate * h_h * slope_r
        d_input = tf.concat([d_z, d_r, d_candidate], axis=1)
        d_recurrent = tf.concat([d_z, d_r, d_candidate * r], axis=1)
        return d_input, d_recurrent, (d_h * z,)

    return Cell(3, 1, forward, backward)


def _rnn(activation: str, recurrent_activation: str) -> Cell:
    """The simple recurrent network (Elman 1990)."""

    def forward(weights: State, x: Tensor, state: State) -> tuple[State, Any]:
        kernel, recurrent, bias = weights
        h, slope = _activate(_added(_times(kernel, x), recurrent, state[0]) + bias, activation)
        return (h,), (slope,)

    def backward(weights: State, x: Tensor, state: State, saved: Any, d_state: State) -> Any:
        d_gates = d_state[0] * saved[0]
        return d_gates, d_gates, (None,)

    return Cell(1, 1, forward, backward)


def _times(kernel: Tensor, x: Tensor) -> Tensor:
    # A product over a single feature is an outer one, which is quicker as a broadcast.
    return kernel * x if kernel.shape[2] == 1 else kernel @ x


def _added(z: Tensor, recurrent: Tensor, h: Tensor | None) -> Tensor:
    """z and what comes from the state before, which is nothing at the first step."""
    return z if h is None else z + recurrent @ h


def _gates(z: Tensor, kinds: tuple[str, ...]) -> tuple[Tensor, Tensor]:
    """Activate stacked gates, each by its kind: values and slopes, shaped like z."""
    tf = prepare()
    if set(kinds) <= {"tanh", "sigmoid"}:
        # sigmoid(z) = tanh(z / 2) / 2 + 1 / 2: one pass over all gates is several times quicker
        # than a pass for each slice.
        units = z.shape[1] // len(kinds)
        half = np.repeat([0.5 if kind == "sigmoid" else 1.0 for kind in kinds], units)
        scale = tf.constant(half[None, :, None], z.dtype)
        shift = tf.constant(np.where(half == 0.5, 0.5, 0.0)[None, :, None], z.dtype)
        # Without the bound, which changes nothing, XLA's code for the sum of a product and a bias
        # is three times slower.
        t = tf.tanh(tf.maximum(z, FLAT) * scale)
        return t * scale + shift, (1.0 - t * t) * (scale * scale)
    parts = [
        _activate(part, kind)
        for part, kind in zip(tf.split(z, len(kinds), axis=1), kinds, strict=True)
    ]
    return tf.concat([p[0] for p in parts], axis=1), tf.concat([p[1] for p in parts], axis=1)


def _activate(z: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """An activation's value and slope."""
    tf = prepare()
    if kind == "tanh":
        y = tf.tanh(z)
        return y, 1.0 - y * y
    if kind == "sigmoid":
        y = tf.sigmoid(z)
        return y, y * (1.0 - y)
    if kind == "relu":
        return tf.nn.relu(z), tf.cast(z > 0.0, z.dtype)
    if kind == "linear":
        return z, tf.ones_like(z)
    # Keras 3: relu6(z + 3) / 6. Keras 2: 0.2 z + 0.5, clipped to 0 … 1.
    slope, middle = (1.0 / 6.0, 3.0 / 6.0) if kind == "hard_sigmoid" else (0.2, 0.5)
    line = slope * z + middle
    inside = tf.cast(tf.logical_and(line > 0.0, line < 1.0), z.dtype)
    return tf.clip_by_value(line, 0.0, 1.0), slope * inside
