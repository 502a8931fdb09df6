"""What a group of runs says: of one trial, of few and of many."""

from dataclasses import replace

import numpy as np
import pytest

from sweep.analysis.group import MANY, Sample, summarise_group, within
from sweep.analysis.running_time import ert_interval
from sweep.analysis.survival import mean_within, median_time, success_rate

BUDGET = 100.0


def sample_of(times: np.ndarray, **fields) -> Sample:
    """A group of the runs [trials, seeds] that take these times, as a budget of 100 shows it."""
    trials, seeds = times.shape
    flat = times.reshape(-1)
    made = Sample(
        label="group",
        times=np.minimum(flat, BUDGET),
        solved=flat <= BUDGET,
        spent=np.minimum(flat, BUDGET),
        plateau=np.minimum(flat, BUDGET) // 2,
        waiting=flat > 2 * BUDGET,
        diverged=np.zeros(len(flat), dtype=bool),
        trials=np.repeat(np.arange(trials), seeds),
        seeds=np.tile(np.arange(seeds), trials),
        partners=[()] * len(flat),
    )
    return replace(made, **fields)


class TestOneTrial:
    def test_has_the_intervals_of_its_replicates(self):
        sample = sample_of(np.array([[20.0, 22, 150, 31, 18, 300]]))
        found = summarise_group(sample, BUDGET)
        assert (found.trials, found.runs, found.solved) == (1, 6, 4)
        assert (found.success.value, found.success.low, found.success.high) == success_rate(4, 6)
        assert found.median == median_time(sample.times, sample.solved)
        assert found.mean == mean_within(sample.times, sample.solved, BUDGET)
        assert found.ert == ert_interval(sample.spent, sample.solved, BUDGET)
        assert found.plateau == median_time(sample.plateau, ~sample.waiting)
        assert found.curve.survival[-1] == pytest.approx(2 / 6)


class TestManyTrials:
    def test_copies_of_a_trial_are_no_evidence(self):
        random = np.random.default_rng(1)
        times = np.tile(random.uniform(10, 150, (8, 1)), (1, 5))
        found = summarise_group(sample_of(times), BUDGET)
        once = summarise_group(sample_of(times[:, :1]), BUDGET)
        assert found.success.low == pytest.approx(once.success.low)
        assert found.success.high == pytest.approx(once.success.high)
        assert (found.median.low, found.median.high) == (once.median.low, once.median.high)
        assert found.mean.low == pytest.approx(once.mean.low, rel=0.01)

    def test_that_all_succeed_leave_room_for_one_that_does_not(self):
        found = summarise_group(sample_of(np.full((9, 5), 20.0)), BUDGET)
        assert found.success.value == found.success.high == 1
        assert found.success.low < 0.7

    @pytest.mark.parametrize("trials", [9, 20])
    def test_intervals_cover_about_as_often_as_they_say(self, trials):
        random, scale = np.random.default_rng(trials), 30

        def drawn(number):
            own = 0.8 * random.normal(size=(number, 1))
            return np.ceil(scale * np.exp(own + 0.3 * random.normal(size=(number, 5))))

        many = drawn(200_000)
        truths = {
            "success": (many <= BUDGET).mean(),
            "median": np.median(many),
            "mean": np.minimum(many, BUDGET).mean(),
            "ert": np.minimum(many, BUDGET).mean() / (many <= BUDGET).mean(),
        }
        covered = dict.fromkeys(truths, 0)
        cases = 200
        for _ in range(cases):
            found = summarise_group(sample_of(drawn(trials)), BUDGET)
            for name, truth in truths.items():
                ends = getattr(found, name)
                above = ends.high is None or truth <= ends.high + 1e-9
                covered[name] += ends.low is not None and ends.low <= truth and above
        for name, count in covered.items():
            assert count / cases > 0.88, name


class TestFewTrials:
    def test_are_resampled_by_seed(self):
        # Two trials that differ greatly, each the same from every seed.
        times = np.array([[20.0] * 6, [60.0] * 6])
        found = summarise_group(sample_of(times), BUDGET)
        assert found.mean.value == 40
        assert found.mean.high < 42
        assert (found.median.low, found.median.high) == (20, 20)

    def test_of_a_single_seed_have_no_intervals(self):
        found = summarise_group(sample_of(np.array([[20.0], [60.0]])), BUDGET)
        assert (found.success.low, found.mean.low, found.median.low) == (None, None, None)

    def test_become_many_at_a_stated_number(self):
        times = np.tile(np.linspace(10, 90, MANY)[:, None], (1, 6))
        many = summarise_group(sample_of(times), BUDGET)
        few = summarise_group(sample_of(times[:-1]), BUDGET)
        assert many.mean.high - many.mean.low > 20 > few.mean.high - few.mean.low


def test_nothing_solved_has_neither_median_nor_running_time():
    found = summarise_group(sample_of(np.full((6, 3), 500.0)), BUDGET)
    assert (found.solved, found.success.value) == (0, 0)
    assert found.median.value is found.ert.value is found.plateau.value is None
    assert found.mean.value == BUDGET


def test_what_is_solved_after_the_budget_counts_as_censored():
    sample = within(sample_of(np.array([[20.0, 60.0]])), 50.0)
    assert sample.solved.tolist() == [True, False]
    assert sample.times.tolist() == sample.spent.tolist() == [20, 50]


def test_a_run_given_up_before_the_budget_is_refused():
    early = sample_of(np.array([[20.0, 60.0]]), solved=np.array([True, False]))
    with pytest.raises(ValueError, match="before the budget of 100"):
        within(early, BUDGET)
