"""The commands that write files: `report` and `export`.

An export is the two tables of `sweep.tables`: `FILE` has a row a run, `FILE` with `.curves` before
its ending a row a run and epoch. A Parquet file carries the descriptions of the columns in the
metadata of its fields.
"""

import contextlib
import itertools
from collections.abc import Generator
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
    from storage.trials import StoredStudy
    from studies.study import Study
    from sweep.results import TrialResult

TRIALS_AT_ONCE = 50
"""Trials in memory while a study is exported, however many it has."""


def report(
    name: Name,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Default: NAME.html. A .svg file gets the picture of the answer alone.",
        ),
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Write a study's report: one HTML file, readable offline."""
    from storage.database import open_database
    from sweep.report import write_report
    from sweep.report.why import explanations
    from sweep.results import read_results

    path = writable(output or file_for(name, ".html"), "--output")
    with open_database(storage, create=False) as database:
        result = read_results(database, existing(database, name))
        why = explanations(database, result)
    with writing(path):
        write_report(result, path, why=why)
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
    from storage.runs import series_of
    from storage.trials import find_study
    from studies.study import Study
    from sweep.tables import curve_schema, curve_table, run_schema, run_table

    with open_database(storage, create=False) as database:
        stored = find_study(database, existing(database, name))
        assert stored is not None
        study = Study.from_document(stored.document, stored.name)
        series = series_of(database, stored.uuid)
        with (
            writing(output),
            _tables(output, run_schema(study)) as runs,
            _tables(curves, curve_schema(series)) as points,
        ):
            for trials in _trials(database, stored, study):
                runs.write_table(run_table(study, trials))
                points.write_table(curve_table(trials, series))
    typer.echo(f"{output}\n{curves}")


def _trials(
    database: "Database", stored: "StoredStudy", study: "Study"
) -> Generator[list["TrialResult"]]:
    """The finished trials of a study in order, `TRIALS_AT_ONCE` at a time."""
    from storage.runs import iter_runs
    from storage.trials import read_trials
    from sweep.results import TriedConfiguration, trial_results

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
        # A trial may have come in since the trials were read.
        if number in params
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
