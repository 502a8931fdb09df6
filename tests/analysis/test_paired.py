"""Comparing two settings seed by seed, against scipy, by hand, and by simulation."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from sweep.analysis.paired import compare_pairs, holm, signed_rank_p
from sweep.analysis.survival import median_time

BUDGET = 100


def times(*epochs: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Epochs to target; None for a run that was censored at the budget."""
    solved = np.array([e is not None for e in epochs])
    return np.array([BUDGET if e is None else e for e in epochs], dtype=float), solved


def all_at(values: np.ndarray, budget: float) -> tuple[np.ndarray, np.ndarray]:
    return np.minimum(values, budget), values <= budget


class TestACleanCase:
    slow = times(20, 22, 18, 30, 25)
    fast = times(10, 11, 9, 15, 12)

    def test_has_the_ratios_of_the_medians_and_of_the_means(self):
        found = compare_pairs(self.slow, self.fast, BUDGET)
        assert found.ratio.value == 11 / 22
        assert found.mean_ratio.value == pytest.approx((10 + 11 + 9 + 15 + 12) / 115)
        assert (found.pairs, found.faster, found.slower, found.level) == (5, 5, 0, 0)

    def test_has_an_interval_that_excludes_one_where_every_pair_agrees_on_half(self):
        found = compare_pairs(self.slow, self.fast, BUDGET)
        assert found.mean_ratio.low is not None
        assert found.mean_ratio.high is not None
        assert 0.4 < found.mean_ratio.low < 0.5 < found.mean_ratio.high < 0.6
        assert found.p_value == pytest.approx(2 / 2**5)

    def test_the_other_way_round_is_the_inverse(self):
        one = compare_pairs(self.slow, self.fast, BUDGET)
        back = compare_pairs(self.fast, self.slow, BUDGET)
        assert back.p_value == one.p_value
        assert (back.faster, back.slower) == (one.slower, one.faster)
        for name in ("ratio", "mean_ratio"):
            there, here = getattr(one, name), getattr(back, name)
            assert here.value == pytest.approx(1 / there.value)
            assert here.low == pytest.approx(1 / there.high)
            assert here.high == pytest.approx(1 / there.low)

    def test_is_the_same_whenever_it_is_computed(self):
        first = compare_pairs(self.slow, self.fast, BUDGET)
        assert compare_pairs(self.slow, self.fast, BUDGET) == first

    def test_of_a_setting_with_itself_is_no_difference(self):
        found = compare_pairs(self.slow, self.slow, BUDGET)
        assert (found.ratio.value, found.mean_ratio.value, found.p_value) == (1, 1, 1)
        assert found.level == 5
        assert found.mean_ratio.low is not None
        assert found.mean_ratio.high is not None
        assert found.mean_ratio.low < 1 < found.mean_ratio.high


class TestCensoring:
    def test_a_median_beyond_the_budget_bounds_the_ratio_from_one_side(self):
        never = times(None, None, None, None, None)
        base = times(20, 20, 20, 20, 20)
        found = compare_pairs(base, never, BUDGET)
        assert (found.ratio.value, found.ratio.low, found.ratio.high) == (None, 5, None)
        back = compare_pairs(never, base, BUDGET)
        assert (back.ratio.value, back.ratio.low, back.ratio.high) == (None, None, 0.2)

    def test_the_restricted_mean_counts_a_censored_run_as_the_budget(self):
        found = compare_pairs(times(20, 40), times(None, 50), BUDGET)
        assert found.mean_ratio.value == pytest.approx(150 / 60)

    def test_two_settings_that_solve_nothing_cannot_be_told_apart(self):
        never = times(None, None, None)
        found = compare_pairs(never, never, BUDGET)
        assert (found.ratio.value, found.ratio.low, found.ratio.high) == (None, None, None)
        assert (found.mean_ratio.value, found.level, found.p_value) == (1, 3, 1)

    def test_what_is_solved_after_the_budget_counts_as_censored(self):
        late = (np.array([60.0, 80.0]), np.array([True, True]))
        early = (np.array([10.0, 20.0]), np.array([True, True]))
        found = compare_pairs(early, late, 50)
        assert found.ratio.value is None
        assert found.mean_ratio.value == pytest.approx(100 / 30)

    def test_the_ratio_is_that_of_the_medians_that_are_shown_elsewhere(self):
        random = np.random.default_rng(4)
        for count in (4, 5, 30):
            a = all_at(np.ceil(random.exponential(40, count)), BUDGET)
            b = all_at(np.ceil(random.exponential(40, count)), BUDGET)
            medians = [median_time(*group).value for group in (a, b)]
            found = compare_pairs(a, b, BUDGET).ratio.value
            if None in medians:
                assert found is None
            else:
                assert found == medians[1] / medians[0]

    def test_a_run_given_up_before_the_budget_is_refused(self):
        early = (np.array([30.0]), np.array([False]))
        with pytest.raises(ValueError, match="after 30 epochs, before the budget of 100"):
            compare_pairs(early, times(20), BUDGET)


