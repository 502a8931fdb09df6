"""Why it waits: what `explain` found about a configuration's plateau, where it has been run.

The verdict in words; the effect of every change as a ratio with its interval; and what moved under
the flat curve.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from studies.errors import BadInput
from sweep.report.data import Table
from sweep.report.drawing import PALETTE, QUIET, Figure, log_ticks, packed, percent, plain, veil
from sweep.report.rows import count, describe, number
from sweep.report.sentences import plural
from sweep.report.story import Plot, Section, Story, Variant
from sweep.results import StudyResult

if TYPE_CHECKING:
    from storage.database import Database
    from sweep.explain import Effect, Explanation, HiddenProgress

FINDINGS = {
    "shortens": ("shortens the plateau", PALETTE[0][0], "circle"),
    "lengthens": ("lengthens it", PALETTE[1][0], "circle"),
    "level": ("hardly matters", QUIET[0], "circle"),
    "open": ("not decided", QUIET[0], "circle-open"),
}
"""How the findings of `sweep.explain` are drawn: name, colour, symbol."""

NOTHING = 0.02
"""Where a ratio of zero is drawn on its logarithmic scale."""

UNDER = (
    ("accuracy", "accuracy", ".0%"),
    ("separation", "d′", ".2f"),
    ("contrast", "nats apart (log scale)", ".3~g"),
)
"""What is drawn of the hidden progress, from top to bottom: series, axis, format."""


def explanations(db: "Database", result: StudyResult) -> tuple["Explanation", ...]:
    """What `explain` found about trials of a study: the one that it asks by default first, the
    others by number, each from the most seeds that it was asked with. Of none whose runs are not
    all in the storage."""
    from sweep.explain import SEEDS, asked, stored_explanation

    found: dict[int | None, Explanation] = {}
    questions: list[tuple[int | None, int]] = [(None, SEEDS), *asked(db, result.name).items()]
    for trial, seeds in questions:
        if trial in found and found[trial].replicates >= seeds:
            continue
        # Without a trial, or without the data that it was made from, nothing was explained.
        with suppress(BadInput):
            one = stored_explanation(db, result.name, trial, seeds=seeds, result=result)
            if one is not None:
                found[one.trial] = one
    return tuple(found.values())


def sections(story: Story) -> list[Section]:
    """Each explanation as a section, named for its trial where there are several."""
    several = len(story.why) > 1
    return [_section(why, place, several) for place, why in enumerate(story.why)]


def _section(why: "Explanation", place: int, several: bool) -> Section:
    ending = f"-{why.trial}" if place else ""
    where = "the question’s own model" if why.trial is None else f"trial {why.trial}"
    note = (
        f"Asked of {where} ({describe(dict(why.params))}) by {plural(len(why.effects), 'change')}, "
        f"one at a time, each trained from the same {why.replicates} seeds as the unchanged model: "
        f"{count(why.runs)} runs."
    )
    plots: list[Plot] = []
    if why.effects and why.baseline.plateau.value:
        strongest = _strongest(why.effects)
        data = _data(why.effects)
        variants = [Variant("Every change", *_effects(why, why.effects), data=data)]
        if len(strongest) < len(why.effects):
            drawn, data = _effects(why, strongest), _data(strongest)
            variants.insert(0, Variant("The strongest of each kind", *drawn, data=data))
        caption = (
            "A point is the median plateau under a change, over that of the unchanged model; a bar "
            f"its 95 % interval over {why.replicates} pairs of equal seeds. What is said to "
            "shorten or lengthen it does so after Holm’s correction for "
            f"{len(why.effects)} comparisons. Between 0.8 and 1.25, tinted, a change makes no "
            "difference that matters. A triangle to the right is a lower bound: most runs did not "
            f"escape within {plural(why.budget, 'epoch')}; one to the left is no plateau at all."
        )
        plots.append(Plot(f"plot-effects{ending}", variants, caption))
    if why.hidden is not None:
        under = Variant(
            "Under the flat curve", _under_finding(why, why.hidden), _under(why, why.hidden)
        )
        caption = (
            "Medians over the unchanged model’s runs, for as long as half of them are under way. "
            "d′ is by how many of their standard deviations the outputs of two classes are apart, "
            "nats by how much; on a log scale, exponential growth is a straight line. The plateau "
            "is tinted."
        )
        plots.append(Plot(f"plot-under{ending}", [under], caption))
    short = plots[-1].variants[0].finding if why.hidden is not None else ""
    more = {"verdict": list(why.verdict), "short": short}
    short_name, heading = "Why", "Why it waits"
    if several:
        short_name, heading = f"Why, trial {why.trial}", f"Why trial {why.trial} waits"
    return Section(f"why{ending}", short_name, heading, plots, note, more)


def _strongest(effects: Sequence["Effect"]) -> list["Effect"]:
    """Of every kind of change the one that is farthest from making no difference."""
    groups: dict[str, Effect] = {}
    for effect in effects:
        there = groups.get(effect.intervention.group)
        if there is None or _distance(effect) > _distance(there):
            groups[effect.intervention.group] = effect
    return list(groups.values())


def _distance(effect: "Effect") -> float:
    return abs(float(np.log(_ratio(effect))))


def _ratio(effect: "Effect") -> float:
    """The ratio, or what it is at least; `NOTHING` for no plateau, which has no logarithm."""
    ratio = effect.ratio
    known = ratio.value if ratio.value is not None else ratio.low
    return 1.0 if known is None else max(known, NOTHING)


def _effects(why: "Explanation", effects: Sequence["Effect"]) -> tuple[str, Figure]:
    """What the effects show in a sentence, and the figure: a row each, the shortest on top."""
    order = sorted(effects, key=_ratio, reverse=True)
    return _effects_finding(order), _forest(why, order)


def _data(effects: Sequence["Effect"]) -> Table:
    header = ("change", "kind", "finding", "runs", "solved_runs", "to_target_median_epochs")
    header += ("plateau_median_epochs", "ratio", "ratio_low", "ratio_high", "p_adjusted")
    lines = [
        (
            effect.intervention.name,
            effect.intervention.group,
            effect.finding,
            effect.arm.summary.replicates,
            effect.arm.summary.solved,
            effect.arm.summary.epochs_median,
            effect.arm.plateau.value,
            effect.ratio.value,
            effect.ratio.low,
            effect.ratio.high,
            effect.p_adjusted,
        )
        for effect in effects
    ]
    return Table(header, lines)


def _effects_finding(order: Sequence["Effect"]) -> str:
    counts = {name: sum(e.finding == name for e in order) for name in FINDINGS}
    text = f"Of {plural(len(order), 'change')} {counts['shortens']} shorten the plateau"
    shortest = order[-1]
    if shortest.finding == "shortens":
        share = percent(shortest.ratio.value or 0.0)
        text += f" (most of all {shortest.intervention.name}, to {share} of it)"
    text += f", {counts['lengthens']} lengthen it"
    longest = order[0]
    if longest.finding == "lengthens":
        least = "at least " if longest.ratio.value is None else ""
        text += f" ({longest.intervention.name} {least}{number(_ratio(longest))}-fold)"
    text += f", {counts['level']} hardly matter"
    return f"{text}, and {counts['open']} are not decided." if counts["open"] else f"{text}."


def _forest(why: "Explanation", order: Sequence["Effect"]) -> Figure:
    low, high = 0.5, 2.0
    data: list[Figure] = []
    for finding, (name, colour, symbol) in FINDINGS.items():
        rows = [(place, e) for place, e in enumerate(order) if e.finding == finding]
        if not rows:
            continue
        values = [_ratio(e) for _, e in rows]
        downs = [_below(e, v) for (_, e), v in zip(rows, values, strict=True)]
        ups = [_above(e, v) for (_, e), v in zip(rows, values, strict=True)]
        low = min([low, *(v - d for v, d in zip(values, downs, strict=True))])
        high = max([high, *(v + u for v, u in zip(values, ups, strict=True))])
        ends = {None: "triangle-right", 0.0: "triangle-left"}
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "x": values,
                "y": [place for place, _ in rows],
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": ups,
                    "arrayminus": downs,
                    "color": colour,
                    "thickness": 1.6,
                    "width": 0,
                },
                "marker": {
                    "color": colour,
                    "size": 9,
                    "symbol": [ends.get(e.ratio.value, symbol) for _, e in rows],
                    "line": {"width": 1.5, "color": colour},
                },
                "hovertext": [_told(e) for _, e in rows],
                "hovertemplate": "%{hovertext}<extra></extra>",
            }
        )
    low, high = max(low, NOTHING) / 1.15, high * 1.15
    axis = log_ticks(low, high)
    span = [float(np.log10(low)), float(np.log10(high))]
    across = {"layer": "below", "yref": "paper", "y0": 0, "y1": 1}
    return {
        "data": data,
        "layout": {
            "height": 130 + 26 * len(order),
            "margin": {"l": 200, "r": 16, "t": 44, "b": 48},
            "hovermode": "closest",
            "xaxis": axis
            | {"title": {"text": "times the unchanged plateau"}, "range": span, "tickangle": 0},
            "yaxis": {
                "tickvals": list(range(len(order))),
                "ticktext": [plain(e.intervention.name) for e in order],
                "range": [-0.7, len(order) - 0.3],
                "showgrid": False,
                "zeroline": False,
                "ticks": "",
            },
            "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
            "showlegend": True,
            "shapes": [
                across
                | {
                    "type": "rect",
                    "x0": 0.8,
                    "x1": 1.25,
                    "fillcolor": veil(QUIET[0]),
                    "line": {"width": 0},
                },
                across
                | {"type": "line", "x0": 1, "x1": 1, "line": {"color": QUIET[0], "width": 1}},
            ],
        },
    }


def _below(effect: "Effect", value: float) -> float:
    low = effect.ratio.low
    return 0.0 if low is None or effect.ratio.value is None else max(0.0, value - low)


def _above(effect: "Effect", value: float) -> float:
    high = effect.ratio.high
    return 0.0 if high is None or effect.ratio.value is None else max(0.0, high - value)


def _told(effect: "Effect") -> str:
    """What is shown at a point of the effects, as plotly's HTML."""
    summary, plateau, ratio = effect.arm.summary, effect.arm.plateau, effect.ratio
    lines = [f"<b>{plain(effect.intervention.name)}</b>"]
    if ratio.value is None:
        lines.append(f"ratio above {number(ratio.low)}")
    else:
        ends = f" ({number(ratio.low)}–{number(ratio.high)})" if ratio.low and ratio.high else ""
        lines.append(f"ratio {number(ratio.value)}{ends}")
    wait = "–" if plateau.value is None else plural(plateau.value, "epoch")
    lines.append(f"plateau {wait}, to the target")
    lines[-1] += f" {number(summary.epochs_median)}"
    lines.append(f"solved by {summary.solved} of {summary.replicates}")
    p = effect.p_adjusted
    lines.append("p below 0.001" if p < 0.001 else f"p {p:.3f}")
    return "<br>".join(lines)


