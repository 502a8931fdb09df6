"""The compiled program: a chunk of epochs for all slots of a population at once.

A program belongs to a `Shape`. Its state is stacked over slots, and whatever differs between slots
is data: weights, order of records, the optimizer's coefficients. All tensors are in the layout
[slots, features, batch], and every model of the population makes its updates in lockstep:

    for each epoch of the chunk:
        for each batch:  gather records → forward → loss → backward → update
        if hidden progress is recorded:  forward, and what states and logits then know

The backward pass is written by hand: it keeps only what it needs, sums weight gradients over time
steps, and compiles several times as fast as what automatic differentiation writes. TensorFlow's XLA
compiles the whole chunk into one executable.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from studies.run import Configuration, gates
from studies.tasks import Task
from sweep.engine import hidden
from sweep.engine.cells import Cell, keeps_zero, make_cell
from sweep.engine.losses import softmax_cross_entropy
from sweep.engine.optimizers import COEFFICIENTS
from sweep.engine.runtime import prepare

MOST_SLOTS = 16
"""Slots of a small model's population. More would fill the processor's caches no better, and leave
more slots empty when a study has few runs of a shape in flight."""

NARROWEST = 16
"""Models are padded to this width, or the next power of two: few shapes, so few compilations."""

MEASURED_AT_ONCE = 1 << 20
"""Records, times steps and width, whose hidden progress is measured in one pass."""

UNROLLED = 8
"""Sequences up to this length are written out step by step, longer ones are loops."""

Tensor = Any
Weights = tuple[Tensor, Tensor, Tensor]
Chunk = Callable[..., Any]


@dataclass(frozen=True)
class Shape:
    """What a compiled program is made for. `width` is the units of a layer, padding included, and
    `hidden_progress` says whether that is recorded."""

    cell: str
    layers: int
    width: int
    activation: str
    recurrent_activation: str
    batch: int
    records: int
    timesteps: int
    features: int
    outputs: int
    slots: int
    chunk: int
    hidden_progress: bool = False

    @property
    def updates_per_epoch(self) -> int:
        return math.ceil(self.records / self.batch)

    @property
    def series(self) -> tuple[str, ...]:
        """What is logged of every epoch."""
        if not self.hidden_progress:
            return ("loss", "accuracy")
        return ("loss", "accuracy", *hidden.series(self.layers, self.timesteps * self.features))

    def weights(self) -> list[tuple[int, ...]]:
        """Shapes of the weights of one slot: W, R, b for each layer, then the output's V and b."""
        rows = gates_of(self.cell) * self.width
        biases = 2 if self.cell == "gru" else 1
        shapes: list[tuple[int, ...]] = []
        for layer in range(self.layers):
            inputs = self.features if layer == 0 else self.width
            shapes += [(rows, inputs), (rows, self.width), (rows, biases)]
        return [*shapes, (self.outputs, self.width), (self.outputs, 1)]


