"""Where the time goes: epochs on the plateau against epochs from the escape to the target."""

from collections.abc import Sequence

import numpy as np

from sweep.report.data import EPOCHS, PARTS, OfRows
from sweep.report.drawing import PALETTE, QUIET, Figure, hover, percent, plain
from sweep.report.rows import Row, count
from sweep.report.sentences import plural
from sweep.report.story import Plot, Section, Story, Variant

MOST_BARS = 12
"""Configurations drawn with their names, besides those of the study file."""

MOST_COLUMNS = 240
"""Configurations drawn side by side, without their names."""

HATCHED = "What is hatched has no median: most replicates did not get there, and the bar ends at"

PLATEAU, TRANSITION = PALETTE[1][0], PALETTE[0][0]


def section(story: Story) -> Section | None:
    """All configurations side by side, and the best by name."""
    rows = story.rows
    if not rows:
        return None
    best = [*rows[:MOST_BARS], *[row for row in rows[MOST_BARS:] if row.enqueued][:3]]
    named = f"the {MOST_BARS} best" if len(rows) > MOST_BARS else "each by name"
    if len(best) > MOST_BARS:
        named += ", and what was given"
    medians = (
        "Bars are medians over the replicates; the second part begins with the escape epoch. "
        "Medians of parts need not add up to the median of the whole"
    )
    drawn = time_spent(best, story.budget, story.target)
    caption = f"{medians}{', which is the diamond' if _timed(best) else ''}."
    if len(best) > 1:
        caption += f" From top to bottom, the order is {story.by}."
    if not all(row.median is not None for row in best):
        caption += f" {HATCHED} the budget of {plural(story.budget, 'epoch')}."
    columns = (*PARTS, *EPOCHS)
    data = OfRows(best, story.names, columns)
    variants = [Variant(named, best_finding(best), drawn, caption, data)]
    if len(rows) > 3:
        shown = spaced(rows)
        figure = side_by_side(shown, story.budget, story.target)
        caption = f"{medians}. From left to right, the order is {story.by}."
        if any(row.median is None for row in shown):
            caption += f" {HATCHED} the budget of {plural(story.budget, 'epoch')}"
            above = story.budget > figure["layout"]["yaxis"]["range"][1]
            caption += ", which lies above the figure." if above else "."
        if len(shown) < len(rows):
            caption += (
                f" Side by side are {count(len(shown))} of {count(len(rows))} configurations, "
                "evenly spaced by rank, and those of the study file."
            )
        data = OfRows(shown, story.names, columns)
        every = Variant("every configuration", time_finding(rows), figure, caption, data)
        variants.insert(0, every)
    plot = Plot("plot-time", variants)
    return Section("time", "Where the time goes", "Where the time goes", [plot])


def spaced(rows: Sequence[Row], most: int = MOST_COLUMNS) -> list[Row]:
    """At most about `most` rows evenly spaced by rank, with those that were given."""
    if len(rows) <= most:
        return list(rows)
    kept = set(np.linspace(0, len(rows) - 1, most).astype(int).tolist())
    kept |= {i for i, row in enumerate(rows) if row.enqueued and len(kept) < 2 * most}
    return [rows[i] for i in sorted(kept)]


def _timed(rows: Sequence[Row]) -> bool:
    """Whether any row has a median to mark."""
    return any(row.median is not None for row in rows)


def _parts(row: Row, budget: int) -> tuple[float, float, float, float]:
    """Epochs on a plateau that ends, on one that does not, to the target, and after an escape to no
    target. The transition takes in the escape epoch, so that a bar ends where epochs to target do.
    """
    if row.plateau is None:
        return 0.0, float(budget), 0.0, 0.0
    if row.transition is None:
        return row.plateau, 0.0, 0.0, budget - row.plateau
    return row.plateau, 0.0, row.transition + 1, 0.0


def _hatched(colour: str) -> Figure:
    return {
        "color": "rgba(0,0,0,0)",
        "line": {"color": colour, "width": 0.5},
        "pattern": {"shape": "/", "fgcolor": colour, "size": 7, "solidity": 0.15},
    }


def _series(rows: Sequence[Row], budget: int, target: str) -> list[tuple[str, list[float], Figure]]:
    """The parts of all bars: name, epochs by row, marker. Parts that no row has are left out."""
    plateau, endless, transition, lost = zip(*(_parts(row, budget) for row in rows), strict=True)
    series: list[tuple[str, Sequence[float], Figure]] = [
        ("on the plateau", plateau, {"color": PLATEAU}),
        ("on a plateau that most replicates never left", endless, _hatched(QUIET[0])),
        (f"from escape to {target}", transition, {"color": TRANSITION}),
        ("escaped, not solved by most replicates", lost, _hatched(TRANSITION)),
    ]
    return [(name, list(values), marker) for name, values, marker in series if any(values)]


