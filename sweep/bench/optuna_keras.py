"""The default study as an Optuna user would write it: TPE, stock Keras, a SQLite storage.

    python optuna_keras.py [--trials N] [--storage URL] [--settings FILE]

Each configuration is trained from five seeds, one model after another, with an early stop at 100 %,
and its value is PAR2. `--settings` is a JSON list of settings to try instead of the sampler's. For
every trial it prints a line of JSON: its settings, seconds, and the epochs that its models took.
"""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np
import optuna

RECORDS, TIMESTEPS, BATCH, EPOCHS, SEEDS = 200, 3, 32, 100, range(5)

OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "sgd": keras.optimizers.SGD,
    "rmsprop": keras.optimizers.RMSprop,
}


def data(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 10, size=(RECORDS, TIMESTEPS))
    y = rng.permutation(np.arange(RECORDS) % 2)
    x[:, 0] = y
    return x.astype("float32")[:, :, None], y


def build(settings: dict[str, Any]) -> Any:
    model: Any = keras.Sequential([keras.Input((TIMESTEPS, 1))])
    for layer in range(settings["layers"]):
        more = layer < settings["layers"] - 1
        model.add(keras.layers.LSTM(settings["units"], return_sequences=more))
    start: Any = keras.initializers.RandomUniform(-0.05, 0.05)
    model.add(keras.layers.Dense(2, activation="softmax", kernel_initializer=start))
    model.compile(
        optimizer=OPTIMIZERS[settings["optimizer"]](settings["learning_rate"]),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


class StopWhenSolved(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.solved = False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.solved = logs["accuracy"] == 1.0
        if self.solved:
            model: Any = self.model
            model.stop_training = True


def epochs_to_target(settings: dict[str, Any], seed: int) -> tuple[int, bool]:
    x, y = data()
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    stop = StopWhenSolved()
    history = build(settings).fit(
        x, y, batch_size=BATCH, epochs=EPOCHS, callbacks=[stop], verbose=0
    )
    return len(history.epoch), stop.solved


def objective(trial: optuna.Trial) -> float:
    settings = {
        "layers": trial.suggest_int("layers", 1, 4),
        "units": trial.suggest_int("units", 4, 32, log=True),
        "optimizer": trial.suggest_categorical("optimizer", ["adam", "sgd", "rmsprop"]),
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True),
    }
    started = time.perf_counter()
    taken = [epochs_to_target(settings, seed) for seed in SEEDS]
    told = {
        "params": settings,
        "seconds": time.perf_counter() - started,
        "epochs": [epochs for epochs, _ in taken],
        "solved": [solved for _, solved in taken],
    }
    print(json.dumps(told), flush=True)
    return float(np.mean([epochs if solved else 2 * EPOCHS for epochs, solved in taken]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--storage", default=None)
    parser.add_argument("--settings", default=None)
    chosen = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name="hello-lstm",
        storage=chosen.storage,
        sampler=optuna.samplers.TPESampler(seed=0),
        load_if_exists=True,
    )
    if chosen.settings is None:
        question = {"layers": 3, "units": 15, "optimizer": "adam", "learning_rate": 0.001}
        study.enqueue_trial(question)
    else:
        given = json.loads(Path(chosen.settings).read_text())
        chosen.trials = len(given)
        for settings in given:
            study.enqueue_trial(settings)
    study.optimize(objective, n_trials=chosen.trials)


if __name__ == "__main__":
    main()