def shape_of(
    configuration: Configuration,
    task: Task,
    *,
    chunk: int,
    memory: int,
    hidden_progress: bool = False,
) -> Shape:
    """The program that a run belongs to: it follows from the run alone, never from its company."""
    width = configuration.units
    if keeps_zero(configuration.activation):
        width = max(NARROWEST, 1 << (width - 1).bit_length())
    batch = min(configuration.batch_size, task.records)
    recurrent = "" if configuration.cell == "rnn" else configuration.recurrent_activation
    rows = gates_of(configuration.cell) * width
    weights = configuration.layers * rows * (width + max(width, task.features))
    activations = configuration.layers * task.timesteps * batch * (3 * rows + 5 * width)
    a_slot = 4 * (5 * weights + activations)
    fitting = max(1, memory // a_slot)
    return Shape(
        cell=configuration.cell,
        layers=configuration.layers,
        width=width,
        activation=configuration.activation,
        recurrent_activation=recurrent,
        batch=batch,
        records=task.records,
        timesteps=task.timesteps,
        features=task.features,
        outputs=len(task.classes),
        slots=min(MOST_SLOTS, 1 << (fitting.bit_length() - 1)),
        chunk=chunk,
        hidden_progress=hidden_progress,
    )


def gates_of(cell: str) -> int:
    return gates(cell)  # type: ignore[arg-type]


@cache
def program(shape: Shape) -> Chunk:
    """The traced chunk of a shape; XLA compiles it when it is first called.

    chunk(weights, m, v, fresh, fresh_weights, fresh_v, x, labels, order, coefficients)
        → weights, m, v, sums [epochs, slots, len(shape.series)]

    `fresh` [slots] is 1 where a slot starts a new run from `fresh_weights` and `fresh_v` [slots];
    `x` [records, timesteps · features]; `labels` one-hot [records, outputs]; `order` int32
    [updates, slots, batch], rows of x, the padding of an epoch's last batch being any;
    `coefficients` [updates, len(COEFFICIENTS), slots]. `means` makes of the sums the series.
    """
    tf = prepare()
    cell = make_cell(shape.cell, shape.activation, shape.recurrent_activation)
    per_epoch, slots = shape.updates_per_epoch, shape.slots
    updates = shape.chunk * per_epoch
    mask = np.ones((per_epoch, shape.batch), np.float32)
    mask[-1, shape.records - (per_epoch - 1) * shape.batch :] = 0.0
    by_batch = len(_summed(shape))

    def chunk(
        weights: list[Tensor],
        m: list[Tensor],
        v: list[Tensor],
        fresh: Tensor,
        fresh_weights: list[Tensor],
        fresh_v: Tensor,
        x: Tensor,
        labels: Tensor,
        order: Tensor,
        coefficients: Tensor,
    ) -> Any:
        def started(new: Tensor, old: Tensor) -> Tensor:
            return tf.where(fresh[:, None, None] > 0.0, new, old)

        weights = [started(f, w) for f, w in zip(fresh_weights, weights, strict=True)]
        m = [started(tf.zeros_like(a), a) for a in m]
        v = [started(tf.zeros_like(a) + fresh_v[:, None, None], a) for a in v]
        masks = tf.constant(mask)

        def one_batch(k: Tensor, weights: Any, m: Any, v: Any, sums: Tensor) -> Any:
            batch = order[k]
            gathered = tf.transpose(tf.gather(x, batch), [0, 2, 1])
            truth = tf.transpose(tf.gather(labels, batch), [0, 2, 1])
            loss, right, gradients = _step(
                shape, cell, weights, gathered, truth, masks[k % per_epoch]
            )
            c = {name: coefficients[k, i][:, None, None] for i, name in enumerate(COEFFICIENTS)}
            updated = [_update(c, *each) for each in zip(weights, m, v, gradients, strict=True)]
            after, m, v = ([u[i] for u in updated] for i in range(3))
            measured = [loss, right]
            if shape.hidden_progress:
                measured += hidden.movement(weights, after, gradients, c["step_size"][:, 0, 0])
            return k + 1, after, m, v, sums + tf.stack(measured, axis=1)

        def one_epoch(epoch: Tensor, weights: Any, m: Any, v: Any, sums: Tensor) -> Any:
            first = epoch * per_epoch
            _, weights, m, v, measured = tf.while_loop(
                lambda k, *_: k < first + per_epoch,
                one_batch,
                (first, weights, m, v, tf.zeros([slots, by_batch])),
                maximum_iterations=per_epoch,
            )
            if shape.hidden_progress:
                known = _knowledge(shape, cell, weights, x, labels)
                measured = tf.concat([measured, tf.stack(known, axis=1)], axis=1)
            sums = tf.tensor_scatter_nd_update(sums, [[epoch]], measured[None])
            return epoch + 1, weights, m, v, sums

        _, weights, m, v, sums = tf.while_loop(
            lambda epoch, *_: epoch < shape.chunk,
            one_epoch,
            (0, weights, m, v, tf.zeros([shape.chunk, slots, len(shape.series)])),
            maximum_iterations=shape.chunk,
        )
        return weights, m, v, sums

    def spec(*dimensions: int) -> Any:
        return tf.TensorSpec(dimensions, tf.float32)

    state = [spec(slots, *one) for one in shape.weights()]
    return tf.function(
        chunk,
        jit_compile=True,
        autograph=False,
        input_signature=[
            state,
            state,
            state,
            spec(slots),
            state,
            spec(slots),
            spec(shape.records, shape.timesteps * shape.features),
            spec(shape.records, shape.outputs),
            tf.TensorSpec((updates, slots, shape.batch), tf.int32),
            spec(updates, len(COEFFICIENTS), slots),
        ],
    )


def means(shape: Shape, sums: np.ndarray) -> np.ndarray:
    """The series of a chunk, from its sums [epochs, slots, series].

    The division by the number of records is done here: XLA would make a product of it, and 41 times
    the rounded 1/41 is less than 1.
    """
    divisors = np.ones(len(shape.series), np.float32)
    divisors[: len(_summed(shape))] = shape.updates_per_epoch
    divisors[:2] = shape.records
    return sums / divisors


def _summed(shape: Shape) -> tuple[str, ...]:
    """The series that are sums over an epoch's batches; the others are taken at its end."""
    names = shape.series
    return names[: names.index("contrast")] if shape.hidden_progress else names


def _step(shape: Shape, cell: Cell, weights: list[Tensor], x: Tensor, truth: Tensor, mask: Tensor):
    """Forward and backward through a stack: loss, number correct, gradients like `weights`."""
    tf = prepare()
    stack, (output, output_bias) = _stack(shape, weights), weights[-2:]
    seen, outputs = _stack_forward(shape, cell, stack, x)
    last = outputs[-1]
    loss, right, d_logits = softmax_cross_entropy(output @ last + output_bias, truth, mask)

    gradients = [
        tf.matmul(d_logits, last, transpose_b=True),
        tf.reduce_sum(d_logits, axis=2, keepdims=True),
    ]
    d_outputs = _only_last(shape, tf.matmul(output, d_logits, transpose_a=True))
    for index in reversed(range(shape.layers)):
        inputs, kept = seen[index]
        own, d_outputs = _layer_backward(
            shape, cell, stack[index], inputs, kept, d_outputs, to_inputs=index > 0
        )
        gradients = [*own, *gradients]
    return loss, right, gradients


def _knowledge(
    shape: Shape, cell: Cell, weights: list[Tensor], x: Tensor, labels: Tensor
) -> list[Tensor]:
    """What the network knows of all its records, as `hidden.knowledge` says it."""
    tf = prepare()
    fitting = max(shape.batch, MEASURED_AT_ONCE // (shape.timesteps * shape.width))
    rows = hidden.measured_rows(shape.records, fitting)
    inputs, truth = tf.gather(x, rows), tf.gather(labels, rows)
    everything = tf.tile(tf.transpose(inputs)[None], [shape.slots, 1, 1])
    seen, outputs = _stack_forward(
        replace(shape, batch=len(rows)), cell, _stack(shape, weights), everything
    )
    states = [layer_inputs[-1] for layer_inputs, _ in seen[1:]] + [outputs[-1]]
    output, output_bias = weights[-2:]
    return hidden.knowledge(states, output @ states[-1] + output_bias, truth, inputs)


def _stack(shape: Shape, weights: list[Tensor]) -> list[Weights]:
    return [tuple(weights[3 * i : 3 * i + 3]) for i in range(shape.layers)]


def _stack_forward(shape: Shape, cell: Cell, stack: list[Weights], x: Tensor) -> tuple[Any, Any]:
    """Each layer's inputs and what its backward pass needs, and the last layer's outputs."""
    outputs = _split_steps(shape, x)
    seen: list[tuple[Any, Any]] = []
    for layer in stack:
        inputs = outputs
        outputs, kept = _layer_forward(shape, cell, layer, inputs)
        seen.append((inputs, kept))
    return seen, outputs


def _layer_forward(shape: Shape, cell: Cell, weights: Weights, inputs: Any) -> tuple[Any, Any]:
    """Outputs of a layer at every step, and what its backward pass needs."""
    tf = prepare()
    nothing = tf.zeros([shape.slots, shape.width, shape.batch])

    def step(state: Any, x: Tensor) -> Any:
        after, saved = cell.forward(weights, x, state)
        return after, (after[0], (state, saved))

    _, steps = _scan(shape, step, (nothing,) * cell.states, inputs)
    return _unzip(shape, steps)


def _layer_backward(
    shape: Shape,
    cell: Cell,
    weights: Weights,
    inputs: Any,
    kept: Any,
    d_outputs: Any,
    *,
    to_inputs: bool,
) -> tuple[list[Tensor], Any]:
    """Gradients of a layer's weights, and of its inputs at every step if they are asked for."""
    tf = prepare()
    kernel, recurrent, bias = weights
    kernel_t = tf.transpose(kernel, [0, 2, 1])
    recurrent_t = tf.transpose(recurrent, [0, 2, 1])
    nothing = tf.zeros([shape.slots, shape.width, shape.batch])

    def step(carry: Any, item: Any) -> Any:
        d_state, (d_kernel, d_recurrent, d_bias) = carry
        x, (state, saved), d_output = item
        d_state = (d_state[0] + d_output, *d_state[1:])
        from_x, from_h, d_before = cell.backward(weights, x, state, saved, d_state)
        d_h = recurrent_t @ from_h
        if d_before[0] is not None:
            d_h = d_h + d_before[0]
        if kernel.shape[2] == 1:
            d_kernel = d_kernel + tf.reduce_sum(from_x * x, axis=2, keepdims=True)
        else:
            d_kernel = d_kernel + tf.matmul(from_x, x, transpose_b=True)
        d_recurrent = d_recurrent + tf.matmul(from_h, state[0], transpose_b=True)
        sums = [tf.reduce_sum(from_x, axis=2, keepdims=True)]
        if bias.shape[2] == 2:
            sums.append(tf.reduce_sum(from_h, axis=2, keepdims=True))
        d_bias = d_bias + tf.concat(sums, axis=2)
        d_x = kernel_t @ from_x if to_inputs else from_x[:, :1, :1]
        return ((d_h, *d_before[1:]), (d_kernel, d_recurrent, d_bias)), d_x

    zeros = tuple(tf.zeros_like(w) for w in weights)
    start = ((nothing,) * cell.states, zeros)
    items = _zip(shape, inputs, kept, d_outputs)
    (_, gradients), d_inputs = _scan(shape, step, start, items, backwards=True)
    return list(gradients), d_inputs


def _update(c: dict[str, Tensor], p: Tensor, m: Tensor, v: Tensor, g: Tensor) -> Any:
    """The update rule of `optimizers`, whose coefficients `c` are shaped [slots, 1, 1]."""
    tf = prepare()
    # v_take · g first: where an optimizer has no v, no gradient is too large to square.
    v = c["v_keep"] * v + (c["v_take"] * g) * g
    r = 1.0 / (c["floor"] + c["root"] * tf.sqrt(v + c["inside"]))
    first = c["scaled_first"] > 0.0
    m = c["m_keep"] * m + c["m_take"] * tf.where(first, g * r, g)
    change = (c["by_m"] * m + c["by_g"] * g) * tf.where(first, tf.ones_like(r), r)
    return p - c["decay"] * p - c["rate"] * change, m, v


# Sequences are lists of steps where they are unrolled, and tensors stacked over steps where not.


def _unrolled(shape: Shape) -> bool:
    return shape.timesteps <= UNROLLED


def _split_steps(shape: Shape, x: Tensor) -> Any:
    tf = prepare()
    if _unrolled(shape):
        return tf.split(x, shape.timesteps, axis=1)
    steps = tf.reshape(x, [shape.slots, shape.timesteps, shape.features, shape.batch])
    return tf.transpose(steps, [1, 0, 2, 3])


def _only_last(shape: Shape, last: Tensor) -> Any:
    tf = prepare()
    if _unrolled(shape):
        return [tf.zeros_like(last)] * (shape.timesteps - 1) + [last]
    return tf.concat([tf.zeros([shape.timesteps - 1, *last.shape]), last[None]], axis=0)


def _zip(shape: Shape, *sequences: Any) -> Any:
    return list(zip(*sequences, strict=True)) if _unrolled(shape) else sequences


def _unzip(shape: Shape, steps: Any) -> Any:
    return tuple(list(part) for part in zip(*steps, strict=True)) if _unrolled(shape) else steps


def _scan(shape: Shape, step: Any, carry: Any, items: Any, *, backwards: bool = False) -> Any:
    """Apply `step(carry, item) -> carry, result` along a sequence: last carry, all results."""
    tf = prepare()
    if _unrolled(shape):
        results: list[Any] = [None] * len(items)
        order = range(len(items))
        for t in reversed(order) if backwards else order:
            carry, results[t] = step(carry, items[t])
        return carry, results

    length = shape.timesteps

    def place(k: Any) -> Any:
        return length - 1 - k if backwards else k

    def item(k: Any) -> Any:
        return tf.nest.map_structure(lambda sequence: sequence[place(k)], items)

    # The first step is taken outside the loop: it says what a step returns.
    carry, first = step(carry, item(0))
    flat = tf.nest.flatten(first)
    arrays = [tf.TensorArray(part.dtype, length, element_shape=part.shape) for part in flat]
    arrays = [a.write(place(0), part) for a, part in zip(arrays, flat, strict=True)]

    def body(k: Any, carry: Any, arrays: Any) -> Any:
        carry, result = step(carry, item(k))
        parts = tf.nest.flatten(result)
        return k + 1, carry, [a.write(place(k), p) for a, p in zip(arrays, parts, strict=True)]

    _, carry, arrays = tf.while_loop(
        lambda k, *_: k < length, body, (1, carry, arrays), maximum_iterations=length - 1
    )
    return carry, tf.nest.pack_sequence_as(first, [a.stack() for a in arrays])
