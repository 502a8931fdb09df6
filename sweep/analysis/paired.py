"""Two settings trained from the same seeds: how many times as long does one take as the other?

Replicate r has the same seed under both settings, so the same data order and, where the shapes
agree, the same initial weights: what is lucky for one tends to be lucky for the other. Comparing
pair by pair takes that luck out. Every function takes a baseline and another setting as (`epochs`,
`solved`) over the same seeds in the same order, as `sweep.analysis.survival` has them: epochs to
target or to escape where solved, anything where not.

**Censoring.** Both settings are looked at within one `budget`. A run that did not get there by then
took longer than the budget, by nobody knows how much. So the median of a setting exists if at least
half of its runs got there; a ratio with a median beyond the budget is known from one side only. The
restricted mean counts such a run as the budget and always exists: it is the mean number of epochs
that a run stays under way within the budget, and its ratio is nearer to 1 than that of the
uncensored means would be. The test needs no more than which of a pair took longer, and, for ranks,
by how much within the budget.

**How sure.** The intervals are bootstraps over seeds, a seed's pair being drawn as a whole. The
p-value is Wilcoxon's signed-rank test, computed exactly for up to `MOST_EXACT` pairs, ties and all:
it holds whenever the two settings could be exchanged within a pair. Of many comparisons with one
baseline, `holm` keeps the chance of any false finding.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from sweep.analysis.bootstrap import (
    SEVERAL,
    median_ratio_interval,
    ratio_interval,
    resampled_medians,
)
from sweep.analysis.estimate import CONFIDENCE, Estimate

MOST_EXACT = 200
"""Pairs up to which the signed-rank test counts all ways to exchange them."""

Times = tuple[np.ndarray, np.ndarray]
"""(`epochs` [runs], `solved` bool [runs])."""


@dataclass(frozen=True, slots=True)
class Paired:
    """Another setting against a baseline, over `pairs` pairs of runs.

    Ratios are other over baseline, so below 1 where the other is faster. `ratio` is that of the
    medians: its value is None unless both are within the budget, and an end is None where nothing
    bounds it on that side ("at least 5 times" is None, low 5, high None). `mean_ratio` is that of
    the restricted means. `faster`, `slower` and `level` count the pairs in which the other took
    fewer epochs, more, and as many (or neither got there). `p_value` is that of no difference
    between the two, in (0, 1].
    """

    pairs: int
    ratio: Estimate
    mean_ratio: Estimate
    faster: int
    slower: int
    level: int
    p_value: float


def compare_pairs(
    baseline: Times,
    other: Times,
    budget: float,
    *,
    blocks: np.ndarray | None = None,
    several: int = SEVERAL,
    rounding: float = 1.0,
    confidence: float = CONFIDENCE,
) -> Paired:
    """How a setting compares with a baseline trained from the same seeds.

    Both are (`epochs`, `solved`) [pairs], pair by pair; what is not solved within `budget` epochs
    counts as censored there. `blocks` (any labels [pairs]) says which pairs belong together, such
    as those of one configuration: they are drawn together, and the test compares whole blocks. Left
    out, each pair is one of its own. `several` is from how many blocks on the interval of the means
    is bounded (`sweep.analysis.bootstrap.ratio_interval`). `rounding` is the unit of the times: 1
    for epochs.

    With `confidence` 0.95, the interval of `mean_ratio` covers 94 … 97 % from 5 pairs on; that of
    `ratio` covers more than it says, 95 … 99 %, the more the coarser the epochs are. One pair, or
    one block, has no intervals, and a p-value of 1.

    Raises ValueError when the arrays are not of the same pairs, there are none, or a run was
    given up before the budget (a diverged one counts as censored at the budget).
    """
    a, b = _within(baseline, budget), _within(other, budget)
    pairs = len(a)
    if pairs == 0 or len(b) != pairs or (blocks is not None and len(blocks) != pairs):
        raise ValueError(f"{pairs} runs of a baseline and {len(b)} of another are no pairs")
    units = np.arange(pairs)
    if blocks is not None:
        units = np.unique(blocks, return_inverse=True)[1].reshape(-1)
    decided = a != b
    return Paired(
        pairs=pairs,
        ratio=_median_ratio(a, b, units, budget, confidence),
        mean_ratio=_mean_ratio(a, b, units, budget, rounding, several, confidence),
        faster=int(np.count_nonzero(decided & (b < a))),
        slower=int(np.count_nonzero(decided & (b > a))),
        level=int(np.count_nonzero(~decided)),
        p_value=signed_rank_p(_log_ratios(a, b, units, budget)),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for their number, in their order, after Holm 1979.

    Calling those below α findings keeps the probability that any of them is false at α, whatever
    the dependence between them (doi:10.2307/4615733). The smallest is multiplied by their number m,
    the next by m − 1, and so on; none becomes smaller than one before it, or larger than 1.
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    adjusted = np.minimum(1.0, np.maximum.accumulate(values[order] * factors))
    result = np.empty(len(values))
    result[order] = adjusted
    return [float(value) for value in result]


def signed_rank_p(differences: np.ndarray) -> float:
    """The two-sided p-value of Wilcoxon's signed-rank test that differences are symmetric about 0.

    Zeros say nothing and are left out; equal sizes share their ranks. Up to `MOST_EXACT` other
    differences the distribution of the rank sum over all signs is counted out, so that it holds
    with ties as well (scipy's exact method has none); beyond that it is taken as normal, with the
    exact variance. 1 where nothing is left. Wilcoxon 1945, doi:10.2307/3001968.
    """
    moved = np.asarray(differences, dtype=np.float64)
    moved = moved[moved != 0.0]
    count = len(moved)
    if count == 0:
        return 1.0
    _, place, ties = np.unique(np.abs(moved), return_inverse=True, return_counts=True)
    # Twice the mid-ranks, which are whole numbers.
    doubled = (2 * np.cumsum(ties) - ties + 1)[place]
    total, up = int(doubled.sum()), int(doubled[moved > 0].sum())
    extreme = min(up, total - up)
    if count > MOST_EXACT:
        spread = float(np.sqrt(np.sum(doubled.astype(np.float64) ** 2))) / 2.0
        return min(1.0, 2.0 * NormalDist().cdf((extreme + 1 - total / 2) / spread))
    shares = np.zeros(total + 1)
    shares[0] = 1.0
    for rank in doubled.tolist():
        shares[rank:] = (shares[rank:] + shares[: total + 1 - rank]) / 2.0
        shares[:rank] /= 2.0
    return min(1.0, 2.0 * float(shares[: extreme + 1].sum()))


def _within(times: Times, budget: float) -> np.ndarray:
    """The times as far as the budget lets see them: infinite where they are beyond it."""
    epochs, solved = np.asarray(times[0], dtype=np.float64), np.asarray(times[1], dtype=bool)
    if epochs.shape != solved.shape or epochs.ndim != 1:
        raise ValueError(f"epochs {epochs.shape} and solved {solved.shape} do not belong together")
    early = ~solved & (epochs < budget)
    if early.any():
        raise ValueError(
            f"a run was given up after {epochs[early].min():g} epochs, before the budget of "
            f"{budget:g}"
        )
    return np.where(solved & (epochs <= budget), epochs, np.inf)


def _log_ratios(a: np.ndarray, b: np.ndarray, units: np.ndarray, budget: float) -> np.ndarray:
    """For each unit, the mean over its pairs of log(other / baseline) within the budget."""
    # Half an epoch stands for a time of none: shorter than all others, and not infinitely so.
    x, y = (np.maximum(np.minimum(times, budget), 0.5) for times in (a, b))
    sums = np.bincount(units, np.where(a == b, 0.0, np.log(y) - np.log(x)))
    # Rounding here must not part what is level, nor rank what is equal.
    return np.round(sums / np.bincount(units), 12)


def _mean_ratio(
    a: np.ndarray,
    b: np.ndarray,
    units: np.ndarray,
    budget: float,
    rounding: float,
    several: int,
    confidence: float,
) -> Estimate:
    below, above = (np.bincount(units, np.minimum(times, budget)) for times in (a, b))
    if below.sum() == 0.0:
        return Estimate(None, None, None)
    value = float(above.sum() / below.sum())
    if value == 0.0:
        return Estimate(0.0, None, None)
    per_unit = len(a) / len(below)
    noise = rounding**2 / 12.0 * per_unit * (1.0 / below.mean() ** 2 + 1.0 / above.mean() ** 2)
    found = ratio_interval(above, below, noise, confidence, several=several)
    return Estimate(value, *(found or (None, None)))


def _median_ratio(
    a: np.ndarray, b: np.ndarray, units: np.ndarray, budget: float, confidence: float
) -> Estimate:
    value = ratio_of(middle(b), middle(a))
    if units.max() == 0:
        return Estimate(value, None, None)
    below, above = resampled_medians(a, units), resampled_medians(b, units)
    tail = (1.0 - confidence) / 2.0
    return Estimate(value, *median_ratio_interval(above, below, budget, tail))


def middle(times: np.ndarray) -> float:
    """The time by which half of the runs got there, infinite where it is beyond the budget."""
    return float(np.sort(times)[(len(times) - 1) // 2])


def ratio_of(above: float, below: float) -> float | None:
    """The ratio of two medians, None where it is no number."""
    known = math.isfinite(above) and math.isfinite(below) and below > 0.0
    return above / below if known else None
