"""Ratios, their spread, and totals that are extrapolated: numbers in, numbers out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.bench.ratios import Measured, compared, evenly, extrapolated

rates = st.lists(st.floats(0.01, 1e6), min_size=1, max_size=20)


def test_a_ratio_is_the_median_of_the_rounds_own_ratios():
    # A machine that became twice as slow in the middle changes neither round's ratio.
    ratio = compared([100.0, 50.0, 52.0], [10.0, 5.0, 5.0])
    assert ratio.ratio == 10.0
    assert (ratio.value, ratio.peer_value, ratio.rounds) == (52.0, 5.0, 3)


def test_the_spread_is_the_tenth_and_the_ninetieth_percentile_of_the_ratios():
    ratio = compared([float(k) for k in range(1, 12)], [1.0] * 11)
    assert (ratio.low, ratio.ratio, ratio.high) == (2.0, 6.0, 10.0)


def test_of_seconds_fewer_are_better():
    ratio = compared([2.0], [10.0], inverse=True)
    assert (ratio.value, ratio.peer_value, ratio.ratio) == (2.0, 10.0, 5.0)


@given(rates, st.floats(0.1, 10.0))
def test_one_round_s_slow_machine_slows_both_sides_and_no_ratio(peers, speed):
    ours = [3.0 * peer for peer in peers]
    here = compared([one * speed for one in ours], [one * speed for one in peers])
    assert here.ratio == pytest.approx(compared(ours, peers).ratio)
    slack = 1e-9 * here.high
    assert here.low - slack <= here.ratio <= here.high + slack


@pytest.mark.parametrize(
    ("values", "peers", "said"),
    [
        ([], [], "0 and 0 rounds"),
        ([1.0], [1.0, 2.0], "1 and 2 rounds"),
        ([0.0], [1.0], "above zero"),
        ([1.0], [-1.0], "above zero"),
        ([float("nan")], [1.0], "above zero"),
    ],
)
def test_what_cannot_be_compared_is_refused(values, peers, said):
    with pytest.raises(ValueError, match=said):
        compared(values, peers)


def test_a_rate_is_by_wall_and_by_processor_seconds():
    measured = Measured(100.0, 4.0, 5.0)
    assert (measured.rate, measured.cpu_rate) == (25.0, 20.0)
    assert Measured(100.0, 4.0).cpu_rate is None


def test_a_total_is_extrapolated_from_the_mean_of_a_part():
    whole = extrapolated([10.0, 14.0], 100, fixed=5.0)
    assert whole.total == 5.0 + 100 * 12.0
    assert 5.0 <= whole.low < whole.total < whole.high


def test_a_total_of_which_all_was_measured_has_no_spread():
    whole = extrapolated([1.0, 2.0, 3.0], 3)
    assert (whole.low, whole.total, whole.high) == (6.0, 6.0, 6.0)


def test_the_interval_of_a_total_covers_it_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    population = rng.gamma(4.0, 10.0, 100)
    covered = 0
    for _ in range(400):
        whole = extrapolated(list(rng.choice(population, 12, replace=False)), 100)
        covered += whole.low <= population.sum() <= whole.high
    assert 0.9 < covered / 400 <= 1.0


@pytest.mark.parametrize(("sample", "count"), [([], 5), ([1.0, 2.0], 1)])
def test_a_sample_that_is_none_is_refused(sample, count):
    with pytest.raises(ValueError, match="says nothing"):
        extrapolated(sample, count)


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_an_even_sample_has_different_places_over_the_whole(count, sample):
    places = evenly(count, sample)
    assert len(set(places)) == len(places) == min(sample, count)
    assert 0 <= min(places) <= max(places) < count
    # As much lies before the first as after the last, to a place.
    assert abs(places[0] - (count - 1 - places[-1])) <= 1


def test_no_sample_is_refused():
    with pytest.raises(ValueError, match="a sample of 0 of 5"):
        evenly(5, 0)
