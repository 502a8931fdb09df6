"""The command `bench`: how fast sweep is on this machine, as ratios measured side by side."""

import sys
from typing import Annotated

import typer

from sweep.cli.options import Json


def bench(
    rows: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ROW]...",
            help="Rows by name or pattern, such as 'keras-*', groups of rows, or all.",
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Measure less, for a first look.")] = False,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Measurements of each side; default 5, quick 3.")
    ] = None,
    listed: Annotated[
        bool, typer.Option("--list", help="Name all rows, and measure none.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure how fast sweep is, against stock Keras, JAX and this machine's peak."""
    from sweep.bench import BENCHES, Options, Result, chosen, measure
    from sweep.bench.screen import MEASURED, busy, names, screen

    if listed:
        for line in names(chosen(rows or ["all"], BENCHES)):
            typer.echo(line)
        return
    wanted = chosen(rows or [], BENCHES)
    from sweep.bench.machine import machine

    where = machine()
    done: list[Result] = []
    options = Options(rounds=rounds or (3 if quick else 5), quick=quick)
    try:
        for result in measure(wanted, options, _say):
            done.append(result)
    finally:
        # What was measured before an interruption is shown as well.
        if as_json:
            from sweep.cli.inspect import print_json

            document = {"machine": where, "busy": busy(where), "measured": MEASURED}
            print_json({**document, "rows": [result.document() for result in done]})
        elif done:
            for line in screen(done, where):
                typer.echo(line)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
