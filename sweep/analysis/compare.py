"""Groups of runs against one another: what each took, how they differ, and how sure that is.

A group is a `Sample` of runs (`sweep.analysis.group`), those that share a value of a setting or a
study; what was drawn independently, trials or seeds, is resampled whole.

Two groups are **paired** where the design allows it: where at least half of the runs of each have a
partner in the other, of the same seed and the same other settings. Their difference is then that
within pairs (`sweep.analysis.paired`), over the partners alone. Pairs of one configuration are
drawn together where there are `MANY` configurations or more; where there are fewer, pairs of one
seed are, and the difference is that over these configurations. Groups that are not paired are
compared as they are, whatever else differs between them.

All is looked at within one `budget`, the smallest that any run had: what was solved after it counts
as censored there.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from sweep.analysis.bootstrap import (
    SEVERAL,
    expanded_tail,
    median_ratio_interval,
    resampled_medians,
    unpaired_ratio_interval,
)
from sweep.analysis.estimate import CONFIDENCE, Estimate
from sweep.analysis.exchange import DRAWS, exchange_p
from sweep.analysis.group import MANY, GroupSummary, Sample, summarise_group, units_of, within
from sweep.analysis.paired import compare_pairs, holm, middle, ratio_of
from sweep.analysis.survival import LogRank, logrank


@dataclass(frozen=True, slots=True)
class Contrast:
    """One group against another, its baseline.

    `ratio` (of the medians) and `mean_ratio` (of the means within the budget) are other over
    baseline. If `paired`, there are `pairs` pairs, in which the other was `faster`, `slower` or
    `level`, of `configurations` configurations; else these are 0. `units` is how many independent
    ones were resampled: configurations or seeds (both groups' where not paired). `p_least` is the
    smallest p-value that so many can give. `p_adjusted` is after Holm, for all pairs of groups.
    """

    baseline: str
    other: str
    ratio: Estimate
    mean_ratio: Estimate
    paired: bool
    pairs: int
    configurations: int
    faster: int
    slower: int
    level: int
    units: int
    p_value: float
    p_least: float
    p_adjusted: float


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Groups in the order given, and every pair of them.

    `test` is the log-rank test over all groups as if all runs were independent; `p_value` is that
    of its statistic by exchanging the labels of what was drawn independently, within matched ones
    where `matched` says that all groups have the same.
    """

    budget: float
    groups: tuple[GroupSummary, ...]
    test: LogRank
    p_value: float
    matched: bool
    contrasts: tuple[Contrast, ...]

    def against(self, label: str) -> list[Contrast]:
        """The contrasts of every other group with this one as the baseline."""
        return [
            pair if pair.baseline == label else turned(pair)
            for pair in self.contrasts
            if label in (pair.baseline, pair.other)
        ]


def compare(samples: Sequence[Sample], budget: float) -> Comparison:
    """Compares two groups or more.

    `budget`, in the measure of the samples, is one that every run had. Raises ValueError for fewer
    than two groups, one without runs, or a run given up before the budget.
    """
    if len(samples) < 2 or not all(len(sample) for sample in samples):
        raise ValueError("a comparison needs two groups or more, each with runs")
    samples = [within(sample, budget) for sample in samples]
    pairs = [_contrast(a, b, budget) for a, b in combinations(samples, 2)]
    adjusted = holm([pair.p_value for pair in pairs])
    matched, p_value = _overall(samples)
    return Comparison(
        budget=budget,
        groups=tuple(summarise_group(sample, budget) for sample in samples),
        test=logrank([(sample.times, sample.solved) for sample in samples]),
        p_value=p_value,
        matched=matched,
        contrasts=tuple(
            replace(pair, p_adjusted=p) for pair, p in zip(pairs, adjusted, strict=True)
        ),
    )


def turned(contrast: Contrast) -> Contrast:
    """The same with the other group as the baseline."""
    return replace(
        contrast,
        baseline=contrast.other,
        other=contrast.baseline,
        ratio=_inverse(contrast.ratio),
        mean_ratio=_inverse(contrast.mean_ratio),
        faster=contrast.slower,
        slower=contrast.faster,
    )


def _inverse(ratio: Estimate) -> Estimate:
    ends = (ratio.value, ratio.high, ratio.low)
    return Estimate(*(1.0 / end if end else None for end in ends))


def _contrast(a: Sample, b: Sample, budget: float) -> Contrast:
    partners = _partners(a, b)
    if partners is None:
        return _unpaired(a, b, budget)
    first, second = partners
    which = [a.partners[i] for i in first]
    labels = {label: number for number, label in enumerate(dict.fromkeys(which))}
    blocks = np.array([labels[label] for label in which])
    if len(labels) < MANY:
        blocks = a.seeds[first]
    found = compare_pairs(
        (a.times[first], a.solved[first]),
        (b.times[second], b.solved[second]),
        budget,
        blocks=blocks,
        several=MANY if len(labels) >= MANY else SEVERAL,
        rounding=max(a.rounding, b.rounding),
    )
    return Contrast(
        baseline=a.label,
        other=b.label,
        ratio=found.ratio,
        mean_ratio=found.mean_ratio,
        paired=True,
        pairs=found.pairs,
        configurations=len(labels),
        faster=found.faster,
        slower=found.slower,
        level=found.level,
        units=len(np.unique(blocks)),
        p_value=found.p_value,
        p_least=min(1.0, 0.5 ** (len(np.unique(blocks)) - 1)),
        p_adjusted=found.p_value,
    )


def _partners(a: Sample, b: Sample) -> tuple[np.ndarray, np.ndarray] | None:
    """The runs of both that have a partner in the other, in one order, if there are enough."""
    places: list[dict[tuple[Hashable, int], int]] = []
    for sample in (a, b):
        keys = list(zip(sample.partners, sample.seeds.tolist(), strict=True))
        own = {key: place for place, key in enumerate(keys)}
        if len(own) < len(keys):
            return None
        places.append(own)
    common = [key for key in places[0] if key in places[1]]
    if not common or 2 * len(common) < max(len(a), len(b)):
        return None
    first, second = (np.array([own[key] for key in common]) for own in places)
    return first, second


def _unpaired(a: Sample, b: Sample, budget: float) -> Contrast:
    units = [units_of(sample) for sample in (a, b)]
    counts = [int(unit.max()) + 1 for unit in units]
    times = [np.where(sample.solved, sample.times, np.inf) for sample in (a, b)]
    ratio = ratio_of(middle(times[1]), middle(times[0]))
    ends = (None, None)
    if min(counts) > 1:
        below, above = (resampled_medians(times[i], units[i], stream=i) for i in (0, 1))
        ends = median_ratio_interval(above, below, budget, expanded_tail(min(counts)))
    p_value = exchange_p(
        np.concatenate([a.times, b.times]),
        np.concatenate([a.solved, b.solved]),
        np.repeat([0, 1], [len(a), len(b)]),
        np.concatenate([units[0], units[1] + counts[0]]),
    )
    return Contrast(
        baseline=a.label,
        other=b.label,
        ratio=Estimate(ratio, *ends),
        mean_ratio=_ratio_of_means(a, b),
        paired=False,
        pairs=0,
        configurations=0,
        faster=0,
        slower=0,
        level=0,
        units=sum(counts),
        p_value=p_value,
        p_least=max(1.0 / (1 + DRAWS), 1 / math.comb(sum(counts), counts[0])),
        p_adjusted=p_value,
    )


def _ratio_of_means(a: Sample, b: Sample) -> Estimate:
    """The ratio of the means within the budget, other over baseline, each unit counting alike."""
    units = [units_of(sample) for sample in (a, b)]
    below, above = (
        np.bincount(unit, sample.times) / np.bincount(unit)
        for unit, sample in zip(units, (a, b), strict=True)
    )
    if not below.any():
        return Estimate(None, None, None)
    noise = [
        sample.rounding**2 / 12.0 * len(means) / len(sample) / max(float(means.mean()), 0.5) ** 2
        for sample, means in ((b, above), (a, below))
    ]
    several = MANY if min(len(np.unique(s.trials)) for s in (a, b)) >= MANY else SEVERAL
    found = unpaired_ratio_interval(above, below, (noise[0], noise[1]), CONFIDENCE, several=several)
    return Estimate(float(above.mean() / below.mean()), *(found or (None, None)))


def _overall(samples: Sequence[Sample]) -> tuple[bool, float]:
    """Whether all groups have the same partners and seeds, and the p-value by exchanging labels."""
    times = np.concatenate([sample.times for sample in samples])
    solved = np.concatenate([sample.solved for sample in samples])
    groups = np.repeat(np.arange(len(samples)), [len(sample) for sample in samples])
    keys = [list(zip(sample.partners, sample.seeds.tolist(), strict=True)) for sample in samples]
    matched = all(len(set(own)) == len(own) and set(own) == set(keys[0]) for own in keys)
    if not matched:
        offset, units = 0, list[np.ndarray]()
        for sample in samples:
            units.append(units_of(sample) + offset)
            offset = int(units[-1].max()) + 1
        return False, exchange_p(times, solved, groups, np.concatenate(units))
    configurations = {key: place for place, key in enumerate(dict.fromkeys(samples[0].partners))}
    whole = len(configurations) >= MANY
    strata = np.array(
        [configurations[partner] if whole else seed for own in keys for partner, seed in own]
    )
    units = np.unique(np.stack([groups, strata]), axis=1, return_inverse=True)[1].reshape(-1)
    return True, exchange_p(times, solved, groups, units, strata)
