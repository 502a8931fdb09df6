"""The compiled program: a chunk of epochs for all slots of a population at once.

A program belongs to a shape (see `shapes`). Its state is stacked over slots, and whatever differs
between slots is data: weights, order of records, the optimizer's coefficients. All tensors are in
the layout [slots, features, batch], and every model of the population makes its updates in
lockstep:

    for each epoch of the chunk:
        for each batch:  gather records → forward → loss → backward → update
        if hidden progress is recorded:  forward, and what states and logits then know
        if there are records to validate on:  forward → loss

Forward and backward passes are those of `stack`; TensorFlow's XLA compiles the whole chunk into one
executable.
"""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from studies.tasks import Task
from sweep.engine import hidden, sequences, stack
from sweep.engine.cells import Cell, make_cell, silenced
from sweep.engine.losses import LOSSES
from sweep.engine.optimizers import COEFFICIENTS
from sweep.engine.runtime import prepare
from sweep.engine.shapes import KNOWLEDGE, VALIDATION, Shape

FEW_COLUMNS = 32
"""Columns of the data up to which they are gathered one by one; each adds to the compiling."""

Tensor = Any
Chunk = Callable[..., Any]


def data_of(task: Task) -> tuple[Tensor, ...]:
    """A task's records as a program takes them: inputs, truth and lengths, a row a record.

    Where the task has records to validate on, the same of these follow.

    Inputs are float32 [records, timesteps · features]; the truth is one-hot [records, outputs] for
    classes, [records, outputs] for values, [records, timesteps · outputs] for sets; lengths are
    int32 [records].
    """
    tf = prepare()
    truth = task.y.reshape(task.records, -1)
    if task.target == "class":
        truth = np.eye(len(task.classes), dtype=np.float32)[task.y]
    lengths = np.full(task.records, task.timesteps) if task.lengths is None else task.lengths
    return (
        tf.constant(task.x.reshape(task.records, -1), tf.float32),
        tf.constant(truth, tf.float32),
        tf.constant(lengths, tf.int32),
        *(() if task.validation is None else data_of(task.validation)),
    )


