"""Exchanging group labels: against the log-rank test, by counting, and by simulation."""

import itertools

import numpy as np
import pytest

from sweep.analysis import exchange
from sweep.analysis.exchange import exchange_p
from sweep.analysis.survival import logrank


def case(seed: int, groups: int, runs: int, factor: float = 1.0):
    random = np.random.default_rng(seed)
    label = np.repeat(np.arange(groups), runs)
    times = np.ceil(random.exponential(20 * factor**label))
    return np.minimum(times, 40), times <= 40, label


@pytest.mark.parametrize("groups", [2, 3, 5])
def test_the_statistic_is_that_of_the_log_rank_test(groups, monkeypatch):
    seen = []
    original = exchange._statistics
    monkeypatch.setattr(
        exchange, "_statistics", lambda *args: seen.append(original(*args)) or seen[-1]
    )
    for seed in range(10):
        times, solved, label = case(seed, groups, 9)
        exchange_p(times, solved, label, np.arange(len(label)))
        expected = logrank([(times[label == g], solved[label == g]) for g in range(groups)])
        assert seen[-1][0] == pytest.approx(expected.statistic)


def test_is_the_share_of_all_exchanges_that_are_as_extreme():
    times, solved, label = case(1, 2, 5, factor=3.0)
    observed = logrank([(times[label == g], solved[label == g]) for g in (0, 1)]).statistic
    extreme = []
    for chosen in itertools.combinations(range(10), 5):
        dealt = np.isin(np.arange(10), chosen)
        groups = [(times[dealt], solved[dealt]), (times[~dealt], solved[~dealt])]
        extreme.append(logrank(groups).statistic >= observed * (1 - 1e-9))
    p = exchange_p(times, solved, label, np.arange(10))
    assert p == pytest.approx(np.mean(extreme), abs=0.02)


def test_of_independent_runs_is_near_that_of_chi_squared():
    for seed in range(5):
        times, solved, label = case(seed, 3, 40, factor=1.2)
        expected = logrank([(times[label == g], solved[label == g]) for g in range(3)])
        p = exchange_p(times, solved, label, np.arange(len(label)))
        assert p == pytest.approx(expected.p_value, abs=0.04)


def test_replicates_of_one_configuration_are_one_piece_of_evidence():
    times, solved, label = case(2, 2, 4, factor=2.0)
    once = exchange_p(times, solved, label, np.arange(8))
    copies = [np.tile(a, 10) for a in (times, solved, label)]
    assert exchange_p(*copies, np.tile(np.arange(8), 10)) == pytest.approx(once, abs=0.05)
    assert exchange_p(*copies, np.arange(80)) < once / 10


def test_matched_units_are_exchanged_among_themselves():
    # The seed decides nearly all, and within each seed the second group is a little faster.
    random = np.random.default_rng(3)
    base = random.exponential(50, 12) + 5
    times = np.concatenate([base, base - 1])
    label, seeds = np.repeat([0, 1], 12), np.tile(np.arange(12), 2)
    solved = np.ones(24, dtype=bool)
    alone = exchange_p(times, solved, label, np.arange(24))
    matched = exchange_p(times, solved, label, np.arange(24), seeds)
    assert alone > 0.5
    assert matched < 0.01


def test_of_groups_alike_rejects_about_five_times_in_a_hundred():
    random = np.random.default_rng(4)
    rejected = 0
    label, units = np.repeat([0, 1, 2], 20), np.repeat(np.arange(12), 5)
    for _ in range(300):
        # Five replicates of each of twelve configurations that differ.
        times = np.ceil(random.exponential(np.repeat(random.uniform(5, 60, 12), 5)))
        rejected += exchange_p(np.minimum(times, 80), times <= 80, label, units) < 0.05
    assert 0.02 < rejected / 300 < 0.085


def test_where_nothing_was_solved_there_is_nothing_to_tell_apart():
    never = np.full(6, 100.0), np.zeros(6, dtype=bool)
    assert exchange_p(*never, np.repeat([0, 1], 3), np.arange(6)) == 1
