"""`compare`: the values of a setting, trials or studies against one another."""

import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from studies.errors import BadInput
from sweep.cli.options import DEFAULT_STORAGE, Json, Storage, existing

WIDEST_TEXT = 100
"""Columns of a paragraph; wider lines are hard to read."""

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.comparing import StudyComparison, StudyLaw
    from sweep.results import StudyResult


def compare(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="One study, or several.")],
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="KEY", help="Compare the values of this setting."),
    ] = None,
    trial: Annotated[
        list[int] | None,
        typer.Option(
            "--trial", metavar="N", min=0, help="Compare this trial with others; give it twice."
        ),
    ] = None,
    law: Annotated[
        bool,
        typer.Option("--law", help="Fit by which law the plateau goes with the setting, or all."),
    ] = False,
    restarts: Annotated[
        bool,
        typer.Option(
            "--restarts", help="Draw the share solved if runs that fail are started again."
        ),
    ] = False,
    measure: Annotated[
        str | None,
        typer.Option(
            "--measure",
            metavar="NAME",
            help="What is compared: epochs (if left out), updates, flops or plateau.",
        ),
    ] = None,
    storage: Storage = DEFAULT_STORAGE,
    as_json: Json = False,
) -> None:
    """Compare the values of a setting, or studies: how often and how fast they solve the task.

    Censored runs count as what they are; runs of the same seed and settings are compared in pairs.
    """
    from storage.database import open_database
    from sweep.cli.inspect import print_json
    from sweep.comparing import as_json as document
    from sweep.results import read_results

    with open_database(storage, create=False) as database:
        results = [read_results(database, existing(database, name)) for name in names]
    if law:
        _laws(results, by, trial, measure, as_json)
        return
    found = _chosen(results, by, trial, measure or "epochs")
    if as_json:
        print_json(document(found))
    else:
        _show(found, restarts)


def _chosen(
    results: "Sequence[StudyResult]",
    by: str | None,
    trials: "Sequence[int] | None",
    measure: str,
) -> "StudyComparison":
    """The comparison that the arguments ask for; BadInput where they ask for none."""
    from sweep.comparing import compare_setting, compare_studies, compare_trials
    from sweep.comparing.groups import searched_settings

    if trials:
        if by is not None:
            raise BadInput("--trial and --by exclude each other; leave one out")
        if len(results) > 1:
            raise BadInput("--trial compares trials of one study; name only one")
        return compare_trials(results[0], trials, measure)
    if by is not None:
        return compare_setting(results, by, measure)
    if len(results) > 1:
        return compare_studies(results, measure)
    there = searched_settings(results)
    if len(there) == 1:
        return compare_setting(results, there[0], measure)
    if not there:
        raise BadInput(
            f"{results[0].name} searches no setting, so there is nothing to compare within it; "
            "name another study, or trials with --trial"
        )
    raise BadInput(f"compare by what? Give --by with one of {', '.join(there)}")


def _laws(
    results: "Sequence[StudyResult]",
    by: str | None,
    trials: "Sequence[int] | None",
    measure: str | None,
    as_json: bool,
) -> None:
    """The laws of a study's lines; BadInput where the arguments ask for something else."""
    from sweep.cli.inspect import print_json
    from sweep.comparing import law_as_json, laws_of

    if len(results) > 1 or trials:
        raise BadInput("--law is about the settings of one study; name one, without --trial")
    found = laws_of(results[0], by, measure or "plateau")
    if as_json:
        print_json({"study": results[0].name, "laws": [law_as_json(one) for one in found]})
        return
    _show_laws(found, every=by is None)


def _show_laws(found: "Sequence[StudyLaw]", *, every: bool) -> None:
    from sweep.cli.laws import law_plot, laws_table, levels_table
    from sweep.cli.screens import console
    from sweep.comparing import law_finding

    out = console()
    width = min(out.width, WIDEST_TEXT)
    colours = out.is_terminal and not out.no_color
    if every:
        out.print(laws_table(found))
        out.print()
    for place, one in enumerate(found):
        if place:
            out.print()
        out.print(textwrap.fill(" ".join(law_finding(one)), width), soft_wrap=True)
        if one.law is not None and not every:
            out.print()
            out.print(levels_table(one, one.law))
            out.print()
            typer.echo(law_plot(one, one.law, out.width, colours), color=colours)


def _show(found: "StudyComparison", restarts: bool) -> None:
    from sweep.cli.comparison import (
        contrasts_table,
        groups_table,
        heading,
        restart_curves,
        survival_curves,
    )
    from sweep.cli.screens import console
    from sweep.comparing import finding

    out = console()
    width = min(out.width, WIDEST_TEXT)
    colours = out.is_terminal and not out.no_color
    out.print(heading(found), soft_wrap=True)
    out.print()
    for text in finding(found):
        # Unlike rich, textwrap keeps a number and its unit together.
        out.print(textwrap.fill(text, width), soft_wrap=True)
    out.print()
    out.print(groups_table(found))
    out.print()
    if found.timed:
        drawing = restart_curves if restarts else survival_curves
        typer.echo(drawing(found, out.width, colours), color=colours)
        out.print()
        out.print(contrasts_table(found))
    if found.notes:
        out.print()
        out.print(textwrap.fill(" ".join(found.notes), width), soft_wrap=True)
