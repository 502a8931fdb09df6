"""What an intervention does to the plateau: both arms' runs, paired by seed.

A run that never escaped is censored: its plateau is longer than the budget, by nobody knows how
much. So medians count it as longer than any other and are None where half of the runs or more are
such; ratios are then known from one side only, and the test asks which of a pair was longer. That
is how `sweep.analysis.paired` has it. A run that diverged is censored at the budget too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from storage.values import TaskFacts
from studies.run import Configuration, FinishedRun, parameters, updates_per_epoch
from sweep.analysis.estimate import Estimate
from sweep.analysis.paired import Paired, Times, compare_pairs, holm
from sweep.analysis.plateau import Plateaus, plateaus_of
from sweep.analysis.survival import Summary, median_time, summarise
from sweep.explain.interventions import Intervention
from sweep.results import chance_of, epoch_flops

ALPHA = 0.05
"""Chance of a false finding among all interventions of an explanation."""

LEVEL = (0.8, 1.25)
"""A ratio whose interval lies within these bounds makes no difference that matters."""

Finding = Literal["shortens", "lengthens", "level", "open"]


@dataclass(frozen=True, eq=False)
class Arm:
    """The runs of one configuration on one data set, and what they say.

    `plateau` is the median plateau in epochs with its interval, `updates` the same in updates.
    """

    configuration: Configuration
    task: TaskFacts
    runs: tuple[FinishedRun, ...]
    plateaus: Plateaus
    summary: Summary
    plateau: Estimate
    updates: Estimate

    def times(self) -> Times:
        """Plateau lengths (the budget where censored), and whether they ended."""
        budget = self.runs[0].run.epochs
        escaped = ~self.plateaus.plateau_censored
        return np.where(escaped, self.plateaus.plateau_length, budget), escaped


@dataclass(frozen=True, eq=False)
class Effect:
    """An intervention against the baseline.

    `paired` compares the lengths of the plateaus in epochs, `in_updates` is the ratio of their
    medians in updates. `p_adjusted` is Holm's over all interventions of the explanation. `finding`:

    - "level": the interval of the ratio lies within `LEVEL`, so it makes no difference that
      matters, whatever the p-value;
    - else "shortens" or "lengthens" if `p_adjusted` is below `ALPHA`;
    - else "open": neither a difference nor its absence is shown.
    """

    intervention: Intervention
    arm: Arm
    paired: Paired
    in_updates: float | None
    p_adjusted: float
    finding: Finding

    @property
    def ratio(self) -> Estimate:
        """Median plateau over the baseline's; an end that nothing bounds is None."""
        return self.paired.ratio


def make_arm(configuration: Configuration, task: TaskFacts, runs: Sequence[FinishedRun]) -> Arm:
    """What the runs of one configuration under one budget say."""
    plateaus = plateaus_of(runs, chance_of(task))
    plateau = median_time(plateaus.plateau_length, ~plateaus.plateau_censored)
    per_epoch = updates_per_epoch(configuration, task.records)
    return Arm(
        configuration=configuration,
        task=task,
        runs=tuple(runs),
        plateaus=plateaus,
        summary=summarise(
            runs,
            plateaus,
            parameters=parameters(configuration, task.features, len(task.classes)),
            epoch_flops=epoch_flops(configuration, task),
        ),
        plateau=plateau,
        updates=Estimate(
            *(
                None if epochs is None else epochs * per_epoch
                for epochs in (plateau.value, plateau.low, plateau.high)
            )
        ),
    )


def compare(baseline: Arm, others: Sequence[tuple[Intervention, Arm]]) -> list[Effect]:
    """Every intervention's effect on the plateau, in the order given."""
    budget = baseline.runs[0].run.epochs
    found = [compare_pairs(baseline.times(), arm.times(), budget) for _, arm in others]
    adjusted = holm([paired.p_value for paired in found])
    return [
        Effect(intervention, arm, paired, _in_updates(baseline, arm), p, _finding(paired, p))
        for (intervention, arm), paired, p in zip(others, found, adjusted, strict=True)
    ]


def effect_json(effect: Effect) -> dict[str, Any]:
    """An intervention under the keys that programs read; null for what does not exist."""
    summary, ratio, arm = effect.arm.summary, effect.ratio, effect.arm
    return {
        "group": effect.intervention.group,
        "name": effect.intervention.name,
        "setting": effect.intervention.setting,
        "success_rate": summary.success_rate,
        "epochs_median": summary.epochs_median,
        "epochs_low": summary.epochs_low,
        "epochs_high": summary.epochs_high,
        "plateau_median": arm.plateau.value,
        "plateau_low": arm.plateau.low,
        "plateau_high": arm.plateau.high,
        "plateau_updates_median": arm.updates.value,
        "escaped": int(np.count_nonzero(~arm.plateaus.plateau_censored)),
        "replicates": summary.replicates,
        "diverged": summary.diverged,
        "ratio": ratio.value,
        "ratio_low": ratio.low,
        "ratio_high": ratio.high,
        "ratio_updates": effect.in_updates,
        "mean_ratio": effect.paired.mean_ratio.value,
        "mean_ratio_low": effect.paired.mean_ratio.low,
        "mean_ratio_high": effect.paired.mean_ratio.high,
        "p_value": effect.paired.p_value,
        "p_adjusted": effect.p_adjusted,
        "finding": effect.finding,
        "configuration": arm.configuration.identity(),
        "task": arm.task.name,
        "records": arm.task.records,
    }


def _in_updates(baseline: Arm, arm: Arm) -> float | None:
    below, above = baseline.updates.value, arm.updates.value
    return above / below if below and above is not None else None


def _finding(paired: Paired, p_adjusted: float) -> Finding:
    low, high = paired.ratio.low, paired.ratio.high
    if low is not None and high is not None and LEVEL[0] <= low and high <= LEVEL[1]:
        return "level"
    if p_adjusted >= ALPHA:
        return "open"
    return "shortens" if paired.faster > paired.slower else "lengthens"
