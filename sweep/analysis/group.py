"""A group of runs: what it holds, and what its runs say.

What its intervals resample is what was drawn independently. In a group of `MANY` trials or more
that is the trial with all its replicates: configurations differ far more than seeds do, and taking
the replicates of nine configurations for 45 independent runs would give intervals of the success
rate that cover 60 … 80 % of the time instead of 95 %; these cover 91 … 98 % of 9 and of 20 trials
that differ by a factor of two or more. In a group of one trial it is its runs, and in one of few
trials the seed with its runs of all of them: what is said then holds for these configurations, not
for others like them.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sweep.analysis.binomial import wilson
from sweep.analysis.bootstrap import (
    SEVERAL,
    expanded_tail,
    median_interval,
    ratio_interval,
    resampled_medians,
)
from sweep.analysis.estimate import CONFIDENCE, Estimate
from sweep.analysis.kaplan_meier import KaplanMeier, kaplan_meier
from sweep.analysis.paired import middle
from sweep.analysis.running_time import (
    RuntimeDistribution,
    ert_interval,
    restarted,
    runtime_distribution,
)
from sweep.analysis.survival import mean_within, median_time, success_rate

MANY = 5
"""Trials from which on they are resampled, instead of the seeds."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The runs of a group; arrays [runs].

    `times` is what a run took in the measure that is compared: to its target where `solved`, else
    up to where it was given up (a diverged run at its budget). `spent` is what it cost in the same
    measure. `plateau` is the length of its plateau in epochs, at least that where `waiting`.
    `trials` says which run is of which trial, `seeds` of which seed. `partners` is the same for
    runs of different groups whose other settings agree. `rounding` is the unit of `times`: 1 for
    epochs.
    """

    label: str
    times: np.ndarray
    solved: np.ndarray
    spent: np.ndarray
    plateau: np.ndarray
    waiting: np.ndarray
    diverged: np.ndarray
    trials: np.ndarray
    seeds: np.ndarray
    partners: Sequence[Hashable]
    rounding: float = 1.0

    def __len__(self) -> int:
        return len(self.times)


@dataclass(frozen=True, slots=True, eq=False)
class GroupSummary:
    """What the runs of a group say, within the budget of the comparison.

    `median`, `mean` and `ert` are in the measure compared; `mean` counts a run that did not solve
    the task as the budget. `plateau` is the median length of the plateau in epochs. `curve` is the
    share still unsolved.
    """

    label: str
    trials: int
    runs: int
    solved: int
    diverged: int
    success: Estimate
    median: Estimate
    mean: Estimate
    ert: Estimate
    plateau: Estimate
    curve: KaplanMeier
    restarts: RuntimeDistribution


def summarise_group(sample: Sample, budget: float) -> GroupSummary:
    """What the runs of a group say, which `within` has cut to the budget."""
    beyond = np.where(sample.solved, sample.times, np.inf)
    waits = np.where(sample.waiting, np.inf, sample.plateau)
    one_trial = len(np.unique(sample.trials)) == 1
    if one_trial:
        success = Estimate(*success_rate(int(sample.solved.sum()), len(sample)))
        mean = mean_within(sample.times, sample.solved, budget, sample.rounding)
        cost = ert_interval(sample.spent, sample.solved, budget, rounding=sample.rounding)
        median = median_time(sample.times, sample.solved)
        plateau = median_time(sample.plateau, ~sample.waiting)
    else:
        success = _clustered_rate(sample)
        mean, cost = _clustered_means(sample)
        median, plateau = (_clustered_median(times, units_of(sample)) for times in (beyond, waits))
    return GroupSummary(
        label=sample.label,
        trials=len(np.unique(sample.trials)),
        runs=len(sample),
        solved=int(sample.solved.sum()),
        diverged=int(sample.diverged.sum()),
        success=success,
        median=median,
        mean=mean,
        ert=cost,
        plateau=plateau,
        curve=kaplan_meier(sample.times, sample.solved),
        restarts=_restarts(sample),
    )


def _restarts(sample: Sample) -> RuntimeDistribution:
    trials = [sample.trials == trial for trial in np.unique(sample.trials)]
    runs = [(sample.spent[own], sample.solved[own]) for own in trials]
    return runtime_distribution(*restarted(runs))


def within(sample: Sample, budget: float) -> Sample:
    """The sample as the budget shows it."""
    solved = sample.solved & (sample.times <= budget)
    if (~solved & (sample.times < budget)).any():
        raise ValueError(f"a run of {sample.label} was given up before the budget of {budget:g}")
    return replace(
        sample,
        times=np.where(solved, sample.times, budget).astype(np.float64),
        solved=solved,
        spent=np.minimum(sample.spent, budget).astype(np.float64),
    )


def units_of(sample: Sample) -> np.ndarray:
    """What was drawn independently: int [runs], the number of a run's trial, or of its seed."""
    many = len(np.unique(sample.trials)) >= MANY
    by = sample.trials if many else sample.seeds
    return np.unique(by, return_inverse=True)[1].reshape(-1)


def _clustered_rate(sample: Sample) -> Estimate:
    """The success rate, with Wilson's interval for as many runs as vary as the units do.

    At most all runs and at least one a unit, which is taken where all or none succeeded; Student's
    t for the few units (Korn and Graubard 1998, "Confidence intervals for proportions with small
    expected number of positive counts estimated from survey data", Survey Methodology 24).
    """
    from scipy.special import stdtrit

    units = units_of(sample)
    runs = np.bincount(units)
    if len(runs) == 1:
        return Estimate(float(sample.solved.mean()), None, None)
    rates = np.bincount(units, sample.solved) / runs
    share, number = float(sample.solved.mean()), len(runs)
    effective = float(number)
    if 0.0 < share < 1.0:
        variance = float(np.sum((runs * (rates - share)) ** 2)) / len(sample) ** 2
        variance *= number / (number - 1)
        effective = len(sample) if variance == 0.0 else share * (1.0 - share) / variance
        effective = float(np.clip(effective, number, len(sample)))
    far = float(stdtrit(number - 1, 0.5 + CONFIDENCE / 2))
    low, high = wilson(np.array(share), np.array(effective), far)
    return Estimate(share, float(low), float(high))


def _clustered_median(times: np.ndarray, units: np.ndarray) -> Estimate:
    value = middle(times) if np.isfinite(middle(times)) else None
    number = int(units.max()) + 1
    if number == 1:
        return Estimate(value, None, None)
    medians = resampled_medians(times, units)
    return Estimate(value, *median_interval(medians, expanded_tail(number)))


def _clustered_means(sample: Sample) -> tuple[Estimate, Estimate]:
    """The mean within the budget and the expected running time."""
    units = units_of(sample)
    runs = np.bincount(units).astype(np.float64)
    solved = np.bincount(units, sample.solved).astype(np.float64)
    several = MANY if len(np.unique(sample.trials)) >= MANY else SEVERAL
    means: list[Estimate] = []
    for total, number in ((sample.times, runs), (sample.spent, solved)):
        sums = np.bincount(units, total)
        noise = sample.rounding**2 / 12.0 * runs.mean() / max(float(sums.mean()), 0.5) ** 2
        found = ratio_interval(sums, number, noise, CONFIDENCE, several=several)
        value = float(sums.sum() / number.sum()) if number.sum() else None
        # Where resamples without a success are too many, only the value is known.
        known = found is not None and np.isfinite(found[1])
        means.append(Estimate(value, *(found if found and known else (None, None))))
    return means[0], means[1]
