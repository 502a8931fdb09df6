"""A study's runs and curves as tables: what `export` writes, and what data frames are made from.

`run_table` has a row a run, with the columns `RUN_COLUMNS` and then all settings of its
configuration; `curve_table` a row a run and epoch, with the columns `CURVE_COLUMNS`. `trial` and
`replicate` join them. The descriptions of the columns are in the metadata of their fields.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from studies.run import Configuration
from sweep.results import TrialResult

RUN_COLUMNS = {
    "study": "the study's name",
    "trial": "the number of the configuration in the study",
    "replicate": "counted from 0",
    "seed": "replicate r has the same seed in every trial",
    "ended": "solved, censored (at the budget) or diverged",
    "epochs": "epochs trained: the epochs to target where the run solved the task",
    "budget": "epochs allowed",
    "target": "training accuracy that counts as solved",
    "escape": "epoch, counted from 1, in which the run left chance for good; empty if it never did",
    "plateau": "epochs at chance before the escape; all of them if it never came",
    "plateau_censored": "whether the plateau is longer than that",
    "transition": "epochs from the escape to the target; empty if the task was not solved",
    "loss": "mean training loss of the last epoch, in nats",
    "accuracy": "training accuracy of the last epoch",
    "parameters": "trainable parameters",
    "enqueued": "whether the study file gave the configuration, to be tried first",
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


def run_schema() -> pa.Schema:
    """The columns of the runs: `RUN_COLUMNS`, then every setting of a configuration."""
    kinds: dict[str, Any] = {name: pa.int64() for name in RUN_COLUMNS}
    kinds |= {"study": pa.string(), "ended": pa.string()}
    kinds |= {name: pa.float64() for name in ("target", "escape", "transition", "loss", "accuracy")}
    kinds |= {"plateau_censored": pa.bool_(), "enqueued": pa.bool_()}
    fields = [
        pa.field(name, kinds[name], metadata={"description": text})
        for name, text in RUN_COLUMNS.items()
    ]
    numbers: dict[Any, Any] = {int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    for name, info in Configuration.model_fields.items():
        fields.append(pa.field(name, numbers.get(info.annotation, pa.string())))
    return pa.schema(fields)


def curve_schema() -> pa.Schema:
    """The columns of the curves: `CURVE_COLUMNS`."""
    kinds = {"loss": pa.float32(), "accuracy": pa.float32()}
    return pa.schema(
        [
            pa.field(name, kinds.get(name, pa.int64()), metadata={"description": text})
            for name, text in CURVE_COLUMNS.items()
        ]
    )


def run_table(name: str, trials: Sequence[TrialResult]) -> pa.Table:
    """A row for each run of these trials."""
    rows: list[dict[str, Any]] = []
    for trial in trials:
        settings = trial.configuration.model_dump()
        found = trial.plateaus
        for place, run in enumerate(trial.runs):
            rows.append(
                {
                    "study": name,
                    "trial": trial.number,
                    "replicate": place,
                    "seed": run.run.seed,
                    "ended": run.ended,
                    "epochs": run.epochs,
                    "budget": run.run.epochs,
                    "target": run.run.target,
                    "escape": _or_none(found.escape[place]),
                    "plateau": int(found.plateau_length[place]),
                    "plateau_censored": bool(found.plateau_censored[place]),
                    "transition": _or_none(found.transition_length[place]),
                    "loss": float(run.curve("loss")[-1]),
                    "accuracy": float(run.curve("accuracy")[-1]),
                    "parameters": trial.summary.parameters,
                    "enqueued": trial.enqueued,
                    **settings,
                }
            )
    return pa.Table.from_pylist(rows, schema=run_schema())


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def curve_table(trials: Sequence[TrialResult]) -> pa.Table:
    """A row for each epoch of each run of these trials."""
    places = [(t.number, r, run) for t in trials for r, run in enumerate(t.runs)]
    if not places:
        return curve_schema().empty_table()
    lengths = [run.epochs for _, _, run in places]
    columns = {
        "trial": np.repeat([number for number, _, _ in places], lengths),
        "replicate": np.repeat([replicate for _, replicate, _ in places], lengths),
        "epoch": np.concatenate([np.arange(1, length + 1) for length in lengths]),
        "loss": np.concatenate([run.curve("loss") for _, _, run in places]),
        "accuracy": np.concatenate([run.curve("accuracy") for _, _, run in places]),
    }
    return pa.table(columns, schema=curve_schema())
