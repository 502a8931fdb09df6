"""What matters: the importance of each setting, and all configurations across their settings."""

from collections.abc import Mapping

from sweep.report.data import OfRows, Table
from sweep.report.drawing import thinned
from sweep.report.importances import (
    FEWEST,
    MOST_WEIGHED,
    PLATEAUS,
    Importances,
    importance_bars,
    importance_finding,
    importances,
)
from sweep.report.parallel import MOST_LINES, parallel, parallel_finding
from sweep.report.rows import count
from sweep.report.story import Plot, Section, Story, Variant


def section(story: Story) -> Section | None:
    """Importances and parallel coordinates; None for a study of fewer than two settings."""
    if len(story.names) < 2 or len(story.rows) < 3 or not story.solved:
        return None
    plots: list[Plot] = []
    note = ""
    if len(story.rows) >= FEWEST:
        weighed = importances(story)
        if weighed:
            finding = importance_finding(weighed, len(story.rows))
            figure = importance_bars(weighed)
            lines = [
                (question, name, share)
                for question, shares in weighed.items()
                for name, share in shares.items()
            ]
            data = Table(("importance_for", "setting", "importance_share"), lines)
            plots.append(
                Plot(
                    "plot-importances",
                    [Variant("Importances", finding, figure, _caption(story, weighed), data)],
                )
            )
    else:
        note = (
            f"How much each setting matters is weighed from {FEWEST} configurations on; here are "
            f"{len(story.rows)}."
        )
    caption = (
        "A line is a configuration: it crosses each axis at its value, and the last at its median "
        "epochs."
    )
    if any(row.median is None for row in story.rows):
        caption += " Dotted lines have no median: most of their replicates never got there."
    caption += (
        " On axes of few values lines are spread a little, to lie side by side; the data of the "
        "figure have the values themselves."
    )
    if len(story.rows) > MOST_LINES:
        caption += (
            f" Drawn are {count(MOST_LINES)} of {count(len(story.rows))} configurations: the best, "
            "and evenly spaced ones of the rest."
        )
    drawn = parallel(story.rows, story.names, story.log_scaled)
    finding = parallel_finding(story.rows, story.names, story.by)
    data = OfRows(thinned(story.rows, MOST_LINES), story.names)
    variant = Variant("All settings at once", finding, drawn, caption, data)
    plots.append(Plot("plot-parallel", [variant]))
    return Section("matters", "What matters", "What matters", plots, note)


def _caption(story: Story, weighed: Mapping[str, Importances]) -> str:
    caption = (
        "How differently the best tenth of the configurations and all that were tried are spread "
        "over a setting’s values, as a share of the sum over settings (Optuna’s PED-ANOVA). A "
        "setting that the search had narrowed down early looks less important than it is."
    )
    if len(story.rows) > MOST_WEIGHED:
        caption += f" Weighed from {count(MOST_WEIGHED)} configurations, evenly spaced by rank."
    if PLATEAUS in weighed:
        caption += " Plateaus are of the configurations of which most replicates left theirs."
    return caption
