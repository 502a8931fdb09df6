"""A trained network as a Keras file, and what a person needs to know to use it.

A `.keras` file is a ZIP archive, which Keras reads by the names of its parts; `FACTS` is one part
more, JSON, so that the class names travel with the weights. Nothing in such a file is code.
"""

import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from studies.errors import BadInput
from studies.preparing import Fitted
from studies.run import FinishedRun, Run
from studies.tasks import Target, Task
from sweep.keras.calls import ADDITIONS
from sweep.keras.training import Trainer

FACTS = "sweep.json"

MOST_FACTS = 16 * 2**20
"""Bytes that the facts in a file may have."""


class ModelFacts(BaseModel):
    """What a model file says of its network.

    `columns` are the inputs in their order, step by step, before they are changed as `inputs` says;
    `classes` are what the outputs stand for, as `target` of `studies.tasks.Task` says. `label` and
    `label_number` are those of the CSV that it was trained on. `epochs` were trained, of which the
    last reached `accuracy`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    study: str
    trial: int
    replicate: int
    seed: int
    epochs: int
    accuracy: float | None
    task: str
    target: Target
    timesteps: int
    features: int
    columns: tuple[str, ...]
    classes: tuple[str, ...]
    label: str | None = None
    label_number: int | None = None
    inputs: Fitted = Fitted()


def trained_model(run: Run, task: Task) -> tuple[Any, FinishedRun]:
    """The Keras model with the weights with which a run ends, and the run as Keras trained it."""
    trainer = Trainer(run.configuration, task)
    finished = trainer.train(run)
    return trainer.model, finished


def save_model(model: Any, path: Path, facts: ModelFacts) -> list[str]:
    """Writes a model with its facts as a `.keras` file, whole or not at all.

    Returns the names of functions that plain Keras lacks and `custom_objects` has to give it.
    Training settings that plain Keras lacks are left out: the file then loads uncompiled.
    """
    from sweep.keras.model import keras_on_tensorflow

    keras = keras_on_tensorflow()
    lacking = [name for name in ADDITIONS if name in str(model.get_config())]
    if any(name in str(keras.saving.serialize_keras_object(model)) for name in ADDITIONS):
        bare = keras.Sequential.from_config(model.get_config())
        bare.set_weights(model.get_weights())
        model = bare
    part = path.with_name(f".{path.stem}.part.keras")
    try:
        model.save(part)
        with zipfile.ZipFile(part, "a") as archive:
            archive.writestr(FACTS, facts.model_dump_json(indent=2))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return lacking


def read_facts(path: Path) -> ModelFacts:
    """The facts in a model file; raises BadInput for a file that has none."""
    try:
        with zipfile.ZipFile(path) as archive:
            if archive.getinfo(FACTS).file_size > MOST_FACTS:
                raise BadInput(f"{path}: its facts are too large to be a model's")
            return ModelFacts.model_validate_json(archive.read(FACTS))
    except FileNotFoundError:
        raise BadInput(f"{path}: there is no such file") from None
    except KeyError:
        raise BadInput(
            f"{path}: does not say its classes; `python -m sweep model` writes files that do"
        ) from None
    except (zipfile.BadZipFile, ValidationError, IsADirectoryError) as error:
        raise BadInput(f"{path}: is no Keras model file of sweep's") from error


def read_model(path: Path) -> Any:
    """The Keras model in a file; raises BadInput where Keras cannot load it."""
    from sweep.keras.model import keras_on_tensorflow

    keras = keras_on_tensorflow()
    # It registers what a file may name and Keras does not have.
    import_module("sweep.keras.additions")
    try:
        return keras.saving.load_model(path, compile=False)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise BadInput(f"{path}: Keras cannot load it: {reason}") from error


def predicted(model: Any, x: np.ndarray) -> np.ndarray:
    """The model's outputs for inputs [records, timesteps, features], float32 [records, outputs]."""
    return np.asarray(model.predict(x, verbose=0), np.float32)
