"""The laws of a study: which trials make a line, and what is said of it."""

import json

import numpy as np
import pytest

from studies.errors import BadInput
from sweep.comparing import law_as_json, law_finding, laws_of

RATES = [0.00025, 0.0005, 0.001, 0.002, 0.004]


def inverse(configuration, seed: int) -> float:
    own = np.random.default_rng([seed, int(1e6 * configuration.learning_rate)]).normal()
    shared = np.random.default_rng(seed).normal()
    return 0.02 / configuration.learning_rate * np.exp(0.1 * own + 0.15 * shared)


class TestALine:
    def test_is_the_trials_that_differ_in_one_setting(self, make):
        points = [
            *make.points(learning_rate=RATES, units=[8]),
            {"learning_rate": 0.001, "units": 30},
        ]
        (found,) = laws_of(make.result(points, inverse))
        assert (found.key, found.others, found.left_out) == ("learning_rate", "", ())
        assert [level.x for level in found.law.levels] == RATES
        assert found.law.runs == 30
        assert found.law.exponent.low < -0.97
        assert found.law.exponent.high > -1.03

    def test_has_a_law_of_its_own_beside_others(self, make):
        def wait(configuration, seed):
            power = -1.0 if configuration.optimizer == "adam" else -0.5
            return 15 * (configuration.learning_rate / 0.001) ** power * make.jitter(seed)

        result = make.result(make.points(optimizer=["adam", "sgd"], learning_rate=RATES), wait)
        adam, sgd = laws_of(result, "learning_rate")
        assert [adam.others, sgd.others] == ["adam", "sgd"]
        assert adam.law.exponent.value == pytest.approx(-1, abs=0.05)
        assert sgd.law.exponent.value == pytest.approx(-0.5, abs=0.05)

    def test_ends_with_its_fastest_value(self, make):
        def wait(configuration, seed):
            rate = configuration.learning_rate
            return (
                np.inf if rate > 0.1 else (0.02 / rate if rate < 0.01 else 40) * make.jitter(seed)
            )

        result = make.result(make.points(learning_rate=[*RATES, 0.05, 0.5]), wait)
        (found,) = laws_of(result)
        assert [level.x for level in found.law.levels] == RATES
        assert found.left_out == (0.05, 0.5)
        assert "0.05 and 0.5 left out" in " ".join(law_finding(found))

    def test_of_which_too_little_is_left_has_no_law(self, make):
        def wait(configuration, seed):
            return {1: 20, 2: 10, 3: 15, 4: 25}[configuration.layers] * make.jitter(seed)

        (found,) = laws_of(make.result(make.points(layers=[1, 2, 3]), wait))
        assert found.law is None
        assert "nothing can be said of a law of the escape" in law_finding(found)[0]
        assert law_as_json(found)["exponent"] is None

    def test_at_the_floor_of_what_can_be_measured_has_no_law(self, make):
        (found,) = laws_of(make.result(make.points(learning_rate=RATES), lambda c, s: 2))
        assert found.law is None
        assert found.at_floor == tuple(RATES)
        (text,) = law_finding(found)
        assert "nothing can be said of a law of the escape, which needs 3 values" in text
        assert "the median run is there within 2 epochs, sooner than can be measured" in text
        assert law_as_json(found) | {"exponent": None, "at_floor": RATES} == law_as_json(found)

    def test_is_fitted_to_the_values_above_the_floor_only(self, make):
        def wait(configuration, seed):
            # Where nothing but the floor is left, the line would bend.
            return max(1.5, inverse(configuration, seed))

        rates = [*RATES, 0.016, 0.032]
        (found,) = laws_of(make.result(make.points(learning_rate=rates), wait))
        assert [level.x for level in found.law.levels] == RATES
        assert found.at_floor == (0.016, 0.032)
        assert found.law.exponent.value == pytest.approx(-1, abs=0.05)
        assert "Left out are 0.016 and 0.032, where the median run is there within 2" in " ".join(
            law_finding(found)
        )

    def test_of_which_most_runs_never_got_there_is_not_told_by_two_medians(self, make):
        result = make.result(make.points(learning_rate=RATES[:3]), inverse, budget=50)
        (found,) = laws_of(result)
        assert found.law is None
        assert found.beyond_budget == (0.00025,)
        assert "at 0.00025 most runs were not within budget" in law_finding(found)[0]

    def test_counts_censored_runs_as_what_they_are(self, make):
        (found,) = laws_of(make.result(make.points(learning_rate=RATES), inverse, budget=60))
        assert found.law.reached < found.law.runs
        assert found.law.exponent.value == pytest.approx(-1, abs=0.06)
        assert "of them censored" in law_finding(found)[0]