def _under(why: "Explanation", hidden: "HiddenProgress") -> Figure:
    """Accuracy, d′ and the contrast of the unchanged model by epoch, one above the other."""
    shown = [entry for entry in UNDER if entry[0] in hidden.curves]
    gap, tall = 0.06, (1.0 - 0.06 * (len(shown) - 1)) / len(shown)
    end = (why.baseline.plateau.value or 0.0) + 1.0
    data: list[Figure] = []
    layout: Figure = {
        "height": 190 * len(shown) + 60,
        "margin": {"l": 66, "r": 12, "t": 12, "b": 48},
        "hovermode": "x unified",
        "showlegend": False,
        "xaxis": {
            "title": {"text": "epoch"},
            "anchor": f"y{len(shown)}" if len(shown) > 1 else "y",
            "rangemode": "tozero",
            "unifiedhovertitle": {"text": "epoch %{x}"},
        },
        "shapes": [
            {
                "type": "rect",
                "layer": "below",
                "xref": "x",
                "yref": "paper",
                "x0": 1,
                "x1": end,
                "y0": 0,
                "y1": 1,
                "fillcolor": veil(PALETTE[1][0]),
                "line": {"width": 0},
            }
        ],
    }
    for place, (series, title, form) in enumerate(shown):
        key = "" if place == 0 else str(place + 1)
        top = 1.0 - place * (tall + gap)
        layout[f"yaxis{key}"] = {"title": {"text": title}, "domain": [max(0.0, top - tall), top]}
        if series == "accuracy":
            layout[f"yaxis{key}"]["tickformat"] = ".0%"
        if series == "contrast":
            layout[f"yaxis{key}"] |= {"type": "log", "exponentformat": "power", "dtick": 1}
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": title.partition(" (")[0],
                "x0": 1,
                "dx": 1,
                "y": packed(hidden.curves[series]),
                "yaxis": f"y{key}",
                "line": {"width": 2.4, "color": PALETTE[place][0]},
                "hovertemplate": f"%{{y:{form}}}",
            }
        )
    return {"data": data, "layout": layout}


def _under_finding(why: "Explanation", hidden: "HiddenProgress") -> str:
    text = (
        f"Half-way through the plateau, in epoch {hidden.halfway}, accuracy is "
        f"{percent(round(hidden.accuracy, 2))}, yet with the best threshold about "
        f"{percent(round(hidden.could_tell, 2))} of the labels could be told from the same outputs"
    )
    rate: Any = hidden.growth.median("rate") if hidden.growth.fitted else None
    if hidden.exponential and rate is not None and rate.value is not None:
        text += (
            f"; what grows, {number(float(np.exp(rate.value)))}-fold an epoch, is how far they are "
            "apart"
        )
    return f"{text}."
