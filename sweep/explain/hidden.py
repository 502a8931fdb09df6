"""Hidden progress of the baseline, and how its growth follows the learning rate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from sweep.analysis.estimate import Estimate
from sweep.analysis.progress import SHAPES, Growth, exponent, growth
from sweep.explain.effects import Arm

SERIES = "contrast"
"""The series whose growth is fitted: how far apart the classes' logits are."""


@dataclass(frozen=True, eq=False)
class HiddenProgress:
    """What moved in the baseline's networks while they sat on the plateau.

    `growth` is that of the contrast in the baseline's runs. `halfway` is the epoch half-way through
    the median plateau, and the next three are medians over the runs there: d′, the share of the
    labels that could be told with the best threshold if the logits of each class are normal,
    Φ(d′ / 2), and the accuracy that was logged. `rates` are the median growth rates per epoch by
    learning rate, the baseline's among them, and `exponent` the p of rate ∝ learning rate^p, seed
    by seed. `curves` are medians over the baseline's runs by epoch, for as long as half of them are
    under way: every series but those of the input columns.
    """

    growth: Growth
    halfway: int
    separation: float
    could_tell: float
    accuracy: float
    rates: Mapping[float, Estimate]
    exponent: Estimate
    curves: Mapping[str, np.ndarray]

    @property
    def exponential(self) -> bool:
        """Whether the exponential fits most runs best: the interval of their share is above ½."""
        return self.growth.fitted > 0 and self.growth.share("exponential")[1] > 0.5


def hidden_progress(baseline: Arm, others: Sequence[Arm]) -> HiddenProgress | None:
    """The baseline's hidden progress; `others` differ from it in their learning rate alone.

    None where the baseline has no median plateau of two epochs or more, or no such series.
    """
    median = baseline.plateau.value
    if median is None or median < 2 or SERIES not in baseline.runs[0].series:
        return None
    halfway = int((median + 1) // 2)
    there = [run for run in baseline.runs if run.epochs >= halfway]

    def middle(name: str) -> float:
        return float(np.median([run.curve(name)[halfway - 1] for run in there]))

    arms = sorted([baseline, *others], key=lambda arm: arm.configuration.learning_rate)
    found = {arm.configuration.learning_rate: _growth(arm) for arm in arms}
    separation = middle("separation")
    return HiddenProgress(
        growth=found[baseline.configuration.learning_rate],
        halfway=halfway,
        separation=separation,
        could_tell=NormalDist().cdf(separation / 2.0),
        accuracy=middle("accuracy"),
        rates={rate: one.median("rate") for rate, one in found.items() if one.fitted},
        exponent=exponent(list(found), np.array([one.rate for one in found.values()])),
        curves={
            name: median_curve(baseline, name)
            for name in baseline.runs[0].series
            if not name.startswith("column_")
        },
    )


def median_curve(arm: Arm, name: str) -> np.ndarray:
    """The median of a series over the runs still under way, by epoch: float [epochs], for as long
    as at least half of the runs are."""
    length = int(np.sort([run.epochs for run in arm.runs])[len(arm.runs) // 2])
    curves = [run.curve(name) for run in arm.runs]
    return np.array(
        [np.median([c[epoch] for c in curves if len(c) > epoch]) for epoch in range(length)]
    )


def hidden_json(found: HiddenProgress) -> dict[str, Any]:
    """Hidden progress under the keys that programs read."""
    grown = found.growth

    def estimate(value: Estimate) -> dict[str, float | None]:
        return {"median": value.value, "low": value.low, "high": value.high}

    return {
        "series": SERIES,
        "fitted_runs": grown.fitted,
        "best_shape": {
            shape: int(np.count_nonzero(grown.best == place)) for place, shape in enumerate(SHAPES)
        },
        "exponential": found.exponential,
        "rate_per_epoch": estimate(grown.median("rate")),
        "start": estimate(grown.median("start")),
        "end": estimate(grown.median("last")),
        "r_squared": estimate(grown.median("r_squared")),
        "halfway_epoch": found.halfway,
        "halfway_separation": found.separation,
        "halfway_could_tell": found.could_tell,
        "halfway_accuracy": found.accuracy,
        "rates_by_learning_rate": [
            {"learning_rate": rate, **estimate(value)} for rate, value in found.rates.items()
        ],
        "rate_exponent": estimate(found.exponent),
        "curves": {name: curve.tolist() for name, curve in found.curves.items()},
    }


def _growth(arm: Arm) -> Growth:
    return growth([run.curve(SERIES) for run in arm.runs], arm.plateaus.plateau_length)


def step_size_at(arm: Arm, update: int) -> float:
    """The optimizer's step size at an update, counted from 1."""
    from sweep.engine.optimizers import step_sizes

    return float(step_sizes(arm.configuration, update)[-1])
