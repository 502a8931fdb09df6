"""The values of each setting against one another, as `compare` has them: what differs, by how much,
and whether chance explains it.
"""

import shlex
from typing import TYPE_CHECKING, Any

from studies.errors import BadInput
from sweep.report.rows import count, words
from sweep.report.story import Section, Story

if TYPE_CHECKING:
    from sweep.comparing import StudyComparison
    from sweep.comparing.cells import Cells

MOST_TRIALS = 300
"""Configurations up to which a page compares them; the intervals of more take seconds each."""


def section(story: Story) -> Section | None:
    """Every searched setting's comparison in epochs; None where no setting has two values."""
    from sweep.comparing import compare_setting

    if not story.solved or len(story.rows) < 2:
        return None
    heading = "Which values differ, and how surely"
    if len(story.rows) > MOST_TRIALS:
        note = (
            f"The values of a setting are compared in a page for up to {count(MOST_TRIALS)} "
            f"configurations; of {count(len(story.rows))} the terminal compares them: "
            f"python -m sweep compare {shlex.quote(story.result.name)} --by SETTING"
        )
        return Section("versus", "Comparison", heading, note=note)
    shown: list[dict[str, Any]] = []
    for name in sorted(story.names, key=lambda name: name != "optimizer"):
        try:
            shown.append(_shown(compare_setting([story.result], name)))
        except BadInput:
            # Of one value, or in trials that have another setting besides: nothing to compare.
            continue
    if not shown:
        return None
    note = (
        "The values of a setting are in the order of their expected running time (ERT), and each "
        "is set against the first. A value is judged by all configurations that have it, the good "
        "and the bad ones, so the best configurations may have another. Epochs are medians with "
        "their 95 % interval; ratios are over those of the first; p is corrected by Holm for all "
        "pairs of values. Where trials agree in all other settings, runs of equal seeds are paired."
    )
    return Section("versus", "Comparison", heading, note=note, more={"comparisons": shown})


def _shown(found: "StudyComparison") -> dict[str, Any]:
    """A comparison as the template shows it."""
    from sweep.comparing import finding
    from sweep.comparing.cells import contrasts_cells, groups_cells

    said = finding(found)
    tables = [_table(f"The values of {words(found.by)}", groups_cells(found))]
    contrasts = contrasts_cells(found)
    if any(group.solved for group in found.result.groups):
        first = found.first.label
        tables.append(_table(f"The values of {words(found.by)} against {first}", contrasts))
    return {
        "title": f"By {words(found.by)}",
        "finding": said[0],
        "more": said[1:],
        "tables": tables,
        "notes": " ".join(found.notes),
    }


def _table(caption: str, cells: "Cells") -> dict[str, Any]:
    headings, lines = cells
    columns = [(heading, side == "right") for heading, side in headings]
    return {"caption": caption, "columns": columns, "lines": lines}
