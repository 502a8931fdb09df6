"""A trained network in a file is the one that was trained, in plain Keras too."""

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studies.errors import BadInput
from studies.run import Configuration, FinishedRun, Run
from studies.tasks import Task, make_task
from sweep.engine import train
from sweep.keras import build_model
from sweep.keras.files import (
    FACTS,
    ModelFacts,
    predicted,
    read_facts,
    read_model,
    save_model,
    trained_model,
)

FACTS_OF_IT = ModelFacts(
    study="a study",
    trial=3,
    replicate=1,
    seed=1,
    epochs=9,
    accuracy=1.0,
    task="first-value",
    target="class",
    timesteps=3,
    features=1,
    columns=("t1", "t2", "t3"),
    classes=("0", "1"),
)


@pytest.fixture(scope="module")
def task() -> Task:
    return make_task("first-value", {})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a model.keras"


RUN = Run(Configuration(units=8, learning_rate=0.02), 3, 120, 0.95)

PLAIN = """
import json
import keras
import numpy as np

def clipped(x):
    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)

load = keras.saving.load_model
trained = load("trained.keras")
print(json.dumps({
    "classes": trained.predict(np.load("x.npy"), verbose=0).argmax(axis=1).tolist(),
    "optimizer": type(trained.optimizer).__name__,
    "without": load("no bias correction.keras").count_params(),
    "named": load("keras 2.keras", custom_objects={"sweep>hard_sigmoid_keras2": clipped})
    .count_params(),
}))
"""


@dataclass(frozen=True)
class Written:
    """Models in files: what was lost of each, and what stock Keras, without sweep, finds there."""

    directory: Path
    models: dict[str, Any]
    lost: dict[str, list[str]]
    finished: FinishedRun
    found: dict[str, Any]


@pytest.fixture(scope="module")
def written(task: Task, tmp_path_factory: pytest.TempPathFactory) -> Written:
    directory = tmp_path_factory.mktemp("models")
    trained, finished = trained_model(RUN, task)
    without = Configuration(units=2, bias_correction="off")
    old = Configuration(units=2, recurrent_activation="hard_sigmoid_keras2")
    models: dict[str, Any] = {
        "trained": trained,
        "no bias correction": build_model(without, (3, 1), 2, 0),
        "keras 2": build_model(old, (3, 1), 2, 0),
    }
    lost = {
        name: save_model(model, directory / f"{name}.keras", FACTS_OF_IT)
        for name, model in models.items()
    }
    np.save(directory / "x.npy", task.x)
    done = subprocess.run(
        [sys.executable, "-c", PLAIN],
        cwd=directory,
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Written(directory, models, lost, finished, json.loads(done.stdout))


def test_a_file_has_the_weights_with_which_the_run_ended(task, written):
    (stored,) = train([RUN], task)
    assert (written.finished.ended, written.finished.epochs) == (stored.ended, stored.epochs)
    assert written.finished.ended == "solved"
    assert written.lost["trained"] == []

    outputs = predicted(read_model(written.directory / "trained.keras"), task.x)
    assert np.array_equal(outputs, predicted(written.models["trained"], task.x))
    assert np.mean(outputs.argmax(axis=1) == task.y) >= 0.95
    assert written.found["classes"] == outputs.argmax(axis=1).tolist()
    assert written.found["optimizer"] == "Adam"


def test_training_settings_that_keras_lacks_are_left_out(written):
    assert written.lost["no bias correction"] == []
    assert written.found["without"] == written.models["no bias correction"].count_params()


def test_an_activation_that_keras_lacks_is_named(task, written):
    model = written.models["keras 2"]
    assert written.lost["keras 2"] == ["hard_sigmoid_keras2"]
    again = read_model(written.directory / "keras 2.keras")
    assert np.array_equal(predicted(again, task.x), predicted(model, task.x))
    assert written.found["named"] == model.count_params()


def test_facts_travel_with_the_weights(path):
    model: Any = build_model(Configuration(units=2), (3, 1), 2, 0)
    save_model(model, path, FACTS_OF_IT)
    assert read_facts(path) == FACTS_OF_IT
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_file_that_cannot_be_written_leaves_nothing(path):
    model: Any = build_model(Configuration(units=2), (3, 1), 2, 0)
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        save_model(model, path, FACTS_OF_IT)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_file_without_facts_is_refused(path):
    with pytest.raises(BadInput, match="there is no such file"):
        read_facts(path)
    path.write_text("no archive")
    with pytest.raises(BadInput, match=r"is no Keras model file of sweep's"):
        read_facts(path)
    model: Any = build_model(Configuration(units=2), (3, 1), 2, 0)
    path.unlink()
    model.save(path)
    with pytest.raises(BadInput, match="does not say its classes"):
        read_facts(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(FACTS, "{}")
    with pytest.raises(BadInput, match=r"is no Keras model file of sweep's"):
        read_facts(path)


def test_a_file_that_keras_cannot_load_is_refused(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr(FACTS, FACTS_OF_IT.model_dump_json())
    with pytest.raises(BadInput, match="Keras cannot load it"):
        read_model(path)
