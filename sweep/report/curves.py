"""Learning curves: accuracy and loss by epoch, with the plateau, the escape and the target."""

import math
from collections.abc import Sequence

import numpy as np

from studies.run import FinishedRun
from sweep.analysis.plateau import ChanceBand
from sweep.report.drawing import PALETTE, QUIET, Figure, packed, percent, veil
from sweep.report.rows import Row, number

MOST_EPOCHS = 400
"""A curve is drawn with at most about this many points."""

MOST_LINES = 10
"""Replicates of a configuration drawn as lines of their own."""


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


def learning_curves(row: Row, *, lines: bool = True) -> Figure:
    """Accuracy above and loss below, by epoch, of one configuration.

    The line is the median over replicates, the band their middle half; `lines` adds each replicate
    as a thin line. The plateau is shaded and a bar in a strip of its own, the escape is a dotted
    line, the target a diamond.
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
        final = float(np.median(held(row.runs, "accuracy")[:, -1]))
        data.append(reached | {"y": [final], "yaxis": "y"})
        data.append(reached | {"y": [0], "yaxis": "y3"})
    return {"data": data, "layout": {"shapes": _marks(row)}}


def curves_layout(band: ChanceBand, target: float) -> Figure:
    """The panels that learning curves are drawn into, with chance and target marked.

    Accuracy is above and loss below; between them lies a strip that has a row a configuration.
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
            "title": {"text": "training loss (nats)"},
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
    The page moves what lies in the strip (yref y3) to the configuration's row there.
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
        shapes.append(tall | faint | {"type": "rect", "x0": 1, "x1": end})
        shapes.append(strip | solid | {"x0": 1, "x1": end, "y0": -0.3, "y1": 0.3})
    if row.escape is not None:
        dotted = {"color": colour, "width": 1.3, "dash": "dot"}
        shapes.append(tall | {"type": "line", "x0": end, "x1": end, "line": dotted})
        if row.median is not None:
            shapes.append(strip | solid | {"x0": end, "x1": row.median, "y0": -0.06, "y1": 0.06})
    return shapes
