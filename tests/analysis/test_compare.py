"""Groups against one another: what is paired with what, and what is found."""

from dataclasses import replace

import numpy as np
import pytest

from sweep.analysis.compare import compare, turned
from sweep.analysis.group import Sample
from sweep.analysis.paired import compare_pairs, holm
from sweep.analysis.survival import logrank

BUDGET = 100.0


def sample_of(label: str, times: np.ndarray, partners=None) -> Sample:
    """The runs [trials, seeds] of a group; by default trial i's partners are trials i elsewhere."""
    trials, seeds = times.shape
    flat = np.asarray(times, dtype=float).reshape(-1)
    partners = list(range(trials)) if partners is None else partners
    return Sample(
        label=label,
        times=np.minimum(flat, BUDGET),
        solved=flat <= BUDGET,
        spent=np.minimum(flat, BUDGET),
        plateau=np.minimum(flat, BUDGET) // 2,
        waiting=flat > BUDGET,
        diverged=np.zeros(len(flat), dtype=bool),
        trials=np.repeat(np.arange(trials), seeds),
        seeds=np.tile(np.arange(seeds), trials),
        partners=[partner for partner in partners for _ in range(seeds)],
    )


def drawn(seed: int, trials: int, seeds: int = 5, scale: float = 20) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.ceil(scale * np.exp(0.4 * random.normal(size=(trials, seeds))))


class TestPairing:
    def test_of_single_trials_is_by_seed(self):
        a, b = drawn(1, 1, 12), drawn(2, 1, 12, scale=35)
        (pair,) = compare([sample_of("a", a), sample_of("b", b)], BUDGET).contrasts
        expected = compare_pairs(
            (np.minimum(a[0], BUDGET), a[0] <= BUDGET),
            (np.minimum(b[0], BUDGET), b[0] <= BUDGET),
            BUDGET,
        )
        assert pair.paired
        assert (pair.pairs, pair.configurations, pair.units) == (12, 1, 12)
        assert (pair.ratio, pair.mean_ratio) == (expected.ratio, expected.mean_ratio)
        assert pair.p_value == expected.p_value
        assert pair.p_least == 2.0**-11

    def test_of_many_equal_settings_draws_these_as_a_whole(self):
        found = compare([sample_of("a", drawn(1, 7)), sample_of("b", drawn(2, 7))], BUDGET)
        (pair,) = found.contrasts
        assert (pair.pairs, pair.configurations, pair.units) == (35, 7, 7)
        assert found.matched

    def test_of_few_equal_settings_draws_seeds(self):
        (pair,) = compare(
            [sample_of("a", drawn(1, 3, 8)), sample_of("b", drawn(2, 3, 8))], BUDGET
        ).contrasts
        assert (pair.pairs, pair.configurations, pair.units) == (24, 3, 8)

    def test_is_over_what_both_have_where_that_is_most_of_it(self):
        a = sample_of("a", drawn(1, 8), partners=list(range(8)))
        b = sample_of("b", drawn(2, 8), partners=list(range(2, 10)))
        found = compare([a, b], BUDGET)
        assert (found.contrasts[0].paired, found.contrasts[0].pairs) == (True, 30)
        assert not found.matched

    def test_is_none_where_most_runs_have_no_partner(self):
        a = sample_of("a", drawn(1, 8), partners=list(range(8)))
        b = sample_of("b", drawn(2, 8), partners=list(range(6, 14)))
        (pair,) = compare([a, b], BUDGET).contrasts
        assert (pair.paired, pair.pairs, pair.units) == (False, 0, 16)

    def test_is_none_where_a_partner_could_be_one_of_several(self):
        a = sample_of("a", drawn(1, 8), partners=[0] * 8)
        (pair,) = compare([a, sample_of("b", drawn(2, 8))], BUDGET).contrasts
        assert not pair.paired

    def test_finds_a_small_difference_beside_a_large_one(self):
        # The settings decide nearly all; within each, the second group takes a fifth longer.
        noise = np.exp(0.05 * np.random.default_rng(1).normal(size=(10, 5)))
        base = np.linspace(5, 60, 10)[:, None] * noise
        a, b = sample_of("a", base), sample_of("b", 1.2 * base)
        apart = [replace(s, partners=[(s.label, p) for p in s.partners]) for s in (a, b)]
        assert compare([a, b], BUDGET).contrasts[0].p_value < 0.01
        assert compare(apart, BUDGET).contrasts[0].p_value > 0.2


GROUPS = [
    sample_of(name, drawn(seed, 6, scale=scale))
    for seed, (name, scale) in enumerate([("a", 20), ("b", 21), ("c", 60)])
]


class TestManyGroups:
    def test_are_compared_each_with_each_and_adjusted_for_that(self):
        found = compare(GROUPS, BUDGET)
        assert [(p.baseline, p.other) for p in found.contrasts] == [
            ("a", "b"),
            ("a", "c"),
            ("b", "c"),
        ]
        assert [p.p_adjusted for p in found.contrasts] == holm([p.p_value for p in found.contrasts])

    def test_are_set_against_any_of_them(self):
        found = compare(GROUPS, BUDGET)
        assert [(p.baseline, p.other) for p in found.against("a")] == [("a", "b"), ("a", "c")]
        ratio = found.against("a")[1].ratio.value
        (back,) = [p for p in found.against("c") if p.other == "a"]
        assert back.ratio.value == pytest.approx(1 / ratio)

    def test_have_the_log_rank_test_over_all_of_them(self):
        found = compare(GROUPS, BUDGET)
        expected = logrank([(s.times, s.solved) for s in GROUPS])
        assert found.test.statistic == expected.statistic
        assert found.p_value < 0.01

    def test_alike_are_seldom_told_apart(self):
        told = 0
        for seed in range(60):
            groups = [sample_of(n, drawn([seed, i], 6)) for i, n in enumerate("abc")]
            told += compare(groups, BUDGET).p_value < 0.05
        assert told <= 9


def test_turning_a_contrast_twice_gives_it_back():
    groups = [sample_of("a", drawn(1, 1, 9)), sample_of("b", drawn(2, 1, 9))]
    (pair,) = compare(groups, BUDGET).contrasts
    back = turned(turned(pair))
    assert (back.baseline, back.other) == ("a", "b")
    assert (back.faster, back.slower) == (pair.faster, pair.slower)
    assert back.ratio.value == pytest.approx(pair.ratio.value)
    assert back.mean_ratio.low == pytest.approx(pair.mean_ratio.low)


def test_groups_that_solve_nothing_have_no_ratio_of_medians():
    never = np.full((1, 5), 500.0)
    found = compare([sample_of("a", never), sample_of("b", never)], BUDGET)
    (pair,) = found.contrasts
    assert (pair.ratio.value, pair.mean_ratio.value, pair.p_value) == (None, 1, 1)
    assert (found.p_value, found.test.statistic) == (1, 0)


def test_one_group_or_an_empty_one_is_refused():
    one = sample_of("a", drawn(1, 2))
    with pytest.raises(ValueError, match="two groups"):
        compare([one], BUDGET)
    with pytest.raises(ValueError, match="two groups"):
        compare([one, sample_of("b", np.empty((0, 5)))], BUDGET)


def test_groups_of_thousands_of_trials_are_told_apart():
    a = sample_of("a", drawn(1, 2_000, 1), partners=range(2_000))
    b = sample_of("b", drawn(2, 2_000, 1, scale=25), partners=range(2_000, 4_000))
    (pair,) = compare([a, b], BUDGET).contrasts
    assert not pair.paired
    assert 0 < pair.p_least == pair.p_value < 0.001
