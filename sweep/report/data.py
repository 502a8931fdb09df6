"""The numbers behind figures and table, to be taken away: plain numbers, units in the headings.

What a figure draws may be spread, scaled or thinned to be seen; what a reader takes away is neither
rounded nor spread. Numbers of configurations are in the page once (`whole`), and figures name the
configurations and columns that are theirs (`OfRows`); other figures have a `Table` of their own.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sweep.report.rows import Row

EPOCHS = (
    "to_target_median_epochs",
    "to_target_low_epochs",
    "to_target_high_epochs",
    "replicates",
    "solved_replicates",
    "diverged_replicates",
)
"""Columns of a figure about epochs to target."""

PARTS = ("plateau_median_epochs", "escape_median_epochs", "transition_median_epochs")
"""Columns of a figure about where the time goes."""

_COLUMNS: dict[str, Callable[[Row], Any]] = {
    "replicates": lambda row: row.replicates,
    "solved_replicates": lambda row: row.solved,
    "diverged_replicates": lambda row: row.diverged,
    "success_rate": lambda row: row.solved / row.replicates,
    "success_rate_low": lambda row: row.success_low,
    "success_rate_high": lambda row: row.success_high,
    "to_target_median_epochs": lambda row: row.median,
    "to_target_low_epochs": lambda row: row.low,
    "to_target_high_epochs": lambda row: row.high,
    "plateau_median_epochs": lambda row: row.plateau,
    "escape_median_epochs": lambda row: row.escape,
    "transition_median_epochs": lambda row: row.transition,
    "par2_epochs": lambda row: row.par2,
    "par2_updates": lambda row: row.par2 * row.per_epoch["updates"],
    "par2_flops": lambda row: row.par2 * row.per_epoch["flops"],
    "ert_epochs": lambda row: row.ert,
    "parameters": lambda row: row.parameters,
    "flops_to_solve_once": lambda row: row.flops,
    "final_accuracy_mean": lambda row: row.final_accuracy,
    "on_pareto_front": lambda row: row.front,
}
"""What is known of a configuration. "low" and "high" end the 95 % interval of what they follow."""


@dataclass(frozen=True)
class OfRows:
    """The numbers of some configurations: their settings `names`, and the `columns` of `whole`."""

    rows: Sequence[Row]
    names: Sequence[str]
    columns: Sequence[str] = EPOCHS


@dataclass(frozen=True)
class Table:
    """Headings, and lines of numbers and words; None is what does not exist."""

    header: Sequence[str]
    lines: Sequence[Sequence[Any]]


Data = OfRows | Table


def whole(rows: Iterable[Row], names: Sequence[str]) -> dict[str, Any]:
    """Everything known of the rows: the `header`, and a line of plain values for each trial."""
    lines: dict[str, list[Any]] = {}
    for row in rows:
        settings = [row.settings.get(name) for name in names]
        known = [_finite(value_of(row)) for value_of in _COLUMNS.values()]
        lines[str(row.number)] = [row.number, row.place, row.enqueued, *settings, *known]
    return {"header": ["trial", "rank", "given", *names, *_COLUMNS], "lines": lines}


def _finite(value: Any) -> Any:
    """What JSON can hold: a number that does not exist, or is beyond all, is None."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def document(data: Data | None, names: Sequence[str]) -> dict[str, Any] | None:
    """What the page holds of a figure's data; `names` are the settings that `whole` has."""
    if data is None:
        return None
    if isinstance(data, Table):
        lines = [[_finite(value) for value in line] for line in data.lines]
        return {"header": list(data.header), "lines": lines}
    header = ["trial", "rank", "given", *names, *_COLUMNS]
    shown = ["trial", "rank", "given", *data.names, *data.columns]
    return {
        "trials": [row.number for row in data.rows],
        "columns": [header.index(name, 0 if place < 3 else 3) for place, name in enumerate(shown)],
    }