@cache
def program(shape: Shape) -> Chunk:
    """The traced chunk of a shape; XLA compiles it when it is first called.

    chunk(weights, m, v, fresh, fresh_weights, fresh_v, units, data, order, coefficients)
        → weights, m, v, sums [epochs, slots, len(shape.series)]

    `fresh` [slots] is 1 where a slot starts a new run from `fresh_weights` and `fresh_v` [slots];
    `units` [slots, width] is 1 for a model's units and 0 for what pads it; `data` are those of
    `data_of`; `order` int32 [updates, slots, batch] are rows of them, the padding of an epoch's
    last batch being any; `coefficients` [updates, len(COEFFICIENTS), slots]. `means` makes of the
    sums the series.
    """
    tf = prepare()
    per_epoch, slots = shape.updates_per_epoch, shape.slots
    updates = shape.chunk * per_epoch
    in_last = shape.records - (per_epoch - 1) * shape.batch
    by_batch, by_epoch = len(_summed(shape)), len(_summed(shape)) < len(shape.series)

    def chunk(
        weights: list[Tensor],
        m: list[Tensor],
        v: list[Tensor],
        fresh: Tensor,
        fresh_weights: list[Tensor],
        fresh_v: Tensor,
        units: Tensor,
        data: list[Tensor],
        order: Tensor,
        coefficients: Tensor,
    ) -> Any:
        x, truth, lengths = data[:3]

        def started(new: Tensor, old: Tensor) -> Tensor:
            return tf.where(fresh[:, None, None] > 0.0, new, old)

        weights = [started(f, w) for f, w in zip(fresh_weights, weights, strict=True)]
        m = [started(tf.zeros_like(a), a) for a in m]
        v = [started(tf.zeros_like(a) + fresh_v[:, None, None], a) for a in v]
        weights, m, v = (_flat(shape, parts) for parts in (weights, m, v))
        one = (0.0 * fresh + 1.0)[:, None, None]
        cell = make_cell(shape.cell, shape.activation, shape.recurrent_activation, one)
        if shape.pads_with_ones:
            cell = silenced(cell, units[:, :, None])

        def one_batch(k: Tensor, weights: Any, m: Any, v: Any) -> Any:
            # What is constant is made within the loop: of several that come from without,
            # TensorFlow makes another program in every process, which `compiled` then misses.
            records = tf.where(k % per_epoch == per_epoch - 1, in_last, shape.batch)
            mask = tf.cast(tf.range(shape.batch) < records, tf.float32)
            rows = order[k]
            batch = (
                _columns(x, rows),
                _columns(truth, rows),
                tf.gather(lengths, rows),
            )
            before = _parts(shape, weights)
            loss, right, gradients = step(shape, cell, before, batch, mask)
            c = {name: coefficients[k, i][:, None] for i, name in enumerate(COEFFICIENTS)}
            after, m, v = _update(shape, c, weights, m, v, _flat(shape, gradients))
            measured = [loss, right]
            if shape.hidden_progress:
                changed = _parts(shape, after)
                measured += hidden.movement(before, changed, gradients, c["step_size"][:, 0])
            return after, m, v, tf.stack(measured, axis=1)

        def any_batch(k: Tensor, weights: Any, m: Any, v: Any, sums: Tensor) -> Any:
            weights, m, v, measured = one_batch(k, weights, m, v)
            sums = tf.tensor_scatter_nd_add(sums, [[k // per_epoch]], measured[None])
            return k + 1, weights, m, v, sums

        def one_epoch(epoch: Tensor, weights: Any, m: Any, v: Any, sums: Tensor) -> Any:
            first = epoch * per_epoch

            def its_batch(k: Tensor, weights: Any, m: Any, v: Any, sums: Tensor) -> Any:
                weights, m, v, measured = one_batch(k, weights, m, v)
                return k + 1, weights, m, v, sums + measured

            _, weights, m, v, measured = tf.while_loop(
                lambda k, *_: k < first + per_epoch,
                its_batch,
                (first, weights, m, v, tf.zeros([slots, by_batch])),
                maximum_iterations=per_epoch,
            )
            learned = _parts(shape, weights)
            known = _knowledge(shape, cell, learned, data) if KNOWLEDGE in shape.series else []
            if shape.validation:
                known += _validated(shape, cell, learned, data[3:])
            measured = tf.concat([measured, tf.stack(known, axis=1)], axis=1)
            sums = tf.tensor_scatter_nd_update(sums, [[epoch]], measured[None])
            return epoch + 1, weights, m, v, sums

        # A loop in a loop takes a third longer to compile: only where an epoch's end needs it.
        body, times = (one_epoch, shape.chunk) if by_epoch else (any_batch, updates)
        _, weights, m, v, sums = tf.while_loop(
            lambda done, *_: done < times,
            body,
            (0, weights, m, v, tf.zeros([shape.chunk, slots, len(shape.series)])),
            maximum_iterations=times,
        )
        return *(_parts(shape, state) for state in (weights, m, v)), sums

    def spec(*dimensions: int) -> Any:
        return tf.TensorSpec(dimensions, tf.float32)

    def table(records: int) -> list[Any]:
        inputs = spec(records, shape.timesteps * shape.features)
        truth = spec(records, shape.outputs * _steps_told(shape))
        return [inputs, truth, tf.TensorSpec((records,), tf.int32)]

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
            spec(slots, shape.width),
            table(shape.records) + (table(shape.validation) if shape.validation else []),
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
    if shape.validation:
        divisors[-2:] = shape.validation
    return sums / divisors


def _summed(shape: Shape) -> tuple[str, ...]:
    """The series that are sums over an epoch's batches; the others are taken at its end."""
    at_the_end = [name for name in (KNOWLEDGE, *VALIDATION) if name in shape.series]
    return shape.series[: shape.series.index(at_the_end[0])] if at_the_end else shape.series


def step(
    shape: Shape,
    cell: Cell,
    weights: list[Tensor],
    batch: tuple[Tensor, Tensor, Tensor],
    mask: Tensor,
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Forward and backward through a stack: loss, number right, gradients like `weights`."""
    tf = prepare()
    length, everywhere = shape.timesteps, shape.target == "sets"
    layers, (output, output_bias) = _layers(weights), weights[-2:]
    live, seen, told = _forward(shape, cell, weights, batch)
    truth, counted = _asked(shape, batch, mask, live)
    loss, right, d_told = LOSSES[shape.target](output @ told + output_bias, truth, counted)

    d_output = tf.matmul(d_told, told, transpose_b=True)
    d_bias = tf.reduce_sum(d_told, axis=-1, keepdims=True)
    d_states = tf.matmul(output, d_told, transpose_a=True)
    if everywhere:
        gradients = [tf.reduce_sum(d_output, axis=0), tf.reduce_sum(d_bias, axis=0)]
        d_states = sequences.unstacked(d_states, length)
    else:
        gradients = [d_output, d_bias]
        d_states = sequences.only_last(d_states, length)
    return loss, right, [*stack.backward(cell, layers, seen, d_states, length, live), *gradients]


def _forward(
    shape: Shape, cell: Cell, weights: list[Tensor], batch: tuple[Tensor, Tensor, Tensor]
) -> tuple[list[Any], Any, Tensor]:
    """Where sequences go on, what each layer saw, and the states from which something is told."""
    x, _, lengths = batch
    length = shape.timesteps
    live = stack.live_steps(lengths, length) if shape.masked else []
    seen, states = stack.forward(cell, _layers(weights), x, length, live)
    told = sequences.stacked(states, length) if shape.target == "sets" else states[-1]
    return live, seen, told


def _asked(
    shape: Shape, batch: tuple[Tensor, Tensor, Tensor], mask: Tensor, live: list[Any]
) -> tuple[Tensor, Tensor]:
    """The truth of a batch, and where it counts, as `losses` has them."""
    tf = prepare()
    truth, length = batch[1], shape.timesteps
    if shape.target == "sets":
        truth = sequences.stacked(sequences.split(truth, length), length)
        for steps in live:
            mask = mask * tf.cast(sequences.stacked(steps, length)[:, :, 0], tf.float32)
    return truth, mask


def _validated(shape: Shape, cell: Cell, weights: list[Tensor], data: list[Tensor]) -> list[Tensor]:
    """The loss and the number right of records that are not trained on, a batch at a time."""
    tf = prepare()
    records, size = shape.validation, min(shape.batch, shape.validation)
    output, output_bias = weights[-2:]

    def one_batch(first: Tensor, loss: Tensor, right: Tensor) -> Any:
        places = first + tf.range(size)
        mask = tf.cast(places < records, tf.float32)
        inputs, truth, lengths = (tf.gather(part, tf.minimum(places, records - 1)) for part in data)
        batch = (
            tf.tile(tf.transpose(inputs)[None], [shape.slots, 1, 1]),
            tf.tile(tf.transpose(truth)[None], [shape.slots, 1, 1]),
            tf.tile(lengths[None], [shape.slots, 1]),
        )
        live, _, told = _forward(shape, cell, weights, batch)
        losses = LOSSES[shape.target](
            output @ told + output_bias, *_asked(shape, batch, mask, live)
        )
        return first + size, loss + losses[0], right + losses[1]

    _, loss, right = tf.while_loop(
        lambda first, *_: first < records,
        one_batch,
        (0, tf.zeros([shape.slots]), tf.zeros([shape.slots])),
        maximum_iterations=-(-records // size),
    )
    return [loss, right]


def _knowledge(shape: Shape, cell: Cell, weights: list[Tensor], data: list[Tensor]) -> list[Tensor]:
    """What the network knows of all its records, as `hidden.knowledge` says it."""
    tf = prepare()
    rows = hidden.measured_rows(shape.records, shape.measured_at_once())
    inputs, labels, lengths = (tf.gather(each, rows) for each in data[:3])
    everything = tf.tile(tf.transpose(inputs)[None], [shape.slots, 1, 1])
    lengths = tf.tile(lengths[None], [shape.slots, 1])
    live = stack.live_steps(lengths, shape.timesteps) if shape.masked else []
    seen, outputs = stack.forward(cell, _layers(weights), everything, shape.timesteps, live)
    states = [layer_inputs[-1] for layer_inputs, _ in seen[1:]] + [outputs[-1]]
    output, output_bias = weights[-2:]
    return hidden.knowledge(states, output @ states[-1] + output_bias, labels, inputs)


def _steps_told(shape: Shape) -> int:
    return shape.timesteps if shape.target == "sets" else 1


def _layers(weights: list[Tensor]) -> list[stack.Weights]:
    """W, R and b of each layer, without the output's."""
    return [tuple(weights[i : i + 3]) for i in range(0, len(weights) - 2, 3)]


# All weights of a slot lie in one row [slots, numbers], and so do its accumulators: an update is a
# few passes over long rows, which take half as long as many over short ones.


def _flat(shape: Shape, parts: list[Tensor]) -> Tensor:
    """The tensors of `Shape.weights` in one row for each slot."""
    tf = prepare()
    return tf.concat([tf.reshape(part, [shape.slots, -1]) for part in parts], axis=1)


def _parts(shape: Shape, rows: Tensor) -> list[Tensor]:
    """The tensors of `Shape.weights` from their rows."""
    tf = prepare()
    shapes = shape.weights()
    parts = tf.split(rows, [math.prod(one) for one in shapes], axis=1)
    return [tf.reshape(part, [shape.slots, *one]) for part, one in zip(parts, shapes, strict=True)]


def _columns(table: Tensor, rows: Tensor) -> Tensor:
    """Rows [slots, batch] of a table [records, columns], as [slots, columns, batch].

    A few columns are gathered one by one: XLA would have all that computes with them walk through
    the table's own layout, in which a batch's records are not neighbours.
    """
    tf = prepare()
    columns = table.shape[1]
    if columns > FEW_COLUMNS:
        return tf.transpose(tf.gather(table, rows), [0, 2, 1])
    return tf.stack([tf.gather(table[:, k], rows) for k in range(columns)], axis=1)


def _update(
    shape: Shape, c: dict[str, Tensor], p: Tensor, m: Tensor, v: Tensor, g: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The update rule of `optimizers`, whose coefficients `c` are shaped [slots, 1]."""
    tf = prepare()
    # v_take · g first: where an optimizer has no v, no gradient is too large to square.
    v = c["v_keep"] * v + (c["v_take"] * g) * g
    divisor = c["floor"] + c["root"] * tf.sqrt(v + c["inside"])
    m = c["m_keep"] * m + c["m_take"] * (g / divisor if shape.scales_first else g)
    change = c["rate"] * (c["by_m"] * m + c["by_g"] * g)
    return p - c["decay"] * p - (change if shape.scales_first else change / divisor), m, v
