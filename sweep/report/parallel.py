"""All configurations at once, as lines across their settings to the epochs that they take.

Drawn from plain lines: plotly's own parallel coordinates need WebGL, and a page that may evaluate
code.
"""

import itertools
import math
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from sweep.report.drawing import (
    PALETTE,
    PAPER,
    QUIET,
    SHADES,
    Figure,
    hover,
    log_ticks,
    packed,
    plain,
    thinned,
)
from sweep.report.landscape import Axis, axis
from sweep.report.rows import Row, number, value_text, words
from sweep.report.sentences import listed, plural, sentence

MOST_LINES = 400
"""Configurations drawn."""


def parallel(rows: Sequence[Row], names: Sequence[str], logs: Collection[str]) -> Figure:
    """Every configuration as a line across its settings, to its median epochs to the target."""
    shown = thinned(rows, MOST_LINES)
    axes = [_scaled(axis(shown, name, name in logs)) for name in names]
    timed = [row for row in shown if row.median is not None]
    axes.append(_outcome(shown))
    heights = np.stack([places for places, _, _ in axes], axis=1)
    index = {id(row): i for i, row in enumerate(shown)}

    def lines(
        name: str, some: Sequence[Row], colour: str, width: float, dash: str = "solid"
    ) -> Figure:
        at = [index[id(row)] for row in some]
        # A line ends with a point that is none, so that the next begins elsewhere.
        across = np.tile([*range(len(axes)), len(axes) - 1], len(at))
        gap = np.full((len(at), 1), np.nan)
        down = np.concatenate([heights[at], gap], axis=1).reshape(-1)
        return {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": packed(across),
            "y": packed(down),
            "line": {"width": width, "color": colour, "dash": dash},
            "opacity": 0.75 if len(shown) <= 150 else 0.5,
            "text": [hover(row) for row in some for _ in range(len(axes) + 1)],
            "hovertemplate": "%{text}<extra></extra>",
        }

    data: list[Figure] = []
    unsolved = [row for row in shown if row.median is None]
    if unsolved:
        # One of the shades is nearly as grey.
        data.append(lines("no median", unsolved, QUIET[0], 1.1, "2px,3px"))
    for name, some, colour in reversed(_shaded(timed)):
        data.append(lines(name, some, colour, 1.6))
    given = [row for row in shown if row.enqueued]
    if given:
        data.append(lines("given to be tried first", given, PALETTE[1][0], 2.6))
    titles = [*[words(name) for name in names], "epochs"]
    shapes, notes = _rulers(axes, titles)
    return {
        "data": data,
        "layout": {
            "height": 460,
            "margin": {"l": 44, "r": 44, "t": 84, "b": 16},
            "hovermode": "closest",
            "xaxis": {
                "visible": False,
                "range": [-0.12, len(axes) - 0.75],
                "fixedrange": True,
            },
            "yaxis": {"visible": False, "range": [-0.06, 1.06], "fixedrange": True},
            "legend": {"orientation": "h", "y": 1.12, "yanchor": "bottom", "x": 0},
            "showlegend": True,
            "shapes": shapes,
            "annotations": notes,
        },
    }


def _scaled(where: Axis) -> tuple[np.ndarray, list[float], list[str]]:
    """Places of the rows between 0 and 1, those of the ticks, and their texts.

    A row without the setting lies below the axis.
    """
    places = np.array(where.places, dtype=float)
    missing = ~np.isfinite(places)
    if where.levels:
        last = max(1, len(where.levels) - 1)
        spread = ((np.arange(len(places)) * 0.618) % 1.0 - 0.5) * min(0.06, 0.3 / last)
        ticks = [0.03 + 0.94 * i / last for i in range(len(where.levels))]
        texts = [value_text(level) for level in where.levels]
        scaled = 0.03 + 0.94 * places / last + spread
    else:
        log = where.layout.get("type") == "log"
        scale: Callable[[Any], Any] = np.log10 if log else np.asarray
        low, high = float(np.nanmin(places)), float(np.nanmax(places))
        start, span = float(scale(low)), float(scale(high) - scale(low)) or 1.0
        values = where.layout["tickvals"] if log else _round(low, high)
        inside = [value for value in values if low <= value <= high]
        values = sorted({low, high, *inside})
        ticks = [float((scale(value) - start) / span) for value in values]
        texts = [number(value) for value in values]
        scaled = (scale(places) - start) / span
        ticks, texts = _apart(ticks, texts)
    return np.where(missing, -0.05, scaled), ticks, texts


def _outcome(shown: Sequence[Row]) -> tuple[np.ndarray, list[float], list[str]]:
    """The last axis: median epochs, and above them a place for the rows that have none."""
    known = [row.median for row in shown if row.median is not None]
    low, high = (min(known), max(known)) if known else (1.0, 2.0)
    log = high > 8 * low
    top = 0.9 if len(known) < len(shown) else 1.0

    def place(value: float) -> float:
        if high == low:
            return 0.0
        share = (
            math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)
        )
        return top * share

    values = log_ticks(low, high)["tickvals"] if log else _round(low, high)
    values = sorted({low, high, *[value for value in values if low < value < high]})
    ticks, texts = _apart([place(value) for value in values], [number(v) for v in values])
    if top < 1.0:
        ticks, texts = [*ticks, 1.0], [*texts, "none"]
    places = [1.0 if row.median is None else place(row.median) for row in shown]
    return np.array(places), ticks, texts


