"""Runs of a person's own model, trained by its own `fit`. What runs here runs in a worker process.

The function is called with the arguments of the configuration. Parameters that it has besides are
given what they are named after, if that is one of `OFFERED`. It returns a compiled `keras.Model`,
or a pair of that and a dictionary of more arguments for `fit`: `callbacks`, `validation_data`,
`class_weight`, or other `x` and `y` for a model of several inputs. The records that a study holds
back are `validation_data`, unless the function gives other data.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np

from studies.errors import BadInput
from studies.functions import function_of, told
from studies.own import Goal, OwnModel
from studies.run import Ending, FinishedRun, Run
from studies.tasks import Task
from sweep.keras.model import keras_on_tensorflow

OFFERED = ("input_shape", "outputs", "x", "y", "seed")
"""What a function can ask for by a parameter's name: the shape of a record, the number of classes
or values, the data to train on, and the seed of the run."""

ACCURACIES = (
    "accuracy",
    "acc",
    "sparse_categorical_accuracy",
    "categorical_accuracy",
    "binary_accuracy",
)
"""The metrics that are the accuracy of a run, the first that there is."""


class Failure(Exception):
    """A run of an own model cannot go on; the message says why, for the person who wrote it."""


def train_own(run: Run, task: Task, model: str) -> FinishedRun:
    """Trains one run of an own model; its function `model` is a located one.

    Keras's seeds are set from the run's (`keras.utils.set_random_seed`), so the same run is the
    same again. It ends where its goal is reached or its loss is not finite, else at its budget; a
    run that its own callbacks stop keeps its last values up to there. The series are "loss" and
    "accuracy" (NaN where no metric is one), whatever else `fit` reports, and "parameters", the
    number of trainable weights. Never raises: a run that went wrong has failed, and says why.
    """
    recorded: list[dict[str, float]] = []
    parameters = math.nan
    try:
        network, given = _built(run, task, model)
        parameters = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
        _fit(network, given, run, task, recorded)
        if not recorded:
            raise Failure("fit ended before the first epoch did")
    except KeyboardInterrupt:
        raise
    except (Failure, BadInput) as failure:
        return failed(run, str(failure), recorded, parameters)
    except BaseException as error:
        return failed(run, told(error, model), recorded, parameters)
    return _finished(run, recorded, parameters)


def failed(
    run: Run,
    error: str,
    recorded: list[dict[str, float]] | None = None,
    parameters: float = math.nan,
) -> FinishedRun:
    """The run as one that failed after these epochs, and why."""
    rows = [*(recorded or []), {}][-run.epochs :]
    series = _series(rows)
    return FinishedRun(run, "failed", _curves(rows, series, parameters), series, error)


def _built(run: Run, task: Task, model: str) -> tuple[Any, dict[str, Any]]:
    """The compiled model that the function returns, and what it wants to have in `fit`."""
    keras = keras_on_tensorflow()
    keras.backend.clear_session()
    keras.utils.set_random_seed(run.seed)
    function = function_of(model, cast(OwnModel, cast(object, run.configuration)).code)
    name = getattr(function, "__name__", model.rpartition(":")[2])
    returned = function(**_arguments(function, run, task))
    network: Any = returned
    given: Any = {}
    if isinstance(returned, tuple) and len(cast(tuple[Any, ...], returned)) == 2:
        network, given = cast(tuple[Any, Any], returned)
    if not isinstance(network, keras.Model) or not isinstance(given, dict):
        raise Failure(
            f"{name} returned {_described(returned)}; it has to return a compiled keras.Model, or "
            "that and a dictionary of arguments for fit"
        )
    if not network.compiled:
        raise Failure(f"{name} returned a model that is not compiled; call its compile()")
    taken = {"epochs", "batch_size", "initial_epoch"} & set(cast(dict[str, Any], given))
    if taken:
        raise Failure(f"{name} gives fit {', '.join(sorted(taken))}, which the study file says")
    if "x" not in given:
        _check_shape(network, task, name)
    return network, cast(dict[str, Any], given)


def _arguments(function: Callable[..., Any], run: Run, task: Task) -> dict[str, Any]:
    own = cast(OwnModel, cast(object, run.configuration))
    offered = {
        "input_shape": (task.timesteps, task.features),
        "outputs": len(task.classes),
        "x": task.x,
        "y": task.y,
        "seed": run.seed,
    }
    arguments = own.arguments
    for name, parameter in inspect.signature(function).parameters.items():
        if name in offered and name not in arguments and parameter.default is parameter.empty:
            arguments[name] = offered[name]
    try:
        inspect.signature(function).bind(**arguments)
    except TypeError as error:
        given = ", ".join(own.arguments) or "nothing"
        raise Failure(
            f"{own.function} cannot be called: {error}; the study file gives {given}, and "
            f"parameters named {', '.join(OFFERED)} are given too"
        ) from None
    return arguments


def _check_shape(network: Any, task: Task, name: str) -> None:
    wanted = network.input_shape
    if not isinstance(wanted, tuple):
        raise Failure(
            f"the model of {name} has several inputs; return with it a dictionary with the x that "
            "fit is to have (a parameter named x gets the task's)"
        )
    here = cast(tuple[int | None, ...], wanted)[1:]
    there = (task.timesteps, task.features)
    fits = len(here) == len(there) and all(
        want in (None, have) for want, have in zip(here, there, strict=True)
    )
    if not fits:
        raise Failure(
            f"the model of {name} takes records of shape {here}, and the task's have {there}; a "
            "parameter named input_shape gets that"
        )


def _fit(
    network: Any, given: Mapping[str, Any], run: Run, task: Task, recorded: list[dict[str, float]]
) -> None:
    keras = keras_on_tensorflow()
    own = cast(OwnModel, cast(object, run.configuration))
    goal = Goal.parse(own.goal)

    def epoch(_: int, logs: Mapping[str, Any] | None) -> None:
        values = {name: float(value) for name, value in (logs or {}).items()}
        if goal.metric not in values:
            reported = ", ".join(values)
            raise Failure(f"the target is {goal}, but fit reports {reported} only")
        recorded.append(values)
        loss = values.get("loss", math.nan)
        if goal.reached(values[goal.metric]) or not math.isfinite(loss):
            network.stop_training = True

    ours = keras.callbacks.LambdaCallback(on_epoch_end=epoch)
    more = dict(given)
    theirs = more.pop("callbacks", None) or []
    data: dict[str, Any] = {"x": more.pop("x", task.x)}
    if "y" in more:
        data["y"] = more.pop("y")
    held = task.validation
    if held is not None and not {"x", "y", "validation_data", "validation_split"} & set(given):
        data["validation_data"] = (held.x, held.y)
    # A data set of Keras's or TensorFlow's has its targets in it, and its batches.
    if isinstance(data["x"], np.ndarray | dict | list | tuple):
        data = {"y": task.y, "batch_size": own.batch_size, **data}
    network.fit(
        **data,
        epochs=run.epochs,
        callbacks=[*(theirs if isinstance(theirs, list | tuple) else [theirs]), ours],
        verbose=0,
        **{name: value for name, value in more.items() if name != "verbose"},
    )


def _finished(run: Run, recorded: list[dict[str, float]], parameters: float) -> FinishedRun:
    own = cast(OwnModel, cast(object, run.configuration))
    goal = Goal.parse(own.goal)
    last = recorded[-1]
    ended: Ending = "censored"
    if not math.isfinite(last.get("loss", math.nan)):
        ended = "diverged"
    elif goal.reached(last[goal.metric]):
        ended = "solved"
    rows = recorded
    if ended == "censored":
        rows = recorded + [last] * (run.epochs - len(recorded))
    series = _series(rows)
    return FinishedRun(run, ended, _curves(rows, series, parameters), series)


def _series(rows: list[dict[str, float]]) -> tuple[str, ...]:
    reported = dict.fromkeys(name for row in rows for name in row)
    more = [name for name in reported if name not in ("loss", "accuracy", "parameters")]
    # The storage joins names by commas.
    return ("loss", "accuracy", *(name for name in more if "," not in name), "parameters")


def _curves(rows: list[dict[str, float]], series: tuple[str, ...], parameters: float) -> np.ndarray:
    curves = np.full((len(rows), len(series)), np.nan, np.float32)
    for place, row in enumerate(rows):
        known = {**row, "parameters": parameters}
        for name in ACCURACIES[::-1]:
            if name in row:
                known["accuracy"] = row[name]
        for column, name in enumerate(series):
            curves[place, column] = known.get(name, math.nan)
    return curves


def _described(value: object) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
