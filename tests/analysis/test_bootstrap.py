"""Resampling: what is drawn, and how often the intervals cover what they should."""

import numpy as np
import pytest

from sweep.analysis.bootstrap import (
    RESAMPLES,
    expanded_tail,
    median_interval,
    median_ratio_interval,
    ratio_interval,
    resampled_medians,
    resamples,
    unpaired_ratio_interval,
)

NOISE = 0.0


def test_a_resample_draws_as_many_units_as_there_are():
    drawn = resamples(7)
    assert drawn.shape == (RESAMPLES, 7)
    assert (drawn.sum(axis=1) == 7).all()
    assert drawn.mean(axis=0) == pytest.approx(np.ones(7), abs=0.05)


def test_resamples_are_the_same_each_time_and_others_in_another_stream():
    assert (resamples(9) == resamples(9)).all()
    assert (resamples(9) != resamples(9, stream=1)).any()


def test_resampling_nothing_is_refused():
    with pytest.raises(ValueError, match="needs units"):
        resamples(0)


class TestTheIntervalOfARatio:
    def test_holds_the_ratio_and_turns_with_it(self):
        random = np.random.default_rng(1)
        top, bottom = random.exponential(3, 12) + 1, random.exponential(2, 12) + 1
        low, high = ratio_interval(top, bottom, NOISE, 0.95)
        assert low < top.mean() / bottom.mean() < high
        turned = ratio_interval(bottom, top, NOISE, 0.95)
        assert turned == (pytest.approx(1 / high), pytest.approx(1 / low))

    def test_of_units_alike_is_as_wide_as_their_rounding(self):
        low, high = ratio_interval(np.full(5, 3.0), np.full(5, 6.0), 0.01, 0.95)
        assert np.log(high / low) == pytest.approx(2 * 1.96 * 0.1 / 2, rel=1e-3)

    def test_is_wider_where_more_is_asked_of_it(self):
        random = np.random.default_rng(2)
        top = random.exponential(3, 12)
        narrow = ratio_interval(top, np.ones(12), NOISE, 0.8)
        wide = ratio_interval(top, np.ones(12), NOISE, 0.99)
        assert wide[0] < narrow[0] < narrow[1] < wide[1]

    def test_is_none_with_one_unit_or_nothing_to_divide_by(self):
        assert ratio_interval(np.ones(1), np.ones(1), NOISE, 0.95) is None
        assert ratio_interval(np.ones(5), np.zeros(5), NOISE, 0.95) is None
        assert unpaired_ratio_interval(np.ones(5), np.ones(1), (NOISE, NOISE), 0.95) is None

    def test_with_few_slow_units_stays_within_what_resamples_show(self):
        times = np.array([4.0] * 21 + [100.0] * 2)
        low, high = ratio_interval(times, np.ones(23), 1e-3, 0.95)
        assert 3.5 < low < times.mean() < high < 60

    @pytest.mark.parametrize(("first", "second"), [(5, 5), (9, 20), (30, 30)])
    def test_of_units_drawn_apart_covers_as_often_as_it_says(self, first, second):
        random = np.random.default_rng([first, second])
        covered = 0
        for _ in range(600):
            top = 30 * np.exp(0.5 * random.normal(size=first))
            bottom = 20 * np.exp(0.3 * random.normal(size=second))
            low, high = unpaired_ratio_interval(top, bottom, (NOISE, NOISE), 0.95)
            truth = 1.5 * np.exp((0.5**2 - 0.3**2) / 2)
            covered += low <= truth <= high
        assert 0.915 < covered / 600 < 0.985


class TestMedians:
    def test_of_resamples_are_those_that_sorting_gives(self):
        times = np.array([5.0, 1.0, np.inf, 3.0, 2.0, 8.0])
        units = np.array([0, 0, 1, 1, 2, 2])
        medians = resampled_medians(times, units)
        for drawn, median in zip(resamples(3)[:50], medians, strict=False):
            runs = np.sort(np.repeat(times, drawn[units]))
            assert median == runs[(len(runs) - 1) // 2]

    def test_of_more_runs_than_fit_at_once_are_the_same(self, monkeypatch):
        times, units = np.random.default_rng(1).exponential(3, 40), np.repeat(np.arange(8), 5)
        whole = resampled_medians(times, units)
        monkeypatch.setattr("sweep.analysis.bootstrap._AT_ONCE", 1000)
        assert (resampled_medians(times, units) == whole).all()

    def test_beyond_the_budget_have_no_end(self):
        assert median_interval(np.array([3.0] * 90 + [np.inf] * 10), 0.025) == (3, None)
        assert median_interval(np.full(100, np.inf), 0.025) == (None, None)

    def test_beyond_the_budget_bound_their_ratio_by_it(self):
        known, beyond = np.full(100, 20.0), np.full(100, np.inf)
        assert median_ratio_interval(beyond, known, 100, 0.025) == (5, None)
        assert median_ratio_interval(known, beyond, 100, 0.025) == (None, 0.2)
        assert median_ratio_interval(beyond, beyond, 100, 0.025) == (None, None)
        assert median_ratio_interval(np.zeros(100), np.zeros(100), 100, 0.025) == (None, None)


def test_fewer_units_leave_out_less_at_the_ends():
    tails = [expanded_tail(units) for units in (2, 5, 10, 30, 1000)]
    assert tails == sorted(tails)
    # Hesterberg 2015, table 8: of 5 and 10 units.
    assert tails[1] == pytest.approx(0.0010, abs=5e-5)
    assert tails[-1] == pytest.approx(0.025, abs=3e-4)
