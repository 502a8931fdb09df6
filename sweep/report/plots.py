"""The report's figures as plotly objects, for notebooks and for other dashboards.

Each says in its title what it shows, and is drawn in the light colours on its own ground, since it
stands alone.
"""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sweep.report import curves, front, laws, matters, settings, solved, time_spent
from sweep.report.drawing import DASHES, PALETTE, QUIET, Figure, swapped, veil
from sweep.report.rows import Row
from sweep.report.story import Story, tell
from sweep.results import StudyResult

if TYPE_CHECKING:
    from plotly.graph_objects import Figure as PlotlyFigure

INK, MUTED, GRID = "#1c1f24", "#585d66", "#e9e9e4"
LETTERS = 84
"""Characters in a line of what a figure shows."""


def figures(result: StudyResult, trials: Sequence[int] = ()) -> dict[str, "PlotlyFigure"]:
    """The figures that a study has, by name, as `plotly.graph_objects.Figure`.

    `curves` are the learning curves of the trials with the numbers in `trials`, at most six; left
    out, those that the report shows at first. The others are named after the report's sections,
    with the setting or settings that they are about: `time`, `time: best`, `landscape: layers ×
    units`, `solved: optimizer`, `laws: learning rate`, `importances`, `parallel`, `front`.
    """
    story = tell(result)
    found: dict[str, PlotlyFigure] = {}
    if story.rows and story.band is not None:
        wanted = [row for row in story.rows if row.number in trials]
        found["curves"] = curves_figure(story, wanted or curves.chosen_rows(story.rows))
    for make in (front, time_spent, settings, solved, matters, laws):
        section = make.section(story)
        for plot in section.plots if section else []:
            name = plot.id.removeprefix("plot-").partition("-")[0]
            for place, variant in enumerate(plot.variants):
                several = name in ("landscape", "solved", "laws")
                key = f"{name}: {variant.title.lower()}" if several else name
                if not several and place:
                    key = f"{name}: best"
                heading = section.heading if section else ""
                if several and len(plot.variants) + len(section.plots if section else []) > 2:
                    heading += f": {variant.title}"
                found[key] = plotly_figure(variant.figure, heading, variant.finding)
    return found


def curves_figure(story: Story, rows: Sequence[Row]) -> "PlotlyFigure":
    """The learning curves of some configurations, one colour each, with their plateaus."""
    task, training = story.result.task, story.result.study.training
    assert story.band is not None
    layout = curves.curves_layout(story.band, training.target, task.target)
    shapes: list[Figure] = list(layout["shapes"])
    waits: list[Figure] = []
    data: list[Figure] = []
    rows = rows[: len(PALETTE)]
    for slot, row in enumerate(rows):
        own, first = PALETTE[slot][0], PALETTE[0][0]
        drawn = swapped(
            curves.learning_curves(row, records=task.records), {first: own, veil(first): veil(own)}
        )
        for trace in drawn["data"]:
            kind = trace["meta"]
            if kind == "median":
                trace["line"]["dash"] = DASHES[slot]
                trace["name"] = f"{row.name}: {row.label}"
            if trace.get("yaxis") == "y3":
                trace["y"] = [-slot]
            shown = kind == "median" and trace["yaxis"] == "y"
            data.append(trace | {"legendgroup": row.name, "showlegend": shown})
        for shape in drawn["layout"]["shapes"]:
            if shape["yref"] == "y3":
                shape |= {"y0": shape["y0"] - slot, "y1": shape["y1"] - slot}
            (waits if shape.get("name") == "wait" else shapes).append(shape)
    # Veils follow one another: each begins where the wait before it ends, so that none is mixed.
    start = 1.0
    for wait in sorted(waits, key=lambda shape: shape["x1"]):
        if wait["x1"] > start:
            shapes.append(wait | {"x0": start})
        start = max(start, wait["x1"])
    longest = max((run.epochs for row in rows for run in row.runs), default=1)
    layout |= {"shapes": shapes, "showlegend": True}
    layout["legend"] = {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0}
    layout["margin"] |= {"t": 20 + 20 * len(rows)}
    layout["yaxis3"] |= {"range": [0.5 - len(rows), 0.5]}
    layout["xaxis"] |= {"range": [0, longest + max(0.3, longest / 60)]}
    finding = curves.curves_finding(rows, story.target)
    return plotly_figure({"data": data, "layout": layout}, "Learning curves", finding)


def plotly_figure(figure: Mapping[str, Any], heading: str, finding: str) -> "PlotlyFigure":
    """A figure of the report as plotly's, with what it shows as its title."""
    import plotly.graph_objects as go

    layout: Figure = dict(figure["layout"])
    axis = {"gridcolor": GRID, "linecolor": QUIET[0], "automargin": True}
    for key in [*layout, "xaxis", "yaxis"]:
        if key.startswith(("xaxis", "yaxis")):
            layout[key] = axis | layout.get(key, {})
    lines = textwrap.wrap(finding, LETTERS)
    above = 62 + 17 * len(lines)
    margin = layout.get("margin", {})
    top = above + margin.get("t", 40)
    layout |= {
        "title": {
            "text": heading,
            "subtitle": {"text": "<br>".join(lines), "font": {"size": 13, "color": MUTED}},
            "x": 0,
            "xref": "paper",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 14},
        },
        "margin": margin | {"t": top},
        "height": layout.get("height", 420) + above,
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "font": {"size": 13, "color": INK},
        "colorway": [light for light, _ in PALETTE],
    }
    return go.Figure({"data": figure["data"], "layout": layout})
