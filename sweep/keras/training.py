"""Runs of a configuration trained by `keras.Model.fit`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from studies.run import Configuration, Ending, FinishedRun, Run
from studies.tasks import Task
from sweep.keras.model import build_model, keras_on_tensorflow


def train_in_keras(
    run: Run, task: Task, *, stop_when_solved: bool = True, epochs: int | None = None
) -> FinishedRun:
    """Train one run with stock `keras.Model.fit`, as `Trainer.train` does."""
    trainer = Trainer(run.configuration, task)
    return trainer.train(run, stop_when_solved=stop_when_solved, epochs=epochs)


class Trainer:
    """Trains runs of one configuration in stock Keras, one after another.

    Its model is compiled once, which takes seconds; each run then starts from weights of its own
    and an optimizer that has done nothing, so that its curve is that of a new model to the bit.
    Raises BadInput as `build_model` does.
    """

    def __init__(self, configuration: Configuration, task: Task) -> None:
        self.configuration, self.task = configuration, task
        self.model: Any = self._new(None)
        self.model.optimizer.build(self.model.trainable_variables)
        # Metrics are made when they first measure. In `fit`, TensorFlow would trace a step once to
        # make them and then again to use them.
        outputs = np.zeros((1, *self.model.output_shape[1:]), np.float32)
        self.model.compute_metrics(task.x[:1], task.y[:1], outputs)
        self.model.reset_metrics()
        self._unused = [variable.numpy() for variable in self.model.optimizer.variables]

    def train(
        self, run: Run, *, stop_when_solved: bool = True, epochs: int | None = None
    ) -> FinishedRun:
        """Train a run from the weights of its seed.

        The records of epoch e, counted from 1, come in the order
        `numpy.random.default_rng([seed, e]).permutation(records)`. The run ends at the first epoch
        that reaches its target or whose loss is not finite, else at its budget; `epochs` replaces
        that budget. With `stop_when_solved=False` it trains on when the target is reached, which
        the result then does not count as solved. The result's series are loss and accuracy as
        `fit` reports them, and the same of records to validate on where the task has some. The
        model then has the weights with which the run ended.
        """
        if epochs is not None:
            run = Run(run.configuration, run.seed, epochs, run.target)
        self._start(self._new(run.seed))
        target = run.target if stop_when_solved else np.inf
        steps = -(-self.task.records // self.configuration.batch_size)
        batches = self._in_order(run)
        return self._fit(run, target, x=batches, steps_per_epoch=steps, shuffle=False)

    def train_afresh(self, run: Run) -> FinishedRun:
        """Train as a person does who knows nothing of this package.

        Weights and order are drawn by Keras, after `keras.utils.set_random_seed(run.seed)`; else as
        `train`.
        """
        keras_on_tensorflow().utils.set_random_seed(run.seed)
        self._start(self._new(None))
        batch_size = self.configuration.batch_size
        return self._fit(run, run.target, x=self.task.x, y=self.task.y, batch_size=batch_size)

    def _fit(self, run: Run, target: float, **records: Any) -> FinishedRun:
        """Trains the model as it is until an epoch ends the run."""
        keras = keras_on_tensorflow()

        def stop(epoch: int, logs: dict[str, float]) -> None:
            if _ending(logs["loss"], logs["accuracy"], target):
                self.model.stop_training = True

        part = self.task.validation
        history: dict[str, list[float]] = self.model.fit(
            **records,
            epochs=run.epochs,
            callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=stop)],
            verbose=0,
            validation_data=None if part is None else (part.x, part.y),
            validation_batch_size=self.configuration.batch_size,
        ).history
        series = self._series()
        curves = np.ascontiguousarray(np.array([history[name] for name in series], np.float32).T)
        ended = _ending(curves[-1, 0], curves[-1, 1], target)
        return FinishedRun(run, ended or "censored", curves, series)

    def _in_order(self, run: Run) -> Any:
        """The batches of every epoch of the run, one after another, as a `tf.data.Dataset`.

        One `fit` over all epochs takes two thirds of the time of one for each.
        """
        import tensorflow as tf

        x, y = tf.constant(self.task.x), tf.constant(self.task.y)

        def orders() -> Iterator[np.ndarray]:
            for epoch in range(1, run.epochs + 1):
                yield np.random.default_rng([run.seed, epoch]).permutation(self.task.records)

        def batches(order: Any) -> Any:
            epoch = tf.data.Dataset.from_tensor_slices((tf.gather(x, order), tf.gather(y, order)))
            return epoch.batch(self.configuration.batch_size)

        shape = tf.TensorSpec((self.task.records,), tf.int64)
        return tf.data.Dataset.from_generator(orders, output_signature=shape).flat_map(batches)

    def _series(self) -> tuple[str, ...]:
        names = ("loss", "accuracy")
        return names if self.task.validation is None else (*names, "val_loss", "val_accuracy")

    def _new(self, seed: int | None) -> Any:
        task = self.task
        return build_model(
            self.configuration,
            (task.timesteps, task.features),
            len(task.classes),
            seed,
            target=task.target,
            masked=task.lengths is not None,
        )

    def _start(self, model: Any) -> None:
        """Makes the compiled model equal to this one, which was not trained."""
        self.model.set_weights(model.get_weights())
        for variable, value in zip(self.model.optimizer.variables, self._unused, strict=True):
            variable.assign(value)


def _ending(loss: float, accuracy: float, target: float) -> Ending | None:
    """How a run ends with this epoch, if it does."""
    if not np.isfinite(loss):
        return "diverged"
    # Accuracies are single precision: 0.9 is reached by the number that Keras has for it.
    return "solved" if np.float32(accuracy) >= np.float32(target) else None
