"""A value with its interval, as every statistic here gives it."""

from dataclasses import dataclass

CONFIDENCE = 0.95
"""What every interval is meant to cover."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval; None is a number that does not exist or is beyond the budget."""

    value: float | None
    low: float | None
    high: float | None
