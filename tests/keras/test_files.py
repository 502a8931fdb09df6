"""A trained network in a file is the one that was trained, in plain Keras too."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studies.errors import BadInput
from studies.run import Configuration, Run
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


def plain_keras(directory: Path, code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"import keras\nimport numpy as np\n{code}"],
        cwd=directory,
        env={**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_file_has_the_weights_with_which_the_run_ended(task, path):
    run = Run(Configuration(units=8, learning_rate=0.02), 3, 120, 0.95)
    (stored,) = train([run], task)
    model, finished = trained_model(run, task)
    assert (finished.ended, finished.epochs) == (stored.ended, stored.epochs)
    assert finished.ended == "solved"
    assert save_model(model, path, FACTS_OF_IT) == []

    outputs = predicted(read_model(path), task.x)
    assert np.array_equal(outputs, predicted(model, task.x))
    assert np.mean(outputs.argmax(axis=1) == task.y) >= 0.95
    np.save(path.with_name("x.npy"), task.x)
    said = plain_keras(
        path.parent,
        "model = keras.saving.load_model('a model.keras')\n"
        "print(*model.predict(np.load('x.npy'), verbose=0).argmax(axis=1))\n"
        "print(type(model.optimizer).__name__)",
    )
    classes, optimizer = said.splitlines()
    assert classes.split() == [str(place) for place in outputs.argmax(axis=1)]
    assert optimizer == "Adam"


def test_facts_travel_with_the_weights(path):
    model: Any = build_model(Configuration(units=2), (3, 1), 2, 0)
    save_model(model, path, FACTS_OF_IT)
    assert read_facts(path) == FACTS_OF_IT
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_training_settings_that_keras_lacks_are_left_out(path):
    configuration = Configuration(units=2, bias_correction="off")
    model: Any = build_model(configuration, (3, 1), 2, 0)
    assert save_model(model, path, FACTS_OF_IT) == []
    said = plain_keras(
        path.parent, "print(keras.saving.load_model('a model.keras').count_params())"
    )
    assert int(said) == model.count_params()


def test_an_activation_that_keras_lacks_is_named(task, path):
    configuration = Configuration(units=2, recurrent_activation="hard_sigmoid_keras2")
    model: Any = build_model(configuration, (3, 1), 2, 0)
    assert save_model(model, path, FACTS_OF_IT) == ["hard_sigmoid_keras2"]
    assert np.array_equal(predicted(read_model(path), task.x), predicted(model, task.x))
    said = plain_keras(
        path.parent,
        "def f(x):\n"
        "    return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)\n"
        "objects = {'sweep>hard_sigmoid_keras2': f}\n"
        "model = keras.saving.load_model('a model.keras', custom_objects=objects)\n"
        "print(model.count_params())",
    )
    assert int(said) == model.count_params()


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
