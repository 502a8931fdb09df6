"""What a report is about, and what it is made of: sections of figures that each say one thing.

Every module of a section has a function `section(story)` that gives a `Section`, or None where the
study has nothing to show there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sweep.analysis.plateau import ChanceBand
from sweep.report.data import Data
from sweep.report.drawing import Figure, percent
from sweep.report.measure import Measure, first, ranked_by
from sweep.report.rows import Row, ranked, searched
from sweep.results import StudyResult

if TYPE_CHECKING:
    from sweep.explain import Explanation


@dataclass(frozen=True)
class Story:
    """A study's result as all sections see it.

    `rows` are its trials, the most efficient first; `why` what `explain` found
    about trials of it.
    """

    result: StudyResult
    rows: tuple[Row, ...]
    why: "tuple[Explanation, ...]" = ()

    @cached_property
    def names(self) -> list[str]:
        """The searched settings that trials have, in a fixed order for the eye."""
        return searched(self.result.trials)

    @property
    def goals(self) -> tuple[str, ...]:
        """What the search minimises."""
        return self.result.study.search.objectives

    @property
    def measure(self) -> Measure:
        """What ranks the rows: the first of `goals`."""
        return first(self.goals)

    @property
    def by(self) -> str:
        """How the order of the rows is said."""
        return ranked_by(self.goals)

    @property
    def budget(self) -> int:
        return self.result.study.training.epochs

    @property
    def target(self) -> str:
        """How text calls the target: "100 %"."""
        training = self.result.study.training
        return training.bound or percent(training.target)

    @property
    def band(self) -> ChanceBand | None:
        """The chance band of the task; None without trials."""
        return self.result.trials[0].plateaus.band if self.result.trials else None

    @property
    def timed(self) -> "Story":
        """The story of those trials alone whose epochs are known."""
        rows = tuple(row for row in self.rows if row.timed)
        if len(rows) == len(self.rows):
            return self
        numbers = {row.number for row in rows}
        trials = tuple(trial for trial in self.result.trials if trial.number in numbers)
        return Story(replace(self.result, trials=trials), rows, self.why)

    @property
    def solved(self) -> bool:
        """Whether any run solved the task."""
        return any(row.solved for row in self.rows)

    @property
    def log_scaled(self) -> frozenset[str]:
        """The settings that were searched on a logarithmic scale."""
        space = self.result.study.space
        return frozenset(name for name, span in space.items() if getattr(span, "log", False))


def tell(result: StudyResult, why: "Sequence[Explanation]" = ()) -> Story:
    """The story of a study, and of what explains trials of it."""
    return Story(result, tuple(ranked(result)), tuple(why))


@dataclass(frozen=True)
class Variant:
    """A figure with what it shows in a sentence; `title` is its name among the others to choose,
    `caption` how to read it, where others of its plot are read otherwise, `data` the numbers that a
    reader can take away; without them, those that are drawn."""

    title: str
    finding: str
    figure: Figure
    caption: str = ""
    data: Data | None = None


@dataclass(frozen=True)
class Plot:
    """A place for a figure, with one or more variants of which the reader picks one.

    `id` names it in the page; `choice` says what is chosen, `caption` how to read it.
    """

    id: str
    variants: list[Variant]
    caption: str = ""
    choice: str = "Shown"


@dataclass(frozen=True)
class Section:
    """A part of the page: `short` is its name in the navigation, `heading` above its plots.

    `note` is said where there are no plots, or before them. `more` is what the template of a
    section of its own kind reads.
    """

    id: str
    short: str
    heading: str
    plots: list[Plot] = field(default_factory=list[Plot])
    note: str = ""
    more: dict[str, Any] = field(default_factory=dict[str, Any])
