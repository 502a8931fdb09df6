"""A study's trials as rows of plain values: ranked, labelled, with what was searched.

Everything on the page (sentences, figures, table) is made from these rows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from studies.run import FinishedRun, updates_per_epoch
from sweep.analysis.plateau import Plateaus
from sweep.results import StudyResult, TrialResult, pareto_front, ranking

HELD_BACK = "val_accuracy"
"""The series of the accuracy on records that are not trained on."""


@dataclass(frozen=True, eq=False)
class Row:
    """One configuration tried.

    `place` counts from 1, the most efficient first (`sweep.results.ranking`). `settings` are the
    searched settings that this trial has, by name. The numbers are those of
    `sweep.analysis.survival.Summary`: `median` with `low` and `high` are epochs to target,
    `escape`, `plateau` and `transition` medians as well, and one that does not exist is None.
    `final_accuracy` is the mean over replicates. `per_epoch` is what an epoch costs, in epochs,
    optimizer updates and training FLOPs. `objectives` are what the search minimised, and `front`
    says whether the trial is on their Pareto front (see `sweep.results.pareto_front`). Of a trial
    whose epochs nobody knows (`timed` is false) `par2` is infinite. `reported` is the last value of
    a trial of another tool's.
    """

    place: int
    number: int
    settings: dict[str, Any]
    label: str
    enqueued: bool
    replicates: int
    solved: int
    diverged: int
    success_low: float
    success_high: float
    median: float | None
    low: float | None
    high: float | None
    par2: float
    ert: float | None
    escape: float | None
    plateau: float | None
    transition: float | None
    parameters: int | None
    flops: float | None
    final_accuracy: float
    per_epoch: dict[str, float]
    objectives: tuple[float, ...]
    front: bool
    runs: tuple[FinishedRun, ...]
    plateaus: Plateaus

    @property
    def name(self) -> str:
        return f"trial {self.number}"

    @property
    def timed(self) -> bool:
        return all(run.timed for run in self.runs)

    @property
    def reported(self) -> float | None:
        return self.runs[0].reported if self.runs else None

    @property
    def validated(self) -> float | None:
        """The median over replicates of the last accuracy on the records that were held back."""
        ends = [float(r.curve(HELD_BACK)[-1]) for r in self.runs if HELD_BACK in r.series]
        return float(np.median(ends)) if ends and np.isfinite(ends).all() else None

    @property
    def all_solved(self) -> bool:
        return self.solved == self.replicates


def ranked(result: StudyResult) -> list[Row]:
    """The study's trials as rows, the most efficient first.

    The order is that of `sweep.results.ranking`.
    """
    names = searched(result.trials)
    front = pareto_front(result)
    rows: list[Row] = []
    for place, trial in enumerate(ranking(result, front), start=1):
        summary = trial.summary
        updates = updates_per_epoch(trial.configuration, result.task.records)
        settings = {name: trial.params[name] for name in names if name in trial.params}
        rows.append(
            Row(
                place=place,
                number=trial.number,
                settings=settings,
                label=describe(settings) or "every setting fixed",
                enqueued=trial.enqueued,
                replicates=summary.replicates,
                solved=summary.solved,
                diverged=summary.diverged,
                success_low=summary.success_low,
                success_high=summary.success_high,
                median=summary.epochs_median,
                low=summary.epochs_low,
                high=summary.epochs_high,
                par2=math.inf if summary.par2 is None else summary.par2,
                ert=summary.ert,
                escape=summary.escape_median,
                plateau=summary.plateau_median,
                transition=summary.transition_median,
                parameters=summary.parameters,
                flops=summary.flops,
                final_accuracy=_final_accuracy(trial.runs),
                per_epoch={"epochs": 1, "updates": updates, "flops": trial.epoch_flops},
                objectives=trial.values,
                front=trial.number in front,
                runs=trial.runs,
                plateaus=trial.plateaus,
            )
        )
    return rows


def searched(trials: Sequence[TrialResult]) -> list[str]:
    """The names of the settings that the trials have, in a fixed order for the eye."""
    found = dict.fromkeys(name for trial in trials for name in trial.params)
    first = ["cell", "layers", "units", "optimizer", "learning_rate"]
    return [n for n in first if n in found] + [n for n in found if n not in first]


def words(name: str) -> str:
    """A setting's name as a person reads it."""
    return "FLOPs" if name == "flops" else name.replace("_", " ")


def count(value: float) -> str:
    """A whole number, its thousands set apart."""
    return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def number(value: float | None, digits: int = 3) -> str:
    """A number to `digits` significant digits, without an exponent where that can be read."""
    if value is None or not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    if size < -5 or size > 14:
        return f"{value:.{digits - 1}e}"
    rounded = round(value, digits - 1 - size)
    if size >= digits - 1:
        return count(rounded)
    return f"{rounded:.{digits - 1 - size}f}".rstrip("0").rstrip(".")


def plural(amount: float, one: str, many: str = "") -> str:
    """ "1 epoch", "12 epochs"."""
    text = count(amount) if float(amount).is_integer() else number(amount)
    return f"{text} {one if amount == 1 else many or one + 's'}"


def quantity(value: float | None) -> str:
    """A large quantity with a prefix: "1.23 G"."""
    if value is None:
        return "–"
    for size, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{number(value / size)}\N{NO-BREAK SPACE}{prefix}"
    return number(value)


def value_text(value: Any) -> str:
    """A setting's value as a person reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return number(value)
    return str(value)


def describe(settings: dict[str, Any]) -> str:
    """A configuration in words: "3 layers, 15 units, adam, learning rate 0.001"."""
    parts: list[str] = []
    for name, value in settings.items():
        text = value_text(value)
        if name in ("layers", "units"):
            parts.append(f"{text} {name[:-1] if value == 1 else name}")
        elif name in ("cell", "optimizer"):
            parts.append(text)
        elif isinstance(value, bool):
            parts.append(words(name) if value else f"no {words(name)}")
        else:
            parts.append(f"{words(name)} {text}")
    return ", ".join(parts)


def _final_accuracy(runs: Sequence[FinishedRun]) -> float:
    """The mean accuracy of the last epochs; a number that does not exist counts as 0."""
    return sum(float(np.nan_to_num(run.curve("accuracy")[-1])) for run in runs) / len(runs)
