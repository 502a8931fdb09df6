"""Time to target as a censored outcome, against published data, lifelines, scipy and simulation."""

import json
import math

import lifelines
import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from lifelines.statistics import multivariate_logrank_test
from lifelines.utils import restricted_mean_survival_time

from studies.run import Configuration, FinishedRun, Run
from sweep.analysis.kaplan_meier import kaplan_meier
from sweep.analysis.plateau import plateaus_of
from sweep.analysis.survival import (
    as_json,
    logrank,
    mean_within,
    median_time,
    objective_value,
    outcomes,
    par2,
    success_rate,
    summarise,
)

# Weeks in remission of 42 children with leukaemia: Freireich et al. 1963, Blood 21(6):699-716,
# as printed in Klein and Moeschberger 2003, table 1.1. A plus (False) marks a censored time.
MERCAPTOPURINE = np.array(
    [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35]
)
RELAPSED = np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
PLACEBO = np.array([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23])
ALL = np.ones(21, dtype=bool)


class TestPar2:
    def test_counts_a_censored_replicate_as_twice_the_budget(self):
        epochs, solved = np.array([20, 100, 40]), np.array([True, False, True])
        assert par2(epochs, solved, 100) == pytest.approx((20 + 200 + 40) / 3)

    def test_counts_a_diverged_replicate_as_any_censored_one(self):
        assert par2(np.array([3, 10]), np.array([False, True]), 100) == pytest.approx(105)


class TestTheObjective:
    none = np.zeros(2, dtype=bool)
    epochs = np.array([100, 100])

    def value(self, *losses: float) -> float:
        return objective_value(self.epochs, self.none, 100, np.array(losses))

    def test_is_par2_where_anything_was_solved(self):
        solved = np.array([True, False])
        assert objective_value(np.array([100, 100]), solved, 100, np.array([0.1, 9.0])) == 150

    def test_orders_unsolved_trials_by_their_final_loss(self):
        values = [
            self.value(0.1, 0.1),
            self.value(0.1, 0.7),
            self.value(0.7, 0.7),
            self.value(1e30, 0.7),
            self.value(math.nan, 0.7),
            self.value(math.inf, math.nan),
        ]
        assert values == sorted(values)
        assert len(set(values)) == len(values)

    @given(st.lists(st.floats(min_value=0), min_size=2, max_size=2))
    def test_adds_less_than_one_to_twice_the_budget(self, losses):
        assert 200 <= self.value(*losses) < 201

    def test_puts_a_trial_that_solved_once_at_the_last_moment_first(self):
        once = objective_value(self.epochs, np.array([True, False]), 100, np.array([0.5, math.nan]))
        assert once < self.value(0.0, 0.0)


class TestTheSuccessRate:
    @given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
    def test_has_wilsons_interval(self, case):
        successes, replicates = case
        rate, low, high = success_rate(successes, replicates)
        wilson = scipy.stats.binomtest(successes, replicates).proportion_ci(method="wilson")
        assert rate == successes / replicates
        assert (low, high) == (
            pytest.approx(wilson.low, abs=1e-12),
            pytest.approx(wilson.high, abs=1e-12),
        )
        assert 0 <= low <= rate <= high <= 1

    @pytest.mark.parametrize("replicates", [5, 10, 20, 30, 100])
    def test_interval_covers_the_true_rate_as_often_as_it_says(self, replicates):
        # Averaged over rates: for a single one the coverage of counts goes up and down.
        counts = np.arange(replicates + 1)
        ends = np.array([success_rate(int(n), replicates)[1:] for n in counts])
        rates = np.linspace(0.05, 0.95, 91)[:, None]
        covers = (ends[:, 0] <= rates) & (rates <= ends[:, 1])
        coverage = (scipy.stats.binom.pmf(counts, replicates, rates) * covers).sum(axis=1)
        assert 0.93 < coverage.mean() < 0.97
        assert coverage.min() > 0.83

    def test_needs_replicates(self):
        with pytest.raises(ValueError, match="0 of 0"):
            success_rate(0, 0)


