"""The commands on a whole storage: `import` studies from another, and `doctor`."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

import typer

from studies.errors import BadInput
from sweep.cli.options import DEFAULT_STORAGE, Json, Storage

if TYPE_CHECKING:
    from storage.doctor import Health


def import_studies(
    source: Annotated[
        str, typer.Argument(metavar="URL", help="The storage to take from, left as it is.")
    ],
    name: Annotated[
        str | None, typer.Argument(metavar="[STUDY]", help="A study there; default: all of them.")
    ] = None,
    new_name: Annotated[
        str | None, typer.Option("--name", help="What the study is called here; default: the same.")
    ] = None,
    target: Annotated[
        float | None,
        typer.Option(help="For a study that plain Optuna made: the value that counts as solved."),
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Take studies from another storage, with their runs and curves.

    Nothing is stored twice: a study that was imported before brings what it has become since. A
    study that plain Optuna made is taken over with its trials and what they reported, each as a run
    with its curve, to be looked at; it cannot be continued.
    """
    from storage.database import open_database
    from storage.exchange import import_study
    from storage.trials import find_study, no_study, study_lines

    if new_name is not None and name is None:
        raise BadInput("--name: it is for one study; say which")
    if _is_optunas(source):
        _take_over(source, name, new_name, target, storage)
        return
    if target is not None:
        raise BadInput(f"--target: it is for studies of plain Optuna; {source} is of sweep")
    with open_database(source, create=False) as theirs, ExitStack() as stack:
        if name is not None and find_study(theirs, name) is None:
            raise no_study(theirs, name)
        # Made only now: a study that is not there leaves no storage behind.
        ours = stack.enter_context(open_database(storage))
        names = [name] if name is not None else [line.name for line in study_lines(theirs)]
        for one in names:
            done = import_study(theirs, ours, one, new_name=new_name)
            typer.echo(
                f"{done.name}: {done.trials:,} trials ({done.new_trials:,} new), "
                f"{done.runs:,} runs ({done.new_runs:,} new)"
            )
        if not names:
            typer.echo(f"No study in {theirs.url}.", err=True)


def _is_optunas(source: str) -> bool:
    """Whether a storage was made by plain Optuna, and sweep has nothing in it."""
    from storage.database import open_database

    try:
        with open_database(source, create=False):
            return False
    except BadInput:
        from sweep.foreign import optuna_studies

        if not optuna_studies(source):
            raise
        return True


def _take_over(
    source: str, name: str | None, new_name: str | None, target: float | None, storage: str
) -> None:
    from storage.database import open_database
    from sweep.foreign import import_optuna, optuna_studies
    from sweep.sampling import quiet

    if name is None:
        raise BadInput(
            f"{source} was made by plain Optuna; say which of its studies to take: "
            f"{', '.join(optuna_studies(source)[:10])}"
        )
    with open_database(storage) as ours, quiet():
        taken = import_optuna(source, name, ours, target=target, new_name=new_name)
    left = f", {taken.left_out} left out that gave no finite value" if taken.left_out else ""
    typer.echo(f"{taken.name}: {taken.trials:,} trials{left}")


def doctor(
    mend: Annotated[
        bool,
        typer.Option(
            "--mend", help="Take damaged runs out; `run` trains them anew, to the same trials."
        ),
    ] = False,
    as_json: Json = False,
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Check a storage: counts, every curve's checksum, what refers to nothing.

    Ends with status 1 where something is wrong.
    """
    from storage import doctor as clinic
    from storage.address import parse, shown_address
    from storage.database import StorageFailure, open_database
    from sweep.cli.inspect import print_json

    taken = 0
    try:
        with open_database(storage, create=False) as database:
            health = clinic.examine(database)
            if mend and health.damaged:
                taken = clinic.mend(database, health.damaged)
    except StorageFailure as error:
        if not as_json:
            raise
        health = clinic.Health(shown_address(parse(storage)), {}, (str(error),), ())
    if as_json:
        print_json(
            {
                "storage": health.storage,
                "counts": dict(health.counts),
                "problems": list(health.problems),
                "damaged": list(health.damaged),
                "trials_taken_out": taken,
            }
        )
    else:
        _say(health, taken, mend)
    if health.problems:
        raise typer.Exit(1)


def _say(health: "Health", taken: int, mended: bool) -> None:
    typer.echo(health.storage)
    for what, count in health.counts.items():
        typer.echo(f"{count:>15,}  {what}")
    for problem in health.problems:
        typer.echo(f"wrong: {problem}")
    if not health.problems:
        typer.echo("Nothing is wrong.")
    elif mended and health.damaged:
        typer.echo(
            f"Took out {len(health.damaged):,} runs and {taken:,} trials; `run` on the same "
            "studies trains them anew."
        )
    elif health.damaged:
        typer.echo("`doctor --mend` takes damaged runs out, and `run` trains them anew.")
