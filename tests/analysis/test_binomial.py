"""The exact binomial tails, against scipy's."""

import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from sweep.analysis.binomial import quantile_above, upper_tail


@given(
    trials=st.integers(1, 500),
    probability=st.floats(0.001, 0.999),
    share=st.floats(0.0, 1.0),
)
def test_an_upper_tail_is_scipys(trials: int, probability: float, share: float):
    successes = round(share * trials)
    expected = scipy.stats.binom.sf(successes - 1, trials, probability)
    assert upper_tail(trials, probability, successes) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(
    ("probability", "successes", "expected"),
    [(0.0, 1, 0.0), (1.0, 7, 1.0), (0.4, 0, 1.0), (0.4, 8, 0.0)],
)
def test_certain_and_impossible_tails_are_one_and_zero(probability, successes, expected):
    assert upper_tail(7, probability, successes) == expected


@given(trials=st.integers(1, 500), probability=st.floats(0.01, 0.99), tail=st.floats(1e-6, 0.5))
def test_the_quantile_is_the_first_count_exceeded_so_rarely(trials, probability, tail):
    k = quantile_above(trials, probability, tail)
    assert scipy.stats.binom.sf(k, trials, probability) <= tail * (1 + 1e-9)
    if k > 0:
        assert scipy.stats.binom.sf(k - 1, trials, probability) > tail * (1 - 1e-9)


def test_a_million_records_are_no_trouble():
    k = quantile_above(1_000_000, 0.5, 1e-4)
    assert k == scipy.stats.binom.isf(1e-4, 1_000_000, 0.5)


@pytest.mark.filterwarnings("error")
def test_what_never_or_always_happens_has_no_tail():
    assert quantile_above(50, 0.0, 1e-4) == 0
    assert quantile_above(50, 1.0, 1e-4) == 50
