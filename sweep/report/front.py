"""Several objectives: what is traded for what, and the Pareto front."""

from collections.abc import Sequence

from sweep.report.data import EPOCHS, OfRows
from sweep.report.drawing import PALETTE, QUIET, Figure, hover, log_ticks, plain, thinned
from sweep.report.rows import Row, count, quantity, words
from sweep.report.sentences import ends, plural, sentence
from sweep.report.story import Plot, Section, Story, Variant

TITLES = {
    "epochs": "epochs to target (PAR2)",
    "updates": "optimizer updates to target (PAR2)",
    "flops": "training FLOPs to target (PAR2)",
    "parameters": "parameters",
}


COLUMNS = {
    "epochs": "par2_epochs",
    "updates": "par2_updates",
    "flops": "par2_flops",
    "parameters": "parameters",
}
"""The columns of data that hold the objectives."""


def section(story: Story) -> Section | None:
    """The first two objectives against each other; None where there is one."""
    if len(story.goals) < 2 or not story.rows:
        return None
    caption = "Left and below is better. Each point is a configuration"
    lost = any(not row.solved for row in story.rows)
    caption += "; crosses, which no replicate solved, are on no front." if lost else "."
    if len(story.goals) > 2:
        caption += f" The front is that of {len(story.goals)} objectives, of which two are drawn."
    finding = objectives_finding(story.rows, story.goals)
    figure = objectives(story.rows, story.goals)
    front = [row for row in story.rows if row.front]
    shown = [*front, *[row for row in thinned(story.rows) if not row.front]]
    columns = ["on_pareto_front", *[COLUMNS[goal] for goal in story.goals], *EPOCHS]
    data = OfRows(shown, story.names, columns)
    plot = Plot("plot-front", [Variant("objectives", finding, figure, caption, data)])
    return Section("front", "Pareto front", "What is traded for what", [plot])


def objectives(rows: Sequence[Row], names: Sequence[str]) -> Figure:
    """The first two objectives against each other, with the Pareto front as a staircase."""
    front = sorted((row for row in rows if row.front), key=lambda row: row.objectives[:2])
    others = [row for row in thinned(rows) if not row.front and row.solved]
    unsolved = [row for row in thinned(rows) if not row.solved]

    def points(name: str, some: list[Row], more: Figure) -> Figure:
        return {
            "type": "scatter",
            "name": name,
            "x": [row.objectives[0] for row in some],
            "y": [row.objectives[1] for row in some],
            "text": [hover(row) for row in some],
            "hovertemplate": "%{text}<extra></extra>",
        } | more

    def scaled(name: str, values: list[float]) -> Figure:
        title = TITLES.get(name, words(name))
        layout: Figure = {"title": {"text": plain(title)}, "zeroline": False}
        if values and min(values) > 0 and max(values) / min(values) >= 20:
            layout |= log_ticks(min(values), max(values), quantity)
            layout |= {"title": {"text": plain(title) + " (log scale)"}}
        return layout

    grey = {"size": 8, "color": QUIET[0], "opacity": 0.6}
    cross = {"symbol": "x-thin", "size": 8, "line": {"width": 1.2, "color": QUIET[0]}}
    best = {"size": 10, "color": PALETTE[0][0]}
    stairs = {"shape": "hv", "width": 1.6, "color": PALETTE[0][0]}
    data = [
        points("beaten", others, {"mode": "markers", "marker": grey}),
        points("solved by none (censored)", unsolved, {"mode": "markers", "marker": cross}),
        points("Pareto front", front, {"mode": "lines+markers", "marker": best, "line": stairs}),
    ]
    return {
        "data": [trace for trace in data if trace["x"]],
        "layout": {
            "height": 460,
            "margin": {"l": 70, "r": 12, "t": 40, "b": 56},
            "hovermode": "closest",
            "xaxis": scaled(names[0], [row.objectives[0] for row in rows]),
            "yaxis": scaled(names[1], [row.objectives[1] for row in rows]),
            "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
            "showlegend": True,
        },
    }


def objectives_finding(rows: Sequence[Row], names: Sequence[str]) -> str:
    """The ends of the Pareto front."""
    front = [row for row in rows if row.front]
    if not front:
        return "No configuration was solved, so none is on the front."
    parts = [
        f"{plural(len(front), 'configuration')} of {count(len(rows))} "
        f"{'is' if len(front) == 1 else 'are'} on the front"
    ]
    for name, end in ends(rows, names[:2]):
        parts.append(f"fewest {words(name)}: trial {end.number} ({end.label})")
    return sentence("; ".join(parts))
