"""By which law the plateau grows with a setting, in studies that change one setting at a time."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from studies.errors import BadInput
from sweep.report.data import Table
from sweep.report.drawing import PALETTE, QUIET, Figure, log_ticks, packed, plain
from sweep.report.rows import number, words
from sweep.report.sentences import plural
from sweep.report.story import Plot, Section, Story, Variant

if TYPE_CHECKING:
    from sweep.analysis.laws import Law
    from sweep.comparing import StudyLaw

MOST_TRIALS = 200
"""Configurations up to which laws are looked for; each line takes a fit."""

MOST_LAWS = 12
"""Laws drawn, the longest line of each setting first."""


def section(story: Story) -> Section | None:
    """The laws of a study's lines, or why none can be told; None where no trials differ in one
    setting only."""
    from sweep.comparing import law_finding, laws_of
    from sweep.comparing.laws import FLOOR

    if not story.solved or len(story.rows) > MOST_TRIALS:
        return None
    try:
        found = laws_of(story.result)
    except BadInput:
        return None
    variants = [
        Variant(
            _title(one),
            " ".join(law_finding(one)),
            law_figure(one, one.law),
            data=_data(one, one.law),
        )
        for one in _longest(found)
        if one.law is not None
    ]
    heading = "By which law the plateau grows"
    if not variants:
        note = f"No law can be told here. {' '.join(law_finding(found[0]))}"
        if len(found) > 1:
            note += f" Of the other {plural(len(found) - 1, 'line')} of trials that differ in one "
            note += "setting only, none tells a law either."
        return Section("laws", "Laws", heading, note=note)
    caption = (
        "Points are median escapes from the plateau, the line is the power law that fits all runs "
        "best, censored ones for what they are; both axes are logarithmic, so that a power is a "
        "straight line. A line takes in the trials that differ in this setting only, up to its "
        f"fastest value, without those whose median run escapes within {FLOOR:.0f} epochs: how "
        "fast these are cannot be measured."
    )
    plot = Plot("plot-laws", variants, caption, choice="By")
    return Section("laws", "Laws", heading, [plot])


def _data(one: "StudyLaw", law: "Law") -> Table:
    header = (one.key, "runs", "escaped_runs", "escape_median_epochs", "power_law_epochs")
    lines = [(level.x, level.runs, level.reached, level.median, level.law) for level in law.levels]
    return Table(header, lines)


def _title(one: "StudyLaw") -> str:
    return words(one.key) + (f" ({one.others})" if one.others else "")


def _longest(found: Sequence["StudyLaw"]) -> list["StudyLaw"]:
    """The longest line of each setting first, then the others, `MOST_LAWS` in all."""
    firsts = {one.key: one for one in reversed(found)}
    rest = [one for one in found if one is not firsts[one.key]]
    order = [one for one in found if one is firsts[one.key]]
    return [*order, *rest][:MOST_LAWS]


def law_figure(one: "StudyLaw", law: "Law") -> Figure:
    """The medians of a line over its setting, with the power law through them."""
    from sweep.comparing.laws import signed

    xs = np.array([level.x for level in law.levels])
    medians = np.array([level.median for level in law.levels])
    fitted = np.array([level.law for level in law.levels])
    low, high = float(min(medians.min(), fitted.min())), float(max(medians.max(), fitted.max()))
    told = [
        f"{words(one.key)} {number(level.x)}<br>median escape in epoch {number(level.median)}<br>"
        f"{level.reached} of {level.runs} runs escaped"
        for level in law.levels
    ]
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "name": f"power {signed(law.exponent.value)}",
                "x": packed(xs),
                "y": packed(fitted),
                "line": {"width": 1.6, "color": QUIET[0]},
                "hoverinfo": "skip",
            },
            {
                "type": "scatter",
                "mode": "markers",
                "name": "median escape",
                "x": packed(xs),
                "y": packed(medians),
                "marker": {"size": 10, "color": PALETTE[0][0]},
                "hovertext": [plain(text).replace("&lt;br&gt;", "<br>") for text in told],
                "hovertemplate": "%{hovertext}<extra></extra>",
            },
        ],
        "layout": {
            "height": 420,
            "margin": {"l": 66, "r": 16, "t": 40, "b": 56},
            "hovermode": "closest",
            "xaxis": {
                "type": "log",
                "tickvals": (ticks := _apart(xs)),
                "ticktext": [number(x) for x in ticks],
                "tickangle": 0,
                "title": {"text": f"{plain(words(one.key))} (log scale)"},
            },
            "yaxis": log_ticks(low / 1.5, high * 1.5)
            | {
                "title": {"text": "escape epoch (log scale)"},
                "range": [float(np.log10(low / 1.5)), float(np.log10(high * 1.5))],
            },
            "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
            "showlegend": True,
        },
    }


def _apart(xs: np.ndarray) -> list[float]:
    """The values that are far enough apart on a logarithmic axis to be written below it."""
    least = float(np.log(xs.max() / xs.min())) / 5.0
    kept: list[float] = []
    for x in sorted(xs.tolist()):
        if not kept or np.log(x / kept[-1]) >= least:
            kept.append(x)
    return kept
