"""The landscape: epochs to target over two searched settings, as a heat map or a scatter."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from sweep.report.drawing import (
    PALETTE,
    QUIET,
    SHADES,
    Figure,
    hover,
    log_ticks,
    packed,
    plain,
    thinned,
    veil,
)
from sweep.report.rows import Row, number, value_text, words

ALL, PART, RARE, NONE, GIVEN, FEW = (
    "solved by every replicate",
    "by most",
    "by some, too few for a median",
    "by none (censored)",
    "given to be tried first",
    "too few solved for a median",
)
"""What the traces are called."""

MARKS = {
    PART: "A triangle was solved by most replicates.",
    RARE: "A hollow circle was solved by too few replicates for a median.",
    NONE: "A cross was solved by none within the budget (censored).",
    GIVEN: "A ring is round what was given.",
}
"""How the marks of a scatter are read, by their traces."""


@dataclass(frozen=True)
class Axis:
    """A searched setting as an axis: where each row lies, and plotly's axis.

    `places` is NaN for a row that does not have the setting. `levels` are the values of a setting
    that has few, in order; the rows of a level lie around its index.
    """

    name: str
    places: np.ndarray
    levels: tuple[Any, ...]
    layout: Figure


AXIS_TITLES = {
    "units": "units per layer",
    "layers": "layers",
    "batch_size": "batch size (records)",
}


def axis(rows: Sequence[Row], name: str, log: bool = False) -> Axis:
    """The axis of a searched setting, chosen by its values.

    Words and few whole numbers become levels. Other numbers have a logarithmic axis where they were
    searched so (`log`), or span more than a factor of 20.
    """
    values = [row.settings.get(name) for row in rows]
    present = [value for value in values if value is not None]
    distinct = set(present)
    title = AXIS_TITLES.get(name, words(name))
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in distinct)
    whole = all(isinstance(v, int) for v in distinct)
    near = whole and len(distinct) > 0 and max(distinct) - min(distinct) < 8
    few = near or (len(distinct) <= 12 and len(distinct) * 2 <= len(present))
    if not numeric or few or len(distinct) < 2:
        levels = tuple(sorted(distinct) if numeric else sorted(distinct, key=str))
        index = {level: i for i, level in enumerate(levels)}
        places = np.array([math.nan if v is None else index[v] for v in values], dtype=float)
        return Axis(
            name,
            places,
            levels,
            {
                "title": {"text": plain(title)},
                "tickvals": list(range(len(levels))),
                "ticktext": [plain(value_text(level)) for level in levels],
                "range": [-0.5, len(levels) - 0.5],
                "showgrid": False,
                "zeroline": False,
            },
        )
    places = np.array([math.nan if v is None else float(v) for v in values])
    low, high = float(np.nanmin(places)), float(np.nanmax(places))
    layout: Figure = {"title": {"text": plain(title)}, "zeroline": False}
    if low > 0 and (log or high / low >= 20):
        layout |= log_ticks(low, high) | {"title": {"text": plain(title) + " (log scale)"}}
    return Axis(name, places, (), layout)


def pairs(names: Sequence[str], most: int = 6) -> list[tuple[str, str]]:
    """Pairs (x, y) of searched settings worth a figure, the most telling first."""
    order = ["units", "learning_rate", "batch_size", "layers", "optimizer", "cell"]
    known = [name for name in order if name in names]
    named = known + [name for name in names if name not in order]
    favoured = [("units", "layers"), ("learning_rate", "optimizer")]
    first = [pair for pair in favoured if pair[0] in named and pair[1] in named]
    rest = [pair for pair in combinations(named, 2) if pair not in first]
    return (first + rest)[:most]


def landscape(
    rows: Sequence[Row], x_name: str, y_name: str, target: str, logs: Collection[str] = ()
) -> Figure:
    """Median epochs to target over two settings: a heat map of a grid, else a scatter.

    Configurations that no replicate solved are crosses. `target` is how the colour bar calls the
    target ("100 %"), `logs` names the settings searched on a logarithmic scale.
    """
    here = [row for row in rows if x_name in row.settings and y_name in row.settings]
    x, y = (axis(here, name, name in logs) for name in (x_name, y_name))
    cells = len(x.levels) * len(y.levels)
    filled = len({(row.settings[x_name], row.settings[y_name]) for row in here})
    figure: Figure = {
        "height": 150 + 62 * len(y.levels) if 0 < len(y.levels) <= 6 else 460,
        "margin": {"l": 70, "r": 12, "t": 12, "b": 56},
        "xaxis": x.layout,
        "yaxis": y.layout,
        "hovermode": "closest",
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    }
    scale = _scale([row.median for row in here], target)
    if cells and filled == cells and cells >= 4 and len(here) <= 4 * cells:
        data, empty = _grid(here, x, y, scale)
        return {"data": data, "layout": figure | {"shapes": [_blank(*cell) for cell in empty]}}
    figure["margin"] = figure["margin"] | {"t": 40}
    figure["height"] += 40
    return {"data": _scatter(here, x, y, scale), "layout": figure}


@dataclass(frozen=True)
class _Scale:
    """A colour scale over epochs: logarithmic where they span much."""

    log: bool
    style: Figure

    def of(self, epochs: float) -> float:
        return math.log10(epochs) if self.log else epochs


def _scale(medians: Iterable[float | None], target: str) -> _Scale:
    known = [median for median in medians if median is not None]
    low, high = (min(known), max(known)) if known else (1.0, 1.0)
    log = high / low > 8
    style: Figure = {
        "colorscale": SHADES,
        "cmin": math.log10(low) if log else low,
        "cmax": math.log10(high) if log else max(high, low + 1),
        "colorbar": {
            "title": {"text": f"median epochs to {target}", "side": "right", "font": {"size": 12}},
            "tickfont": {"size": 12},
            "thickness": 12,
            "outlinewidth": 0,
        },
    }
    if log:
        ticks = log_ticks(low, high)
        style["colorbar"] |= {
            "tickvals": [math.log10(value) for value in ticks["tickvals"]],
            "ticktext": ticks["ticktext"],
        }
    return _Scale(log, style)


def _scatter(rows: Sequence[Row], x: Axis, y: Axis, scale: _Scale) -> list[Figure]:
    # The best are drawn last, so that nothing covers them.
    shown = thinned(rows)[::-1]
    size = 11 if len(shown) <= 200 else 7
    xs, ys = _spread(x), _spread(y, turn=0.382)
    index = {id(row): i for i, row in enumerate(rows)}

    def points(name: str, some: list[Row], marker: Figure, legend: bool = True) -> Figure:
        at = [index[id(row)] for row in some]
        return {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "x": packed(xs[at]),
            "y": packed(ys[at]),
            "text": [hover(row) for row in some],
            "hovertemplate": "%{text}<extra></extra>",
            "marker": marker,
            "showlegend": legend,
        }

    timed = [row for row in shown if row.median is not None]
    whole = [row for row in timed if row.all_solved]
    part = [row for row in timed if not row.all_solved]
    rare = [row for row in shown if row.median is None and row.solved]
    none = [row for row in shown if not row.solved]
    data: list[Figure] = []
    bar = True
    for name, some, symbol in (
        (ALL, whole, "circle"),
        (PART, part, "triangle-up"),
    ):
        if some:
            colour = [round(scale.of(row.median or 1.0), 3) for row in some]
            marker: Figure = {"symbol": symbol, "size": size, "color": colour, "showscale": bar}
            marker |= scale.style | {"line": {"width": 1, "color": QUIET[0]}}
            data.append(points(name, some, marker))
            bar = False
    faint: Figure = {"size": size - 2, "color": QUIET[0], "line": {"width": 1.2, "color": QUIET[0]}}
    if rare:
        data.append(points(RARE, rare, faint | {"symbol": "circle-open"}))
    if none:
        data.append(points(NONE, none, faint | {"symbol": "x-thin"}))
    own = [row for row in shown if row.enqueued]
    if own:
        ring = {
            "symbol": "circle-open",
            "size": 19,
            "color": PALETTE[1][0],
            "line": {"width": 2.2, "color": PALETTE[1][0]},
        }
        data.append(points(GIVEN, own, ring))
    return data


def _grid(
    rows: Sequence[Row], x: Axis, y: Axis, scale: _Scale
) -> tuple[list[Figure], list[tuple[int, int]]]:
    """The traces of a grid, and its cells (line, column) without a median."""
    best: dict[tuple[int, int], Row] = {}
    tried: dict[tuple[int, int], int] = {}
    for row, column, line in zip(rows, x.places, y.places, strict=True):
        at = (int(line), int(column))
        tried[at] = tried.get(at, 0) + 1
        if at not in best or row.place < best[at].place:
            best[at] = row
    height, width = len(y.levels), len(x.levels)
    z: list[list[float | None]] = [[None] * width for _ in range(height)]
    shown = [[""] * width for _ in range(height)]
    told = [[""] * width for _ in range(height)]
    empty: list[tuple[int, int]] = []
    for (line, column), row in best.items():
        many = tried[line, column]
        told[line][column] = hover(row) + (
            f"<br>the best of {many} trials here" if many > 1 else ""
        )
        if row.median is None:
            empty.append((line, column))
        else:
            z[line][column] = round(scale.of(row.median), 3)
            share = "" if row.all_solved else f"<br>{row.solved}/{row.replicates}"
            shown[line][column] = number(row.median) + share
    colour = scale.style
    data: list[Figure] = [
        {
            "type": "heatmap",
            "z": z,
            "text": shown,
            "texttemplate": "%{text}",
            "customdata": told,
            "hovertemplate": "%{customdata}<extra></extra>",
            "xgap": 2,
            "ygap": 2,
            "colorscale": colour["colorscale"],
            "zmin": colour["cmin"],
            "zmax": colour["cmax"],
            "colorbar": colour["colorbar"],
            "hoverongaps": False,
        }
    ]
    if empty:
        data.append(
            {
                "type": "scatter",
                "mode": "markers+text",
                "x": [column for _, column in empty],
                "y": [line for line, _ in empty],
                "text": [
                    f"{best[at].solved}/{best[at].replicates}" if best[at].solved else ""
                    for at in empty
                ],
                "textposition": "bottom center",
                "hovertext": [told[line][column] for line, column in empty],
                "hovertemplate": "%{hovertext}<extra></extra>",
                "name": FEW,
                "showlegend": False,
                "marker": {
                    "symbol": ["circle-open" if best[at].solved else "x-thin" for at in empty],
                    "size": 10,
                    "color": QUIET[0],
                    "line": {"width": 1.6, "color": QUIET[0]},
                },
            }
        )
    return data, empty


def _blank(line: int, column: int) -> Figure:
    return {
        "type": "rect",
        "layer": "below",
        "x0": column - 0.5,
        "x1": column + 0.5,
        "y0": line - 0.5,
        "y1": line + 0.5,
        "fillcolor": veil(QUIET[0]),
        "line": {"width": 0},
    }


def _spread(where: Axis, turn: float = 0.618) -> np.ndarray:
    """Places along an axis; around a level they are spread, so that points do not cover others."""
    if not where.levels:
        return where.places
    steps = (np.arange(len(where.places)) * turn) % 1.0
    return where.places + (steps - 0.5) * 0.56
