"""Expected running time and its distribution, by hand and by simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.analysis.kaplan_meier import kaplan_meier
from sweep.analysis.running_time import ert, ert_interval, restarted, runtime_distribution


class TestExpectedRunningTime:
    def test_is_all_epochs_spent_over_the_number_solved(self):
        assert ert(np.array([20, 100, 5]), np.array([True, False, True])) == 62.5

    def test_does_not_exist_where_nothing_was_solved(self):
        assert ert(np.array([100, 100]), np.array([False, False])) is None

    def test_is_what_restarting_until_success_costs(self):
        random = np.random.default_rng(1)
        time, solved = random.integers(1, 100, 20_000), random.random(20_000) < 0.3
        spent = np.where(solved, time, 100)
        ends = np.flatnonzero(solved)
        total = np.cumsum(spent)[ends]
        assert ert(spent, solved) == pytest.approx(np.diff(total).mean(), rel=0.01)


def drawn(random: np.random.Generator, runs: int, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Log-normal times of about 20 epochs that are solved at a rate, within a budget of 100."""
    solved = random.random(runs) < rate
    times = np.minimum(np.ceil(20 * np.exp(0.4 * random.normal(size=runs))), 100)
    return np.where(solved, times, 100.0), solved


class TestItsInterval:
    @pytest.mark.parametrize("rate", [0.3, 0.6, 0.9, 1.0])
    @pytest.mark.parametrize("runs", [5, 10, 30])
    def test_covers_about_as_often_as_it_says(self, runs, rate):
        random = np.random.default_rng([runs, int(10 * rate)])
        truth = ert(*drawn(random, 1_000_000, rate))
        covered = seen = 0
        while seen < 1500:
            spent, solved = drawn(random, runs, rate)
            if not solved.any():
                continue
            found = ert_interval(spent, solved, 100)
            covered += found.low <= truth <= found.high
            seen += 1
        assert 0.915 < covered / seen < 0.99

    @given(
        st.lists(st.tuples(st.integers(1, 99), st.booleans()), min_size=2, max_size=30).filter(
            lambda runs: sum(solved for _, solved in runs) > 1
        )
    )
    def test_holds_a_value_and_is_above_nothing(self, runs):
        spent = np.array([epochs if solved else 100 for epochs, solved in runs], dtype=float)
        solved = np.array([solved for _, solved in runs])
        found = ert_interval(spent, solved, 100)
        assert found.value == ert(spent, solved)
        assert 0 < found.low < found.high
        # The chance of failures not seen yet only adds to it.
        assert found.value < found.high

    def test_does_not_take_five_successes_for_certainty(self):
        found = ert_interval(np.full(5, 20.0), np.full(5, True), 100)
        assert found.value == 20
        assert found.low == pytest.approx(20, abs=1)
        assert found.high > 40

    def test_has_only_a_lower_end_without_a_success(self):
        found = ert_interval(np.full(5, 100.0), np.full(5, False), 100)
        assert (found.value, found.high) == (None, None)
        assert 100 < found.low < 200
        more = ert_interval(np.full(50, 100.0), np.full(50, False), 100)
        assert more.low > 5 * found.low

    def test_is_the_same_whenever_it_is_computed(self):
        spent, solved = drawn(np.random.default_rng(5), 20, 0.8)
        assert ert_interval(spent, solved, 100) == ert_interval(spent, solved, 100)

    def test_needs_runs(self):
        with pytest.raises(ValueError, match="needs runs"):
            ert_interval(np.array([]), np.array([]), 100)


class TestTheDistribution:
    def test_is_the_share_of_all_runs_solved_by_then(self):
        found = runtime_distribution(
            np.array([10, 20, 20, 100, 100]), np.array([1, 1, 1, 0, 0], dtype=bool)
        )
        assert found.costs.tolist() == [10, 20]
        assert found.share.tolist() == [0.2, 0.6]
        assert [found.at(cost) for cost in (9, 10, 19.5, 20, 100)] == [0, 0.2, 0.2, 0.6, 0.6]
        assert (found.pairs, found.last) == (5, 100)

    @given(st.lists(st.one_of(st.just(100), st.integers(1, 99)), min_size=1, max_size=30))
    def test_under_one_budget_is_one_minus_kaplan_and_meiers_curve(self, epochs):
        epochs = np.array(epochs)
        solved = epochs < 100
        found, curve = runtime_distribution(epochs, solved), kaplan_meier(epochs, solved)
        assert found.costs.tolist() == curve.times.tolist()
        assert found.share == pytest.approx(1 - curve.survival)

    def test_keeps_what_was_given_up_early_in_the_number(self):
        found = runtime_distribution(np.array([5.0, 50.0]), np.array([False, True]))
        assert found.at(50) == 0.5

    def test_of_nothing_solved_is_nothing(self):
        found = runtime_distribution(np.array([100, 100]), np.array([False, False]))
        assert found.at(1e9) == 0
        with pytest.raises(ValueError, match="needs runs"):
            runtime_distribution(np.array([]), np.array([]))


class TestRestarts:
    def test_cost_the_expected_running_time_on_average(self):
        spent, solved = drawn(np.random.default_rng(3), 40, 0.4)
        costs, done = restarted([(spent, solved)], draws=50_000)
        assert done.all()
        assert costs.mean() == pytest.approx(ert(spent, solved), rel=0.02)

    def test_of_sure_success_are_the_runs_themselves(self):
        costs, done = restarted([(np.array([10, 20]), np.array([True, True]))])
        assert set(costs.tolist()) == {10, 20}
        assert done.all()

    def test_do_not_help_what_never_succeeds(self):
        never = (np.array([100, 100, 100]), np.array([False, False, False]))
        costs, done = restarted([never, (np.array([7]), np.array([True]))], draws=10)
        assert costs.tolist() == [300.0] * 10 + [7.0] * 10
        assert runtime_distribution(costs, done).at(1e9) == 0.5
        assert not math.isnan(costs.sum())
