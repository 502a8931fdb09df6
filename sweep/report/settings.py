"""The section on the settings: epochs to target over pairs of them, and what is found there."""

from collections.abc import Sequence

from sweep.report import landscape
from sweep.report.data import OfRows
from sweep.report.drawing import MOST_POINTS, Figure, percent, thinned
from sweep.report.groups import MOST_GROUPS
from sweep.report.measure import Measure
from sweep.report.rows import Row, count, number, words
from sweep.report.sentences import listed, plural, sentence, setting
from sweep.report.story import Plot, Section, Story, Variant


def section(story: Story) -> Section | None:
    """The most telling pair of settings, and the other pairs by choice."""
    if not story.rows:
        return None
    heading = f"Epochs to {story.target} over the settings"
    pairs = landscape.pairs(story.names) if len(story.rows) > 1 else []
    if not pairs:
        note = _no_landscape(story.names, len(story.rows))
        return Section("landscape", "Settings", heading, note=note)
    plots: list[Plot] = []
    for place, group in enumerate([pairs[:1], pairs[1:]], start=1):
        variants = [_variant(story, x, y) for x, y in group]
        if variants:
            plots.append(Plot(f"plot-landscape-{place}", variants, choice="Settings shown"))
    return Section("landscape", "Settings", heading, plots)


def _variant(story: Story, x: str, y: str) -> Variant:
    drawn = landscape.landscape(story.rows, x, y, story.target, story.log_scaled)
    finding = landscape_finding(story.rows, x, y, story.target, story.measure)
    title = f"{words(y).capitalize()} × {words(x)}"
    rows = thinned([row for row in story.rows if x in row.settings and y in row.settings])
    return Variant(title, finding, drawn, _caption(story, drawn), OfRows(rows, [x, y]))


def _no_landscape(names: Sequence[str], trials: int) -> str:
    if trials == 1:
        return "A single configuration was tried, so there is no map of settings to draw."
    if not names:
        return "The study searched no setting, so there is no map of settings to draw."
    return (
        f"The study searched one setting only ({words(names[0])}), so there is no map of two "
        "settings to draw; the table below has its values in order."
    )


def _caption(story: Story, drawn: Figure) -> str:
    """How to read what is drawn, and nothing that is not."""
    parts = {trace.get("name"): trace for trace in drawn["data"]}
    out = "the more it stands out from the background, the fewer the epochs."
    if any(trace["type"] == "heatmap" for trace in drawn["data"]):
        caption = f"A cell is the best configuration tried there, with its median; {out}"
        if landscape.FEW in parts:
            caption += (
                " A hollow circle was solved by too few replicates for a median, whose number is "
                "given; a cross by none within the budget (censored)."
            )
        return f"{caption} {_OTHERS}"
    caption = f"A point is a configuration; {out}"
    for name, said in landscape.MARKS.items():
        if name in parts:
            caption += f" {said}"
    if any("range" in drawn["layout"][axis] for axis in ("xaxis", "yaxis")):
        caption += (
            " Points of a setting with few values are spread around it, to lie side by side; the "
            "data of the figure have the values themselves."
        )
    caption += f" {_OTHERS}"
    if len(story.rows) > MOST_POINTS:
        caption += (
            f" Shown are {count(MOST_POINTS)} of {count(len(story.rows))} configurations: the "
            "best, and evenly spaced ones of the rest."
        )
    return caption


_OTHERS = "The other searched settings vary as well, so a pattern here may be theirs."


def landscape_finding(
    rows: Sequence[Row], x_name: str, y_name: str, target: str, measure: Measure
) -> str:
    """Where the most efficient are, and how each of the two settings goes with success."""
    here = [row for row in rows if x_name in row.settings and y_name in row.settings]
    timed = [row for row in here if row.median is not None]
    if not timed:
        return f"No configuration has a median: none reached {target} in most of its replicates."
    best = timed[0]
    at = listed([setting(name, best.settings[name]) for name in (y_name, x_name)])
    parts = [
        f"The most efficient {measure.by} is at {at}, with a median of "
        f"{plural(best.median or 0, 'epoch')}"
    ]
    parts += [text for name in (y_name, x_name) if (text := _along(here, name, target, measure))]
    return sentence("; ".join(parts[:2])) + (f" {sentence(parts[2])}" if len(parts) > 2 else "")


def _along(rows: Sequence[Row], name: str, target: str, measure: Measure) -> str:
    """How success goes with a setting of few values; for a number, where the quickest lie."""
    levels = sorted({row.settings[name] for row in rows}, key=lambda v: (str(type(v)), v))
    if 2 <= len(levels) <= MOST_GROUPS and len(levels) * 2 <= len(rows):
        shares: list[str] = []
        for level in levels:
            group = [row for row in rows if row.settings[name] == level]
            runs = sum(row.replicates for row in group)
            share = sum(row.solved for row in group) / runs
            numeric = isinstance(level, int | float) and name not in ("layers", "units")
            what = number(level) if shares and numeric else setting(name, level)
            shares.append(f"{percent(round(share, 2))} with {what}")
        return f"of the runs tried, {listed(shares)} reached {target}"
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in levels)
    timed = [row for row in rows if row.median is not None]
    quick = timed[: max(3, len(timed) // 10)]
    if numeric and len(timed) >= 10:
        values = [float(row.settings[name]) for row in quick]
        return (
            f"the {len(quick)} most efficient {measure.by} have {words(name)} between "
            f"{number(min(values))} and {number(max(values))}"
        )
    return ""