def side_by_side(rows: Sequence[Row], budget: int, target: str) -> Figure:
    """A thin column a configuration, in the order of their ranks; what was given is named."""
    places = list(range(len(rows)))
    told = [hover(row) for row in rows]
    data: list[Figure] = [
        {
            "type": "bar",
            "name": name,
            "x": places,
            "y": values,
            "marker": {"line": {"width": 0}} | marker,
            "hovertext": told,
            "hovertemplate": f"{name}: %{{y:.4~g}} epochs<br>%{{hovertext}}<extra></extra>",
        }
        for name, values, marker in _series(rows, budget, target)
    ]
    ends = [sum(_parts(row, budget)) for row in rows if row.median is not None]
    # What was not solved runs off the figure, so that it does not press the rest flat.
    top = min(1.05 * budget, 1.3 * max(ends, default=float(budget)))
    given = [(place, row) for place, row in enumerate(rows) if row.enqueued][:3]
    notes: list[Figure] = [
        {
            "x": place,
            "y": min(top * 0.9, sum(_parts(row, budget))),
            "text": f"<b>{row.name}</b>, given",
            "showarrow": True,
            "arrowhead": 0,
            "arrowwidth": 1,
            "ax": -14 if place > len(rows) / 2 else 14,
            "ay": -26,
            "xanchor": "right" if place > len(rows) / 2 else "left",
            "font": {"size": 12},
        }
        for place, row in given
    ]
    return {
        "data": data,
        "layout": {
            "barmode": "stack",
            "bargap": 0.12 if len(rows) <= 60 else 0,
            "height": 400,
            "margin": {"l": 62, "r": 12, "t": 44, "b": 48},
            "hovermode": "closest",
            "xaxis": {
                "title": {"text": "configurations, the most efficient first"},
                "showticklabels": False,
                "showgrid": False,
                "zeroline": False,
                "ticks": "",
                "range": [-0.6, len(rows) - 0.4],
            },
            "yaxis": {"title": {"text": "epochs"}, "range": [0, top]},
            "legend": _legend(),
            "annotations": notes,
        },
    }


def time_spent(rows: Sequence[Row], budget: int, target: str) -> Figure:
    """Median plateau and median transition of each row, stacked; one named bar a configuration."""
    order = list(reversed(rows))
    at = list(range(len(order)))
    told = [hover(row) for row in order]
    data: list[Figure] = [
        {
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
        for name, values, marker in _series(order, budget, target)
    ]
    timed = [(row, place) for row, place in zip(order, at, strict=True) if row.median is not None]
    if _timed(order):
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
    names: list[Figure] = [
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
            "legend": _legend(),
            "annotations": names,
        },
    }


def _legend() -> Figure:
    return {
        "orientation": "h",
        "y": 1.0,
        "yanchor": "bottom",
        "x": 0,
        "traceorder": "normal",
    }


def _shares(rows: Sequence[Row]) -> list[float]:
    """The plateau's share of the median epochs, of the rows that have both."""
    return [
        min(1.0, row.plateau / row.median)
        for row in rows
        if row.median is not None and row.plateau is not None
    ]


def _rounded(share: float) -> str:
    return percent(round(share, 2))


def time_finding(rows: Sequence[Row]) -> str:
    """The plateau's share of the way, over all configurations, the quickest and the slowest."""
    timed = sorted(
        (row for row in rows if row.median is not None and row.plateau is not None),
        key=lambda row: row.median or 0.0,
    )
    unsolved = sum(row.median is None for row in rows)
    if not timed:
        return best_finding(rows)
    quarter = max(1, len(timed) // 4)
    middle = float(np.median(_shares(timed)))
    text = f"In the {plural(len(timed), 'configuration')} with a median, the plateau takes "
    if len(timed) < 8:
        text += f"{_rounded(middle)} of the epochs to the target (median over configurations)"
    else:
        quick = float(np.median(_shares(timed[:quarter])))
        slow = float(np.median(_shares(timed[-quarter:])))
        text += (
            f"{_rounded(middle)} of the epochs to the target: {_rounded(quick)} in the quickest "
            f"quarter, {_rounded(slow)} in the slowest (medians over configurations)"
        )
    if unsolved:
        waiting = sum(row.plateau is None for row in rows)
        text += f". {count(unsolved)} more have no median"
        if waiting:
            all_ = "all of them" if waiting == unsolved else f"{count(waiting)} of them"
            text += f", {all_} since most replicates never left the plateau"
    return text + "."


def best_finding(shown: Sequence[Row]) -> str:
    """How the epochs of the configurations shown by name divide into plateau and transition."""
    timed = [row for row in shown if row.median is not None and row.plateau is not None]
    shares = _shares(timed)
    if not timed:
        return "None of the configurations shown has a median to divide."
    if len(timed) == 1:
        return f"The plateau takes about {_rounded(shares[0])} of its epochs."
    text = (
        f"The plateau takes between {_rounded(min(shares))} and {_rounded(max(shares))} of the "
        f"median epochs of the {len(timed)} configurations that have one"
    )
    for row, share in zip(timed, shares, strict=True):
        if row.enqueued and len(timed) > 2:
            text += f"; of trial {row.number}’s, given to be tried first, {_rounded(share)}"
            break
    return text + "."
