"""Laws: how the time to escape or to target goes with a setting, such as the learning rate.

**The model.** At a value x of the setting, the time T of a run is log-normal about a median m(x),
with a spread σ of log T that is the same at every value. Five laws say how the median goes between
the smallest and the largest value that were tried; each has two free numbers, its medians there:

- power: log m is a straight line in log x, so m ∝ x^b, and the slope b is the exponent;
- exponential: log m is a straight line in x;
- logarithmic: m itself is a straight line in log x;
- linear: m itself is a straight line in x;
- inverse: m itself is a straight line in 1 / x: something inverse to x, and a wait that stays.

**What is known of a time.** A run whose curve escapes in epoch e did so somewhere between the end
of epoch e − 1 and the end of epoch e, and a run censored at a budget some time after it. Both go
into the likelihood as what they are, an interval and a half-line: times of one or two epochs at
large learning rates, and runs that never escaped at small ones, would else bend every law.

**How sure.** Times are maximum likelihood; intervals of the exponent come from the sandwich
covariance with the seeds as clusters (Huber 1967; Liang and Zeger 1986, doi:10.1093/biomet/73.1.13)
and Student's t, since a seed that waits long at one value tends to at the next. In simulations with
such seeds they cover 93 … 98 % with 5 seeds and 93 … 97 % with 10 to 30. The test of the law
against free levels takes runs for independent, which makes it cautious where seeds are shared: it
then finds less than it may.

**Theory.** In deep linear networks that start near zero, Saxe, McClelland and Ganguli 2013
(arXiv:1312.6120, equation 9 and section 2) found that gradient descent learns a mode of the task in
a time ∝ (1 / learning rate) · log(1 / initial size): an exponent of −1 for the learning rate, and a
logarithmic law for the initial scale. A time in updates that does not depend on the batch size is
one in epochs that goes with its first power.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from sweep.analysis.estimate import CONFIDENCE, Estimate

Form = Literal["power", "exponential", "logarithmic", "linear", "inverse"]
FORMS: tuple[Form, ...] = ("power", "exponential", "logarithmic", "linear", "inverse")

SMALLEST_SPREAD = 0.01
"""Spread of log T below which a fit is not pushed: times agree to within their rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Times:
    """When runs got there, as far as it is known; arrays [runs].

    A time lies in `after` … `until`, infinite where the run never got there. `x` is the value of
    the setting, above 0, and `seeds` says which runs are of the same seed.
    """

    x: np.ndarray
    after: np.ndarray
    until: np.ndarray
    seeds: np.ndarray


@dataclass(frozen=True, slots=True)
class Level:
    """One value of the setting: its `median` is the fit's without a law, `law` the power law's."""

    x: float
    runs: int
    reached: int
    median: float
    law: float


@dataclass(frozen=True, slots=True)
class Law:
    """How the time goes with a setting, over `levels` in the order of their values.

    `exponent` is that of the power law and `spread` its σ of log T. `misfit` is the largest factor
    between the median of a level with half of its runs there and that of the law; `chi2` with
    `degrees` and `p_value` test whether the levels depart from it by more than chance.
    `akaike` has Akaike's criterion of every form less that of the best, which has 0: a difference
    of 2 is little, one of 10 decides (Burnham and Anderson 2002, section 2.6).
    """

    exponent: Estimate
    spread: float
    levels: tuple[Level, ...]
    runs: int
    reached: int
    misfit: float
    chi2: float
    degrees: int
    p_value: float
    akaike: dict[Form, float]

    @property
    def local_exponents(self) -> list[float]:
        """The exponents from each value to the next, by their medians without a law."""
        return [
            math.log(b.median / a.median) / math.log(b.x / a.x) for a, b in pairwise(self.levels)
        ]

    @property
    def best(self) -> Form:
        """The form with the smallest criterion."""
        return min(FORMS, key=lambda form: self.akaike[form])


