"""A run of a person's own model: what its function gets, what it may return, how it fails."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studies.functions import digest
from studies.own import OwnModel
from studies.preparing import Preparation, prepared
from studies.run import FinishedRun, Run
from studies.tasks import Task, make_task
from sweep.keras.own import train_own

MODELS = """
import keras


def dense(input_shape, outputs, width, rate=0.05, loss="sparse_categorical_crossentropy",
          metrics="accuracy"):
    inputs = keras.Input(input_shape)
    x = keras.layers.Dense(width, activation="relu")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(outputs, activation="softmax")(x))
    model.compile(keras.optimizers.Adam(rate), loss, metrics=[metrics])
    return model


def quiet(input_shape, outputs, width):
    inputs = keras.Input(input_shape)
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(inputs)))
    model.compile("adam", "mse")
    return model


def one_hot(input_shape, outputs, y, width):
    model = dense(input_shape, outputs, width, loss="categorical_crossentropy")
    return model, {"y": keras.utils.to_categorical(y, outputs)}


def two_inputs(x, outputs, width):
    parts = [keras.Input((1,), name="first"), keras.Input((2,), name="rest")]
    joined = keras.layers.Dense(width, activation="relu")(keras.layers.Concatenate()(parts))
    model = keras.Model(parts, keras.layers.Dense(outputs, activation="softmax")(joined))
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.Adam(0.05), loss, metrics=["accuracy"])
    return model, {"x": {"first": x[:, 0], "rest": x[:, 1:, 0]}}


def with_validation(input_shape, outputs, width):
    return dense(input_shape, outputs, width), {"validation_split": 0.25}


def early(input_shape, outputs, width):
    stop = keras.callbacks.EarlyStopping("loss", patience=0, min_delta=100.0)
    return dense(input_shape, outputs, width, 1e-4), {"callbacks": [stop]}


def seeded(seed, input_shape, outputs, width):
    print("seed", seed)
    return dense(input_shape, outputs, width)


def raising(width):
    return width / 0


def helped(width):
    return helper(width)


def helper(width):
    raise ValueError(f"no network is {width} wide")


def leaving(width):
    raise SystemExit(3)


def nothing(width):
    pass


def bare(input_shape, outputs, width):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, keras.layers.Flatten()(inputs))


def narrow(outputs, width):
    return dense((5, 1), outputs, width)


def unasked_inputs(outputs, width):
    parts = [keras.Input((1,)), keras.Input((1,))]
    model = keras.Model(parts, keras.layers.Concatenate()(parts))
    model.compile("sgd", "mse")
    return model


def greedy(input_shape, outputs, width):
    return dense(input_shape, outputs, width), {"epochs": 3}


def misfit(input_shape, outputs, width):
    return dense(input_shape, 7, width, loss="categorical_crossentropy")


def exploding(input_shape, outputs, width):
    return dense(input_shape, outputs, width, 1e38)
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "mymodels.py"
    path.write_text(MODELS)
    return path


@pytest.fixture(scope="module")
def task() -> Task:
    return make_task("first-value", {"records": 60})


def trained(
    path: Path,
    task: Task,
    function: str,
    *,
    goal: str = "accuracy >= 1",
    epochs: int = 3,
    seed: int = 0,
    **arguments: Any,
) -> FinishedRun:
    own: Any = OwnModel.model_validate(
        {
            "function": f"mymodels:{function}",
            "code": digest(f"{path}:{function}"),
            "goal": goal,
            "batch_size": 16,
            "width": 8,
            **arguments,
        }
    )
    return train_own(Run(own, seed, epochs, 1.0), task, f"{path}:{function}")


def test_a_run_trains_the_model_that_the_function_returns(path, task):
    finished = trained(path, task, "dense", epochs=80, rate=0.03)
    assert finished.error is None
    assert finished.ended == "solved"
    assert 1 < finished.epochs < 80
    assert finished.series == ("loss", "accuracy", "parameters")
    assert finished.curve("accuracy")[-1] == 1.0
    assert (finished.curve("accuracy")[:-1] < 1.0).all()
    assert set(finished.curve("parameters")) == {3 * 8 + 8 + 8 * 2 + 2}


