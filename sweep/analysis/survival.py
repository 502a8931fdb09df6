"""Time to target as a right-censored outcome: a run that did not solve its task is not a number.

Every function takes arrays over replicates: `epochs` (at least 1) and `solved` (bool). Where a
replicate solved the task, `epochs` holds its epochs to target; where it did not, the epochs after
which it was given up. A run that diverged was not lost from sight, it failed: it counts as censored
at the budget, and `outcomes` makes arrays where that is so. (Censoring it when it diverged would
have the estimators assume that it might have been solved as soon as any other.) Only what was
spent, for the expected running time, counts the epochs that were really trained.

Nothing here takes a mean over solved replicates alone: that rewards a configuration for failing
when it is slow. A number that does not exist is None, never NaN.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import numpy as np

from studies.run import FinishedRun
from sweep.analysis.binomial import quantile_above, upper_tail, wilson
from sweep.analysis.bootstrap import ratio_interval
from sweep.analysis.estimate import CONFIDENCE, Estimate
from sweep.analysis.plateau import Plateaus
from sweep.analysis.running_time import ert_interval


@dataclass(frozen=True, slots=True, eq=False)
class Outcomes:
    """How some runs ended; every array is [runs].

    `epochs` are epochs to target where `solved`, else the budget; `spent` are the epochs trained.
    `final_loss` is the loss of the last epoch, not finite where the run `diverged` (or failed,
    which counts as that).
    """

    epochs: np.ndarray
    solved: np.ndarray
    spent: np.ndarray
    diverged: np.ndarray
    final_loss: np.ndarray


def outcomes(runs: Sequence[FinishedRun]) -> Outcomes:
    """How each of the runs ended, in their order."""
    solved = np.array([run.ended == "solved" for run in runs], dtype=bool)
    spent = np.array([run.epochs for run in runs], dtype=np.int64)
    budget = np.array([run.run.epochs for run in runs], dtype=np.int64)
    return Outcomes(
        epochs=np.where(solved, spent, budget),
        solved=solved,
        spent=spent,
        diverged=np.array([run.ended in ("diverged", "failed") for run in runs], dtype=bool),
        final_loss=np.array([run.curve("loss")[-1] for run in runs], dtype=np.float64),
    )


def par2(epochs: np.ndarray, solved: np.ndarray, budget: int) -> float:
    """Mean epochs to target, a replicate that did not solve the task counted as twice the budget.

    The penalised average runtime of algorithm configuration (Hutter et al. 2009, "ParamILS").
    """
    return float(np.where(solved, epochs, 2 * budget).mean())


def objective_value(
    epochs: np.ndarray, solved: np.ndarray, budget: int, final_loss: np.ndarray
) -> float:
    """What the search minimises: PAR2, and where no replicate solved the task the final loss.

    Without a solved replicate PAR2 is the same for all. An addition in [0, 1) then orders such
    trials: it grows with the mean of final_loss / (1 + final_loss), and a loss that is not finite
    (diverged) adds more than any other. Any trial with a solved replicate stays before them.
    """
    value = par2(epochs, solved, budget)
    return value if np.any(solved) else value + _addition(final_loss)


def _addition(final_loss: np.ndarray) -> float:
    """A number in [0, 1) that grows with the losses; one that is not finite adds most."""
    loss = np.maximum(np.asarray(final_loss, dtype=np.float64), 0.0)
    finite = np.isfinite(loss)
    share = 1.0 - 1.0 / (1.0 + np.where(finite, loss, 0.0))
    return float(np.where(finite, 0.99 * share, 0.999).mean())


def success_rate(
    successes: int, replicates: int, confidence: float = CONFIDENCE
) -> tuple[float, float, float]:
    """The share of replicates that solved the task, with Wilson's score interval, all in [0, 1].

    Wilson 1927, doi:10.1080/01621459.1927.10502953. Unlike share ± error it stays in [0, 1] and has
    a width when all or none succeeded: 5 of 5 is 0.57 … 1. Raises ValueError without replicates.
    """
    if not 0 <= successes <= replicates or replicates == 0:
        raise ValueError(f"{successes} of {replicates} replicates is no rate")
    share = successes / replicates
    z = _normal_quantile(0.5 + confidence / 2)
    low, high = wilson(np.array(share), np.array(replicates), z)
    return share, float(low), float(high)


def median_time(epochs: np.ndarray, solved: np.ndarray, confidence: float = CONFIDENCE) -> Estimate:
    """The median over replicates, those that did not solve the task counted as beyond any number.

    The value is the epoch by which half of the replicates had solved it, as Kaplan and Meier's
    median is; None when fewer than half did. That is right for replicates censored at one budget.

    The interval goes from the l-th smallest to the l-th largest replicate. Whatever the times are
    distributed like, it misses their median only when fewer than l replicates fall on one side, so
    its coverage is known: 1 − 2 · P(Binomial(R, ½) < l), and more where times tie (the sign test's
    interval; David and Nagaraja 2003, "Order Statistics", section 7.1). l is chosen to come nearest
    to `confidence`. A bootstrap over replicates also ends at two of them, but at ranks that cover
    88 % for 7 replicates and 91 % for 12. An end beyond the budget is None, and so are both ends
    with a single replicate, whose interval nobody knows.

    What it is worth at 95 %: with 2, 3, 4 and 5 replicates it goes from the smallest to the largest
    and covers 50, 75, 88 and 94 %; 6 to 30 cover 92 … 98 %, more than 30 cover 93 … 97 %. Five
    replicates say roughly where the median is, and too little to order two configurations by it.
    """
    times = np.sort(np.where(solved, np.asarray(epochs, dtype=np.float64), np.inf))
    return _median_of_sorted(times, confidence)


def _median_of_sorted(times: np.ndarray, confidence: float) -> Estimate:
    replicates = len(times)
    if replicates == 0:
        return Estimate(None, None, None)
    value = _finite(times[_middle(replicates) - 1])
    if replicates == 1:
        return Estimate(value, None, None)
    rank = _interval_rank(replicates, confidence)
    return Estimate(value, _finite(times[rank - 1]), _finite(times[-rank]))


def _middle(replicates: int) -> int:
    """The rank, from 1, of the value by which half of the replicates are done."""
    return (replicates + 1) // 2


@lru_cache(maxsize=1024)
def _interval_rank(replicates: int, confidence: float) -> int:
    """How far in from both ends of the sorted replicates the median's interval starts, from 1."""

    def coverage(rank: int) -> float:
        return 1.0 - 2.0 * upper_tail(replicates, 0.5, replicates - rank + 1)

    wide = max(1, replicates - quantile_above(replicates, 0.5, (1.0 - confidence) / 2))
    narrow = wide + 1
    if 2 * narrow > replicates:
        return wide
    return min(wide, narrow, key=lambda rank: abs(coverage(rank) - confidence))


