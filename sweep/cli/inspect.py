"""The commands that look: `list`, `status`, `show`."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studies.errors import BadInput
from sweep.cli.options import DEFAULT_STORAGE, Json, Name, Storage, called, command, existing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from storage.queue import Entry
    from storage.trials import StudyLine
    from sweep.results import StudyResult, TrialResult


def list_studies(storage: Storage = DEFAULT_STORAGE, as_json: Json = False) -> None:
    """List the studies in the storage."""
    from storage.database import open_database
    from storage.queue import entries
    from storage.trials import study_lines

    with open_database(storage, create=False) as database:
        lines, url = study_lines(database), database.url
        queued = [one.name for one in entries(database) if not one.over]
    if as_json:
        print_json({"storage": url, "studies": [_line_document(line) for line in lines]})
        return
    from sweep.cli.screens import console, table

    out = console()
    if not lines and not queued:
        out.print(f"No study in {url} yet; `{called()} run` makes one.")
    if lines:
        out.print(
            table(
                [
                    ("study", "left"),
                    ("task", "left"),
                    ("trials", "right"),
                    ("runs", "right"),
                    ("solved", "right"),
                    ("last run", "right"),
                ],
                (
                    (
                        line.name,
                        line.task,
                        str(line.trials),
                        str(line.runs),
                        str(line.solved_runs),
                        _moment(line.updated),
                    )
                    for line in lines
                ),
            )
        )
    if queued:
        names = ", ".join(dict.fromkeys(queued))
        out.print(f"In the queue: {names}; `{called()} status` says at which place.")


def status(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A study; left out: all of them.")
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
    as_json: Json = False,
) -> None:
    """Say how far a study is, or each of them, and where it is in the queue."""
    from storage.database import open_database
    from storage.queue import entries
    from storage.trials import find_study, study_lines
    from sweep.cli.service import entry_line
    from sweep.service.submission import entry_document

    states: list[dict[str, Any]] = []
    with open_database(storage, create=False) as database:
        queued = entries(database, name=name)
        if name is not None and not queued:
            existing(database, name)
        if name is None:
            queued = _telling(queued, {line.name: line.updated for line in study_lines(database)})
        for line in study_lines(database):
            stored = find_study(database, line.name) if name in (None, line.name) else None
            if stored is None:
                continue
            asked = stored.document["search"]["trials"]
            states.append(
                _line_document(line)
                | {
                    "trials_asked": asked,
                    "runs_asked": asked * stored.document["training"]["replicates"],
                    "budget": stored.budget,
                    "complete": line.trials >= asked,
                }
            )
        url = database.url
    if as_json:
        queue = [entry_document(entry) for entry in queued]
        print_json({"storage": url, "studies": states, "queue": queue})
        return
    from sweep.cli.screens import console
    from sweep.report.sentences import plural

    out = console()
    if not states and not queued:
        out.print(f"No study in {url} yet; `{called()} run` makes one.")
    for state in states:
        done = "complete" if state["complete"] else "not complete"
        out.print(
            f"{state['study']}: {done}, {state['trials']} of {state['trials_asked']} trials, "
            f"{plural(state['runs'], 'run')} of up to {plural(state['budget'], 'epoch')}, "
            f"{state['solved_runs']} of them solved; last run {_moment(state['updated'])}"
            + ("" if state["complete"] else "; runs of trials that are not complete are kept too")
        )
    for entry in queued:
        out.print(f"Queue: {entry_line(entry)}")


def _telling(queued: "Sequence[Entry]", updated: "Mapping[str, datetime]") -> "list[Entry]":
    """Of the whole queue what runs, what waits, and whose last word is that it did not end well,
    unless its study has had a run since."""
    last: dict[str, Entry] = {}
    for entry in queued:
        last.setdefault(entry.name, entry)
    return [
        entry
        for entry in queued
        if not entry.over
        or (
            entry.state != "done"
            and last[entry.name] is entry
            and (entry.ended is None or updated.get(entry.name, entry.ended) <= entry.ended)
        )
    ]


def show(
    name: Name,
    trial: Annotated[
        int | None, typer.Argument(metavar="TRIAL", min=0, help="The number of a trial.")
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
    as_json: Json = False,
) -> None:
    """Show a study's best configurations, or a trial's curves."""
    from storage.database import open_database
    from sweep.results import read_results

    with open_database(storage, create=False) as database:
        result = read_results(database, existing(database, name))
    if trial is not None:
        _show_trial(result, trial_of(result, trial), as_json)
    elif as_json:
        print_json(_study_document(result))
    else:
        _show_study(result, storage)


def print_json(document: Any) -> None:
    """One JSON document on standard output."""
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False, default=_plain))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    # NumPy's numbers.
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} is no JSON")


def _moment(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def _line_document(line: "StudyLine") -> dict[str, Any]:
    return {
        "study": line.name,
        "task": line.task,
        "trials": line.trials,
        "runs": line.runs,
        "solved_runs": line.solved_runs,
        "created": line.created,
        "updated": line.updated,
    }


def _study_document(result: "StudyResult") -> dict[str, Any]:
    from sweep.results import configuration_json, ranking

    runs = [run for trial in result.trials for run in trial.runs]
    return {
        "study": result.name,
        "storage": result.storage,
        "task": result.task.name,
        "trials": len(result.trials),
        "runs": len(runs),
        "solved_runs": sum(run.ended == "solved" for run in runs),
        "created": result.created,
        "updated": result.updated,
        "configurations": [configuration_json(trial) for trial in ranking(result)],
    }


def trial_of(result: "StudyResult", number: int) -> "TrialResult":
    """The trial of that number; BadInput where it has not finished or never was."""
    for trial in result.trials:
        if trial.number == number:
            return trial
    if not result.trials:
        raise BadInput(f"{result.name} has no finished trial yet")
    last = result.trials[-1].number
    raise BadInput(
        f"{result.name} has no trial {number}; its trials are 0 to {last}"
        if last
        else f"{result.name} has no trial {number}; it has only trial 0"
    )


def _show_study(result: "StudyResult", storage: str) -> None:
    from sweep.cli.findings import print_answer, print_ranking
    from sweep.cli.screens import console
    from sweep.report.rows import ranked

    rows = ranked(result)
    out = console()
    print_answer(out, result, rows)
    if rows:
        print_ranking(out, rows, result.study.search.objectives)
        best = command("show", result.name, storage, str(rows[0].number))
        curves = ", with its curves" if rows[0].timed else ""
        out.print(f"One of them{curves}: {best}", soft_wrap=True)


def _show_trial(result: "StudyResult", trial: "TrialResult", as_json: bool) -> None:
    if as_json:
        print_json(_trial_document(result, trial))
        return
    from sweep.cli.findings import curves, drawn_series, replicates_table, trial_sentence
    from sweep.cli.screens import console

    out = console()
    out.print(trial_sentence(result, trial))
    out.print()
    out.print(replicates_table(trial))
    out.print()
    if trial.error is not None:
        out.print(f"What failed first: {trial.error}", soft_wrap=True)
        out.print()
    colours = out.is_terminal and not out.no_color
    for series in drawn_series(trial):
        typer.echo(curves(trial, series, out.width, colours), color=colours)


def _trial_document(result: "StudyResult", trial: "TrialResult") -> dict[str, Any]:
    from sweep.analysis.segments import later_plateaus_of
    from sweep.results import configuration_json

    found = trial.plateaus
    later = later_plateaus_of(trial.runs, found, records=result.task.records)
    return configuration_json(trial) | {
        "study": result.name,
        "configuration": trial.configuration.model_dump(),
        "error": trial.error,
        "runs": [
            {
                "replicate": place,
                "seed": run.run.seed,
                "ended": run.ended,
                "epochs": run.epochs,
                "escape": _finite(found.escape[place]),
                "plateau": int(found.plateau_length[place]),
                "plateau_censored": bool(found.plateau_censored[place]),
                "transition": _finite(found.transition_length[place]),
                "later_plateaus": [
                    {
                        "level": float(later.level[row]),
                        "start": int(later.start[row]),
                        "length": int(later.length[row]),
                        "censored": bool(later.censored[row]),
                    }
                    for row in (later.run == place).nonzero()[0]
                ],
                "curves": {
                    name: [_finite(value) for value in run.curve(name)] for name in run.series
                },
            }
            for place, run in enumerate(trial.runs)
        ],
    }


def _finite(value: Any) -> float | None:
    """A number as JSON has it: null where it does not exist."""
    number = float(value)
    return number if number - number == 0 else None
