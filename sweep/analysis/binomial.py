"""Binomial tails, exact, and Wilson's interval of a share, in plain numpy.

scipy has them too, but importing it takes a quarter of a second, which is half of what a command
that only shows results may take to start.
"""

from functools import lru_cache

import numpy as np


def upper_tail(trials: int, probability: float, successes: int) -> float:
    """P(X ≥ successes) for X the number of successes in `trials` independent trials.

    `probability` is that of one success, in [0, 1].
    """
    if successes <= 0:
        return 1.0
    if successes > trials:
        return 0.0
    if probability in (0.0, 1.0):
        return probability
    return float(np.exp(_log_pmf(trials, probability)[successes:]).sum())


def quantile_above(trials: int, probability: float, tail: float) -> int:
    """The smallest k with P(X > k) ≤ `tail`, so in 0 … trials."""
    if probability in (0.0, 1.0):
        return trials if probability == 1.0 and tail < 1.0 else 0
    beyond = np.cumsum(np.exp(_log_pmf(trials, probability))[::-1])[::-1]
    return int(np.count_nonzero(beyond[1:] > tail))


def wilson(share: np.ndarray, replicates: np.ndarray, z: float) -> tuple[np.ndarray, np.ndarray]:
    """Both ends of Wilson's interval of shares of so many replicates, `z` normal quantiles wide."""
    shrink = 1.0 + z * z / replicates
    middle = (share + z * z / (2.0 * replicates)) / shrink
    half = z * np.sqrt(share * (1.0 - share) / replicates + (z / (2.0 * replicates)) ** 2) / shrink
    low = np.where(share == 0.0, 0.0, middle - half)
    return low, np.where(share == 1.0, 1.0, middle + half)


def _log_pmf(trials: int, probability: float) -> np.ndarray:
    """log P(X = k) for k = 0 … trials; `probability` strictly between 0 and 1."""
    factorial = _log_factorials(trials)
    k = np.arange(trials + 1)
    ways = factorial[trials] - factorial - factorial[::-1]
    return ways + k * np.log(probability) + k[::-1] * np.log1p(-probability)


@lru_cache(maxsize=64)
def _log_factorials(n: int) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