class TestTheMeasure:
    def test_of_updates_counts_batches(self, make):
        # As many updates at every batch size, so epochs go with its first power.
        result = make.result(
            make.points(batch_size=[20, 50, 100, 200]),
            lambda c, s: max(0.6, 60 * make.jitter(s) / (200 / c.batch_size)),
            budget=300,
        )
        (epochs,) = laws_of(result, "batch_size", "plateau")
        assert epochs.law.exponent.value == pytest.approx(1, abs=0.05)
        assert epochs.theory.exponent == 1
        (updates,) = laws_of(result, "batch_size", "updates")
        assert updates.theory is None
        assert abs(updates.law.exponent.value) < 0.35

    def test_that_a_law_is_not_of_is_refused(self, make):
        result = make.result(make.points(learning_rate=RATES), inverse)
        with pytest.raises(BadInput, match="a law is of plateau, epochs or updates"):
            laws_of(result, measure="flops")


class TestTheFinding:
    def test_says_exponent_interval_runs_and_theory(self, make):
        (found,) = laws_of(make.result(make.points(learning_rate=RATES), inverse, seeds=range(20)))
        text = " ".join(law_finding(found))
        assert text.startswith("By learning rate, the escape goes with the power −1.0")
        assert "±" in text
        assert "100 runs at 5 values" in text
        assert "Theory has −1.00 (Saxe, McClelland and Ganguli 2013" in text
        assert "inside the 95 % interval" in text

    def test_says_where_another_form_fits_better(self, make):
        result = make.result(
            make.points(output_scale=[1e-4, 1e-3, 1e-2, 1e-1, 1.0]),
            lambda c, s: (10 + 6 * np.log(1 / c.output_scale)) * make.jitter(s),
            seeds=range(20),
        )
        (found,) = laws_of(result)
        assert found.law.best == "logarithmic"
        text = " ".join(law_finding(found))
        assert "Theory has a logarithm" in text
        assert "A logarithm fits better" in text

    def test_has_a_document_of_plain_values(self, make):
        (found,) = laws_of(make.result(make.points(learning_rate=RATES), inverse))
        document = law_as_json(found)
        assert json.loads(json.dumps(document, allow_nan=False)) == document
        assert document["exponent_low"] < document["exponent"] < document["exponent_high"]
        assert len(document["local_exponents"]) == 4


class TestBadInput:
    def test_a_study_without_a_line_is_refused(self, make):
        result = make.result(make.points(optimizer=["adam", "sgd"], layers=[1, 2]), lambda c, s: 5)
        with pytest.raises(BadInput, match="no law to fit: no 3 of its trials differ in one"):
            laws_of(result)
        with pytest.raises(BadInput, match="differ in layers only"):
            laws_of(result, "layers")
        with pytest.raises(BadInput, match="differ in optimizer only"):
            laws_of(result, "optimizer")

    def test_an_unknown_key_is_refused_with_the_nearest(self, make):
        result = make.result(make.points(learning_rate=RATES), inverse)
        with pytest.raises(BadInput, match=r"did you mean learning_rate\?"):
            laws_of(result, "lr")
