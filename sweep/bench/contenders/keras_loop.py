"""Keras by somebody who knows it well: an epoch compiled by XLA, and used again and again.

The model, the loss and the optimizer are Keras's; the loop over batches is written out, so that no
callback, metric or data pipeline costs anything. For another model of the same kind the weights are
set anew and the compiled epoch stays.
"""

from itertools import count
from typing import Any

import numpy as np

from sweep.bench.contenders import Measure
from sweep.bench.contenders.keras_fit import stock_keras
from sweep.bench.work import BUDGET, Work, record_order
from sweep.engine.initializers import initial_weights


def keras_loop(work: Work) -> Measure:
    """Trains one model after another; sizes are those of `keras_fit`."""
    loop = Loop(work)
    loop.start(seed=0)
    loop.epoch(0, 1)
    if not work.to_target:

        def epochs(size: int) -> float:
            for epoch in range(size):
                loop.epoch(0, 2 + epoch)
            return float(size)

        return epochs

    seeds = count()

    def models(size: int) -> float:
        for _ in range(size):
            loop.epochs_to_target(next(seeds))
        return float(size)

    return models


class Loop:
    """One Keras model with a compiled epoch."""

    def __init__(self, work: Work) -> None:
        keras = stock_keras()
        import tensorflow as tf

        from sweep.keras import build_model

        self._work = work
        self._tf = tf
        task = work.task()
        model = build_model(work.configuration(), (work.timesteps, work.features), 2, 0)
        optimizer: Any = model.optimizer
        optimizer.build(model.trainable_variables)
        self._model, self._optimizer = model, optimizer
        x, y = tf.constant(task.x), tf.constant(task.y)
        loss_of = keras.losses.SparseCategoricalCrossentropy()

        def one_batch(x: Any, y: Any) -> Any:
            with tf.GradientTape() as tape:
                outputs = model(x, training=True)
                loss = loss_of(y, outputs)
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
            right = tf.equal(tf.argmax(outputs, axis=1, output_type=tf.int32), y)
            return loss * float(x.shape[0]), tf.reduce_sum(tf.cast(right, tf.float32))

        batch = min(work.batch_size, work.records)
        full = work.records // batch

        def one_epoch(order: Any) -> Any:
            some_x, some_y = tf.gather(x, order), tf.gather(y, order)
            whole = full * batch
            batches_x = tf.reshape(some_x[:whole], (full, batch, *task.x.shape[1:]))
            batches_y = tf.reshape(some_y[:whole], (full, batch))
            losses, correct = 0.0, 0.0
            for k in tf.range(full):
                loss, right = one_batch(batches_x[k], batches_y[k])
                losses, correct = losses + loss, correct + right
            if whole < work.records:
                loss, right = one_batch(some_x[whole:], some_y[whole:])
                losses, correct = losses + loss, correct + right
            return losses, correct

        self._one_epoch: Any = tf.function(one_epoch, jit_compile=True)

    def start(self, seed: int) -> None:
        """Makes it the model of another seed: its weights, and an optimizer without a past."""
        work = self._work
        drawn = initial_weights(work.configuration(), [seed], work.features, outputs=2)
        self._model.set_weights([tensor[0] for tensor in drawn])
        for variable in self._optimizer.variables:
            if variable is not self._optimizer.learning_rate:
                variable.assign(np.zeros(variable.shape, variable.dtype))

    def epoch(self, seed: int, epoch: int) -> tuple[float, float]:
        """Trains an epoch, counted from 1: its loss and accuracy."""
        order = record_order(seed, epoch, self._work.records)
        losses, correct = self._one_epoch(self._tf.constant(order))
        return float(losses) / self._work.records, float(correct) / self._work.records

    def epochs_to_target(self, seed: int) -> int:
        """A model trained until it has learned the task, or for the budget."""
        self.start(seed)
        for epoch in range(1, BUDGET + 1):
            if self.epoch(seed, epoch)[1] >= 1.0:
                return epoch
        return BUDGET
