"""Growth before the escape: its shape and rate are found where they are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.analysis.progress import FEWEST_EPOCHS, SHAPES, exponent, growth

T = np.arange(1.0, 41.0)


def noisy(y: np.ndarray, runs: int, noise: float, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [y * np.exp(noise * random.normal(size=len(y))) for _ in range(runs)]


@pytest.mark.parametrize(
    ("shape", "y"),
    [
        ("exponential", 0.001 * np.exp(0.4 * T)),
        ("power", 0.02 * T**2.5),
        ("linear", 0.3 + 0.2 * T),
        ("level", np.full(40, 0.7)),
    ],
)
def test_the_shape_that_made_a_series_fits_it_best(shape, y):
    found = growth(noisy(y, 50, noise=0.1), np.full(50, 40))
    assert found.fitted == 50
    assert found.share(shape)[0] >= 0.8, [SHAPES[best] for best in found.best]


def test_an_exponential_s_rate_and_start_are_found():
    found = growth(noisy(0.002 * np.exp(0.25 * T), 60, noise=0.2), np.full(60, 40))
    rate, start = found.median("rate"), found.median("start")
    assert rate.low < 0.25 < rate.high
    assert rate.high - rate.low < 0.005
    assert start.value == pytest.approx(0.002 * np.exp(0.25), rel=0.05)
    assert found.median("r_squared").value > 0.98
    assert found.median("last").value == pytest.approx(0.002 * np.exp(10.0), rel=0.1)


def test_the_interval_of_a_rate_covers_it_as_often_as_it_says():
    covered = 0
    for repeat in range(400):
        random = np.random.default_rng([1, repeat])
        rates = 0.5 + 0.05 * random.normal(size=12)
        found = growth([np.exp(r * T[:15]) for r in rates], np.full(12, 15)).median("rate")
        covered += found.low <= 0.5 <= found.high
    # 12 runs: the interval of order statistics covers 96.1 % by its own account.
    assert 0.93 <= covered / 400 <= 0.99


def test_only_the_plateau_is_looked_at():
    y = np.concatenate([0.01 * np.exp(0.5 * T[:10]), np.full(30, 3.0)])
    (rate,) = growth([y], np.array([10])).rate
    assert rate == pytest.approx(0.5, rel=1e-9)


def test_a_plateau_too_short_or_a_series_not_positive_has_no_growth():
    y = np.exp(T)
    negative, missing = y.copy(), y.copy()
    negative[3], missing[3] = -1.0, np.nan
    lengths = np.array([FEWEST_EPOCHS - 1, 40, 40, FEWEST_EPOCHS])
    found = growth([y, negative, missing, y], lengths)
    assert found.best.tolist()[:3] == [-1, -1, -1]
    assert np.isnan(found.rate).tolist() == [True, True, True, False]
    assert found.fitted == 1
    none = growth([], np.array([], int))
    assert none.fitted == 0
    assert none.median("rate").value is None


@settings(max_examples=40, deadline=None)
@given(
    scale=st.floats(1e-6, 1e6),
    rate=st.floats(-0.5, 1.0),
    epochs=st.integers(FEWEST_EPOCHS, 60),
)
def test_a_rate_does_not_depend_on_the_unit_of_the_series(scale, rate, epochs):
    y = np.exp(rate * np.arange(1, epochs + 1)) * (1.0 + 0.05 * np.cos(np.arange(epochs)))
    one, other = (growth([series], np.array([epochs])) for series in (y, scale * y))
    assert other.rate[0] == pytest.approx(one.rate[0], abs=1e-9)
    assert other.start[0] == pytest.approx(scale * one.start[0], rel=1e-6)


def test_a_power_law_s_exponent_is_found_seed_by_seed():
    random = np.random.default_rng(2)
    x = [0.5, 1.0, 2.0, 4.0]
    seeds = np.exp(0.3 * random.normal(size=30))
    y = seeds * np.array(x)[:, None] ** 0.8 * np.exp(0.02 * random.normal(size=(4, 30)))
    found = exponent(x, y)
    assert found.value == pytest.approx(0.8, abs=0.01)
    assert 0.0 < found.high - found.low < 0.03
    y[0] = np.nan
    assert exponent(x, y).value == pytest.approx(0.8, abs=0.02)
    assert exponent(x, np.full((4, 3), np.nan)).value is None
