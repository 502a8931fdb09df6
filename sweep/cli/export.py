"""The commands that write files: `report` and `export`.

An export is two tables. `FILE` has a row a run, with the columns `RUN_COLUMNS`, all settings of its
configuration among them; `FILE` with `.curves` before its ending has a row a run and epoch, with
the columns `CURVE_COLUMNS`. `trial` and `replicate` join them. A Parquet file carries these
descriptions in the metadata of its fields.
"""

import contextlib
import itertools
import math
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studies.errors import BadInput
from sweep.cli.options import (
    DEFAULT_STORAGE,
    Name,
    Storage,
    existing,
    file_for,
    writable,
    writing,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from storage.database import Database
    from sweep.results import TrialResult

TRIALS_AT_ONCE = 50
"""Trials in memory while a study is exported, however many it has."""

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


def report(
    name: Name,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Default: NAME.html."),
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Write a study's report: one HTML file, readable offline."""
    from storage.database import open_database
    from sweep.results import read_results

    path = writable(output or file_for(name, ".html"), "--output")
    with open_database(storage, create=False) as database:
        result = read_results(database, existing(database, name))
    from sweep.report import write_report

    with writing(path):
        write_report(result, path)
    typer.echo(str(path))


def export(
    name: Name,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="A .parquet or .csv file for the runs; the curves go beside it.",
        ),
    ],
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Write a study's runs and curves as Parquet or CSV.

    FILE has a row a run; FILE with .curves before its ending has a row a run and epoch.
    """
    if output.suffix.lower() not in (".parquet", ".csv"):
        raise BadInput(f"--output {output}: the name has to end in .parquet or .csv")
    curves = output.with_name(f"{output.stem}.curves{output.suffix}")
    for path in (output, curves):
        writable(path, "--output")
    from storage.database import open_database

    with open_database(storage, create=False) as database:
        existing(database, name)
        with (
            writing(output),
            _tables(output, _run_schema()) as runs,
            _tables(curves, _curve_schema()) as points,
        ):
            for trials in _trials(database, name):
                runs.write_table(_run_table(name, trials))
                points.write_table(_curve_table(trials))
    typer.echo(f"{output}\n{curves}")


def _run_schema() -> "pa.Schema":
    """The columns of the runs: `RUN_COLUMNS`, then every setting of a configuration."""
    import pyarrow as pa

    from studies.run import Configuration

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


def _curve_schema() -> "pa.Schema":
    import pyarrow as pa

    kinds = {"loss": pa.float32(), "accuracy": pa.float32()}
    return pa.schema(
        [
            pa.field(name, kinds.get(name, pa.int64()), metadata={"description": text})
            for name, text in CURVE_COLUMNS.items()
        ]
    )


def _run_table(name: str, trials: Sequence["TrialResult"]) -> "pa.Table":
    """A row for each run of these trials."""
    import pyarrow as pa

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
    return pa.Table.from_pylist(rows, schema=_run_schema())


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def _curve_table(trials: Sequence["TrialResult"]) -> "pa.Table":
    """A row for each epoch of each run of these trials."""
    import numpy as np
    import pyarrow as pa

    places = [(t.number, r, run) for t in trials for r, run in enumerate(t.runs)]
    lengths = [run.epochs for _, _, run in places]
    columns = {
        "trial": np.repeat([number for number, _, _ in places], lengths),
        "replicate": np.repeat([replicate for _, replicate, _ in places], lengths),
        "epoch": np.concatenate([np.arange(1, length + 1) for length in lengths]),
        "loss": np.concatenate([run.curve("loss") for _, _, run in places]),
        "accuracy": np.concatenate([run.curve("accuracy") for _, _, run in places]),
    }
    return pa.table(columns, schema=_curve_schema())


def _trials(database: "Database", name: str) -> Generator[list["TrialResult"]]:
    """The finished trials of a study in order, `TRIALS_AT_ONCE` at a time."""
    from storage.runs import iter_runs
    from storage.trials import find_study, read_trials
    from studies.study import Study
    from sweep.results import TriedConfiguration, trial_results

    stored = find_study(database, name)
    if stored is None:
        return
    study = Study.from_document(stored.document, stored.name)
    params = {trial.number: trial.params for trial in read_trials(database, stored.uuid)}
    by_trial = itertools.groupby(iter_runs(database, stored.uuid), key=lambda run: run.number)
    tried = (
        TriedConfiguration(
            number=number,
            params=params[number],
            runs=[run.finished for run in runs],
            enqueued=study.is_enqueued(number),
        )
        for number, runs in by_trial
    )
    while some := list(itertools.islice(tried, TRIALS_AT_ONCE)):
        yield trial_results(study, stored.task, some)


@contextlib.contextmanager
def _tables(path: Path, schema: "pa.Schema") -> Generator[Any]:
    """A writer of tables to `path`, which appears whole when the block ends, or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            if path.suffix.lower() == ".csv":
                from pyarrow.csv import CSVWriter

                writer = CSVWriter(file, schema)
            else:
                from pyarrow.parquet import ParquetWriter

                writer = ParquetWriter(file, schema, compression="zstd")
            with writer:
                yield writer
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
