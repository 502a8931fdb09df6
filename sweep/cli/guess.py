"""The command `guess`: how often random weights solve a study's task."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studies.errors import BadInput
from sweep.cli import options
from sweep.cli.options import Json

if TYPE_CHECKING:
    from studies.run import Configuration

GUESSES = 100_000


def guess(
    studies: Annotated[
        list[str],
        typer.Argument(metavar="STUDY…", help="Shipped studies, or paths of study files."),
    ],
    guesses: Annotated[int, typer.Option(min=1, help="Random networks to try.")] = GUESSES,
    cell: Annotated[str, typer.Option(help="Their cells: lstm, gru or rnn.")] = "rnn",
    layers: Annotated[int, typer.Option(help="Their recurrent layers.")] = 1,
    units: Annotated[int, typer.Option(help="Units of a layer.")] = 3,
    limit: Annotated[
        float, typer.Option(min=1e-6, max=1e6, help="Weights are drawn from -LIMIT … LIMIT.")
    ] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="The seed of the guesses.")] = 0,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="A setting of the study files, such as task.records=100; may be repeated.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Guess weights: how often does a random network solve a study's task?

    A task that guessing solves now and then proves nothing about a method that learns it.
    """
    from studies.study import read_study
    from sweep.analysis.survival import success_rate
    from sweep.cli.inspect import print_json

    configuration = _configuration({"cell": cell, "layers": layers, "units": units})
    changes = dict(options.setting(text) for text in settings or [])
    asked = [read_study(name).changed(changes) for name in studies]
    tasks = [(study.name, study.load_task()) for study in asked]
    from sweep.engine.guessing import guess as guessing

    rows: list[dict[str, Any]] = []
    for name, task in tasks:
        solved = guessing(
            task, configuration, guesses=guesses, limit=limit, seed=seed, on_progress=_shown(name)
        )
        share, low, high = success_rate(solved, guesses)
        rows.append(
            {"study": name, "task": task.name, "records": task.records, "guesses": guesses}
            | {"solved": solved, "share": share, "share_low": low, "share_high": high}
        )
    if as_json:
        network = {"cell": cell, "layers": layers, "units": units, "limit": limit, "seed": seed}
        print_json({"network": network, "rows": rows})
        return
    from sweep.cli.screens import console, table

    columns = ["study", "task", "guesses", "solved", "share (95 %)"]
    console().print(
        table(
            [(heading, "left" if heading in ("study", "task") else "right") for heading in columns],
            [
                (
                    row["study"],
                    row["task"],
                    f"{guesses:,}",
                    f"{row['solved']:,}",
                    f"{row['share']:.2g} ({row['share_low']:.2g}–{row['share_high']:.2g})",
                )
                for row in rows
            ],
        )
    )
    console().print(
        f"A guess is {layers} {cell} layer{'s' if layers > 1 else ''} of {units} "
        f"unit{'s' if units > 1 else ''} and the output layer, all weights drawn from "
        f"-{limit:g} … {limit:g}; it solves a task if it has every record right."
    )


def _configuration(given: dict[str, Any]) -> "Configuration":
    from studies.run import Configuration
    from studies.space import setting

    for key, value in given.items():
        try:
            setting(key, value)
        except ValueError as due:
            raise BadInput(f"--{key} {value}: must be {due}") from None
    return Configuration(**given)


def _shown(name: str) -> Any:
    """Shows on a terminal how many guesses were made."""
    if not sys.stderr.isatty():
        return None

    def show(made: int) -> None:
        print(f"\r\x1b[K{name}: {made:,} guesses", end="", file=sys.stderr, flush=True)

    return show