def _round(low: float, high: float) -> list[float]:
    """A few round numbers between two values."""
    if high <= low:
        return []
    step = 10.0 ** math.floor(math.log10(high - low))
    step = next(size for size in (step / 5, step / 2, step, 2 * step) if (high - low) / size <= 6)
    first = math.ceil(low / step)
    return [i * step for i in range(first, math.floor(high / step) + 1)]


def _apart(ticks: list[float], texts: list[str]) -> tuple[list[float], list[str]]:
    """The ticks without those that would touch a neighbour; both ends stay."""
    kept = [0]
    last = len(ticks) - 1
    for i in range(1, last):
        if ticks[i] - ticks[kept[-1]] >= 0.06 and ticks[last] - ticks[i] >= 0.06:
            kept.append(i)
    if last > 0:
        kept.append(last)
    return [ticks[i] for i in kept], [texts[i] for i in kept]


def _shaded(timed: Sequence[Row]) -> list[tuple[str, list[Row], str]]:
    """The rows by how quick they are, in up to four shades: name, rows, colour."""
    if not timed:
        return []
    medians = np.array([row.median for row in timed], dtype=float)
    edges = sorted(set(np.quantile(medians, [0, 0.25, 0.5, 0.75, 1], method="lower").tolist()))
    if len(edges) == 1:
        return [(plural(edges[0], "epoch"), list(timed), SHADES[0][1])]
    parts: list[tuple[str, list[Row], str]] = []
    for low, high in itertools.pairwise(edges):
        own = [
            row
            for row, median in zip(timed, medians.tolist(), strict=True)
            if (low <= median if not parts else low < median) and median <= high
        ]
        if own:
            least = min(row.median or 0.0 for row in own)
            most = max(row.median or 0.0 for row in own)
            span = number(least) if least == most else f"{number(least)} to {number(most)}"
            parts.append((f"{span} {'epoch' if span == '1' else 'epochs'}", own, ""))
    # The last shade would be too faint for a line on paper.
    step = (len(SHADES) - 2) / max(1, len(parts) - 1)
    return [(name, own, SHADES[round(i * step)][1]) for i, (name, own, _) in enumerate(parts)]


def _rulers(
    axes: Sequence[tuple[np.ndarray, list[float], list[str]]], titles: Sequence[str]
) -> tuple[list[Figure], list[Figure]]:
    """The vertical axes as lines, and their titles and ticks as text."""
    shapes: list[Figure] = []
    notes: list[Figure] = []
    for place, ((_, ticks, texts), title) in enumerate(zip(axes, titles, strict=True)):
        line = {"color": QUIET[0], "width": 1}
        shapes.append({"type": "line", "x0": place, "x1": place, "y0": 0, "y1": 1, "line": line})
        notes.append(
            {
                "name": "title",
                "x": place,
                "y": 1.0,
                "yshift": 12,
                "yanchor": "bottom",
                "showarrow": False,
                "text": f"<b>{plain(title)}</b>",
                "font": {"size": 12},
            }
        )
        for tick, text in zip(ticks, texts, strict=True):
            notes.append(
                {
                    "x": place,
                    "y": tick,
                    "xanchor": "left",
                    "xshift": 5,
                    "showarrow": False,
                    "text": plain(text),
                    "font": {"size": 11.5},
                    "bgcolor": PAPER[0],
                    "opacity": 0.9,
                    "borderpad": 1,
                }
            )
    return shapes, notes


def parallel_finding(rows: Sequence[Row], names: Sequence[str], by: str) -> str:
    """What the most efficient configurations have in common."""
    solved = [row for row in rows if row.solved]
    best = solved[: max(3, len(solved) // 10)]
    if len(best) < 3:
        return "Too few configurations were solved to have something in common."
    parts = [text for name in names if (text := _common(best, name))]
    return sentence(f"the {len(best)} most efficient {by} have {listed(parts)}")


def _common(rows: Sequence[Row], name: str) -> str:
    """The values that some rows have of a setting, in words."""
    values = [row.settings[name] for row in rows if name in row.settings]
    if not values:
        return ""
    if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        low, high = min(values), max(values)
        span = number(low) if low == high else f"{number(low)} to {number(high)}"
        return f"{span} {words(name)}" if name in ("layers", "units") else f"{words(name)} {span}"
    texts = list(dict.fromkeys(value_text(value) for value in values))
    if len(texts) > 3:
        return f"{len(texts)} different values of {words(name)}"
    said = " or ".join(texts)
    return said if name in ("cell", "optimizer") else f"{words(name)} {said}"