class TestTheMedian:
    def test_of_five_replicates_is_the_third_between_smallest_and_largest(self):
        found = median_time(np.array([22, 17, 100, 19, 21]), np.array([1, 1, 0, 1, 1], dtype=bool))
        assert (found.value, found.low, found.high) == (21, 17, None)

    def test_does_not_exist_where_fewer_than_half_solved_the_task(self):
        found = median_time(np.array([22, 17, 100, 100, 100]), np.array([1, 1, 0, 0, 0]) > 0)
        assert (found.value, found.low, found.high) == (None, 17, None)

    def test_of_one_replicate_has_no_interval(self):
        found = median_time(np.array([22]), np.array([True]))
        assert (found.value, found.low, found.high) == (22, None, None)

    def test_of_nothing_is_nothing(self):
        found = median_time(np.array([]), np.array([], dtype=bool))
        assert (found.value, found.low, found.high) == (None, None, None)

    @given(st.lists(st.one_of(st.just(100), st.integers(1, 99)), min_size=1, max_size=30))
    def test_is_kaplan_and_meiers_under_one_budget(self, epochs):
        epochs = np.array(epochs)
        solved = epochs < 100
        found = median_time(epochs, solved)
        assert found.value == kaplan_meier(epochs, solved).median().value
        if found.low is not None and found.value is not None:
            assert found.low <= found.value
        if found.high is not None:
            assert found.value is not None
            assert found.value <= found.high

    @pytest.mark.parametrize("replicates", [5, 6, 12, 20, 30, 50])
    def test_interval_covers_the_true_median_about_as_often_as_it_says(self, replicates):
        random = np.random.default_rng(replicates)
        times = random.exponential(60, (4000, replicates))
        epochs = np.minimum(times, 100)
        covered = 0
        for row, solved in zip(epochs, times < 100, strict=True):
            found = median_time(row, solved)
            median = 60 * math.log(2)
            above = found.high is None or found.high >= median
            covered += found.low is not None and found.low <= median and above
        assert 0.92 < covered / 4000 < 0.98

    def test_of_the_leukaemia_patients_is_23_and_8_weeks(self):
        assert kaplan_meier(MERCAPTOPURINE, RELAPSED).median().value == 23
        assert kaplan_meier(PLACEBO, ALL).median().value == 8
        assert median_time(PLACEBO, ALL).value == 8


class TestTheMeanWithinABudget:
    @given(st.lists(st.integers(1, 60), min_size=1, max_size=30), st.integers(1, 40))
    def test_is_lifelines_area_under_the_curve(self, times, budget):
        times = np.array(times)
        epochs, solved = np.minimum(times, budget), times <= budget
        fitter = lifelines.KaplanMeierFitter().fit(epochs, solved)
        area = restricted_mean_survival_time(fitter, t=budget)
        assert mean_within(epochs, solved, budget).value == pytest.approx(area, rel=1e-9)

    def test_counts_a_censored_replicate_as_the_budget(self):
        epochs, solved = np.array([10, 20, 100, 40]), np.array([1, 1, 0, 1], dtype=bool)
        found = mean_within(epochs, solved, 100)
        assert found.value == 42.5
        assert found.low is not None
        assert found.high is not None
        assert found.low < 42.5 < found.high

    def test_counts_what_was_solved_later_as_the_budget(self):
        assert mean_within(np.array([10, 90]), np.array([True, True]), 50).value == 30

    @pytest.mark.parametrize("replicates", [5, 10, 30])
    @pytest.mark.parametrize("budget", [50, 200])
    def test_interval_covers_the_true_mean_about_as_often_as_it_says(self, replicates, budget):
        random = np.random.default_rng([replicates, budget])
        times = np.ceil(30 * np.exp(0.5 * random.normal(size=(1000, replicates))))
        many = np.ceil(30 * np.exp(0.5 * random.normal(size=1_000_000)))
        truth = np.minimum(many, budget).mean()
        covered = 0
        for row in times:
            found = mean_within(np.minimum(row, budget), row <= budget, budget)
            assert found.low is not None
            assert found.high is not None
            covered += found.low <= truth <= found.high
        assert 0.92 < covered / 1000 < 0.98

    def test_of_a_replicate_given_up_early_is_refused(self):
        with pytest.raises(ValueError, match="within 50 epochs"):
            mean_within(np.array([10, 20]), np.array([True, False]), 50)

    def test_of_one_replicate_has_no_interval(self):
        found = mean_within(np.array([10]), np.array([True]), 50)
        assert (found.value, found.low, found.high) == (10, None, None)


class TestTheLogRankTest:
    def test_of_the_leukaemia_trial_is_the_published_one(self):
        found = logrank([(MERCAPTOPURINE, RELAPSED), (PLACEBO, ALL)])
        assert found.statistic == pytest.approx(16.79, abs=0.005)
        assert found.degrees == 1
        assert found.p_value == pytest.approx(4.17e-5, abs=5e-8)
        assert found.observed.tolist() == [9, 21]
        assert found.expected == pytest.approx([19.25, 10.75], abs=0.005)

    def test_of_two_groups_is_scipys(self):
        ours = logrank([(MERCAPTOPURINE, RELAPSED), (PLACEBO, ALL)])
        theirs = scipy.stats.logrank(
            scipy.stats.CensoredData(
                uncensored=MERCAPTOPURINE[RELAPSED], right=MERCAPTOPURINE[~RELAPSED]
            ),
            scipy.stats.CensoredData(uncensored=PLACEBO),
        )
        assert ours.statistic == pytest.approx(theirs.statistic**2)
        assert ours.p_value == pytest.approx(theirs.pvalue)

    @pytest.mark.parametrize("count", [2, 3, 5])
    def test_of_several_groups_is_lifelines(self, count):
        random = np.random.default_rng(count)
        for _ in range(20):
            groups = []
            for scale in random.uniform(5, 30, count):
                times = np.ceil(random.exponential(scale, 12))
                groups.append((np.minimum(times, 25), times <= 25))
            ours = logrank(groups)
            theirs = multivariate_logrank_test(
                np.concatenate([t for t, _ in groups]),
                np.repeat(np.arange(count), 12),
                np.concatenate([s for _, s in groups]),
            )
            assert ours.statistic == pytest.approx(theirs.test_statistic, rel=1e-6)
            assert ours.p_value == pytest.approx(theirs.p_value, rel=1e-6)
            assert ours.degrees == count - 1

    def test_of_groups_alike_rejects_five_times_in_a_hundred(self):
        random = np.random.default_rng(3)
        rejected = 0
        for _ in range(2000):
            times = np.ceil(random.exponential(40, (2, 30)))
            groups = [(np.minimum(t, 80), t <= 80) for t in times]
            rejected += logrank(groups).p_value < 0.05
        assert 0.035 < rejected / 2000 < 0.065

    def test_of_groups_that_solved_nothing_tells_nothing_apart(self):
        nothing = (np.array([100, 100]), np.array([False, False]))
        found = logrank([nothing, nothing])
        assert (found.statistic, found.p_value) == (0, 1)

    def test_needs_two_groups_with_replicates(self):
        with pytest.raises(ValueError, match="two or more groups"):
            logrank([(PLACEBO, ALL)])
        with pytest.raises(ValueError, match="two or more groups"):
            logrank([(PLACEBO, ALL), (np.array([]), np.array([], dtype=bool))])


