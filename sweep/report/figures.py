"""The smaller figures: where the time goes, when runs solved the task, several objectives."""

from collections.abc import Sequence

import numpy as np

from studies.run import FinishedRun
from sweep.report.drawing import (
    DASHES,
    PALETTE,
    QUIET,
    Figure,
    hover,
    log_ticks,
    packed,
    plain,
    thinned,
)
from sweep.report.landscape import axis
from sweep.report.rows import Row, quantity, value_text, words

# Where the time goes


def time_spent(rows: Sequence[Row], budget: int, target: str) -> Figure:
    """Median plateau and median transition of each row, stacked; one bar a configuration.

    The transition's bar begins with the escape epoch, so that a bar ends where the epochs to target
    do. What most replicates did not reach is drawn up to the budget: a plateau as such, and what
    followed an escape hatched.
    """
    order = list(reversed(rows))
    at = list(range(len(order)))
    plateau = [float(budget) if row.plateau is None else row.plateau for row in order]
    transition = [0.0 if row.transition is None else row.transition + 1 for row in order]
    unsolved = [
        0.0 if row.transition is not None else budget - waited
        for row, waited in zip(order, plateau, strict=True)
    ]
    told = [hover(row) for row in order]

    def bars(name: str, values: list[float], marker: Figure) -> Figure:
        return {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "x": values,
            "y": at,
            "width": 0.42,
            "marker": marker,
            "hovertext": told,
            "hovertemplate": f"{name}: %{{x:.4~g}} epochs<br>%{{hovertext}}<extra></extra>",
        }

    data = [
        bars("on the plateau", plateau, {"color": PALETTE[1][0]}),
        bars(f"from escape to {target}", transition, {"color": PALETTE[0][0]}),
    ]
    if any(unsolved):
        hatch: Figure = {
            "color": "rgba(0,0,0,0)",
            "line": {"color": QUIET[0], "width": 1},
            "pattern": {"shape": "/", "fgcolor": QUIET[0], "size": 6, "solidity": 0.25},
        }
        data.append(bars("escaped, not solved by most replicates", unsolved, hatch))
    timed = [(row, place) for row, place in zip(order, at, strict=True) if row.median is not None]
    if timed:
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": f"median epochs to {target}",
                "x": [row.median for row, _ in timed],
                "y": [place for _, place in timed],
                "hovertext": [hover(row) for row, _ in timed],
                "hovertemplate": "%{hovertext}<extra></extra>",
                "marker": {"symbol": "diamond", "size": 9, "color": PALETTE[5][0]},
            }
        )
    names = [
        {
            "xref": "paper",
            "x": 0,
            "xanchor": "left",
            "y": place,
            "yanchor": "bottom",
            "yshift": 9,
            "showarrow": False,
            "text": f"<b>{row.name}</b> " + plain(row.label) + (" · given" if row.enqueued else ""),
            "font": {"size": 12},
        }
        for place, row in zip(at, order, strict=True)
    ]
    return {
        "data": data,
        "layout": {
            "barmode": "stack",
            "height": 120 + 46 * len(order),
            "margin": {"l": 12, "r": 12, "t": 44, "b": 48},
            "xaxis": {"title": {"text": "epochs"}, "rangemode": "tozero"},
            "yaxis": {"visible": False, "range": [-0.6, len(order) - 0.2]},
            "legend": {
                "orientation": "h",
                "y": 1.0,
                "yanchor": "bottom",
                "x": 0,
                "traceorder": "normal",
            },
            "annotations": names,
        },
    }


# When runs solved the task


def solved_by(rows: Sequence[Row], name: str, budget: int, target: str) -> Figure:
    """Share of all runs that reached the target by each epoch, for each value of a setting."""
    groups: dict[str, list[FinishedRun]] = {}
    for level in axis(rows, name).levels:
        runs = [run for row in rows if row.settings.get(name) == level for run in row.runs]
        groups[value_text(level)] = runs
    data: list[Figure] = []
    for slot, (level, runs) in enumerate(groups.items()):
        solved = np.sort([run.epochs for run in runs if run.ended == "solved"])
        steps, counts = np.unique(solved, return_counts=True)
        share = np.cumsum(counts) / len(runs)
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": plain(f"{level} ({len(runs)} runs)"),
                "x": packed(np.concatenate([[0], steps, [budget]])),
                "y": packed(np.concatenate([[0], share, share[-1:] if len(share) else [0]])),
                "line": {
                    "shape": "hv",
                    "width": 2.2,
                    "color": PALETTE[slot % len(PALETTE)][0],
                    "dash": DASHES[slot % len(DASHES)],
                },
                "hovertemplate": "%{y:.1%}",
            }
        )
    return {
        "data": data,
        "layout": {
            "height": 400,
            "margin": {"l": 62, "r": 12, "t": 40, "b": 48},
            "hovermode": "x unified",
            "xaxis": {"title": {"text": "epoch"}, "range": [0, budget]},
            "yaxis": {
                "title": {"text": f"runs at {target}"},
                "tickformat": ".0%",
                "range": [0, 1.03],
            },
            "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        },
    }


# Several objectives


def objectives(rows: Sequence[Row], names: Sequence[str]) -> Figure:
    """The first two objectives against each other, with the Pareto front as a staircase."""
    front = sorted((row for row in rows if row.front), key=lambda row: row.objectives[:2])
    others = [row for row in thinned(rows) if not row.front and row.solved]
    unsolved = [row for row in thinned(rows) if not row.solved]

    def points(name: str, some: list[Row], more: Figure) -> Figure:
        return {
            "type": "scatter",
            "name": name,
            "x": [row.objectives[0] for row in some],
            "y": [row.objectives[1] for row in some],
            "text": [hover(row) for row in some],
            "hovertemplate": "%{text}<extra></extra>",
        } | more

    def scaled(name: str, values: list[float]) -> Figure:
        title = OBJECTIVE_TITLES.get(name, words(name))
        layout: Figure = {"title": {"text": plain(title)}, "zeroline": False}
        if values and min(values) > 0 and max(values) / min(values) >= 20:
            layout |= log_ticks(min(values), max(values), quantity)
            layout |= {"title": {"text": plain(title) + " (log scale)"}}
        return layout

    grey = {"size": 8, "color": QUIET[0], "opacity": 0.6}
    cross = {"symbol": "x-thin", "size": 8, "line": {"width": 1.2, "color": QUIET[0]}}
    best = {"size": 10, "color": PALETTE[0][0]}
    stairs = {"shape": "hv", "width": 1.6, "color": PALETTE[0][0]}
    return {
        "data": [
            points("beaten", others, {"mode": "markers", "marker": grey}),
            points("solved by none (censored)", unsolved, {"mode": "markers", "marker": cross}),
            points(
                "Pareto front",
                front,
                {"mode": "lines+markers", "marker": best, "line": stairs},
            ),
        ],
        "layout": {
            "height": 460,
            "margin": {"l": 70, "r": 12, "t": 40, "b": 56},
            "hovermode": "closest",
            "xaxis": scaled(names[0], [row.objectives[0] for row in rows]),
            "yaxis": scaled(names[1], [row.objectives[1] for row in rows]),
            "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        },
    }


OBJECTIVE_TITLES = {
    "epochs": "epochs to target (PAR2)",
    "updates": "optimizer updates to target (PAR2)",
    "flops": "training FLOPs to target (PAR2)",
    "parameters": "parameters",
}