class TestFewPairs:
    def test_one_pair_has_ratios_without_intervals(self):
        found = compare_pairs(times(20), times(10), BUDGET)
        assert found.ratio.value == found.mean_ratio.value == 0.5
        assert (found.ratio.low, found.mean_ratio.low, found.p_value) == (None, None, 1)

    def test_no_pairs_or_unequal_numbers_are_refused(self):
        with pytest.raises(ValueError, match="no pairs"):
            compare_pairs(times(), times(), BUDGET)
        with pytest.raises(ValueError, match="no pairs"):
            compare_pairs(times(20, 21), times(10), BUDGET)

    def test_a_plateau_of_no_epochs_at_all_is_no_reason_to_fail(self):
        found = compare_pairs(times(0, 0, 0), times(3, 0, 4), BUDGET)
        assert found.ratio.value is None
        assert found.mean_ratio.value is None
        assert found.slower == 2
        back = compare_pairs(times(3, 0, 4), times(0, 0, 0), BUDGET)
        assert (back.ratio.value, back.mean_ratio.value) == (0, 0)


class TestBlocks:
    def test_are_drawn_whole_so_that_copies_of_a_pair_are_no_evidence(self):
        a, b = times(20, 30, 26, 40, 31), times(18, 31, 20, 42, 25)
        once = compare_pairs(a, b, BUDGET)
        tenfold = [(np.tile(e, 10), np.tile(s, 10)) for e, s in (a, b)]
        found = compare_pairs(*tenfold, BUDGET, blocks=np.tile(np.arange(5), 10))
        assert found.pairs == 50
        assert found.ratio == once.ratio
        assert found.p_value == once.p_value
        assert found.mean_ratio.value == pytest.approx(once.mean_ratio.value)
        # Only the rounding of single epochs averages out over the copies.
        assert found.mean_ratio.low == pytest.approx(once.mean_ratio.low, rel=0.05)
        assert found.mean_ratio.high == pytest.approx(once.mean_ratio.high, rel=0.05)
        alone = compare_pairs(*tenfold, BUDGET)
        assert alone.mean_ratio.low > found.mean_ratio.low

    def test_may_have_any_labels(self):
        a, b = times(20, 30, 26, 40), times(18, 31, 20, 42)
        numbers = compare_pairs(a, b, BUDGET, blocks=np.array([0, 0, 1, 1]))
        words = compare_pairs(a, b, BUDGET, blocks=np.array(["adam", "adam", "sgd", "sgd"]))
        assert numbers == words

    def test_one_block_has_no_interval(self):
        found = compare_pairs(times(20, 30), times(18, 31), BUDGET, blocks=np.zeros(2))
        assert (found.ratio.low, found.mean_ratio.low) == (None, None)


class TestTheSignedRankTest:
    @given(st.lists(st.integers(1, 10_000), min_size=1, max_size=12, unique=True), st.data())
    def test_without_ties_is_scipys(self, sizes, data):
        signs = data.draw(st.lists(st.sampled_from([-1, 1]), min_size=len(sizes)))
        differences = np.array([s * d for s, d in zip(signs, sizes, strict=False)])
        theirs = scipy.stats.wilcoxon(differences, method="exact").pvalue
        assert signed_rank_p(differences) == pytest.approx(theirs)

    @given(st.lists(st.integers(-3, 3), min_size=1, max_size=8))
    def test_with_ties_counts_every_way_to_exchange_the_pairs(self, differences):
        differences = np.array(differences)
        moved = differences[differences != 0]
        if len(moved) == 0:
            assert signed_rank_p(differences) == 1
            return
        ranks = scipy.stats.rankdata(np.abs(moved))
        ways = np.array(np.meshgrid(*[[0, 1]] * len(moved))).reshape(len(moved), -1)
        sums = ranks @ ways
        seen = ranks[moved > 0].sum()
        low = min(seen, ranks.sum() - seen)
        assert signed_rank_p(differences) == pytest.approx(min(1, 2 * np.mean(sums <= low)))

    def test_of_very_many_pairs_is_nearly_what_counting_gives(self, monkeypatch):
        random = np.random.default_rng(1)
        differences = np.round(random.normal(0.15, 1, 190), 1)
        counted = signed_rank_p(differences)
        monkeypatch.setattr("sweep.analysis.paired.MOST_EXACT", 10)
        assert signed_rank_p(differences) == pytest.approx(counted, rel=0.02)

    def test_of_thirty_pairs_that_all_agree_is_as_small_as_it_can_be(self):
        assert signed_rank_p(np.arange(1, 31)) == pytest.approx(2.0**-29)


