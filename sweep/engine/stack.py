"""A stack of recurrent layers, forwards and backwards, for all slots of a population.

The backward pass is written by hand: it keeps only what it needs, sums weight gradients over time
steps, and compiles several times as fast as what automatic differentiation writes. Tensors are in
the layout [slots, features, batch], in sequences as `sequences` has them.

Sequences may differ in length. After its end a sequence's states stay as they are, so that its last
ones are there at the last step, as Keras has it with a mask; nothing of the steps after the end has
an influence. `live` says where sequences go on: a list with a sequence of bool [slots, 1, batch],
or an empty one where all are equally long.
"""

from typing import Any

import numpy as np

from sweep.engine import sequences
from sweep.engine.cells import Cell, State
from sweep.engine.runtime import prepare

Tensor = Any
Weights = tuple[Tensor, Tensor, Tensor]


def live_steps(lengths: Tensor, length: int) -> list[Any]:
    """`live` for sequences of `lengths` [slots, batch], padded to `length`."""
    steps = np.arange(length, dtype=np.int32)[:, None, None, None]
    return [sequences.unstacked(lengths[None, :, None, :] > steps, length)]


def forward(
    cell: Cell, stack: list[Weights], x: Tensor, length: int, live: list[Any]
) -> tuple[list[tuple[Any, Any]], Any]:
    """Each layer's inputs with what its backward pass needs, and the last layer's outputs.

    `x` is [slots, length · features, batch]; the outputs are a sequence of [slots, units, batch].
    """
    outputs = sequences.split(x, length)
    seen: list[tuple[Any, Any]] = []
    for weights in stack:
        inputs = outputs
        outputs, kept = _layer_forward(cell, weights, inputs, length, live)
        seen.append((inputs, kept))
    return seen, outputs


def backward(
    cell: Cell,
    stack: list[Weights],
    seen: list[tuple[Any, Any]],
    d_outputs: Any,
    length: int,
    live: list[Any],
) -> list[Tensor]:
    """Gradients of all weights, layer by layer, from those of the last layer's outputs."""
    gradients: list[Tensor] = []
    for index in reversed(range(len(stack))):
        inputs, kept = seen[index]
        own, d_outputs = _layer_backward(
            cell, stack[index], inputs, kept, d_outputs, length, live, to_inputs=index > 0
        )
        gradients = [*own, *gradients]
    return gradients


def _layer_forward(
    cell: Cell, weights: Weights, inputs: Any, length: int, live: list[Any]
) -> tuple[Any, Any]:
    """Outputs of a layer at every step, and what its backward pass needs."""

    def step(state: State, item: Any) -> Any:
        x, *goes_on = item
        after, saved = cell.forward(weights, x, state)
        if state[0] is not None:
            after = _where(goes_on, after, state)
        return after, (after[0], (state, saved))

    # No sequence is empty, so the first step is one of each.
    start = (None if sequences.unrolled(length) else _nothing(weights, inputs[0]),) * cell.states
    items = sequences.zipped(length, inputs, *live)
    _, steps = sequences.scan(step, start, items, length)
    return sequences.unzipped(steps, length)


def _layer_backward(
    cell: Cell,
    weights: Weights,
    inputs: Any,
    kept: Any,
    d_outputs: Any,
    length: int,
    live: list[Any],
    *,
    to_inputs: bool,
) -> tuple[list[Tensor], Any]:
    """Gradients of a layer's weights, and of its inputs at every step if they are asked for."""
    tf = prepare()
    kernel, recurrent, bias = weights
    inside = kernel.shape[2]
    kernel_t = tf.transpose(kernel, [0, 2, 1])
    recurrent_t = tf.transpose(recurrent, [0, 2, 1])
    both_t = tf.transpose(tf.concat([kernel, recurrent], axis=2), [0, 2, 1])

    def step(carry: Any, item: Any) -> Any:
        d_state, (d_kernel, d_recurrent, from_inputs, from_states) = carry
        x, (state, saved), d_output, *goes_on = item
        d_state = (d_state[0] + d_output, *d_state[1:])
        d_live = _where(goes_on, d_state, tuple(tf.zeros_like(d) for d in d_state))
        from_x, from_h, d_before = cell.backward(weights, x, state, saved, d_live)
        if not to_inputs:
            d_x, d_h = from_x[:, :1, :1], recurrent_t @ from_h
        elif from_x is from_h and state[0] is not None:
            both = both_t @ from_x
            d_x, d_h = both[:, :inside], both[:, inside:]
        else:
            d_x, d_h = kernel_t @ from_x, recurrent_t @ from_h
        if d_before[0] is not None:
            d_h = d_h + d_before[0]
        d_before = _where(goes_on, (d_h, *d_before[1:]), d_state)
        d_kernel = d_kernel + tf.matmul(from_x, x, transpose_b=True)
        if state[0] is not None:
            d_recurrent = d_recurrent + tf.matmul(from_h, state[0], transpose_b=True)
        from_inputs = from_inputs + from_x
        if bias.shape[2] == 2:
            from_states = from_states + from_h
        return (d_before, (d_kernel, d_recurrent, from_inputs, from_states)), d_x

    nothing = (_nothing(weights, inputs[0]),) * cell.states
    none = tf.zeros([*kernel.shape[:2], inputs[0].shape[2]])
    start = (nothing, (tf.zeros_like(kernel), tf.zeros_like(recurrent), none, none))
    items = sequences.zipped(length, inputs, kept, d_outputs, *live)
    (_, sums), d_inputs = sequences.scan(step, start, items, length, backwards=True)
    d_kernel, d_recurrent, *by_record = sums
    # One sum over the records for all steps: it is what takes long.
    by_record = [tf.reduce_sum(part, axis=2, keepdims=True) for part in by_record]
    return [d_kernel, d_recurrent, tf.concat(by_record[: bias.shape[2]], axis=2)], d_inputs


def _where(live: list[Tensor], new: State, old: State) -> State:
    """At one step: the new tensors where the sequence goes on, the old ones after its end."""
    tf = prepare()
    return tuple(tf.where(live[0], n, o) for n, o in zip(new, old, strict=True)) if live else new


def _nothing(weights: Weights, x: Tensor) -> Tensor:
    """The state before the first step, [slots, units, batch]."""
    return prepare().zeros([x.shape[0], weights[1].shape[2], x.shape[2]])
