"""What a study and a trial say, on a terminal: sentences, tables and curves.

A study's trials come as the rows that its report is made from, so that the screen and the page say
the same.
"""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from sweep.cli.screens import table
from sweep.report.drawing import interval
from sweep.report.measure import ranked_by
from sweep.report.rows import Row, number, ranked
from sweep.results import StudyResult, TrialResult

BEST = 10
"""Configurations in a table, besides those that the study file gave."""

CURVES_HEIGHT = 13
MOST_CURVES = 12
"""Replicates drawn in one plot; more cannot be told apart."""


def ranking_table(rows: Sequence[Row]) -> Table:
    """The configurations in `rows`: place, trial, settings, and what their replicates say."""
    return table(
        [
            ("place", "right"),
            ("trial", "right"),
            ("configuration", "left"),
            ("solved", "right"),
            ("epochs (95 %)", "right"),
            ("plateau", "right"),
            ("params", "right"),
        ],
        (
            (
                str(row.place),
                f"{row.number}{'*' if row.enqueued else ''}",
                row.label,
                f"{row.solved}/{row.replicates}",
                _epochs(row),
                number(row.plateau),
                str(row.parameters),
            )
            for row in rows
        ),
    )


def print_ranking(out: Console, rows: Sequence[Row]) -> None:
    """The best ten configurations in a table, and what the study file gave to be tried first."""
    shown = [row for row in rows if row.place <= BEST or row.enqueued]
    if not shown:
        return
    out.print()
    out.print(ranking_table(shown))
    out.print()
    if len(shown) < len(rows):
        out.print(f"{len(rows) - len(shown)} more configurations are not shown.")
    if any(row.enqueued for row in shown):
        out.print("* given in the study file, to be tried first")


def trial_sentence(result: StudyResult, trial: TrialResult) -> str:
    """A trial's settings and what its replicates say."""
    row = next(row for row in ranked(result) if row.number == trial.number)
    identity = trial.configuration.identity()
    settings = ", ".join(f"{name} {_value(value)}" for name, value in identity.items())
    solved = f"solved by {row.solved} of {row.replicates} replicates"
    by = ranked_by(result.study.search.objectives)
    if row.median is not None:
        solved += f", median {_epochs(row)} epochs"
    return (
        f"{result.name}, trial {trial.number}, place {row.place} of {len(result.trials)} {by}: "
        f"{solved}, PAR2 {number(row.par2)}.\n{settings}; {trial.summary.parameters} parameters."
    )


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _epochs(row: Row) -> str:
    if row.median is None:
        return "–"
    return f"{number(row.median)} {interval(row)}".replace(" or more", "+").rstrip()


def replicates_table(trial: TrialResult) -> Table:
    """The replicates of a trial: how each ended, its epochs, escape, plateau and last values."""
    found = trial.plateaus
    lines: list[tuple[str, ...]] = []
    for place, run in enumerate(trial.runs):
        length = int(found.plateau_length[place])
        lines.append(
            (
                str(place),
                run.ended,
                str(run.epochs),
                number(float(found.escape[place])),
                f">{length}" if found.plateau_censored[place] else str(length),
                number(float(found.transition_length[place])),
                number(float(run.curve("loss")[-1])),
                number(float(run.curve("accuracy")[-1])),
            )
        )
    headings = ("replicate", "ended", "epochs", "escape", "plateau", "transition")
    headings = (*headings, "loss", "accuracy")
    return table([(h, "left" if h == "ended" else "right") for h in headings], lines)


def curves(trial: TrialResult, series: str, width: int, colours: bool) -> str:
    """A series of the trial's replicates over epochs, drawn in `width` columns.

    Dotted lines mark chance and, where a replicate escaped, the median escape. At most
    `MOST_CURVES` replicates are drawn.
    """
    import numpy as np
    import plotext

    figure = plotext.figure
    figure.clear()
    figure.plot_size(width, CURVES_HEIGHT)
    shown = trial.runs[:MOST_CURVES]
    highest = 1
    top = 1.0 if series == "accuracy" else 0.0
    band = trial.plateaus.band
    chance = band.accuracy if series == "accuracy" else band.loss
    for run in shown:
        values = np.asarray(run.curve(series), dtype=float)
        finite = np.flatnonzero(np.isfinite(values))
        highest = max(highest, run.epochs)
        if not len(finite):
            continue
        # One diverging replicate must not press all others flat against the axis.
        ceiling = 3 * chance if series == "loss" else 1.0
        heights = np.minimum(values[finite], ceiling)
        top = max(top, float(heights.max()))
        line = figure.signal((finite + 1).tolist(), heights.tolist(), marker="braille")
        figure.draw(line.lines())
    figure.line(chance, orientation=0, style="dotted")
    escape = trial.summary.escape_median
    if escape is not None:
        figure.line(escape, orientation=1, style="dotted")
    top = max(top, chance)
    heights = _ticks(top)
    figure.ruler("y").lim(0, top * 1.02)
    figure.ruler("y").ticks(heights, [f"{height:g}" for height in heights])
    figure.ruler("x").lim(1, max(2, highest))
    ticks = sorted({round(1 + (highest - 1) * share / 5) for share in range(6)})
    figure.ruler("x").ticks(ticks, [str(tick) for tick in ticks])
    left_out = len(trial.runs) - len(shown)
    also = f" ({left_out} more replicates not drawn)" if left_out else ""
    marks = f"chance {number(chance)}"
    if escape is not None:
        marks += f", plateau up to epoch {number(escape - 1)}"
    heading = textwrap.fill(f"{series} by epoch – dotted: {marks}{also}", width)
    drawing = str(figure.build().string(colorless=not colours))
    figure.clear()
    return f"{heading}\n{drawing}"


def _ticks(top: float) -> list[float]:
    """Round numbers from 0 up to `top`, three to six of them."""
    size = 10.0 ** math.floor(math.log10(top))
    step = next(size * part for part in (0.1, 0.2, 0.25, 0.5, 1, 2, 2.5) if top < 6 * size * part)
    return [step * place for place in range(int(top / step + 1e-9) + 1)]


def percent_text(share: float) -> str:
    return f"{share * 100:.4g} %"


def answer_sentences(result: StudyResult, rows: Sequence[Row]) -> list[str]:
    """The study's answer, as its report gives it."""
    from sweep.report.sentences import answer

    training, objectives = result.study.training, result.study.search.objectives
    return answer(rows, training.epochs, percent_text(training.target), objectives)
