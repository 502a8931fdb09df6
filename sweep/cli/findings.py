"""What a study and a trial say, on a terminal: sentences, tables and curves.

A study's trials come as the rows that its report is made from, so that the screen and the page say
the same.
"""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from studies.run import VALUE, FinishedRun
from sweep.analysis.segments import held_levels, later_plateaus_of
from sweep.cli.screens import table
from sweep.report.drawing import interval, percent
from sweep.report.measure import MEASURES, ranked_by
from sweep.report.rows import HELD_BACK, Row, number, ranked, words
from sweep.report.sentences import listed, plural
from sweep.results import StudyResult, TrialResult

BEST = 10
"""Configurations in a table, besides those that were given."""

CURVES_HEIGHT = 11
MOST_CURVES = 12
"""Replicates drawn in one plot; more cannot be told apart."""


def ranking_table(rows: Sequence[Row], goals: Sequence[str] = ()) -> Table:
    """The configurations in `rows`: place, trial, settings, and what their replicates say.

    Of several `goals`, what is minimised besides the first has a column too, and the Pareto front a
    mark.
    """
    others = [(place, name) for place, name in enumerate(goals) if place]
    foreign = any(row.reported is not None for row in rows)
    timed = any(row.timed for row in rows)
    size = ("value", "right") if foreign else ("params", "right")
    front = [("front", "right")] if others else []
    last = [(words(name), "right") for _, name in others] or [size]

    def ending(row: Row) -> list[str]:
        values = row.objectives
        if others and len(values) == len(goals):
            return [MEASURES[name].text(values[place]) for place, name in others]
        if foreign:
            return [number(row.reported)]
        return ["–" for _ in others] or ["–" if row.parameters is None else str(row.parameters)]

    return table(
        [
            ("place", "right"),
            ("trial", "right"),
            ("configuration", "left"),
            ("solved", "right"),
            *([("epochs (95 %)", "right"), ("plateau", "right")] if timed else []),
            *last,
            *front,
        ],
        (
            (
                str(row.place),
                f"{row.number}{'*' if row.enqueued else ''}",
                row.label,
                f"{row.solved}/{row.replicates}",
                *([_epochs(row), number(row.plateau)] if timed else []),
                *ending(row),
                *(["●" if row.front else ""] if front else []),
            )
            for row in rows
        ),
    )


def print_ranking(out: Console, rows: Sequence[Row], goals: Sequence[str] = ()) -> None:
    """The best configurations in a table, and what was given to be tried first: ten, or
    of several `goals` the Pareto front, up to twenty."""
    front = sum(row.front for row in rows) if len(goals) > 1 else 0
    best = max(BEST, min(front, 2 * BEST))
    shown = [row for row in rows if row.place <= best or row.enqueued]
    if not shown:
        return
    out.print()
    out.print(ranking_table(shown, goals))
    out.print()
    if len(shown) < len(rows):
        out.print(f"{len(rows) - len(shown)} more configurations are not shown.")
    first, *others = shown
    if [*goals] == ["epochs"] and first.solved and any(r.par2 == first.par2 for r in others):
        out.print(f"Places go {ranked_by(goals)}, among equals by the number of parameters.")
    if any(row.enqueued for row in shown):
        out.print("* given to be tried first")
    if len(goals) > 1:
        names = listed([words(name) for name in goals])
        out.print(f"● on the Pareto front of {names}")


def print_answer(out: Console, result: StudyResult, rows: Sequence[Row]) -> None:
    """The study's answer, a paragraph each of what it consists of."""
    for place, text in enumerate(answer_sentences(result, rows)):
        if place:
            out.print()
        # Unlike rich, textwrap keeps a number and its unit together and leaves no blanks at ends.
        out.print(textwrap.fill(text, out.width), soft_wrap=True)


