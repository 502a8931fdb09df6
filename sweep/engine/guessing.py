"""Guessing weights: how often do random ones solve a task?

A task that random weight vectors solve every few thousand guesses proves nothing about a method
that learns it (Hochreiter and Schmidhuber 1996, "Bridging long time lags by weight guessing and
long short-term memory"). A guess is a network all of whose weights and biases are drawn uniformly
from -limit … limit; it solves the task if it has every record right.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from studies.run import Configuration
from studies.tasks import Task
from sweep.engine.cells import make_cell
from sweep.engine.program import data_of, step
from sweep.engine.runtime import prepare
from sweep.engine.shapes import Shape

AT_ONCE = 512
"""Guesses that are tried together."""

RECORDS_AT_ONCE = 32
"""Records that are tried together: most guesses fail in the first of them."""


def guess(
    task: Task,
    configuration: Configuration,
    *,
    guesses: int,
    limit: float,
    seed: int = 0,
    on_progress: Callable[[int], None] | None = None,
) -> int:
    """How many of `guesses` random networks solve a task; the same seed guesses the same.

    Of the configuration only cell, layers, units and activations count; the output layer has a bias
    as ever. `on_progress` is told the number of guesses that were made.
    """
    batch = min(RECORDS_AT_ONCE, task.records)
    shape = Shape(
        cell=configuration.cell,
        layers=configuration.layers,
        width=configuration.units,
        activation=configuration.activation,
        recurrent_activation=configuration.recurrent_activation,
        batch=batch,
        records=task.records,
        timesteps=task.timesteps,
        features=task.features,
        outputs=len(task.classes),
        slots=AT_ONCE,
        chunk=1,
        target=task.target,
        masked=task.lengths is not None,
    )
    tf, random, data = prepare(), np.random.default_rng(seed), data_of(task)[:3]
    order = random.permutation(task.records)
    # The last batch is filled up with records of the first, which are right or wrong again.
    rows = [np.take(order, range(k, k + batch), mode="wrap") for k in range(0, task.records, batch)]
    solved = 0
    for made in range(0, guesses, AT_ONCE):
        draw = partial(random.uniform, -limit, limit)
        weights = [tf.constant(draw((AT_ONCE, *one)), tf.float32) for one in shape.weights()]
        alive = np.arange(AT_ONCE) < guesses - made
        for few in rows:
            alive &= _right(shape)(weights, *data, tf.constant(few, tf.int32)).numpy() == batch
            if not alive.any():
                break
        solved += int(alive.sum())
        if on_progress is not None:
            on_progress(min(guesses, made + AT_ONCE))
    return solved


@cache
def _right(shape: Shape) -> Callable[..., Any]:
    """right(weights, *data, rows [batch]) → how many of these records each slot has right."""
    tf = prepare()
    cell = make_cell(shape.cell, shape.activation, shape.recurrent_activation)

    def right(weights: list[Any], x: Any, truth: Any, lengths: Any, rows: Any) -> Any:
        everywhere = tf.tile(rows[None], [shape.slots, 1])
        batch = (
            tf.transpose(tf.gather(x, everywhere), [0, 2, 1]),
            tf.transpose(tf.gather(truth, everywhere), [0, 2, 1]),
            tf.gather(lengths, everywhere),
        )
        # What the step computes beside, its gradients, XLA leaves out.
        return step(shape, cell, weights, batch, tf.ones([shape.batch]))[1]

    return tf.function(right, jit_compile=True, autograph=False)
