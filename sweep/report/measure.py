"""By what a study calls a configuration efficient, in words: its first objective.

"Most efficient" is a claim about one measure, and everything that ranks says which. Epochs, updates
and FLOPs are those of PAR2: the mean over the replicates, a run that did not solve the task counted
as twice the budget. The number of parameters is exact.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sweep.report.rows import Row, count, number, quantity


@dataclass(frozen=True)
class Measure:
    """A measure of efficiency, and how sentences call it.

    `least` follows "learned the task" ("in the fewest epochs"), `by` follows "most efficient" ("by
    mean epochs (PAR2)"), `short` is a column's or an axis's, `unit` its unit.
    """

    name: str
    least: str
    by: str
    short: str
    unit: str

    @property
    def in_epochs(self) -> bool:
        return self.name == "epochs"

    @property
    def exact(self) -> bool:
        """Whether it is known without training, so that no replicate can make it uncertain."""
        return self.name == "parameters"

    @property
    def best(self) -> str:
        """What the best configurations have: "the fewest epochs"."""
        return self.least.partition(" ")[2]

    def of(self, row: Row, epochs: float) -> float:
        """So many epochs of this configuration, in this measure."""
        if self.exact:
            return math.inf if row.parameters is None else row.parameters
        return epochs * row.per_epoch[self.name]

    def value(self, row: Row) -> float:
        """What the search minimised in this configuration, without the addition for failures."""
        return self.of(row, row.par2)

    def text(self, value: float) -> str:
        """A value as a person reads it: "3.4", "12.3 M", "4 772"."""
        if self.name == "flops":
            return quantity(value)
        return count(value) if self.exact else number(value)


MEASURES = {
    "epochs": Measure("epochs", "in the fewest epochs", "by mean epochs (PAR2)", "PAR2", "epochs"),
    "updates": Measure(
        "updates",
        "with the fewest optimizer updates",
        "by mean optimizer updates (PAR2)",
        "PAR2",
        "updates",
    ),
    "flops": Measure(
        "flops",
        "with the fewest training FLOPs",
        "by mean training FLOPs (PAR2)",
        "PAR2",
        "FLOPs",
    ),
    "parameters": Measure(
        "parameters", "with the fewest parameters", "by parameters", "Parameters", "parameters"
    ),
}


def first(goals: Sequence[str]) -> Measure:
    """The measure that ranks: the first objective of a study."""
    return MEASURES[goals[0]]


def ranked_by(goals: Sequence[str]) -> str:
    """How the order of the configurations is said: "by mean epochs (PAR2)"."""
    by = first(goals).by
    return by if len(goals) == 1 else f"by the Pareto front first, then {by}"
