"""Stock Keras as most people write it: build, compile, `fit`, one model after another."""

import os
from itertools import count
from typing import Any

from sweep.bench.contenders import Measure
from sweep.bench.work import BUDGET, Work


def keras_fit(work: Work) -> Measure:
    """Trains one model after another.

    A size is the epochs of one call of `fit` on a model that was built and has trained before; with
    `to_target`, how many models are built, compiled and fitted with an early stop.
    """
    keras = stock_keras()
    task = work.task()
    if work.to_target:
        seeds = count()

        def models(size: int) -> float:
            for _ in range(size):
                epochs_to_target(work, next(seeds))
            return float(size)

        return models

    model = _compiled(work, seed=0)
    keras.utils.set_random_seed(0)
    model.fit(task.x, task.y, batch_size=work.batch_size, epochs=1, verbose=0)

    def epochs(size: int) -> float:
        model.fit(task.x, task.y, batch_size=work.batch_size, epochs=size, verbose=0)
        return float(size)

    return epochs


def epochs_to_target(work: Work, seed: int) -> int:
    """A model built, compiled and fitted until it has learned the task, or for the budget."""
    keras = stock_keras()
    task = work.task()

    class Solved(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if logs["accuracy"] >= 1.0:
                self.model.stop_training = True

    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    history = _compiled(work, seed).fit(
        task.x,
        task.y,
        batch_size=work.batch_size,
        epochs=BUDGET,
        callbacks=[Solved()],
        verbose=0,
    )
    return len(history.epoch)


def _compiled(work: Work, seed: int) -> Any:
    from sweep.keras import build_model

    return build_model(work.configuration(), (work.timesteps, work.features), 2, seed)


def stock_keras() -> Any:
    """Keras with TensorFlow as it comes: none of the engine's settings."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    return keras
