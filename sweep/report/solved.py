"""When runs solve the task: the share solved by each epoch, by the values of a setting.

Kaplan and Meier's survival curve turned over; with one budget for all, its estimate is the plain
share of the runs.
"""

from collections.abc import Sequence

import numpy as np

from sweep.analysis.survival import median_time, outcomes
from sweep.report.data import Table
from sweep.report.drawing import DASHES, PALETTE, Figure, log_ticks, packed, percent, plain
from sweep.report.groups import Group, grouped
from sweep.report.rows import number, words
from sweep.report.sentences import listed, plural, sentence
from sweep.report.story import Plot, Section, Story, Variant


def section(story: Story) -> Section | None:
    """Survival curves by any searched setting that has two values or more."""
    if not story.solved:
        return None
    variants: list[Variant] = []
    for name in sorted(story.names, key=lambda name: name != "optimizer"):
        groups = grouped(story.rows, name)
        if len(groups) > 1:
            figure = solved_by(groups, story.budget, story.target)
            finding = solved_finding(groups, story.budget, story.target)
            variants.append(Variant(words(name), finding, figure, data=_data(groups, name)))
    if not variants:
        everything = [Group("all", "all settings", story.rows)]
        figure = solved_by(everything, story.budget, story.target)
        finding = solved_finding(everything, story.budget, story.target)
        variants = [Variant("all", finding, figure, data=_data(everything, "runs_of"))]
    caption = (
        f"The share of all runs that had reached {story.target} by each epoch: survival curves "
        "turned over. Runs censored at the budget, or diverged, stay in the number. The search "
        "tried good regions more often and the other settings vary, so this describes the runs "
        "made, and proves no cause."
    )
    plot = Plot("plot-solved", variants, caption, choice="By")
    return Section("solved", "When runs solve it", "When runs solve the task", [plot])


def solved_by(groups: Sequence[Group], budget: int, target: str) -> Figure:
    """Share of the runs of each group that reached the target by each epoch.

    The axis of epochs is logarithmic where the first runs are done within a twentieth of the
    budget.
    """
    data: list[Figure] = []
    earliest = float(budget)
    for slot, group in enumerate(groups):
        runs = [run for row in group.rows for run in row.runs]
        steps, counts = _steps(group)
        share = counts / len(runs)
        if len(steps):
            earliest = min(earliest, float(steps[0]))
        data.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": plain(f"{group.label} ({plural(len(runs), 'run')})"),
                "x": packed(np.concatenate([[0], steps, [budget]])),
                "y": packed(np.concatenate([[0], share, share[-1:] if len(share) else [0]])),
                "line": {
                    "shape": "hv",
                    "width": 2.2,
                    "color": PALETTE[slot % len(PALETTE)][0],
                    "dash": DASHES[slot % len(DASHES)],
                },
                "hovertemplate": "%{y:.1%}",
            }
        )
    axis: Figure = {"title": {"text": "epoch"}, "range": [0, budget]}
    if budget >= 20 * earliest:
        first = max(0.5, 0.7 * earliest)
        axis = log_ticks(first, budget) | {"title": {"text": "epoch (log scale)"}}
        axis["range"] = [float(np.log10(first)), float(np.log10(budget))]
        for trace in data:
            trace["x"] = packed(np.maximum(_floats(trace["x"]), first / 2))
    return {
        "data": data,
        "layout": {
            "height": 420,
            "margin": {"l": 62, "r": 24, "t": 40, "b": 48},
            "hovermode": "x unified",
            "xaxis": axis | {"unifiedhovertitle": {"text": "by epoch %{x:.0f}"}},
            "yaxis": {
                "title": {"text": f"runs at {target}"},
                "tickformat": ".0%",
                "range": [0, 1.03],
            },
            "legend": {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0},
        },
    }


def _steps(group: Group) -> tuple[np.ndarray, np.ndarray]:
    """The epochs in which runs of a group reached the target, and how many had by then."""
    ends = [run.epochs for row in group.rows for run in row.runs if run.ended == "solved"]
    steps, counts = np.unique(ends, return_counts=True)
    return steps, np.cumsum(counts)


def _data(groups: Sequence[Group], name: str) -> Table:
    lines: list[tuple[str, int, int, int, float]] = []
    for group in groups:
        runs = sum(len(row.runs) for row in group.rows)
        for epoch, solved in zip(*(part.tolist() for part in _steps(group)), strict=True):
            lines.append((group.label, runs, int(epoch), int(solved), solved / runs))
    return Table((name, "runs", "by_epoch", "solved_runs", "solved_share"), lines)


def solved_finding(groups: Sequence[Group], budget: int, target: str) -> str:
    """The share solved within the budget in each group, and by when half of it was."""
    ends: list[tuple[float, float, str]] = []
    for group in groups:
        found = outcomes([run for row in group.rows for run in row.runs])
        share = float(found.solved.mean())
        half = median_time(found.epochs, found.solved).value
        by = f" (half by epoch {number(half)})" if half is not None else ""
        order = float("inf") if half is None else half
        ends.append((order, -share, f"{percent(round(share, 2))} with {group.words}{by}"))
    ends.sort()
    parts = [text for _, _, text in ends]
    if len(parts) > 4:
        parts = [parts[0], parts[-1]]
    within = f"reached {target} within {plural(budget, 'epoch')}"
    if len(groups) == 1:
        share = parts[0].split(" with ")[0]
        return sentence(f"{share} of the runs {within}")
    parts[0] = parts[0].replace(" with", " of the runs with", 1)
    return sentence(f"{listed(parts)} {within}")


def _floats(values: Figure) -> np.ndarray:
    from base64 import b64decode

    return np.frombuffer(b64decode(values["bdata"]), dtype="<f4")