class TestManyComparisons:
    def test_are_adjusted_as_holm_did(self):
        assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])

    def test_of_none_are_none(self):
        assert holm([]) == []

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
    def test_stay_in_order_and_never_become_more_certain(self, values):
        adjusted = holm(values)
        assert all(a >= v for a, v in zip(adjusted, values, strict=True))
        assert max(adjusted) <= 1
        pairs = sorted(zip(values, adjusted, strict=True))
        assert [a for _, a in pairs] == sorted(adjusted)
        assert min(adjusted) == pytest.approx(min(1, min(values) * len(values)))

    def test_rarely_find_anything_where_nothing_differs(self):
        random = np.random.default_rng(2)
        false = 0
        for _ in range(400):
            base = random.exponential(40, 12)
            p = [signed_rank_p(random.exponential(40, 12) - base) for _ in range(8)]
            false += min(holm(p)) < 0.05
        assert false / 400 < 0.07


def drawn(random: np.random.Generator, runs: int, pairs: int, sigma: float, ratio: float):
    """Log-normal times whose seeds share half of the variance: [runs, pairs] for both settings."""
    seed = random.normal(size=(runs, pairs))
    own = random.normal(size=(2, runs, pairs))
    logs = sigma * np.sqrt(0.5) * (seed + own)
    return 20 * np.exp(logs[0]), 20 * ratio * np.exp(logs[1])


class TestCoverage:
    @pytest.mark.parametrize(
        ("pairs", "sigma", "budget"), [(5, 0.3, 100), (10, 0.8, 40), (30, 0.3, 100)]
    )
    def test_of_the_ratio_of_restricted_means_is_what_it_says(self, pairs, sigma, budget):
        random = np.random.default_rng([pairs, budget])
        many = [np.minimum(np.ceil(t), budget) for t in drawn(random, 1, 1_000_000, sigma, 1.5)]
        truth = many[1].mean() / many[0].mean()
        covered, cases = 0, 500
        for a, b in zip(*drawn(random, cases, pairs, sigma, 1.5), strict=True):
            found = compare_pairs(
                all_at(np.ceil(a), budget), all_at(np.ceil(b), budget), budget
            ).mean_ratio
            assert found.low is not None
            assert found.high is not None
            covered += found.low <= truth <= found.high
        # 500 cases of 95 % spread by 1 %.
        assert 0.92 < covered / cases < 0.985

    @pytest.mark.parametrize(("pairs", "sigma", "budget"), [(10, 0.3, 100), (31, 0.8, 60)])
    def test_of_the_ratio_of_medians_is_at_least_what_it_says(self, pairs, sigma, budget):
        random = np.random.default_rng([pairs, budget])
        covered, cases = 0, 300
        for a, b in zip(*drawn(random, cases, pairs, sigma, 1.5), strict=True):
            found = compare_pairs(all_at(a, budget), all_at(b, budget), budget).ratio
            low = -math.inf if found.low is None else found.low
            high = math.inf if found.high is None else found.high
            covered += low <= 1.5 <= high
        assert covered / cases > 0.93

    def test_of_the_p_value_where_nothing_differs(self):
        random = np.random.default_rng(9)
        found = [
            compare_pairs(all_at(np.ceil(a), 40), all_at(np.ceil(b), 40), 40).p_value < 0.05
            for a, b in zip(*drawn(random, 600, 20, 0.5, 1.0), strict=True)
        ]
        assert np.mean(found) < 0.07