def times_to(epochs: np.ndarray, solved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`after` and `until` of runs that got there within an epoch, or not within their budget.

    `epochs` (at least 1) is the epoch in which a run got there, or the last one that it was
    trained; `solved` (bool) says which.
    """
    epochs = np.asarray(epochs, dtype=np.float64)
    solved = np.asarray(solved, dtype=bool)
    return np.where(solved, epochs - 1.0, epochs), np.where(solved, epochs, np.inf)


def fit_law(times: Times, confidence: float = CONFIDENCE) -> Law:
    """The law by which times go with a setting of three values or more.

    Raises ValueError for fewer values, one that is not above 0, or where fewer than two values have
    a run that got there.
    """
    values = np.unique(times.x)
    reached = np.isfinite(times.until)
    if len(values) < 3 or values[0] <= 0.0:
        raise ValueError("a law needs three values above 0, or more")
    if len(np.unique(times.x[reached])) < 2:
        raise ValueError("a law needs runs that got there at two values or more")
    fits: dict[Form, tuple[np.ndarray, float]] = {
        form: _maximise(_medians(form, times.x), 2, times) for form in FORMS
    }
    power, likelihood = fits["power"]
    place = np.searchsorted(values, times.x)
    free, free_likelihood = _maximise(lambda numbers: numbers[place], len(values), times)
    chi2, degrees = 2.0 * max(0.0, free_likelihood - likelihood), len(values) - 2
    slope = float(power[1] - power[0]) / math.log(values[-1] / values[0])
    error = _exponent_error(power, times)
    largest = max(value for _, value in fits.values())
    akaike: dict[Form, float] = {form: 2.0 * (largest - value) for form, (_, value) in fits.items()}
    levels = tuple(
        Level(
            x=float(x),
            runs=int(np.count_nonzero(own)),
            reached=int(np.count_nonzero(own & reached)),
            median=math.exp(float(free[number])),
            law=math.exp(float(power[0])) * float(x / values[0]) ** slope,
        )
        for number, x in enumerate(values)
        for own in [times.x == x]
    )
    return Law(
        exponent=_interval(slope, error, len(np.unique(times.seeds)), confidence),
        spread=math.exp(float(power[-1])),
        levels=levels,
        runs=len(times.x),
        reached=int(np.count_nonzero(reached)),
        misfit=max(
            (
                max(level.median / level.law, level.law / level.median)
                for level in levels
                if 2 * level.reached >= level.runs
            ),
            default=1.0,
        ),
        chi2=chi2,
        degrees=degrees,
        p_value=_chi2_tail(chi2, degrees),
        akaike=akaike,
    )


def _medians(form: Form, x: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """log m(x) of a law as a function of its two log medians at the ends."""
    along = {"power": np.log(x), "logarithmic": np.log(x), "inverse": -1.0 / x}.get(form, x)
    share = (along - along.min()) / (along.max() - along.min())
    if form in ("power", "exponential"):
        return lambda ends: ends[0] + share * (ends[1] - ends[0])
    return lambda ends: np.logaddexp(_log(1.0 - share) + ends[0], _log(share) + ends[1])


def _log(share: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(share)


def _log_likelihoods(log_median: np.ndarray, log_spread: float, times: Times) -> np.ndarray:
    """The log-likelihood of every run: of a log-normal time within its interval."""
    from scipy.special import log_ndtr

    spread = math.exp(log_spread)
    with np.errstate(divide="ignore"):
        low = (np.log(times.after) - log_median) / spread
        high = (np.log(times.until) - log_median) / spread
    # Both in the lower tail, where differences of probabilities keep their digits.
    flipped = low > 0.0
    low, high = np.where(flipped, -high, low), np.where(flipped, -low, high)
    upper = log_ndtr(high)
    with np.errstate(divide="ignore", invalid="ignore"):
        return upper + np.log1p(-np.exp(np.minimum(log_ndtr(low) - upper, -1e-300)))


def _maximise(
    medians: Callable[[np.ndarray], np.ndarray], free: int, times: Times
) -> tuple[np.ndarray, float]:
    """The most likely numbers (the last is log σ), and the log-likelihood there.

    `free` is how many numbers `medians` takes. A weak preference for spreads above
    `SMALLEST_SPREAD` keeps the maximum from running away where times agree to within rounding.
    """
    from scipy.optimize import minimize

    def cost(numbers: np.ndarray) -> float:
        spread = math.exp(max(numbers[-1], -50.0))
        own = _log_likelihoods(medians(numbers[:-1]), max(numbers[-1], -50.0), times)
        total = float(own.sum()) - 0.5 * (SMALLEST_SPREAD / spread) ** 2
        return -total if math.isfinite(total) else 1e300

    middle = np.log(np.where(np.isinf(times.until), 1.5 * times.after, times.until - 0.5))
    start = np.append(_start(medians, free, middle), math.log(0.5))
    found = minimize(cost, start, method="BFGS")
    # A second start from there mends what a line search gave up on.
    found = (
        minimize(cost, found.x, method="Nelder-Mead", options=_PATIENT)
        if not found.success
        else found
    )
    return found.x, -float(found.fun)


_PATIENT = {"maxiter": 4000, "xatol": 1e-7, "fatol": 1e-9}


def _start(
    medians: Callable[[np.ndarray], np.ndarray], free: int, middle: np.ndarray
) -> np.ndarray:
    """Numbers to start from: those whose medians are nearest to the times, by least squares."""
    level = np.full(free, float(np.mean(middle)))
    base = medians(level)
    columns = np.stack([medians(level + 0.01 * row) - base for row in np.eye(free)], axis=1) / 0.01
    return level + np.linalg.lstsq(columns, middle - base, rcond=None)[0]


def _exponent_error(power: np.ndarray, times: Times) -> float:
    """The standard error of the power law's exponent, the runs of a seed taken together."""
    medians = _medians("power", times.x)
    steps = 1e-4 * np.eye(len(power))

    def each(numbers: np.ndarray) -> np.ndarray:
        return _log_likelihoods(medians(numbers[:-1]), numbers[-1], times)

    scores = np.stack([(each(power + h) - each(power - h)) / 2e-4 for h in steps], axis=1)
    wide = 1e-3 * np.eye(len(power))
    hessian = np.array(
        [
            [
                (
                    each(power + g + h).sum()
                    - each(power + g - h).sum()
                    - each(power - g + h).sum()
                    + each(power - g - h).sum()
                )
                / 4e-6
                for h in wide
            ]
            for g in wide
        ]
    )
    clusters = np.unique(times.seeds, return_inverse=True)[1].reshape(-1)
    count = int(clusters.max()) + 1
    sums = np.stack([np.bincount(clusters, column, count) for column in scores.T], axis=1)
    middle = sums.T @ sums * (count / max(count - 1, 1))
    bread = np.linalg.pinv(-hessian)
    covariance = bread @ middle @ bread
    length = math.log(times.x.max() / times.x.min())
    contrast = np.array([-1.0, 1.0, 0.0]) / length
    return math.sqrt(max(0.0, float(contrast @ covariance @ contrast)))


def _interval(value: float, error: float, clusters: int, confidence: float) -> Estimate:
    from scipy.special import stdtrit

    if clusters < 2:
        return Estimate(value, None, None)
    width = float(stdtrit(clusters - 1, 0.5 + confidence / 2)) * error
    return Estimate(value, value - width, value + width)


def _chi2_tail(statistic: float, degrees: int) -> float:
    from scipy.special import chdtrc

    return float(chdtrc(degrees, statistic))