def test_a_run_is_that_of_its_seed(path, task):
    first, again, other = (trained(path, task, "dense", seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.curves, again.curves)
    assert not np.array_equal(first.curves, other.curves)


@pytest.mark.parametrize("function", ["one_hot", "two_inputs", "seeded"])
def test_a_function_gets_what_its_parameters_are_named_after(path, task, function):
    finished = trained(path, task, function)
    assert finished.error is None
    assert finished.ended in ("censored", "solved")


def test_validation_gives_more_series_and_a_goal_on_any_of_them(path, task):
    finished = trained(path, task, "with_validation", goal="val_loss <= 0.6", epochs=60)
    assert finished.series == ("loss", "accuracy", "val_accuracy", "val_loss", "parameters")
    assert finished.ended == "solved"
    assert finished.curve("val_loss")[-1] <= 0.6
    assert (finished.curve("val_loss")[:-1] > 0.6).all()


def test_records_that_the_study_holds_back_are_validated(path, task):
    split = prepared(task, Preparation(validation=0.2))
    finished = trained(path, split, "dense", goal="val_accuracy >= 2")
    assert finished.series == ("loss", "accuracy", "val_accuracy", "val_loss", "parameters")
    assert len(finished.curves) == 3


def test_an_accuracy_of_another_name_is_one_and_none_is_no_number(path, task):
    named = trained(
        path,
        task,
        "dense",
        metrics="sparse_categorical_accuracy",
        goal="sparse_categorical_accuracy >= 1",
    )
    assert np.array_equal(named.curve("accuracy"), named.curve("sparse_categorical_accuracy"))
    quiet = trained(path, task, "quiet", goal="loss <= 0")
    assert quiet.series == ("loss", "accuracy", "parameters")
    assert np.isnan(quiet.curve("accuracy")).all()
    assert np.isfinite(quiet.curve("loss")).all()
    assert quiet.ended == "censored"


def test_a_run_that_its_own_callbacks_stop_keeps_its_last_values(path, task):
    finished = trained(path, task, "early", epochs=9)
    assert finished.ended == "censored"
    assert finished.epochs == 9
    assert len(np.unique(finished.curve("loss"))) <= 2


def test_a_loss_that_is_not_finite_has_diverged(path, task):
    finished = trained(path, task, "exploding", epochs=20)
    assert finished.ended == "diverged"
    assert not np.isfinite(finished.curve("loss")[-1])


@pytest.mark.parametrize(
    ("function", "arguments", "says"),
    [
        (
            "raising",
            {},
            ['mymodels.py", line ', "in raising", "ZeroDivisionError: division by zero"],
        ),
        ("helped", {}, ["in helped", "in helper", "ValueError: no network is 8 wide"]),
        ("leaving", {}, ["in leaving", "SystemExit: 3"]),
        ("nothing", {}, ["nothing returned nothing; it has to return a compiled keras.Model"]),
        ("bare", {}, ["bare returned a model that is not compiled"]),
        ("narrow", {}, ["takes records of shape (5, 1), and the task's have (3, 1)"]),
        ("unasked_inputs", {}, ["has several inputs", "parameter named x"]),
        ("greedy", {}, ["gives fit epochs, which the study file says"]),
        ("misfit", {}, ["Error"]),
        ("dense", {"depth": 2}, ["mymodels:dense cannot be called", "'depth'", "width, depth"]),
        ("dense", {"rate": "fast"}, ["in dense", "Error"]),
        ("dense", {"goal": "auc >= 1"}, ["target is auc >= 1, but fit reports accuracy, loss"]),
        ("missing", {}, ["has no function missing"]),
    ],
)
def test_a_run_that_goes_wrong_has_failed_and_says_why(path, task, function, arguments, says):
    finished = trained(path, task, function, **arguments)
    assert finished.ended == "failed"
    assert 1 <= finished.epochs <= 3
    assert np.isnan(finished.curve("loss")[-1])
    assert finished.error is not None
    for words in says:
        assert words in finished.error
    assert "sweep/keras" not in finished.error


def test_a_file_that_cannot_be_imported_has_its_traceback(tmp_path, task):
    path = tmp_path / "broken.py"
    path.write_text("import keras\nimport no_such_module_anywhere\n\ndef build():\n    pass\n")
    finished = trained(path, task, "build")
    assert finished.ended == "failed"
    assert finished.error is not None
    assert "line 2, in <module>" in finished.error
    assert "No module named 'no_such_module_anywhere'" in finished.error