def mean_within(
    epochs: np.ndarray, solved: np.ndarray, budget: float, rounding: float = 1.0
) -> Estimate:
    """Mean epochs to target within a budget that all replicates had, with its interval.

    A replicate that did not solve the task within the budget counts as the budget: the mean number
    of epochs under way in it, the restricted mean without censoring before the budget. The interval
    is the bootstrap of `sweep.analysis.bootstrap.ratio_interval` (94 … 97 % from 5 replicates on);
    `rounding` is the unit of the times: 1 for epochs. Raises ValueError without replicates, or
    where one was given up before the budget.
    """
    epochs, solved = np.asarray(epochs, dtype=np.float64), np.asarray(solved, dtype=bool)
    if len(epochs) == 0 or (~solved & (epochs < budget)).any():
        raise ValueError(f"a mean within {budget:g} epochs needs replicates that had them")
    under_way = np.where(solved, np.minimum(epochs, budget), budget)
    mean = float(under_way.mean())
    noise = (rounding / max(mean, rounding)) ** 2 / 12.0
    found = ratio_interval(under_way, np.ones(len(under_way)), noise, CONFIDENCE)
    low, high = found or (None, None)
    return Estimate(mean, low, None if high is None else min(high, budget))


@dataclass(frozen=True, slots=True, eq=False)
class LogRank:
    """A log-rank test: the statistic is χ² with `degrees` under equal survival.

    `observed` and `expected` [groups] are the replicates solved and those to expect if all groups
    were alike: their ratio is the size of the effect, above 1 where a group is faster.
    """

    statistic: float
    degrees: int
    p_value: float
    observed: np.ndarray
    expected: np.ndarray


def logrank(groups: Sequence[tuple[np.ndarray, np.ndarray]]) -> LogRank:
    """Whether groups differ in their time to target, censoring taken into account.

    Each group is (`epochs`, `solved`). The k-sample log-rank test with the hypergeometric variance
    (Mantel 1966; Klein and Moeschberger 2003, section 7.3); for two groups scipy's `logrank` is its
    square root. Raises ValueError for fewer than two groups, or one without replicates. Where
    nothing was solved, or all at once, there is nothing to tell apart: statistic 0, p-value 1.
    """
    from scipy.special import chdtrc

    if len(groups) < 2 or any(len(epochs) == 0 for epochs, _ in groups):
        raise ValueError("a log-rank test compares two or more groups that have replicates")
    times = np.unique(np.concatenate([np.asarray(t)[np.asarray(s)] for t, s in groups]))
    at_risk, events = np.empty((2, len(groups), len(times)))
    for row, (epochs, solved) in enumerate(groups):
        everyone, done = np.sort(epochs), np.sort(np.asarray(epochs)[np.asarray(solved)])
        at_risk[row] = len(everyone) - np.searchsorted(everyone, times, side="left")
        events[row] = np.searchsorted(done, times, side="right") - np.searchsorted(done, times)
    share = at_risk / at_risk.sum(axis=0)
    total, done = at_risk.sum(axis=0), events.sum(axis=0)
    expected = share * done
    spread = done * np.divide(total - done, total - 1, out=np.zeros(len(times)), where=total > 1)
    covariance = np.diag((share * spread).sum(axis=1)) - (share * spread) @ share.T
    # One group follows from the others; a group that no event ever met has no variance, hence pinv.
    difference = (events - expected).sum(axis=1)[:-1]
    statistic = float(difference @ np.linalg.pinv(covariance[:-1, :-1]) @ difference)
    degrees = len(groups) - 1
    return LogRank(
        statistic=statistic,
        degrees=degrees,
        p_value=float(chdtrc(degrees, statistic)),
        observed=events.sum(axis=1),
        expected=expected.sum(axis=1),
    )