def trial_sentence(result: StudyResult, trial: TrialResult) -> str:
    """A trial's settings and what its replicates say, levels held after the escape included."""
    row = next(row for row in ranked(result) if row.number == trial.number)
    identity = trial.configuration.identity()
    if row.reported is not None:
        # The rest of it stands in for what nobody here knows.
        identity = {**trial.params, "target": result.study.training.bound or ""}
    settings = ", ".join(f"{name} {_value(value)}" for name, value in identity.items())
    solved = f"solved by {row.solved} of {row.replicates} replicates"
    by = ranked_by(result.study.search.objectives)
    if row.median is not None:
        solved += f", median {_epochs(row)} epochs"
    size = trial.summary.parameters
    sized = "the number of parameters is unknown" if size is None else f"{size} parameters"
    place = f"{result.name}, trial {trial.number}, place {row.place} of {len(result.trials)}"
    if not row.timed:
        return (
            f"{place}: {'solved' if row.solved else 'not solved'}, its last value "
            f"{number(row.reported)}. It reported nothing before that, so its epochs and its "
            f"curve are unknown.\n{settings}; {sized}."
        )
    said = f"{place} {by}: {solved}, PAR2 {number(row.par2)}.\n{settings}; {sized}."
    return said + _levels(result, trial)


def _levels(result: StudyResult, trial: TrialResult) -> str:
    """Levels that half of the replicates or more held after their escape, a line each."""
    found = later_plateaus_of(trial.runs, trial.plateaus, records=result.task.records)
    lines: list[str] = []
    for level in held_levels(found, records=result.task.records):
        if 2 * level.runs < len(trial.runs):
            continue
        length = "to the end"
        if level.length_median is not None:
            length = f"for a median of {plural(level.length_median, 'epoch')}"
        lines.append(
            f"\nA later plateau at {percent(level.level)}: held by {level.runs} of "
            f"{plural(len(trial.runs), 'replicate')}, from epoch {number(level.start_median)} "
            f"{length}."
        )
    return "".join(lines)


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
    foreign = trial.runs[0].reported is not None
    # Then there is no room for the transition, which is what lies between escape and end.
    held_back = all(HELD_BACK in run.series for run in trial.runs)
    last = ("loss", "accuracy", *((HELD_BACK,) if held_back else ()))
    lines: list[tuple[str, ...]] = []
    for place, run in enumerate(trial.runs):
        length = int(found.plateau_length[place])
        # The last row of a run that failed is that of the epoch which it did not finish.
        failed = run.ended == "failed"
        steps = np.isfinite(run.curve(VALUE)).sum() if VALUE in run.series else run.epochs - failed
        times = (
            str(steps),
            number(float(found.escape[place])),
            f">{length}" if found.plateau_censored[place] else str(length),
            *([] if held_back else [number(float(found.transition_length[place]))]),
        )
        lines.append(
            (
                str(place),
                run.ended,
                *(times if run.timed and not failed else (times[0] if failed else "–", *["–"] * 3)),
                *(
                    (number(run.reported),)
                    if foreign
                    else (number(float(run.curve(name)[-1])) for name in last)
                ),
            )
        )
    headings = ("replicate", "ended", "epochs", "escape", "plateau")
    headings = headings if held_back else (*headings, "transition")
    named = ("validation" if name == HELD_BACK else name for name in last)
    headings = (*headings, *(("value",) if foreign else named))
    return table([(h, "left" if h == "ended" else "right") for h in headings], lines)


