"""What all figures share: colours, escaping, packed numbers, what a point says of itself.

A figure is a plain dictionary of `data` and `layout` as `plotly.graph_objects.Figure` takes it (the
dictionaries are built by hand because a page holds hundreds of them). Figures say what they draw,
in the colours of `PALETTE`; fonts, backgrounds and grid lines come from the page, which also swaps
each light colour for its dark one.

Text is escaped by `plain`, since plotly reads some HTML in the text that it draws.
"""

import base64
import html
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sweep.report.rows import Row, number, plural

Figure = dict[str, Any]

PALETTE = (
    ("#0072b2", "#56b4e9"),
    ("#c2500a", "#ff9d4d"),
    ("#00795c", "#2fc79c"),
    ("#a3478a", "#e79bcb"),
    ("#7d6608", "#f0e442"),
    ("#333333", "#e6e6e6"),
)
"""Light and dark colours of series, after Okabe and Ito's palette, which colour-blind readers tell
apart; made darker (lighter) where the original is too faint on white (on black)."""

QUIET = ("#6b6f76", "#9aa0a8")
"""Light and dark colour of what is there for comparison: censored runs, chance."""

PAPER = ("#fdfdfb", "#15171b")
"""Light and dark colour of the page itself, behind text that lies on lines."""

SHADES: list[tuple[float, str]] = [
    (0.0, "#00224e"),
    (0.25, "#3f4d6b"),
    (0.5, "#7c7b78"),
    (0.75, "#bbad6d"),
    (1.0, "#fee838"),
]
"""Cividis: even in lightness, and the same to colour-blind eyes."""

DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
"""Line styles, so that series are told apart without colour as well."""

MOST_POINTS = 2_000
"""Trials drawn in one scatter."""


def plain(text: str) -> str:
    """Text that plotly draws as it stands."""
    return html.escape(text, quote=False)


def colours() -> dict[str, str]:
    """For each colour of a light figure, the colour that a dark page shows instead.

    The shades are turned round, so that few epochs stand out on either background.
    """
    pairs = [*PALETTE, QUIET, PAPER]
    veils = [(veil(light), veil(dark)) for light, dark in pairs]
    shades = [colour for _, colour in SHADES]
    return dict([*pairs, *veils, *zip(shades, reversed(shades), strict=True)])


def packed(values: np.ndarray) -> dict[str, str]:
    """Numbers as plotly's typed arrays: float32, base64; what is not finite is a gap."""
    data = np.asarray(values, dtype="<f4")
    data = np.where(np.isfinite(data), data, np.float32(np.nan))
    return {"dtype": "f4", "bdata": base64.b64encode(data.tobytes()).decode()}


def veil(colour: str) -> str:
    """The colour, nearly transparent."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.14)"


def swapped(value: Any, others: Mapping[str, str]) -> Any:
    """A copy of a figure's part in which each text that `others` knows is the other one."""
    if isinstance(value, str):
        return others.get(value, value)
    if isinstance(value, Mapping):
        items: Mapping[Any, Any] = value
        return {key: swapped(item, others) for key, item in items.items()}
    if isinstance(value, list | tuple):
        sequence: Sequence[Any] = value
        return [swapped(item, others) for item in sequence]
    return value


def percent(share: float) -> str:
    """A share as a percentage, with no more digits than it needs; 100 % is only the whole."""
    digits = 1
    while share < 1 and digits < 6 and float(f"{share * 100:.{digits}f}") >= 100:
        digits += 1
    text = f"{share * 100:.{digits}f}".rstrip("0").rstrip(".")
    return text + "\N{NARROW NO-BREAK SPACE}%"


def hover(row: Row) -> str:
    """What is shown at a point: the configuration and its numbers, as plotly's HTML."""
    lines = [f"<b>{row.name}</b> · place {row.place}", plain(row.label)]
    lines.append(f"solved by {row.solved} of {plural(row.replicates, 'replicate')}")
    if row.median is not None:
        lines.append(f"median {plural(row.median, 'epoch')} {interval(row)}".rstrip())
    if row.plateau is not None:
        lines.append(f"plateau {plural(row.plateau, 'epoch')}")
    else:
        lines.append("most replicates never left chance")
    if row.diverged:
        lines.append(f"{row.diverged} diverged")
    return "<br>".join(lines)


def interval(row: Row) -> str:
    """The 95 % interval of the median in brackets; empty where there is none."""
    if row.low is None:
        return ""
    if row.high is None:
        return f"({number(row.low)} or more)"
    return f"({number(row.low)}–{number(row.high)})"


def log_ticks(low: float, high: float, text: Callable[[float], str] = number) -> Figure:
    """A logarithmic axis from `low` to `high`, both above 0: ticks at powers of ten, over less than
    two and a half decades at twice and five times those as well."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1, 2, 5) if high / low < 300 else (1,)
    ticks = [float(f"{step}e{power}") for power in range(first, last + 1) for step in steps]
    ticks = [tick for tick in ticks if low / 1.3 <= tick <= high * 1.3]
    return {"type": "log", "tickvals": ticks, "ticktext": [text(tick) for tick in ticks]}


def thinned(rows: Sequence[Row], most: int = MOST_POINTS) -> list[Row]:
    """At most `most` rows: the best half of them, evenly spaced ones of the rest, and those that
    were given."""
    if len(rows) <= most:
        return list(rows)
    half = most // 2
    rest = np.linspace(half, len(rows) - 1, most - half).astype(int)
    kept = {*range(half), *rest.tolist()}
    kept |= {i for i, row in enumerate(rows) if row.enqueued}
    return [rows[i] for i in sorted(kept)]