@dataclass(frozen=True, slots=True)
class Summary:
    """What the replicates of one configuration say; None is a number that does not exist.

    `replicates` = `solved` + `censored` + `diverged`. `success_rate` has Wilson's interval
    `success_low` … `success_high`, `epochs_median` the interval of `median_time` and `ert` that of
    `ert_interval`. The medians of escape, plateau and transition count a replicate that never got
    so far as beyond any number, so they are None when fewer than half did. `objective` is what the
    search minimises. `flops` is `ert` times the training FLOPs of an epoch: what it costs to solve
    the task once, failures included; None where no replicate solved it. Where a run's epochs are
    not known (`FinishedRun.timed`), all that is in epochs is None, but the objective, which then
    orders what was solved by its final loss. `parameters` is None where nobody counted them.
    """

    replicates: int
    success_rate: float
    epochs_median: float | None
    epochs_low: float | None
    epochs_high: float | None
    par2: float | None
    ert: float | None
    ert_low: float | None
    ert_high: float | None
    escape_median: float | None
    plateau_median: float | None
    parameters: int | None
    flops: float | None
    solved: int
    censored: int
    diverged: int
    success_low: float
    success_high: float
    transition_median: float | None
    objective: float


def summarise(
    runs: Sequence[FinishedRun], plateaus: Plateaus, *, parameters: int | None, epoch_flops: float
) -> Summary:
    """Sums up the replicates of one configuration, trained under one budget.

    `plateaus` are those of the runs, in the same order; `parameters` and `epoch_flops` (training
    FLOPs of one epoch, 0 if nobody counts them) those of the configuration. Raises ValueError
    without runs, or when their budgets differ.
    """
    budgets = {run.run.epochs for run in runs}
    if len(budgets) != 1 or len(plateaus) != len(runs):
        raise ValueError(f"{len(runs)} runs, {len(plateaus)} plateaus, budgets {sorted(budgets)}")
    budget = budgets.pop()
    ends = outcomes(runs)
    solved, diverged = int(ends.solved.sum()), int(ends.diverged.sum())
    rate, rate_low, rate_high = success_rate(solved, len(runs))
    median = median_time(ends.epochs, ends.solved)
    running_time = ert_interval(ends.spent, ends.solved, budget)
    escape = median_time(plateaus.escape, ~plateaus.plateau_censored).value
    if not all(run.timed for run in runs):
        # Behind all that were solved in known epochs, before all that were not solved.
        found = np.where(ends.solved, budget, 2 * budget).mean() + _addition(ends.final_loss)
        return Summary(
            replicates=len(runs),
            success_rate=rate,
            epochs_median=None,
            epochs_low=None,
            epochs_high=None,
            par2=None,
            ert=None,
            ert_low=None,
            ert_high=None,
            escape_median=None,
            plateau_median=None,
            parameters=parameters,
            flops=None,
            solved=solved,
            censored=len(runs) - solved - diverged,
            diverged=diverged,
            success_low=rate_low,
            success_high=rate_high,
            transition_median=None,
            objective=float(found),
        )
    return Summary(
        replicates=len(runs),
        success_rate=rate,
        epochs_median=median.value,
        epochs_low=median.low,
        epochs_high=median.high,
        par2=par2(ends.epochs, ends.solved, budget),
        ert=running_time.value,
        ert_low=running_time.low,
        ert_high=running_time.high,
        escape_median=escape,
        plateau_median=median_time(plateaus.plateau_length, ~plateaus.plateau_censored).value,
        parameters=parameters,
        flops=running_time.value * epoch_flops if running_time.value and epoch_flops else None,
        solved=solved,
        censored=len(runs) - solved - diverged,
        diverged=diverged,
        success_low=rate_low,
        success_high=rate_high,
        transition_median=median_time(plateaus.transition_length, ends.solved).value,
        objective=objective_value(ends.epochs, ends.solved, budget, ends.final_loss),
    )


def as_json(summary: Summary) -> dict[str, Any]:
    """The summary as plain Python numbers by name, null (None) for what does not exist."""
    return asdict(summary)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


@lru_cache(maxsize=16)
def _normal_quantile(probability: float) -> float:
    return NormalDist().inv_cdf(probability)
