"""From measured rounds to a ratio and its spread; nothing here measures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

LOW, HIGH = 0.1, 0.9
"""Quantiles of the rounds' ratios that are given as their spread."""

Meaning = Literal["faster", "longer", "share"]
"""What a row's ratio says: how many times faster than the peer, how many times as long as the peer
takes, or which share of the peer's value."""


@dataclass(frozen=True)
class Measured:
    """What one contender did in one round: so much work, in so many seconds.

    `cpu` are the processor seconds of all its threads, None where they were not counted.
    """

    amount: float
    seconds: float
    cpu: float | None = None

    @property
    def rate(self) -> float:
        return self.amount / self.seconds

    @property
    def cpu_rate(self) -> float | None:
        return None if not self.cpu else self.amount / self.cpu


@dataclass(frozen=True)
class Ratio:
    """A comparison over rounds: medians of both sides and of their ratio, and its spread.

    `ratio` is the median of the rounds' own ratios, each of two neighbours in time; `low` and
    `high` are the quantiles `LOW` and `HIGH` of these, linearly interpolated, so with few rounds
    almost their extremes.
    """

    value: float
    peer_value: float
    ratio: float
    low: float
    high: float
    rounds: int


def compared(values: Sequence[float], peers: Sequence[float], *, inverse: bool = False) -> Ratio:
    """Compares what was measured round by round: values[i] beside peers[i].

    The ratio is value / peer; with `inverse` peer / value, as for seconds, of which fewer are
    better. Raises ValueError for no rounds, a different number of them, or a value that is not
    above zero.
    """
    if not values or len(values) != len(peers):
        raise ValueError(f"{len(values)} and {len(peers)} rounds cannot be compared")
    ours, theirs = np.asarray(values, float), np.asarray(peers, float)
    if not (np.all(ours > 0.0) and np.all(theirs > 0.0)):
        raise ValueError("what is compared must be above zero")
    ratios = theirs / ours if inverse else ours / theirs
    low, high = np.quantile(ratios, [LOW, HIGH])
    return Ratio(
        value=float(np.median(ours)),
        peer_value=float(np.median(theirs)),
        ratio=float(np.median(ratios)),
        low=float(low),
        high=float(high),
        rounds=len(ratios),
    )


@dataclass(frozen=True)
class Estimate:
    """A total that was measured in part: its value and a 95 % interval."""

    total: float
    low: float
    high: float


def extrapolated(sample: Sequence[float], count: int, fixed: float = 0.0) -> Estimate:
    """The sum over `count` things of which `sample` was measured, plus `fixed`.

    The interval is that of Student's t for the mean of a random sample, without a correction for
    the finite number; a sample that is spread evenly over the things, ordered by what they cost,
    is closer than it says. Raises ValueError for an empty sample or one larger than `count`.
    """
    from scipy import stats

    if not 0 < len(sample) <= count:
        raise ValueError(f"a sample of {len(sample)} says nothing of {count}")
    values = np.asarray(sample, float)
    total = fixed + count * float(values.mean())
    if len(values) == count:
        return Estimate(total, total, total)
    if len(values) == 1:
        return Estimate(total, fixed, float("inf"))
    error = float(values.std(ddof=1)) / len(values) ** 0.5
    reach = count * error * float(stats.t.ppf(0.975, len(values) - 1))
    return Estimate(total, max(fixed, total - reach), total + reach)


def evenly(count: int, sample: int) -> list[int]:
    """The places of `sample` of `count` ordered things, the middles of equally long stretches.

    All of them where `sample` is as large as `count`. Raises ValueError for less than one.
    """
    if count < 1 or sample < 1:
        raise ValueError(f"a sample of {sample} of {count} things")
    sample = min(sample, count)
    return [int((k + 0.5) * count / sample) for k in range(sample)]
