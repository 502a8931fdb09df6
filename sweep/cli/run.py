"""The command `run`: from a study file to a database, a table and a report."""

from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studies.errors import BadInput
from sweep.cli.options import (
    DEFAULT_STORAGE,
    Csv,
    Epochs,
    Json,
    Label,
    Replicates,
    Seed,
    Settings,
    Storage,
    Timesteps,
    Trials,
    command,
    file_for,
    setting,
    writable,
    writing,
)
from sweep.cli.stopping import GO_ON, interruptible

if TYPE_CHECKING:
    from studies.study import Study
    from studies.tasks import Task
    from sweep.explain import Explanation
    from sweep.report.live import Live
    from sweep.results import StudyResult
    from sweep.search import Progress, SearchOutcome
    from sweep.session import Train


def run(
    study: Annotated[
        str | None,
        typer.Argument(
            metavar="STUDY",
            help="A shipped study, or the path of a study file; default: hello-lstm.",
        ),
    ] = None,
    trials: Trials = None,
    replicates: Replicates = None,
    epochs: Epochs = None,
    seed: Seed = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="The study's name in the storage; default: its file's, or the CSV's where no "
            "STUDY is given."
        ),
    ] = None,
    settings: Settings = None,
    csv: Csv = None,
    label: Label = None,
    timesteps: Timesteps = None,
    storage: Storage = DEFAULT_STORAGE,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the report goes; default: NAME.html."),
    ] = None,
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no report.")] = False,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait",
            help="Where another process works on the study, watch it until it ends, and go on.",
        ),
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show the report in a browser while the study runs.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="Where --watch listens; default: any free port."),
    ] = None,
    allow_code: Annotated[
        bool,
        typer.Option("--allow-code", help="Run the Python function that a study file names."),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Train in N processes beside this one; default: in this one."
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Train with the workers of a Dask cluster: its scheduler's address, such as "
            "tcp://HOST:8786.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a study: which configuration learns in the fewest epochs?

    Continues a study of the same name where it stopped; more trials, replicates or epochs extend
    it. More replicates or epochs show the search other values: extended before its end, a study may
    go on to other trials than it would have had if it had begun so. A CSV takes the place of the
    study's task; without a STUDY it lends its name too.
    """
    from studies.study import asked_settings, asked_study
    from sweep.workers import check_workers, trained_by

    if report is not None and no_report:
        raise BadInput("--report and --no-report: give one of them")
    if port is not None and not watch:
        raise BadInput("--port: it is where --watch listens, which is not given")
    options = asked_settings(
        name=name,
        trials=trials,
        replicates=replicates,
        epochs=epochs,
        seed=seed,
        csv=csv,
        label=label,
        timesteps=timesteps,
    )
    changes: dict[str, Any] = dict(setting(text) for text in settings or [])
    asked = asked_study(study, changes | options)
    if asked.training.model is not None:
        from sweep.execution import check_own_model

        check_own_model(asked, allow_code=allow_code)
    check_workers(asked, workers=workers, cluster=cluster)
    page = None if no_report else writable(report or file_for(asked.name, ".html"), "--report")
    live = _watched(asked, storage, port) if watch else nullcontext()
    task = _data(asked, allow_code)
    say = partial(typer.echo, err=True)
    trained = trained_by(asked, workers=workers, cluster=cluster, say=say)
    for kept in _kept(asked, task, storage):
        say(kept)
    outcome = _search(asked, task, storage, wait, allow_code, live, trained)
    _end(outcome, storage, page, as_json)


def _data(study: "Study", allow_code: bool) -> "Task":
    """The study's data; of a CSV it says what was taken for what, before anything trains."""
    from sweep.keras.data import load_data

    said: list[str] = []
    task = load_data(study, allow_code=allow_code, say=said.append)
    for sentence in [*said, f"The study is called {study.name}."] if said else []:
        typer.echo(sentence, err=True)
    return task


def _kept(asked: "Study", task: "Task", storage: str) -> list[str]:
    """A sentence where the stored study was asked for more than now, and goes on to that."""
    from storage.database import StorageFailure, open_database
    from storage.trials import find_study
    from studies.study import Study, at_least
    from sweep.search import check_continues

    # What is wrong with the storage, or the study in it, is said where it is to be continued.
    try:
        with open_database(storage, create=False) as database:
            stored = find_study(database, asked.name)
        if stored is None:
            return []
        there = Study.from_document(stored.document, stored.name)
        check_continues(stored, at_least(there, asked), task)
    except (BadInput, StorageFailure):
        return []
    more = [
        f"{getattr(have, key)} {key}"
        for want, have, key in (
            (asked.search, there.search, "trials"),
            (asked.training, there.training, "replicates"),
            (asked.training, there.training, "epochs"),
        )
        if getattr(have, key) > getattr(want, key)
    ]
    if not more:
        return []
    return [
        f"The study goes on to its {' and '.join(more)}: it can be extended, but not shortened."
    ]


def _search(
    study: "Study",
    task: "Task",
    storage: str,
    wait: bool,
    allow_code: bool,
    live: AbstractContextManager["Live | None"],
    trained: AbstractContextManager["Train | None"],
) -> "SearchOutcome":
    from storage.database import StorageFailure
    from storage.lease import LeaseHeld
    from sweep.cli.progress import shown_progress
    from sweep.progress import described
    from sweep.search import run_study

    try:
        with trained as train, live as page, shown_progress() as show, interruptible():

            def show_all(progress: "Progress") -> None:
                show(progress)
                if page is not None:
                    page.show(described(progress), progress.runs_done, progress.runs_total)

            return run_study(
                study,
                storage,
                task=task,
                on_progress=show_all,
                train=train,
                wait=wait,
                allow_code=allow_code,
            )
    except LeaseHeld as held:
        raise StorageFailure(
            f"{held};\nthe same with --wait watches it until it ends and then goes on, and "
            f"`{command('status', study.name, storage)}` says how far it is"
        ) from None
    except KeyboardInterrupt:
        raise KeyboardInterrupt(GO_ON) from None


@contextmanager
def _watched(study: "Study", storage: str, port: int | None) -> Generator["Live"]:
    """Within this, the study's report is served as it grows."""
    from sweep.report.live import watched

    with watched(storage, study.name, port) as live:
        typer.echo(f"The report, as it grows: {live.url}", err=True)
        yield live


def _end(outcome: "SearchOutcome", storage: str, page: Path | None, as_json: bool) -> None:
    """Writes the report, then says what was found and where it is."""
    from sweep.cli.inspect import print_json

    result = outcome.result
    failure: OSError | None = None
    if page is not None:
        from sweep.report import write_report

        try:
            why = _why(storage, result)
            with writing(page):
                write_report(result, page, why=why)
        except OSError as error:
            failure, page = error, None
    if as_json:
        print_json(_document(outcome, page))
    else:
        _print_ending(outcome, storage, page)
    if failure is not None:
        raise failure


def _why(storage: str, result: "StudyResult") -> "tuple[Explanation, ...]":
    """What `explain` found about trials of the study; the answer does without."""
    from storage.database import StorageFailure, open_database
    from sweep.report.why import explanations

    with suppress(StorageFailure), open_database(storage, create=False) as database:
        return explanations(database, result)
    return ()


def _document(outcome: "SearchOutcome", page: Path | None) -> dict[str, Any]:
    """The outcome under the keys that programs read; they stay as they are."""
    from sweep.results import configuration_json, ranking

    result = outcome.result
    ranked = ranking(result)
    runs = [run for trial in result.trials for run in trial.runs]
    return {
        "study": result.name,
        "storage": result.storage,
        "report": str(page) if page is not None else None,
        "trials": len(result.trials),
        "runs": len(runs),
        "solved_runs": sum(run.ended == "solved" for run in runs),
        "seconds": round(outcome.seconds, 3),
        "best": configuration_json(ranked[0]) if ranked else None,
        "enqueued": [configuration_json(trial) for trial in result.trials if trial.enqueued],
    }


def _print_ending(outcome: "SearchOutcome", storage: str, page: Path | None) -> None:
    from sweep.cli.findings import print_answer, print_ranking
    from sweep.cli.screens import console
    from sweep.report.rows import number, ranked
    from sweep.report.sentences import plural

    result = outcome.result
    rows = ranked(result)
    out = console()
    print_answer(out, result, rows)
    print_ranking(out, rows, result.study.search.objectives)
    runs = sum(len(trial.runs) for trial in result.trials)
    seconds = number(outcome.seconds)
    trained = f"{outcome.runs_trained} of them trained now" if outcome.runs_trained else "none new"
    out.print(
        f"{plural(len(result.trials), 'trial')}, {plural(runs, 'run')} ({trained}) in {seconds} s."
    )
    failed = [trial for trial in result.trials for run in trial.runs if run.ended == "failed"]
    if failed:
        first = next((trial for trial in failed if trial.error), failed[0])
        line = (first.error or "").strip().rpartition("\n")[2]
        where = command("show", result.name, storage, str(first.number))
        out.print(
            f"{plural(len(failed), 'run')} failed, the first in trial {first.number}: {line}\n"
            f"All that it said: {where}",
            soft_wrap=True,
            markup=False,
            highlight=False,
        )
    if outcome.grid_exhausted:
        out.print(
            f"The grid has no more than {len(result.trials)} points, fewer than the "
            f"{result.study.search.trials} trials asked for."
        )
    if outcome.uncopied:
        out.print(
            f"Optuna’s copy of the study lacks {outcome.uncopied:,} trials as yet; "
            "`dashboard` completes it."
        )
    lines = [f"Storage: {result.storage}"]
    if page is not None:
        lines.append(f"Report:  {page}")
    best = [str(rows[0].number)] if rows else []
    lines.append(f"Next:    {command('show', result.name, storage, *best)}")
    lines.append(f"         {command('dashboard', '', storage)}")
    for line in lines:
        out.print(line, soft_wrap=True)
