"""Laws: planted exponents found again, censored and rounded as runs are."""

import json
import math
from dataclasses import asdict

import numpy as np
import pytest
import scipy.stats

from sweep.analysis.laws import Times, fit_law, times_to

RATES = np.array([1.25e-4, 2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3, 8e-3])


def drawn(median, *, x=RATES, seeds=20, spread=0.25, budget=300, seed=0, rounding=True) -> Times:
    """Log-normal times about `median(x)`, half of whose variance a seed shares over the values."""
    random = np.random.default_rng(seed)
    own = random.normal(size=seeds)
    values, which = np.repeat(x, seeds), np.tile(np.arange(seeds), len(x))
    noise = math.sqrt(0.5) * (own[which] + random.normal(size=len(values)))
    times = np.array([median(value) for value in values]) * np.exp(spread * noise)
    if not rounding:
        return Times(values, times * (1 - 1e-6), times, which)
    epochs = np.minimum(np.ceil(times), budget)
    return Times(values, *times_to(epochs, times <= budget), which)


def inverse(x: float) -> float:
    return 0.015 / x


class TestAPowerLaw:
    def test_of_an_inverse_learning_rate_has_the_exponent_minus_one(self):
        found = fit_law(drawn(inverse))
        assert found.exponent.value == pytest.approx(-1, abs=0.05)
        assert found.exponent.low < -1 < found.exponent.high
        assert found.spread == pytest.approx(0.25, abs=0.05)
        # An inverse without a wait is the same law, and no other comes near.
        assert max(found.akaike["power"], found.akaike["inverse"]) < 5
        assert min(found.akaike[form] for form in ("exponential", "logarithmic", "linear")) > 50
        assert found.misfit < 1.2
        assert found.p_value > 0.05

    def test_is_found_through_censored_runs(self):
        found = fit_law(drawn(inverse, budget=60))
        assert found.reached < found.runs
        assert found.exponent.value == pytest.approx(-1, abs=0.06)
        # Leaving censored runs out, or taking the budget for their time, bends the law.
        times = drawn(inverse, budget=60)
        middle = np.minimum(times.until, 60.0)
        naive = np.polyfit(np.log(times.x), np.log(middle), 1)[0]
        assert abs(naive + 1) > 0.1

    def test_is_found_through_times_of_one_or_two_epochs(self):
        found = fit_law(drawn(lambda x: 0.004 / x, seeds=30))
        assert found.levels[-1].median < 1
        assert found.exponent.value == pytest.approx(-1, abs=0.05)

    def test_without_censoring_or_rounding_is_least_squares(self):
        times = drawn(inverse, rounding=False)
        line = scipy.stats.linregress(np.log(times.x), np.log(times.until))
        assert fit_law(times).exponent.value == pytest.approx(line.slope, abs=1e-3)

    def test_says_what_each_value_had(self):
        times = drawn(inverse, budget=60)
        found = fit_law(times)
        assert [level.x for level in found.levels] == RATES.tolist()
        assert sum(level.runs for level in found.levels) == found.runs == 140
        assert sum(level.reached for level in found.levels) == found.reached
        for level in found.levels[3:]:
            own = times.until[times.x == level.x] - 0.5
            assert level.median == pytest.approx(np.exp(np.log(own).mean()), rel=0.1)
            assert level.law == pytest.approx(inverse(level.x), rel=0.15)

    def test_is_turned_down_where_the_values_do_not_follow_it(self):
        found = fit_law(drawn(lambda x: 15 * (1 + 4 * (math.log10(x) + 3) ** 2)))
        assert found.p_value < 1e-6
        assert found.misfit > 1.5

    def test_of_a_setting_that_does_nothing_has_an_exponent_about_zero(self):
        found = fit_law(drawn(lambda x: 20.0))
        assert found.exponent.low < 0 < found.exponent.high
        assert abs(found.exponent.value) < 0.05

    @pytest.mark.parametrize(("seeds", "budget"), [(5, 300), (12, 60)])
    def test_interval_covers_the_exponent_about_as_often_as_it_says(self, seeds, budget):
        covered, cases = 0, 40
        for seed in range(cases):
            times = drawn(inverse, x=RATES[::2], seeds=seeds, budget=budget, seed=seed)
            found = fit_law(times).exponent
            covered += found.low <= -1 <= found.high
        assert covered / cases >= 0.85


class TestOtherForms:
    def test_the_logarithm_of_the_initial_scale_is_told_from_a_power(self):
        scales = np.array([1e-4, 1e-3, 1e-2, 1e-1, 1.0])
        found = fit_law(drawn(lambda x: 10 + 8 * math.log(1 / x), x=scales, seeds=30))
        assert found.best == "logarithmic"
        assert found.akaike["power"] > 10

    def test_exponential_growth_with_layers_is_told_from_a_power(self):
        layers = np.array([1.0, 2, 3, 4, 6])
        found = fit_law(drawn(lambda x: 4 * math.exp(0.7 * x), x=layers, seeds=30, spread=0.1))
        assert found.best == "exponential"
        assert found.akaike["power"] > 10

    def test_an_inverse_with_a_wait_that_stays_is_told_from_a_power(self):
        found = fit_law(drawn(lambda x: 5 + inverse(x)))
        assert found.best == "inverse"
        assert found.akaike["power"] > 10
        assert found.exponent.low > -1
        # Where the waits are long, the inverse shows all the same.
        exponents = found.local_exponents
        assert len(exponents) == 6
        assert exponents[0] == pytest.approx(-0.95, abs=0.12)
        assert exponents[-1] > -0.5

    def test_a_straight_line_is_told_from_a_power(self):
        sizes = np.array([8.0, 16, 32, 64, 128])
        found = fit_law(drawn(lambda x: 30 + x, x=sizes, seeds=30, spread=0.1))
        assert found.best == "linear"


class TestTheTimes:
    def test_of_a_run_lie_within_its_epoch_or_after_its_budget(self):
        after, until = times_to(np.array([1, 17, 100]), np.array([True, True, False]))
        assert after.tolist() == [0, 16, 100]
        assert until.tolist() == [1, 17, math.inf]

    def test_of_one_seed_have_an_exponent_without_an_interval(self):
        found = fit_law(drawn(inverse, seeds=1))
        assert found.exponent.value == pytest.approx(-1, abs=0.3)
        assert (found.exponent.low, found.exponent.high) == (None, None)

    def test_that_agree_to_within_their_rounding_are_fitted_all_the_same(self):
        x = np.repeat([1.0, 2.0, 4.0], 4)
        times = Times(x, *times_to(np.ceil(40 / x), np.full(12, True)), np.tile(np.arange(4), 3))
        found = fit_law(times)
        assert found.exponent.value == pytest.approx(-1, abs=0.05)
        assert found.spread < 0.05

    def test_of_two_values_or_of_nothing_that_got_there_are_refused(self):
        with pytest.raises(ValueError, match="three values"):
            fit_law(drawn(inverse, x=RATES[:2]))
        with pytest.raises(ValueError, match="three values above 0"):
            fit_law(drawn(lambda x: 5.0, x=np.array([0.0, 0.5, 1.0])))
        with pytest.raises(ValueError, match="two values"):
            fit_law(drawn(lambda x: 1e6))

    def test_give_plain_numbers(self):
        document = asdict(fit_law(drawn(inverse, seeds=5)))
        assert json.loads(json.dumps(document, allow_nan=False))["runs"] == 35
