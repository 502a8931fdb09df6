"""How hidden progress grows before a run escapes its plateau: exponentially, or otherwise?

At a saddle of the loss what a network knows of its labels is multiplied by about the same factor
in every epoch, so that nothing shows for long and everything at once (Saxe, McClelland and Ganguli
2013, arXiv:1312.6120). Then log y is a straight line in the epoch t, and the plateau lasts for the
logarithm of what is missing at the start, divided by the rate.

A positive series of a run, such as `contrast` or a gradient's norm, is fitted over the epochs of
its plateau by four shapes, each with errors that are the same share of y everywhere (least squares
of log y):

- exponential: y = a · exp(r · t)
- power: y = a · t^p
- linear: y = a · (1 + q · t), q ≥ 0
- level: y = a

The best shape is that of the least AICc (Burnham and Anderson 2002, section 2.4), Akaike's
criterion with its correction for few points: of shapes with as many numbers to fit it is the one
that leaves the least squares, and a further number has to earn its place. Residuals of
neighbouring epochs are alike, so a single run's own errors would be too small: intervals are over
runs, which differ in their seeds and are independent.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sweep.analysis.survival import Estimate, median_time, success_rate

SHAPES = ("exponential", "power", "linear", "level")

NUMBERS = (2, 2, 2, 1)
"""How many numbers of each shape are fitted."""

FEWEST_EPOCHS = 5
"""Epochs of a plateau below which no shape is fitted to it."""

SLOPES = np.concatenate([[0.0], np.geomspace(1e-4, 1e4, 400)])
"""Values of q, per epoch, among which the linear shape's is sought first."""


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """How a series grew in each of some runs; every array is [runs].

    `best` (int) is the place in `SHAPES` of the shape that fits best, −1 where the run's plateau is
    shorter than `FEWEST_EPOCHS` or its series is not positive there. `rate` is the exponential
    shape's r, per epoch: y doubles every ln 2 / r epochs. `start` is that shape's y at epoch 1, and
    `r_squared` the share of the variance of log y that it explains. `last` is y itself in the last
    epoch of the plateau. They are NaN where nothing was fitted.
    """

    best: np.ndarray
    rate: np.ndarray
    start: np.ndarray
    last: np.ndarray
    r_squared: np.ndarray

    @property
    def fitted(self) -> int:
        """Runs to which shapes were fitted."""
        return int(np.count_nonzero(self.best >= 0))

    def share(self, shape: str) -> tuple[float, float, float]:
        """The share of the fitted runs whose best shape this is, with Wilson's interval.

        Raises ValueError where nothing was fitted.
        """
        return success_rate(int(np.count_nonzero(self.best == SHAPES.index(shape))), self.fitted)

    def median(self, name: str) -> Estimate:
        """The median of `rate`, `start`, `last` or `r_squared` over the fitted runs, with the exact
        interval of order statistics."""
        values = getattr(self, name)[self.best >= 0]
        return median_time(values, np.ones(len(values), bool))


def growth(series: Sequence[np.ndarray], plateau_lengths: np.ndarray) -> Growth:
    """How each run's series (float [epochs], row 0 being epoch 1) grew on its plateau.

    `plateau_lengths` (int [runs]) are in epochs, as `sweep.analysis.plateau` finds them.
    """
    runs = len(series)
    best = np.full(runs, -1)
    rate, start, last, r_squared = (np.full(runs, np.nan) for _ in range(4))
    for run, (values, length) in enumerate(zip(series, plateau_lengths, strict=True)):
        y = np.asarray(values, np.float64)[: int(length)]
        if len(y) < FEWEST_EPOCHS or not np.all(np.isfinite(y) & (y > 0.0)):
            continue
        t, logarithm = np.arange(1.0, len(y) + 1.0), np.log(y)
        squares = np.empty(len(SHAPES))
        first, r, squares[0] = _line(t, logarithm)
        squares[1] = _line(np.log(t), logarithm)[2]
        squares[2] = _linear(t, logarithm)
        squares[3] = float(((logarithm - logarithm.mean()) ** 2).sum())
        fits = zip(squares, NUMBERS, strict=True)
        best[run] = int(np.argmin([_aicc(left, len(y), numbers) for left, numbers in fits]))
        rate[run], start[run], last[run] = r, math.exp(first + r), y[-1]
        r_squared[run] = 1.0 - squares[0] / squares[3] if squares[3] > 0.0 else np.nan
    return Growth(best, rate, start, last, r_squared)


def exponent(x: Sequence[float], y: np.ndarray) -> Estimate:
    """The p of y ∝ x^p, such as that of rates over learning rates.

    `x` are two positive settings or more, `y` positive numbers [settings, runs], the runs being the
    same seeds under each setting. A seed's p is the slope of log y over log x, by least squares
    over the settings for which it has a y that is not NaN, two or more; the estimate is the median
    over seeds, with its interval. None where no seed has one.
    """
    logarithms = np.log(np.asarray(x, np.float64))
    slopes: list[float] = []
    for column in np.log(np.asarray(y, np.float64)).T:
        known = np.isfinite(column)
        if len(np.unique(logarithms[known])) >= 2:
            slopes.append(_line(logarithms[known], column[known])[1])
    return median_time(np.array(slopes), np.ones(len(slopes), bool))


def _line(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
    """Intercept, slope and the sum of squares that the straight line leaves."""
    apart = x - x.mean()
    slope = float(apart @ (y - y.mean()) / (apart @ apart))
    intercept = float(y.mean() - slope * x.mean())
    return intercept, slope, float(((y - intercept - slope * x) ** 2).sum())


def _linear(t: np.ndarray, logarithm: np.ndarray) -> float:
    """The least sum of squares of log a + log(1 + q · t) for any a and q ≥ 0."""
    from scipy.optimize import minimize_scalar

    def left(q: np.ndarray | float) -> np.ndarray:
        apart = logarithm - np.log1p(np.asarray(q)[..., None] * t)
        return ((apart - apart.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1)

    place = int(np.argmin(left(SLOPES)))
    low, high = SLOPES[max(0, place - 1)], SLOPES[min(len(SLOPES) - 1, place + 1)]
    finer = minimize_scalar(left, bounds=(low, high), method="bounded")
    return float(min(left(SLOPES[place]), finer.fun))


def _aicc(squares: float, points: int, numbers: int) -> float:
    """Akaike's criterion with the correction for few points; the variance is one more number."""
    k = numbers + 1
    # Noise below a millionth of y is rounding: no shape is the better for fitting it.
    variance = max(squares / points, 1e-12)
    return points * math.log(variance) + 2 * k + 2 * k * (k + 1) / (points - k - 1)