def curves(trial: TrialResult, series: str, width: int, colours: bool) -> str:
    """A series of the trial's replicates over epochs, drawn in `width` columns.

    Dotted lines mark chance and, where a replicate escaped, the median escape; up to there the axis
    is heavy. At most `MOST_CURVES` replicates are drawn.
    """
    from sweep.cli.plot import COLOURS, Plot

    shown = trial.runs[:MOST_CURVES]
    band = trial.plateaus.band
    share = series in ("accuracy", "val_accuracy")
    if series == VALUE:
        return _values(shown, width, colours)
    chance = band.accuracy if share else band.loss
    # One diverging replicate must not press all others flat against the axis.
    ceiling = 1.0 if share else 3 * chance
    lines: list[tuple[np.ndarray, np.ndarray]] = []
    for run in shown:
        values = np.asarray(run.curve(series) if series in run.series else (), dtype=float)
        finite = np.flatnonzero(np.isfinite(values))
        if len(finite):
            lines.append((finite + 1, np.minimum(values[finite], ceiling)))
    highest = max(run.epochs for run in shown)
    top = max(chance, 1.0 if share else 0.0)
    for _, values in lines:
        top = max(top, float(values.max()))
    ticks = {height: f"{height:g}" for height in _ticks(top)}
    margin = max(len(text) for text in ticks.values()) + 1
    plot = Plot(max(1, width - margin), CURVES_HEIGHT, (1, max(2, highest)), (0.0, top * 1.02))
    plot.level(chance)
    escape = trial.summary.escape_median
    if escape is not None:
        plot.mark(escape)
    for place, (epochs, values) in enumerate(lines):
        plot.curve(epochs, values, COLOURS[place % len(COLOURS)])
    along = sorted({round(1 + (highest - 1) * share / 5) for share in range(6)})
    left_out = len(trial.runs) - len(shown)
    also = f" ({left_out} more replicates not drawn)" if left_out else ""
    marks = f"chance {number(chance)}"
    if escape is not None:
        marks += f", escape in epoch {number(escape)}"
    called = series.replace("val_", "validation ")
    heading = textwrap.fill(f"{called} by epoch – dotted: {marks}{also}", width)
    heavy_to = escape - 1 if escape is not None and escape > 1 else None
    return "\n".join([heading, *plot.lines(along, ticks, colours, heavy_to)])


def _values(runs: Sequence[FinishedRun], width: int, colours: bool) -> str:
    """What trials of another tool's reported, over its steps; a dotted line marks the target."""
    from sweep.cli.plot import COLOURS, Plot

    target = runs[0].run.target
    lines = [(np.flatnonzero(np.isfinite(run.curve(VALUE))) + 1, run.curve(VALUE)) for run in runs]
    lines = [(steps, values[steps - 1].astype(float)) for steps, values in lines if len(steps)]
    everything = np.concatenate([[target], *(values for _, values in lines)])
    low, high = float(everything.min()), float(everything.max())
    room = 0.02 * (high - low) or abs(high) or 1.0
    heights = (low, (low + high) / 2, high)
    ticks = {height: number(height) for height in heights}
    margin = max(len(text) for text in ticks.values()) + 1
    highest = max(2, *(int(steps[-1]) for steps, _ in lines))
    size = (max(1, width - margin), CURVES_HEIGHT)
    plot = Plot(*size, (1, highest), (low - room, high + room))
    plot.level(target)
    for place, (steps, values) in enumerate(lines):
        plot.curve(steps, values, COLOURS[place % len(COLOURS)])
    along = sorted({round(1 + (highest - 1) * share / 5) for share in range(6)})
    heading = f"value by epoch, each a step that it reported – dotted: target {number(target)}"
    return "\n".join([textwrap.fill(heading, width), *plot.lines(along, ticks, colours, None)])


def drawn_series(trial: TrialResult) -> list[str]:
    """The series of a trial of which there are curves, in the order in which they are drawn."""
    runs = [run for run in trial.runs if run.timed]
    if any(VALUE in run.series for run in runs):
        return [VALUE]
    return [
        name
        for name in ("loss", "accuracy", "val_loss", "val_accuracy")
        if any(name in run.series and np.isfinite(run.curve(name)).any() for run in runs)
    ]


def _ticks(top: float) -> list[float]:
    """Round numbers from 0 up to `top`, three to six of them."""
    size = 10.0 ** math.floor(math.log10(top))
    step = next(size * part for part in (0.1, 0.2, 0.25, 0.5, 1, 2, 2.5) if top < 6 * size * part)
    return [step * place for place in range(int(top / step + 1e-9) + 1)]


def answer_sentences(result: StudyResult, rows: Sequence[Row]) -> list[str]:
    """The study's answer, as its report gives it."""
    from sweep.report.sentences import answer

    training, objectives = result.study.training, result.study.search.objectives
    target = training.bound or percent(training.target)
    return answer(rows, training.epochs, target, objectives)
