"""Data sets in batches, as Keras's `fit` takes them, become the arrays of a task.

They are TensorFlow's and Keras's own, made by a person's function.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studies.errors import BadInput
from studies.task_tables import FunctionTask, parse_task
from studies.tasks import Task

FUNCTIONS = """
import keras
import numpy as np
import tensorflow as tf


def arrays(n=50):
    x = np.random.default_rng(0).normal(size=(n, 4)).astype("float32")
    return x, (x[:, 0] > 0).astype(int)


def tensorflows():
    return tf.data.Dataset.from_tensor_slices(arrays()).batch(16)


def texts():
    x, y = arrays()
    return tf.data.Dataset.from_tensor_slices((x, np.where(y, "up", "down"))).batch(16)


def one_hot():
    x, y = arrays()
    return tf.data.Dataset.from_tensor_slices((x, keras.utils.to_categorical(y))).batch(7)


def split():
    return tuple(part.batch(8) for part in keras.utils.split_dataset(arrays(), 0.8, seed=1))


def loaded():
    x, y = arrays()
    return (x[:40], y[:40]), (x[40:], y[40:])


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 5

    def __getitem__(self, place):
        x, y = arrays()
        return x[10 * place : 10 * place + 10], y[10 * place : 10 * place + 10]


def keras_own():
    return Batches()


def shuffled():
    return tf.data.Dataset.from_tensor_slices(arrays()).shuffle(50).batch(16)


def drawn():
    return np.random.normal(size=(30, 2)), np.arange(30) % 2


def single():
    return tf.data.Dataset.from_tensor_slices(arrays())


def endless():
    return tensorflows().repeat()


def unlabelled():
    return tf.data.Dataset.from_tensor_slices(arrays()[0]).batch(16)


def several():
    x, y = arrays()
    return tf.data.Dataset.from_tensor_slices(({"a": x, "b": x}, y)).batch(16)


def nothing():
    return tensorflows().take(0)


def raising():
    def fail(x):
        raise ValueError("no such picture")

    data = tf.data.Dataset.range(4)
    return data.map(lambda n: tf.py_function(fail, [n], tf.float32))


def wide():
    x, y = arrays()
    return (x, y), (x[:, :3], y)


def strange():
    x, y = arrays()
    return (x, y), (x[:2], np.array([0, 7]))


def leaving():
    raise SystemExit(3)
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("batches")
    (path / "batches.py").write_text(FUNCTIONS)
    return path


def made(directory: Path, function: str, **more: Any) -> Task:
    problems: list[str] = []
    task = parse_task({"function": f"batches:{function}", **more}, directory, problems, {})
    assert problems == []
    assert isinstance(task, FunctionTask)
    return task.load(allow_code=True)


@pytest.mark.parametrize("function", ["tensorflows", "keras_own", "one_hot"])
def test_a_data_set_has_the_records_of_its_arrays(directory, function):
    plain, task = made(directory, "arrays"), made(directory, function)
    assert task.fingerprint == plain.fingerprint
    assert task.classes == ("0", "1")
    assert task.x.shape == (50, 4, 1)


def test_texts_of_tensorflow_s_are_labels(directory):
    assert made(directory, "texts").classes == ("down", "up")


@pytest.mark.parametrize("function", ["split", "loaded"])
def test_the_second_of_two_is_to_validate_on(directory, function):
    plain, task = made(directory, "arrays"), made(directory, function)
    assert task.records == 40
    assert task.validation is not None
    assert task.validation.records == 10
    together = np.concatenate([task.x, task.validation.x])
    assert sorted(together[:, 0, 0]) == sorted(plain.x[:, 0, 0])


@pytest.mark.parametrize("function", ["shuffled", "drawn"])
def test_what_is_drawn_without_a_seed_is_the_same_each_time(directory, function):
    before = np.random.get_state()[1].tolist()
    first, again = made(directory, function), made(directory, function)
    assert first.fingerprint == again.fingerprint
    assert np.random.get_state()[1].tolist() == before


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("single", r"elements are single records; batch it, as for fit: .batch\(32\)"),
        ("endless", r"repeats for ever; leave out .repeat\(\)"),
        ("unlabelled", "pairs of inputs and labels"),
        ("several", "several inputs or outputs"),
        ("nothing", "the data set is empty"),
        ("raising", "no such picture"),
        ("wide", "records of 3 inputs, where those to train on have 4"),
        ("strange", "the label 7 is not among those to train on"),
        ("leaving", "in leaving\n.*\nSystemExit: 3"),
    ],
)
def test_a_data_set_that_makes_no_task_says_why(directory, function, says):
    with pytest.raises(BadInput, match=says):
        made(directory, function)


def test_a_part_is_held_back_by_the_function_or_by_the_study(directory):
    with pytest.raises(BadInput, match="has records to validate on of its own"):
        made(directory, "loaded", validation=0.2)
