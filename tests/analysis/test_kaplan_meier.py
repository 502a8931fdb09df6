"""The share still unsolved, against published data, lifelines, scipy and simulation."""

import math

import lifelines
import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from lifelines.utils import median_survival_times

from sweep.analysis.kaplan_meier import kaplan_meier
from sweep.analysis.survival import success_rate

# Weeks in remission of 42 children with leukaemia: Freireich et al. 1963, Blood 21(6):699-716,
# as printed in Klein and Moeschberger 2003, table 1.1. A plus (False) marks a censored time.
MERCAPTOPURINE = np.array(
    [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
)
RELAPSED = np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
PLACEBO = np.array([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23])
ALL = np.ones(21, dtype=bool)

samples = st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=1, max_size=40)


def arrays(sample) -> tuple[np.ndarray, np.ndarray]:
    return np.array([e for e, _ in sample]), np.array([s for _, s in sample])


class TestKaplanAndMeier:
    def test_is_the_published_curve_of_the_leukaemia_patients(self):
        curve = kaplan_meier(MERCAPTOPURINE, RELAPSED)
        assert curve.times.tolist() == [6, 7, 10, 13, 16, 22, 23]
        assert curve.at_risk.tolist() == [21, 17, 15, 12, 11, 7, 6]
        assert curve.survival == pytest.approx(
            [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], abs=5e-4
        )

    @given(samples)
    def test_agrees_with_lifelines_and_scipy(self, sample):
        epochs, solved = arrays(sample)
        curve = kaplan_meier(epochs, solved)
        fitter = lifelines.KaplanMeierFitter().fit(epochs, solved)
        theirs = fitter.survival_function_at_times(curve.times).to_numpy()
        assert curve.survival == pytest.approx(theirs, abs=1e-9)
        bands = fitter.confidence_interval_.loc[curve.times].to_numpy()
        log_log = kaplan_meier(epochs, solved, band="log-log")
        assert log_log.low == pytest.approx(bands[:, 0], abs=1e-9)
        assert log_log.high == pytest.approx(bands[:, 1], abs=1e-9)
        data = scipy.stats.CensoredData(uncensored=epochs[solved], right=epochs[~solved])
        if solved.any():
            sf = scipy.stats.ecdf(data).sf
            assert curve.survival == pytest.approx(sf.evaluate(curve.times), abs=1e-9)

    def test_has_the_median_interval_of_lifelines(self):
        fitter = lifelines.KaplanMeierFitter().fit(MERCAPTOPURINE, RELAPSED)
        low, high = median_survival_times(fitter.confidence_interval_).to_numpy()[0]
        found = kaplan_meier(MERCAPTOPURINE, RELAPSED, band="log-log").median()
        assert found.low == low
        assert found.high is None
        assert math.isinf(high)

    @given(st.lists(st.one_of(st.just(100), st.integers(1, 99)), min_size=1, max_size=30))
    def test_under_one_budget_has_wilsons_interval_of_the_share_unsolved(self, epochs):
        epochs = np.array(epochs)
        curve = kaplan_meier(epochs, epochs < 100)
        for time, low, high in zip(curve.times, curve.low, curve.high, strict=True):
            _, expected_low, expected_high = success_rate(int((epochs > time).sum()), len(epochs))
            assert (low, high) == (pytest.approx(expected_low), pytest.approx(expected_high))

    @given(samples)
    def test_has_a_band_about_the_curve_that_narrows_with_replicates(self, sample):
        epochs, solved = arrays(sample)
        curve = kaplan_meier(epochs, solved)
        assert (curve.low <= curve.survival).all()
        assert (curve.survival <= curve.high).all()
        assert ((curve.low >= 0) & (curve.high <= 1)).all()
        tenfold = kaplan_meier(np.tile(epochs, 10), np.tile(solved, 10))
        assert (tenfold.high - tenfold.low < curve.high - curve.low).all()

    @pytest.mark.parametrize("replicates", [5, 10, 30])
    @pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
    def test_band_covers_the_true_share_about_as_often_as_it_says(self, replicates, share):
        random = np.random.default_rng([replicates, int(10 * share)])
        at = -50 * math.log(share)
        covered, cases = 0, 1500
        times = random.exponential(50, (cases, replicates))
        # Budgets differ, as in a study that was extended.
        budgets = random.uniform(at / 2, 150, (cases, replicates))
        for row, budget in zip(times, budgets, strict=True):
            curve = kaplan_meier(np.minimum(row, budget), row <= budget)
            place = np.searchsorted(curve.times, at, side="right") - 1
            low, high = success_rate(replicates, replicates)[1:]
            if place >= 0:
                low, high = curve.low[place], curve.high[place]
            covered += low <= share <= high
        assert 0.92 < covered / cases < 0.98

    def test_of_replicates_that_never_solved_it_has_no_steps(self):
        curve = kaplan_meier(np.array([100, 100]), np.array([False, False]))
        assert len(curve.times) == 0
        assert curve.median().value is None

    def test_needs_replicates(self):
        with pytest.raises(ValueError, match="replicates"):
            kaplan_meier(np.array([]), np.array([], dtype=bool))
