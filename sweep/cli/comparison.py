"""A comparison on a terminal: tables, and the share of runs still under way, drawn."""

import math
import string
import textwrap
from collections.abc import Sequence

import numpy as np
from rich.table import Table

from sweep.cli.plot import COLOURS, Plot
from sweep.cli.screens import table
from sweep.comparing import StudyComparison
from sweep.comparing.cells import contrasts_cells, groups_cells, scaled
from sweep.report.rows import words
from sweep.report.sentences import listed

HEIGHT = 12
MOST_CURVES = len(COLOURS)
"""Groups drawn in one plot; more cannot be told apart."""

LETTERS = string.ascii_uppercase[:MOST_CURVES]


def heading(found: StudyComparison) -> str:
    """What is compared, in one line."""
    names = listed([result.name for result in found.studies])
    by = {"trial": "", "study": ""}.get(found.by, f" by {words(found.by)}")
    measure = found.measure.title.format(target=found.target)
    if not found.timed:
        measure = f"runs that reached {found.target}"
    return f"{names}: {measure}{by}"


def groups_table(found: StudyComparison) -> Table:
    """What the runs of each group say."""
    return table(*groups_cells(found, LETTERS))


def contrasts_table(found: StudyComparison) -> Table:
    """Every other group against the fastest."""
    return table(*contrasts_cells(found, LETTERS))


def survival_curves(found: StudyComparison, width: int, colours: bool) -> str:
    """The share of each group's runs still under way, drawn in `width` columns.

    A letter stands on each curve where it is furthest from the others. Where half of all that
    happens does so in the first tenth of the axis, it is logarithmic.
    """
    scale, unit = scaled(found)
    groups = found.result.groups
    lines = [(group.curve.times / scale, np.append(1.0, group.curve.survival)) for group in groups]
    still = (
        "runs still on their plateau"
        if found.measure.name == "plateau"
        else f"runs not yet at {found.target}"
    )
    events = np.concatenate([np.repeat(g.curve.times, g.curve.events.astype(int)) for g in groups])
    events = events[events > 0.0] / scale
    end = found.result.budget / scale
    end = min(end, 1.1 * float(events.max())) if len(events) else end
    log = len(events) > 0 and float(np.median(events)) < 0.1 * end
    start = 0.8 * float(events.min()) if log else None
    return _drawing(lines, (start, end), (still, unit), width, colours)


def restart_curves(found: StudyComparison, width: int, colours: bool) -> str:
    """The share of (configuration, seed) pairs solved by each cost, failed runs started again.

    The empirical distribution of running times as COCO draws it, in `width` columns.
    """
    scale, unit = scaled(found)
    groups = found.result.groups
    lines = [
        (group.restarts.costs / scale, np.append(0.0, group.restarts.share)) for group in groups
    ]
    costs = np.concatenate([costs[costs > 0.0] for costs, _ in lines])
    ends = None, found.result.budget / scale
    if len(costs):
        ends = 0.8 * float(costs.min()), 1.1 * float(costs.max())
    there = "escaped" if found.measure.name == "plateau" else "solved"
    said = f"configurations {there}, runs that failed being started again"
    return _drawing(lines, ends, (said, unit), width, colours)


Step = tuple[np.ndarray, np.ndarray]
"""Where a curve steps, and its shares: before the first step, and after each."""


def _drawing(
    lines: Sequence[Step],
    ends: tuple[float | None, float],
    said: tuple[str, str],
    width: int,
    colours: bool,
) -> str:
    """Curves with their letters between the ends of an axis, logarithmic unless it starts at None.

    `said` is what the curves are and the unit of the axis.
    """
    drawn = lines[:MOST_CURVES]
    log, start, end = ends[0] is not None, ends[0] or 0.0, ends[1]

    def at(x: np.ndarray) -> np.ndarray:
        return np.log10(np.maximum(x, start)) if log else x

    left, right = at(np.array([start, end])).tolist()
    labels = {0.0: "0 %", 0.25: "25 %", 0.5: "50 %", 0.75: "75 %", 1.0: "100 %"}
    plot = Plot(max(8, width - 7), HEIGHT, (left, right), (-0.02, 1.04))
    plot.level(0.5)
    for colour, (steps, shares) in zip(COLOURS, drawn, strict=False):
        last = max(end, float(steps[-1])) if len(steps) else end
        xs = np.concatenate([[0.0], np.repeat(steps, 2), [last]])
        plot.curve(at(xs), np.repeat(shares, 2), colour)
    places = np.linspace(left, right, 100)[2:]
    for row, (letter, colour) in enumerate(zip(LETTERS, COLOURS, strict=False)):
        if row < len(drawn):
            best, share = _apart(drawn, row, 10.0**places if log else places)
            plot.letter(float(places[best]), share, letter, colour)
    ticks = _log_ticks(start, end) if log else _ticks(end)
    marks = dict(zip(at(np.array(ticks)).tolist(), (f"{t:g}" for t in ticks), strict=True))
    left_out = len(lines) - len(drawn)
    also = f" ({left_out} more groups not drawn)" if left_out else ""
    axis = f"by {said[1]}{' on a logarithmic scale' if log else ''}"
    heading = textwrap.fill(f"{said[0]}, {axis} – dotted: half of them{also}", width)
    return "\n".join([heading, *plot.lines(marks, labels, colours)])


def _ticks(end: float) -> list[float]:
    """Round numbers from 0 up to `end`, four to eight of them."""
    size = 10.0 ** math.floor(math.log10(end))
    step = next(size * part for part in (0.1, 0.2, 0.25, 0.5, 1, 2) if end < 8 * size * part)
    return [step * place for place in range(int(end / step + 1e-9) + 1)]


def _log_ticks(start: float, end: float) -> list[float]:
    """1, 2, 5, 10 … from `start` to `end`."""
    powers = range(math.floor(math.log10(start)), math.ceil(math.log10(end)) + 1)
    ticks = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    return [tick for tick in ticks if start <= tick <= end]


def _apart(lines: Sequence[Step], row: int, at: np.ndarray) -> tuple[int, float]:
    """Where a curve is furthest from the others: which of `at`, and its share there."""
    shares = np.stack([share[np.searchsorted(steps, at, side="right")] for steps, share in lines])
    apart = np.abs(shares - shares[row])
    apart[row] = 1.0
    best = int(np.argmax(apart.min(axis=0)))
    return best, float(shares[row, best])