def run(ended: str, accuracy: list[float], *, budget: int = 100, loss: float = 0.3) -> FinishedRun:
    losses = [0.69 if a < 0.6 else loss for a in accuracy]
    if ended == "diverged":
        losses[-1] = math.nan
    curves = np.array([losses, accuracy], dtype=np.float32).T
    configuration = Configuration(layers=3, units=15)
    return FinishedRun(Run(configuration, 0, budget), ended, curves)  # type: ignore[arg-type]


SOLVED = run("solved", [0.5] * 12 + [0.7, 0.8, 0.9, 1.0])
SLOW = run("solved", [0.5] * 40 + [0.7, 0.8, 1.0])
STUCK = run("censored", [0.5] * 100)
HALFWAY = run("censored", [0.5] * 30 + [0.75] * 70)
DIVERGED = run("diverged", [0.5, 0.5, 0.5])


def summary(*runs: FinishedRun):
    plateaus = plateaus_of(runs, (100, 100))
    return summarise(runs, plateaus, parameters=4712, epoch_flops=1000.0)


class TestASummary:
    def test_says_what_the_replicates_did(self):
        found = summary(SOLVED, SLOW, STUCK, HALFWAY, DIVERGED)
        assert (found.replicates, found.solved, found.censored, found.diverged) == (5, 2, 2, 1)
        assert found.success_rate == 0.4
        assert found.success_low < 0.4 < found.success_high
        assert found.par2 == (16 + 43 + 200 + 200 + 200) / 5
        assert found.ert == (16 + 43 + 100 + 100 + 3) / 2
        assert found.flops == found.ert * 1000
        assert found.parameters == 4712

    def test_counts_replicates_that_never_got_there_as_beyond_the_budget(self):
        found = summary(SOLVED, SLOW, STUCK, HALFWAY, DIVERGED)
        assert found.epochs_median is None
        assert found.epochs_low == 16
        assert found.epochs_high is None
        assert found.escape_median == 41
        assert found.plateau_median == 40
        assert found.transition_median is None
        assert summary(SOLVED, STUCK, STUCK).plateau_median is None

    def test_of_a_clear_case(self):
        found = summary(SOLVED, SOLVED, SLOW)
        assert (found.epochs_median, found.epochs_low, found.epochs_high) == (16, 16, 43)
        assert (found.escape_median, found.plateau_median) == (13, 12)
        assert found.transition_median == 3

    def test_where_nothing_was_solved_has_no_running_time_and_no_flops(self):
        found = summary(STUCK, DIVERGED)
        assert found.ert is None
        assert found.flops is None
        assert found.par2 == 200
        assert 200 < found.objective < 201

    def test_as_json_is_plain_numbers_and_null(self):
        for runs in ([SOLVED, SLOW, STUCK], [DIVERGED], [STUCK, DIVERGED], [SOLVED]):
            document = as_json(summary(*runs))
            assert all(type(value) in (int, float, type(None)) for value in document.values())
            assert json.loads(json.dumps(document, allow_nan=False)) == document
        assert {
            "replicates",
            "success_rate",
            "epochs_median",
            "epochs_low",
            "epochs_high",
            "par2",
            "ert",
            "escape_median",
            "plateau_median",
            "parameters",
            "flops",
        } <= document.keys()

    def test_needs_replicates_of_one_budget(self):
        with pytest.raises(ValueError, match="budgets"):
            summary()
        with pytest.raises(ValueError, match=r"\[50, 100\]"):
            summary(STUCK, run("censored", [0.5] * 50, budget=50))


def test_a_diverged_run_counts_as_censored_at_the_budget_and_spent_what_it_spent():
    ends = outcomes([SOLVED, DIVERGED])
    assert ends.epochs.tolist() == [16, 100]
    assert ends.spent.tolist() == [16, 3]
    assert ends.solved.tolist() == [True, False]
    assert ends.diverged.tolist() == [False, True]
    assert math.isnan(ends.final_loss[1])
