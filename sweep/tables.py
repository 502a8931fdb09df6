"""A study's runs and curves as tables: what `export` writes, and what data frames are made from.

`run_table` has a row a run, with the columns `RUN_COLUMNS` and then all settings of its
configuration; `curve_table` a row a run and epoch, with the columns `CURVE_COLUMNS` and what else
was recorded (`val_loss`). `trial` and `replicate` join them. What does not exist is null. The
descriptions of the columns are in the metadata of their fields.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from studies.own import is_imported
from studies.run import VALUE, VALUE_ALONE, Configuration, FinishedRun
from studies.space import Choice
from studies.study import Study
from sweep.analysis.plateau import Plateaus
from sweep.results import TrialResult

RUN_COLUMNS = {
    "study": "the study's name",
    "trial": "the number of the configuration in the study",
    "replicate": "counted from 0",
    "seed": "replicate r has the same seed in every trial",
    "ended": "solved, censored (at the budget) or diverged",
    "epochs": "epochs trained: the epochs to target where the run solved the task",
    "budget": "epochs allowed",
    "target": "what counts as solved: a training accuracy, or of an own model the goal's value",
    "escape": "epoch, counted from 1, in which the run left chance for good; empty if it never did",
    "plateau": "epochs at chance before the escape; all of them if it never came",
    "plateau_censored": "whether the plateau is longer than that",
    "transition": "epochs from the escape to the target; empty if the task was not solved",
    "loss": "mean training loss of the last epoch, in nats",
    "accuracy": "training accuracy of the last epoch",
    "parameters": "trainable parameters",
    "enqueued": "whether the configuration was given, to be tried first",
}
"""The columns of the table of runs before the settings, and what they hold."""

CURVE_COLUMNS = {
    "trial": RUN_COLUMNS["trial"],
    "replicate": RUN_COLUMNS["replicate"],
    "epoch": "counted from 1",
    "loss": "mean over the epoch's batches, each before its update, in nats",
    "accuracy": "share of right answers over the epoch's batches, each before its update",
}
"""The columns of the table of curves, and what they hold."""

REPORTED = "the last value that the trial reported; its loss, its accuracy and its size are unknown"


def run_schema(study: Study) -> pa.Schema:
    """The columns of a study's runs: `RUN_COLUMNS`, then every setting of a configuration.

    The settings of an own model are its function and its arguments. A study that was taken over
    from Optuna has a column more, `value`.
    """
    kinds: dict[str, Any] = {name: pa.int64() for name in RUN_COLUMNS}
    kinds |= {"study": pa.string(), "ended": pa.string()}
    kinds |= {name: pa.float64() for name in ("target", "escape", "transition", "loss", "accuracy")}
    kinds |= {"plateau_censored": pa.bool_(), "enqueued": pa.bool_()}
    fields = [
        pa.field(name, kinds[name], metadata={"description": text})
        for name, text in RUN_COLUMNS.items()
    ]
    if is_imported(study.training.code):
        fields.append(pa.field(VALUE, pa.float64(), metadata={"description": REPORTED}))
    fields += [pa.field(_column(name), kind) for name, kind in _settings(study).items()]
    return pa.schema(fields)


def curve_schema(series: Sequence[str]) -> pa.Schema:
    """The columns of the curves: `CURVE_COLUMNS`, and what else is recorded by epoch."""
    kinds = {"loss": pa.float32(), "accuracy": pa.float32()}
    fields = [
        pa.field(name, kinds.get(name, pa.int64()), metadata={"description": text})
        for name, text in CURVE_COLUMNS.items()
    ]
    return pa.schema([*fields, *(pa.field(_column(name), pa.float32()) for name in more(series))])


def more(series: Iterable[str]) -> list[str]:
    """The series that have a column of their own besides `CURVE_COLUMNS`, each once."""
    known = ("loss", "accuracy", "parameters", VALUE_ALONE)
    return [name for name in dict.fromkeys(series) if name not in known]


def run_table(study: Study, trials: Sequence[TrialResult]) -> pa.Table:
    """A row for each run of these trials of the study."""
    schema = run_schema(study)
    kinds = _settings(study)
    rows: list[dict[str, Any]] = []
    for trial in trials:
        given = trial.configuration.model_dump()
        settings = {
            _column(name): str(given[name]) if kind == pa.string() else given[name]
            for name, kind in kinds.items()
            if given.get(name) is not None
        }
        found = trial.plateaus
        for place, run in enumerate(trial.runs):
            rows.append(
                {
                    "study": study.name,
                    "trial": trial.number,
                    "replicate": place,
                    "seed": run.run.seed,
                    "ended": run.ended,
                    "target": run.run.target,
                    "parameters": trial.summary.parameters,
                    "enqueued": trial.enqueued,
                    **(_times(found, place, run) if run.timed else {}),
                    **(_last(run) if run.reported is None else {VALUE: run.reported}),
                    **settings,
                }
            )
    return pa.Table.from_pylist(rows, schema=schema)


def curve_table(trials: Sequence[TrialResult], series: Sequence[str] | None = None) -> pa.Table:
    """A row for each epoch of each run of these trials, so far as its curve is known.

    `series` are those that have columns; left out, all that the runs have.
    """
    places = [(t.number, r, run) for t in trials for r, run in enumerate(t.runs) if run.timed]
    if series is None:
        series = [name for _, _, run in places for name in run.series]
    schema = curve_schema(series)
    if not places:
        return schema.empty_table()
    lengths = [run.epochs for _, _, run in places]

    def column(name: str) -> np.ndarray:
        return np.concatenate([_curve(run, name) for _, _, run in places])

    columns = {
        "trial": np.repeat([number for number, _, _ in places], lengths),
        "replicate": np.repeat([replicate for _, replicate, _ in places], lengths),
        "epoch": np.concatenate([np.arange(1, length + 1) for length in lengths]),
        "loss": column("loss"),
        "accuracy": column("accuracy"),
        **{_column(name): column(name) for name in more(series)},
    }
    return pa.table(columns, schema=schema)


def _curve(run: FinishedRun, name: str) -> np.ndarray:
    # What orders the trials of another tool's is no loss that anybody trained on.
    if name not in run.series or (name != VALUE and VALUE in run.series):
        return np.full(run.epochs, np.nan, np.float32)
    return run.curve(name)


def _times(found: Plateaus, place: int, run: FinishedRun) -> dict[str, Any]:
    return {
        "epochs": run.epochs,
        "budget": run.run.epochs,
        "escape": _or_none(found.escape[place]),
        "plateau": int(found.plateau_length[place]),
        "plateau_censored": bool(found.plateau_censored[place]),
        "transition": _or_none(found.transition_length[place]),
    }


def _last(run: FinishedRun) -> dict[str, Any]:
    return {name: float(run.curve(name)[-1]) for name in ("loss", "accuracy")}


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _column(name: str) -> str:
    """The column of a setting or a series; one of a name that is taken has a line at its end."""
    return f"{name}_" if name in RUN_COLUMNS or name in CURVE_COLUMNS else name


def _settings(study: Study) -> dict[str, Any]:
    """The settings of the study's configurations, and the type of their columns."""
    if study.training.model is None:
        numbers: dict[Any, Any] = {int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
        fields = Configuration.model_fields.items()
        return {name: numbers.get(info.annotation, pa.string()) for name, info in fields}
    kinds: dict[str, Any] = {"function": pa.string(), "code": pa.string(), "goal": pa.string()}
    for name, value in study.training.settings.items():
        kinds[name] = _kind([value])
    for name, dimension in study.space.items():
        if isinstance(dimension, Choice):
            kinds[name] = _kind(dimension.choices)
        else:
            kinds[name] = _kind([dimension.low, dimension.high, dimension.step or dimension.low])
    return {"batch_size": pa.int64()} | kinds


def _kind(values: Iterable[Any]) -> Any:
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return pa.bool_()
    if kinds <= {int, float}:
        return pa.int64() if kinds == {int} else pa.float64()
    return pa.string()
