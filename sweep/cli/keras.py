"""The commands that meet Keras: `code` writes a run as a script, `verify` trains runs again."""

import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studies.errors import BadInput
from sweep.cli.options import (
    DEFAULT_STORAGE,
    Json,
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
    from sweep.keras.verify import Repeated, VerifiedTrial
    from sweep.results import StudyResult, TrialResult

Trial = Annotated[int, typer.Option(min=0, help="The number of a trial, as `show` lists them.")]

Replicate = Annotated[
    int, typer.Option("--replicate", min=0, metavar="R", help="One of its trainings, from 0.")
]


AllowCode = Annotated[
    bool,
    typer.Option("--allow-code", help="Call the Python function that makes the study's data."),
]


def code(
    name: Name,
    trial: Trial,
    replicate: Replicate = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Default: standard output."),
    ] = None,
    allow_code: AllowCode = False,
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Write a plain Keras script that trains a run again, to the same curve.

    It needs nothing of sweep. A task whose data no few lines make goes beside the script, as NPZ.
    """
    from sweep.keras.script import data_lines, file_lines, keras_script, write_data

    if output is not None:
        writable(output, "--output")
    result, task, reading = stored_study(name, storage, allow_code=allow_code)
    finished = run_of(result, trial, replicate)
    data = data_lines(result.study.task, task, reading)
    beside: Path | None = None
    if data is None:
        if output is None:
            raise BadInput(
                f"no few lines make the data of {name}, so they go beside the script as a file: "
                "say where the script goes, with -o FILE"
            )
        beside = writable(output.with_name(f"{output.stem}.npz"), "--output")
        data = file_lines(beside.name, validated=task.validation is not None)
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


VERIFIED = 10
"""Trials that are verified where none is named: the best."""


def verify(
    name: Name,
    trial: Annotated[
        list[int] | None,
        typer.Option(min=0, help="A trial's number; may be repeated. Default: the best ten."),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(min=1, metavar="K", help="K trials instead, from the best to the worst."),
    ] = None,
    fresh: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="Runs of each trial from Keras's own seeds; default: as many as replicates.",
        ),
    ] = None,
    allow_code: AllowCode = False,
    storage: Storage = DEFAULT_STORAGE,
    as_json: Json = False,
) -> None:
    """Train runs again in stock Keras, and say how far they differ.

    From the same weights and batches: do the curves agree, and the epochs to the target? From
    Keras's own seeds: are these distributed alike? Exit status 1 where the answer is no.
    """
    if trial and sample is not None:
        raise BadInput("--trial and --sample: give one of them")
    result, task, _ = stored_study(name, storage, allow_code=allow_code)
    chosen = _chosen(result, trial, sample)
    started = time.monotonic()
    from sweep.keras.verify import document
    from sweep.keras.verify import verify as trained_again

    per_trial = [len(one.runs) + (len(one.runs) if fresh is None else fresh) for one in chosen]
    with _counting(sum(per_trial)) as count:
        verified = trained_again(chosen, task, fresh=fresh, on_run=count)
    agrees = all(one.agrees for one in verified)
    if as_json:
        from sweep.cli.inspect import print_json

        print_json(
            {
                "study": result.name,
                "storage": result.storage,
                "agrees": agrees,
                "trials": document(verified),
                "seconds": round(time.monotonic() - started, 3),
            }
        )
    else:
        _print_verified(verified)
    if not agrees:
        raise typer.Exit(1)


def _chosen(
    result: "StudyResult", numbers: Sequence[int] | None, sample: int | None
) -> list["TrialResult"]:
    from sweep.cli.inspect import trial_of
    from sweep.results import ranking

    if numbers:
        return [trial_of(result, number) for number in dict.fromkeys(numbers)]
    ranked = ranking(result)
    if not ranked:
        raise BadInput(f"{result.name} has no finished trial yet")
    if sample is None or sample >= len(ranked):
        return ranked[: VERIFIED if sample is None else sample]
    last = len(ranked) - 1
    return [ranked[round(n * last / max(1, sample - 1))] for n in range(sample)]


@contextmanager
def _counting(total: int) -> Generator[Callable[[int], None]]:
    """Within this, the function that it gives shows how many of the runs are done."""
    started = shown = time.monotonic()
    live = sys.stderr.isatty()

    def show(done: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if live:
            print(f"\r{done} of {total} runs trained in Keras", end="", file=sys.stderr, flush=True)
        elif now - shown >= 5.0:
            shown = now
            print(
                f"[{now - started:.0f} s] {done} of {total} runs trained in Keras", file=sys.stderr
            )

    yield show
    if live:
        print(file=sys.stderr)


def _print_verified(verified: Sequence["VerifiedTrial"]) -> None:
    from sweep.cli.screens import console, table
    from sweep.report.rows import number

    def median(value: float | None) -> str:
        return "–" if value is None else number(value)

    out = console()
    fresh = any(one.fresh for one in verified)
    columns = ["trial", "same epochs", "loss differs", "accuracy differs", "epochs"]
    columns += ["fresh seeds", "p"] if fresh else []
    rows: list[list[str]] = []
    for one in verified:
        loss = max(float(run.loss.max()) for run in one.repeated)
        accuracy = max(float(run.accuracy.max()) for run in one.repeated)
        row = [
            str(one.trial.number),
            f"{one.same}/{len(one.repeated)}",
            f"{loss:.0e}" if loss else "0",
            number(accuracy),
            median(one.stored_median.value),
        ]
        if one.adjusted is not None:
            row += [median(one.fresh_median.value), f"{one.adjusted:.2f}"]
        rows.append(row)
    out.print(table([(column, "right") for column in columns], rows))
    out.print()
    for sentence in _sentences(verified):
        out.print(sentence)


def _sentences(verified: Sequence["VerifiedTrial"]) -> list[str]:
    """What the table of verified trials says, and the runs that do not agree one by one."""
    from sweep.keras.verify import LEVEL

    runs = sum(len(one.repeated) for one in verified)
    same = sum(one.same for one in verified)
    loss = max(float(run.loss.max()) for one in verified for run in one.repeated)
    sentences = [
        f"From the same weights and batches, {same} of {runs} runs end in the same epoch in stock "
        f"Keras. An epoch's loss differs by at most {loss:.1e} of its value."
    ]
    for one in verified:
        for replicate, run in enumerate(one.repeated):
            if not run.agrees:
                sentences.append(
                    f"Trial {one.trial.number}, replicate {replicate}: {run.stored.ended} in epoch "
                    f"{run.stored.epochs} here, {run.keras.ended} in epoch {run.keras.epochs} in "
                    f"Keras.{_parting(run)}"
                )
    fresh = sum(len(one.fresh) for one in verified)
    adjusted = [one.adjusted for one in verified if one.adjusted is not None]
    if adjusted:
        differ = [one.trial.number for one in verified if (one.adjusted or 0.0) < LEVEL]
        said = (
            "are distributed as the stored ones"
            if not differ
            else f"are distributed otherwise for trial {', '.join(map(str, differ))}"
        )
        sentences.append(
            f"The epochs of {fresh} runs from Keras's own seeds {said} (log-rank test of each "
            f"trial; p is adjusted for their number, the smallest is {min(adjusted):.2f})."
        )
    return sentences


def _parting(run: "Repeated") -> str:
    """How far two curves went together before they parted, where they did at first."""
    together = run.together
    if not 0 < together < min(run.stored.epochs, run.keras.epochs):
        return ""
    return (
        f" Up to epoch {together} their losses are the same to 1e-4; then they part, as where "
        "training multiplies rounding errors."
    )


def stored_study(
    name: str, storage: str, *, allow_code: bool = False
) -> tuple["StudyResult", "Task", "CsvReading | None"]:
    """A study's results and its data, read or made again; BadInput where those have changed, or
    where its models are not ours to train."""
    from storage.database import open_database
    from studies.functions import short_name
    from studies.own import is_imported
    from studies.study import CsvTask
    from sweep.keras.data import load_data
    from sweep.results import read_results

    with open_database(storage, create=False) as database:
        result = read_results(database, existing(database, name))
    own = result.study.training.model
    if own is not None and is_imported(result.study.training.code):
        raise BadInput(
            f"{name} was taken over from Optuna, with what its trials reported; the models that "
            "they trained are not here"
        )
    if own is not None:
        raise BadInput(
            f"{name} is of an own model, {short_name(own)}, which is Keras already: its function "
            "makes it again"
        )
    asked, reading = result.study.task, None
    if isinstance(asked, CsvTask):
        task, reading = asked.read()
    else:
        task = load_data(result.study, allow_code=allow_code)
    if task.fingerprint != result.task.fingerprint:
        raise BadInput(
            f"the data of {name} are not those that it was trained on: {result.task.records} "
            f"records then, {task.records} now, with other values"
        )
    return result, task, reading


def run_of(result: "StudyResult", trial: int, replicate: int) -> "FinishedRun":
    """One run of a trial; BadInput where there is none of that number."""
    from sweep.cli.inspect import trial_of

    runs = trial_of(result, trial).runs
    if replicate >= len(runs):
        raise BadInput(
            f"trial {trial} of {result.name} has no replicate {replicate}; it has "
            + (f"0 to {len(runs) - 1}" if len(runs) > 1 else "only 0")
        )
    return runs[replicate]
