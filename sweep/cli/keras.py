"""The commands that meet Keras: `code` writes a run as a plain Keras script."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    from studies.csv_task import CsvReading
    from studies.run import FinishedRun
    from studies.tasks import Task
    from sweep.results import StudyResult

Trial = Annotated[int, typer.Option(min=0, help="The number of a trial, as `show` lists them.")]

Replicate = Annotated[
    int, typer.Option("--replicate", min=0, metavar="R", help="One of its trainings, from 0.")
]


def code(
    name: Name,
    trial: Trial,
    replicate: Replicate = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Default: standard output."),
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Write a plain Keras script that trains a run again, to the same curve.

    It needs nothing of sweep. A task whose data no few lines make goes beside the script, as NPZ.
    """
    from sweep.keras.script import data_lines, file_lines, keras_script, write_data

    if output is not None:
        writable(output, "--output")
    result, task, reading = _stored(name, storage)
    finished = _run(result, trial, replicate)
    data = data_lines(result.study.task, task, reading)
    beside: Path | None = None
    if data is None:
        if output is None:
            raise BadInput(
                f"no few lines make the data of {name}, so they go beside the script as a file: "
                "say where the script goes, with -o FILE"
            )
        beside = writable(output.with_name(f"{output.stem}.npz"), "--output")
        data = file_lines(beside.name)
    stem = file_for(f"{name}-trial-{trial}-replicate-{replicate}", "")
    title = f"{name}, trial {trial}, replicate {replicate}"
    text = keras_script(finished, task, data, title=title, picture=f"{stem}.png")
    if output is None:
        typer.echo(text, nl=False)
        return
    with writing(output):
        output.write_text(text, encoding="utf-8")
    if beside is not None:
        with writing(beside):
            write_data(task, beside)
        typer.echo(f"The data are in {beside}, which the script reads.", err=True)
    typer.echo(str(output))


def _stored(name: str, storage: str) -> tuple["StudyResult", "Task", "CsvReading | None"]:
    """A study's results and its data, read or made again; BadInput where those have changed."""
    from storage.database import open_database
    from studies.study import CsvTask
    from sweep.results import read_results

    with open_database(storage, create=False) as database:
        result = read_results(database, existing(database, name))
    asked, reading = result.study.task, None
    if isinstance(asked, CsvTask):
        task, reading = asked.read()
    else:
        task = asked.load()
    if task.fingerprint != result.task.fingerprint:
        raise BadInput(
            f"the data of {name} are not those that it was trained on: {result.task.records} "
            f"records then, {task.records} now, with other values"
        )
    return result, task, reading


def _run(result: "StudyResult", trial: int, replicate: int) -> "FinishedRun":
    """One run of a trial; BadInput where there is none of that number."""
    from sweep.cli.inspect import trial_of

    runs = trial_of(result, trial).runs
    if replicate >= len(runs):
        raise BadInput(
            f"trial {trial} of {result.name} has no replicate {replicate}; it has "
            + (f"0 to {len(runs) - 1}" if len(runs) > 1 else "only 0")
        )
    return runs[replicate]
