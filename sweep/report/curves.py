"""Learning curves: accuracy and loss by epoch, with the plateau, the escape and the target.

The page holds the curves of many configurations, of which its reader picks a few.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from studies.run import FinishedRun
from studies.tasks import Target
from sweep.analysis.plateau import ChanceBand
from sweep.analysis.segments import held_levels, later_plateaus_of
from sweep.report.drawing import PALETTE, QUIET, Figure, packed, percent, veil
from sweep.report.packing import Styles
from sweep.report.rows import Row, count, number
from sweep.report.sentences import plural, sentence
from sweep.report.story import Section, Story

CURVE_BUDGET = 130_000
"""Numbers that the page holds for learning curves, four bytes each before they become text."""

MOST_CURVES = 200
"""Configurations whose curves the page holds."""

MOST_EPOCHS = 400
"""A curve is drawn with at most about this many points."""

MOST_LINES = 10
"""Replicates of a configuration drawn as lines of their own."""


def section(story: Story) -> Section | None:
    """The learning curves of the configurations that the page holds."""
    if not story.rows or story.band is None:
        return None
    chosen = chosen_rows(story.rows)
    rows, lines = curve_rows(story.rows, chosen)
    training, task = story.result.study.training, story.result.task
    styles, outlined = Styles(), False
    trials: dict[str, Any] = {}
    for row in rows:
        drawn = learning_curves(row, records=task.records, lines=lines)
        outlined |= any(shape.get("name") == "level" for shape in drawn["layout"]["shapes"])
        trials[str(row.number)] = {
            "name": f"{row.name}: {row.label}" + (" (given)" if row.enqueued else ""),
            "said": _said(row, story.target),
            "epochs": max(run.epochs for run in row.runs),
            "traces": styles.pack(drawn["data"]),
            "shapes": styles.pack(drawn["layout"]["shapes"]),
        }
    more: dict[str, Any] = {
        "finding": curves_finding(chosen, story.target),
        "caption": _caption(story, rows, lines, outlined),
        "lines": lines,
        "numbers": {row.number for row in rows},
        "options": [{"number": row.number, "text": _option(row)} for row in rows],
        "data": {
            "layout": curves_layout(story.band, training.target, task.target),
            "chosen": [row.number for row in chosen],
            "styles": styles.list,
            "trials": trials,
        },
    }
    return Section("curves", "Learning curves", "Learning curves", more=more)


def chosen_rows(rows: Sequence[Row]) -> list[Row]:
    """The configurations whose curves are shown at first: the best, those that were given,
    and the slowest that every replicate still solved."""
    slow = [row for row in rows if row.all_solved][-1:] or [r for r in rows if r.solved][-1:]
    picks = [*rows[:1], *[row for row in rows if row.enqueued][:2], *slow, *rows[1:2]]
    distinct = {row.number: row for row in picks}
    return list(distinct.values())[:3]


def curve_rows(rows: Sequence[Row], chosen: Sequence[Row]) -> tuple[list[Row], bool]:
    """The rows whose curves the page holds, by rank, and whether replicates fit in as well.

    All of them if they fit into `CURVE_BUDGET`, else without replicates, else those chosen, the
    best half, and evenly spaced ones of the rest.
    """
    for lines in (True, False):
        sizes = [curve_values(row, lines=lines) for row in rows]
        if len(rows) <= MOST_CURVES and sum(sizes) <= CURVE_BUDGET:
            return list(rows), lines
    most = min(MOST_CURVES, max(4, int(CURVE_BUDGET / max(1.0, float(np.mean(sizes))))))
    most = min(most, len(rows))
    best = list(rows[: most // 2])
    rest = np.linspace(len(best), len(rows) - 1, most - len(best)).astype(int)
    kept = {row.number: row for row in [*best, *chosen, *[rows[i] for i in rest]]}
    return sorted(kept.values(), key=lambda row: row.place), False


def _option(row: Row) -> str:
    if row.median is None:
        ending = f"solved {row.solved}/{row.replicates}"
    else:
        ending = plural(row.median, "epoch")
    given = ", given" if row.enqueued else ""
    return f"{row.place} · {row.name}{given}: {row.label}: {ending}"


def curves_finding(chosen: Sequence[Row], target: str) -> str:
    """What the curves of the configurations shown show; the page says it anew of others."""
    return sentence("; ".join(_said(row, target) for row in chosen))


def _said(row: Row, target: str) -> str:
    """What the curves of one configuration show, as a clause."""
    if row.median is None:
        reached = f"no replicate reaches {target}"
        if row.solved:
            some = f"{row.solved} of {plural(row.replicates, 'replicate')}"
            reached = f"only {some} {'solves' if row.solved == 1 else 'solve'} it"
        elif row.diverged == row.replicates:
            reached = "every replicate diverges"
        return f"trial {row.number}: {reached}"
    ending = f"is at {target} after {number(row.median)}"
    if row.plateau:
        return f"trial {row.number} waits {plural(row.plateau, 'epoch')} at chance and {ending}"
    return f"trial {row.number} leaves chance at once and {ending}"


def _caption(story: Story, rows: Sequence[Row], lines: bool, outlined: bool) -> str:
    caption = (
        "Lines are medians over the replicates, bands their middle half; a run that ended early "
        "(because it solved the task, or diverged) holds its last value. The bar in the strip "
        "between accuracy and loss is the median plateau of the configuration in that colour, and "
        "the ground is tinted until it ends. Where most replicates got there, a dotted line is the "
        "median escape, and a diamond the median epoch of reaching the target. The grey band holds "
        "the accuracies that chance explains."
    )
    if outlined:
        caption += " An outlined box in the strip is a level held later by most replicates."
    if lines:
        most = max((len(row.runs) for row in rows), default=0)
        some = (
            f" Thin lines are the first {MOST_LINES} of {most} replicates"
            if most > MOST_LINES
            else " Thin lines are single replicates"
        )
        caption += f"{some}."
    else:
        caption += " To keep the file small, single replicates are left out."
    if len(rows) < len(story.rows):
        caption += (
            f" Curves of {count(len(rows))} of {count(len(story.rows))} configurations are in this "
            "file: the best, those shown at first, and evenly spaced ones of the rest."
        )
    longest = max((run.epochs for row in rows for run in row.runs), default=0)
    if longest > MOST_EPOCHS:
        caption += f" Curves are thinned to about {MOST_EPOCHS} points."
    return caption


def held(runs: Sequence[FinishedRun], series: str) -> np.ndarray:
    """The runs' curves side by side, float64 [runs, longest run's epochs].

    A run that ended early holds its last finite value. Runs without any finite value are left out.
    """
    length = max((run.epochs for run in runs), default=0)
    lines: list[np.ndarray] = []
    for run in runs:
        curve = run.curve(series).astype(float)
        finite = curve[np.isfinite(curve)]
        if len(finite):
            line = np.full(length, finite[-1])
            line[: len(curve)] = np.where(np.isfinite(curve), curve, finite[-1])
            lines.append(line)
    return np.array(lines).reshape(len(lines), length)


def curve_values(row: Row, *, lines: bool = True) -> int:
    """How many numbers `learning_curves` writes for a row."""
    length = max((run.epochs for run in row.runs), default=0)
    points = math.ceil(length / _stride(length)) + 1 if length else 0
    return 2 * points * (3 + (min(len(row.runs), MOST_LINES) if lines else 0))


def learning_curves(row: Row, *, records: int, lines: bool = True) -> Figure:
    """Accuracy above and loss below, by epoch, of one configuration.

    The line is the median over replicates, the band their middle half; `lines` adds each replicate
    as a thin line. The plateau is shaded and a bar in a strip of its own, later levels that most
    replicates hold are outlined there; the escape is a dotted line, the target a diamond. `records`
    are those of an epoch.
    """
    data: list[Figure] = []
    for series, axis in (("accuracy", "y"), ("loss", "y2")):
        values = held(row.runs, series)
        if not values.size:
            continue
        step = _stride(values.shape[1])
        shared: Figure = {
            "type": "scatter",
            "mode": "lines",
            "yaxis": axis,
            "x0": 1,
            "dx": step,
        }
        if lines:
            for run in row.runs[:MOST_LINES]:
                data.append(
                    shared
                    | {
                        "y": packed(run.curve(series)[::step]),
                        "line": {"width": 0.8, "color": PALETTE[0][0]},
                        "opacity": 0.45,
                        "hoverinfo": "skip",
                        "meta": "replicate",
                    }
                )
        low, median, high = np.quantile(values, [0.25, 0.5, 0.75], axis=0)
        edge = {"width": 0, "color": PALETTE[0][0]}
        band: Figure = shared | {"line": edge, "hoverinfo": "skip", "meta": "band"}
        data.append(band | {"y": packed(low[::step])})
        data.append(
            band | {"y": packed(high[::step]), "fill": "tonexty", "fillcolor": veil(PALETTE[0][0])}
        )
        data.append(
            shared
            | {
                "y": packed(median[::step]),
                "line": {"width": 2.4, "color": PALETTE[0][0]},
                "name": row.name,
                "hovertemplate": "%{y:.1%}" if series == "accuracy" else "%{y:.4~g}",
                "meta": "median",
            }
            | ({"mode": "markers", "marker": {"color": PALETTE[0][0]}} if median.size == 1 else {})
        )
    if row.median is not None:
        reached: Figure = {
            "type": "scatter",
            "mode": "markers",
            "x": [row.median],
            "marker": {"symbol": "diamond", "size": 10, "color": PALETTE[0][0]},
            "hoverinfo": "skip",
            "meta": "target",
        }
        accuracy = held(row.runs, "accuracy")
        if accuracy.size:
            final = float(np.median(accuracy[:, -1]))
            data.append(reached | {"y": [final], "yaxis": "y"})
        data.append(reached | {"y": [0], "yaxis": "y3"})
    return {"data": data, "layout": {"shapes": [*_marks(row), *_levels(row, records)]}}


def curves_layout(band: ChanceBand, target: float, told: Target = "class") -> Figure:
    """The panels that learning curves are drawn into, with chance and target marked.

    Accuracy is above and loss below, in nats unless values are told; between them lies a strip that
    has a row a configuration.
    """
    across: Figure = {"xref": "paper", "x0": 0, "x1": 1, "layer": "below"}
    dashed = {"color": QUIET[0], "width": 1, "dash": "dash"}
    veiled: Figure = across | {"type": "rect", "fillcolor": veil(QUIET[0]), "line": {"width": 0}}
    line: Figure = across | {"type": "line", "line": dashed}
    note: Figure = {"xref": "paper", "showarrow": False, "font": {"size": 12}}
    right = note | {"x": 1, "xanchor": "right", "yanchor": "bottom"}
    return {
        "height": 640,
        "margin": {"l": 66, "r": 12, "t": 10, "b": 48},
        "hovermode": "x unified",
        "showlegend": False,
        "xaxis": {
            "title": {"text": "epoch"},
            "anchor": "y2",
            "rangemode": "tozero",
            "unifiedhovertitle": {"text": "epoch %{x}"},
        },
        "yaxis": {
            "title": {"text": "training accuracy"},
            "domain": [0.57, 1],
            "tickformat": ".0%",
        },
        "yaxis2": {
            "title": {"text": "mean squared error" if told == "values" else "training loss (nats)"},
            "domain": [0, 0.4],
            "rangemode": "tozero",
        },
        "yaxis3": {
            "title": {"text": "plateau"},
            "domain": [0.44, 0.53],
            "showticklabels": False,
            "showgrid": False,
            "zeroline": False,
            "ticks": "",
            "fixedrange": True,
        },
        "shapes": [
            veiled | {"yref": "y", "y0": band.low, "y1": band.high},
            line | {"yref": "y", "y0": target, "y1": target},
            line | {"yref": "y2", "y0": band.loss, "y1": band.loss},
        ],
        "annotations": [
            right | {"yref": "y", "y": target, "yshift": 4, "text": f"target {percent(target)}"},
            right | {"yref": "y", "y": band.low, "text": f"chance: up to {percent(band.high)}"},
            right | {"yref": "y2", "y": band.loss, "text": f"chance: {number(band.loss)}"},
        ],
    }


def _stride(length: int) -> int:
    return max(1, math.ceil(length / MOST_EPOCHS))


def _marks(row: Row) -> list[Figure]:
    """The plateau as a faint veil and as a bar in the strip, the escape as a dotted line.

    Without an escape the plateau is as long as was trained. The strip's line goes on to the target.
    The page moves what lies in the strip (yref y3) to the configuration's row there, and lets the
    veils (named "wait") of several configurations follow one another instead of overlapping.
    """
    end = row.escape
    if end is None:
        end = max((run.epochs for run in row.runs), default=1)
    colour = PALETTE[0][0]
    tall: Figure = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    strip: Figure = {"type": "rect", "xref": "x", "yref": "y3", "layer": "above"}
    solid: Figure = {"fillcolor": colour, "line": {"width": 0}}
    faint: Figure = {"fillcolor": veil(colour), "opacity": 0.5, "line": {"width": 0}}
    shapes: list[Figure] = []
    if end > 1:
        shapes.append(tall | faint | {"type": "rect", "name": "wait", "x0": 1, "x1": end})
        shapes.append(strip | solid | {"x0": 1, "x1": end, "y0": -0.3, "y1": 0.3})
    if row.escape is not None:
        dotted = {"color": colour, "width": 1.3, "dash": "dot"}
        shapes.append(tall | {"type": "line", "x0": end, "x1": end, "line": dotted})
        if row.median is not None:
            shapes.append(strip | solid | {"x0": end, "x1": row.median, "y0": -0.06, "y1": 0.06})
    return shapes


def _levels(row: Row, records: int) -> list[Figure]:
    """Levels held after the escape, by most of the replicates, outlined in the strip."""
    found = later_plateaus_of(row.runs, row.plateaus, records=records)
    shapes: list[Figure] = []
    for level in held_levels(found, records=records):
        if 2 * level.runs <= len(row.runs):
            continue
        end = max(run.epochs for run in row.runs)
        if level.length_median is not None:
            end = level.start_median + level.length_median
        shapes.append(
            {
                "type": "rect",
                "name": "level",
                "xref": "x",
                "yref": "y3",
                "layer": "above",
                "x0": level.start_median,
                "x1": end,
                "y0": -0.22,
                "y1": 0.22,
                "fillcolor": veil(PALETTE[0][0]),
                "line": {"width": 1.2, "color": PALETTE[0][0]},
            }
        )
    return shapes
