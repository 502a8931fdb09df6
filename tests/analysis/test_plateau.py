"""Plateaus on curves whose answer is known: by hand, measured, planted in noise, and pure noise."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from studies.run import Configuration, FinishedRun, Run
from sweep.analysis import plateau
from sweep.analysis.plateau import (
    Plateaus,
    chance_band,
    find_plateaus,
    plateaus_of,
    regression_band,
)

BALANCED = (100, 100)

# Four runs of stock Keras (3.15): three LSTM layers of 15 units, adam at 0.001, batches of 32, 200
# records of three steps whose first is the label; they differ in the seed.
MEASURED = {
    0: (
        "693 693 692 692 691 690 689 686 682 676 666 652 630 595 546 478 397 312",
        "455 500 500 500 500 500 500 500 500 505 520 545 565 585 625 840 985 1000",
    ),
    1: (
        "693 693 693 693 693 693 693 692 692 692 691 689 687 682 675 662 642 609 561 493 403",
        "395 500 520 500 500 500 500 500 500 500 500 550 830 900 745 680 655 660 735 990 1000",
    ),
    2: (
        "693 693 693 693 692 692 691 691 689 687 682 675 663 643 612 567 504 422 329 237 161",
        "440 500 500 570 700 850 830 865 915 820 685 665 630 615 630 675 870 985 985 985 1000",
    ),
    3: (
        "693 693 693 693 693 692 692 691 690 687 683 674 660 639 606 558 491 408 320",
        "470 500 500 500 500 500 645 865 640 575 570 560 545 550 560 620 805 990 1000",
    ),
}


def measured(seed: int) -> tuple[list[float], list[float]]:
    loss, accuracy = MEASURED[seed]
    return [int(v) / 1000 for v in loss.split()], [int(v) / 1000 for v in accuracy.split()]


def plausible_loss(accuracy: np.ndarray, classes: int = 2) -> np.ndarray:
    """The loss of a calibrated network that is right this often."""
    a = np.clip(accuracy, 1 / classes, 1 - 1e-6)
    return -a * np.log(a) - (1 - a) * np.log((1 - a) / (classes - 1))


def one(accuracy, loss=None, *, solved=None, class_counts=BALANCED) -> Plateaus:
    accuracy = np.array(accuracy, dtype=np.float64)
    classes = len(class_counts)
    loss = plausible_loss(accuracy, classes) if loss is None else np.array(loss)
    solved = accuracy[-1] >= 1.0 if solved is None else solved
    return find_plateaus(
        loss[None],
        accuracy[None],
        np.array([len(accuracy)]),
        np.array([solved]),
        chance=class_counts,
    )


def escape(*args, **kwargs) -> float:
    return float(one(*args, **kwargs).escape[0])


CHANCE = [0.5, 0.48, 0.53, 0.51, 0.46, 0.5, 0.55, 0.49, 0.52, 0.5]


class TestTheChanceBand:
    def test_of_two_equal_classes_of_200_records_ends_at_63_percent(self):
        band = chance_band(BALANCED)
        assert (band.accuracy, band.loss) == (0.5, pytest.approx(math.log(2)))
        assert band.high == pytest.approx(126.5 / 200)
        assert band.low == pytest.approx(73.5 / 200)

    @pytest.mark.parametrize(
        "counts", [(100, 100), (170, 30), (20,) * 10, (300, 150, 50), (10, 10)]
    )
    @pytest.mark.parametrize("says", ["one class", "one class a batch", "any class"])
    def test_is_hardly_ever_left_by_a_network_that_knows_nothing(self, counts, says):
        random = np.random.default_rng(7)
        labels = np.repeat(np.arange(len(counts)), counts)
        records, epochs = len(labels), 20_000
        share = np.array(counts) / records
        above = 0
        for _ in range(epochs):
            if says == "one class":
                answers = np.full(records, random.integers(len(counts)))
            elif says == "one class a batch":
                answers = np.repeat(random.choice(len(counts), records // 32 + 1, p=share), 32)
            else:
                answers = random.choice(len(counts), records, p=share)
            right = (random.permutation(labels) == answers[:records]).mean()
            above += right > chance_band(counts).high
        assert above / epochs < 3 * plateau.TAIL

    def test_narrows_around_chance_as_records_grow(self):
        edges = [chance_band((n, n)).high for n in (10, 100, 1_000, 100_000)]
        assert edges == sorted(edges, reverse=True)
        assert edges[-1] == pytest.approx(0.5, abs=0.01)

    def test_of_the_loss_surrounds_the_cross_entropy_of_the_classes(self):
        for counts in [(100, 100), (170, 30), (20,) * 10, (300, 150, 50)]:
            band = chance_band(counts)
            assert 0 < band.loss_low < band.loss < band.loss_high
            assert band.loss - band.loss_low == pytest.approx(band.loss_high - band.loss)

    def test_of_the_loss_ends_where_a_network_right_that_often_would_be(self):
        band = chance_band(BALANCED)
        assert band.loss_low == pytest.approx(plausible_loss(np.array(band.high)))

    def test_pays_no_heed_to_a_class_without_records(self):
        assert chance_band((100, 0, 100)) == chance_band(BALANCED)

    def test_needs_two_classes(self):
        with pytest.raises(ValueError, match="two classes"):
            chance_band((200, 0))


class TestTheChanceBandOfNumbers:
    """The adding problem: two numbers of −1 … 1 to add, scaled to 0.5 + sum / 4, within 0.04."""

    @staticmethod
    def targets(records: int, seed: int = 0) -> np.ndarray:
        return 0.5 + np.random.default_rng(seed).uniform(-1, 1, (records, 2)).sum(axis=1) / 4

    def band(self, targets: np.ndarray):
        near = max(np.mean(np.abs(targets - c) < 0.04) for c in np.linspace(0, 1, 101))
        return regression_band(float(near), float(targets.var()), len(targets))

    def test_has_a_loss_below_the_variance_and_no_lower_edge(self):
        band = self.band(self.targets(1000))
        assert band.low == 0
        assert band.accuracy < band.high < 0.25
        assert 0.98 * band.loss < band.loss_low < band.loss < band.loss_high

    def test_is_hardly_ever_left_by_predictions_that_know_nothing(self):
        random = np.random.default_rng(3)
        targets = self.targets(200)
        band = self.band(targets)
        above = 0
        for _ in range(5_000):
            said = random.uniform(0.3, 0.7) + random.normal(0, 0.05, 200)
            above += np.mean(np.abs(targets - said) < 0.04) > band.high
        assert above <= 3
        explained = [np.corrcoef(targets, random.normal(size=200))[0, 1] ** 2 for _ in range(5_000)]
        assert np.mean(np.array(explained) > 1 - band.loss_low / band.loss) < 0.001

    def test_finds_where_a_run_begins_to_add(self):
        random = np.random.default_rng(4)
        targets = self.targets(200)
        band, curve = self.band(targets), []
        for epoch in range(1, 61):
            known = np.clip((epoch - 20) / 20, 0, 1)
            said = known * targets + (1 - known) * 0.5 + random.normal(0, 0.03, 200)
            curve.append([np.mean((said - targets) ** 2), np.mean(np.abs(said - targets) < 0.04)])
        loss, accuracy = np.array(curve).T
        found = find_plateaus(
            loss[None], accuracy[None], np.array([60]), np.array([False]), chance=band
        )
        assert found.band is band
        # A third of the way, so with half of the variance explained.
        assert 22 <= found.escape[0] <= 28

    def test_of_targets_that_one_number_meets_is_refused(self):
        for accuracy, variance in ((1.0, 0.1), (0.2, 0.0), (0.2, math.nan)):
            with pytest.raises(ValueError, match="nothing to learn"):
                regression_band(accuracy, variance, 100)


class TestAKnownCurve:
    def test_that_steps_from_chance_to_solved(self):
        found = one([*CHANCE, 0.8, 0.95, 1.0])
        assert found.escape[0] == 11
        assert found.plateau_length[0] == 10
        assert not found.plateau_censored[0]
        assert found.transition_length[0] == 2
        assert found.sharpness[0] == pytest.approx(0.3)

    def test_that_starts_outside_has_a_plateau_of_no_epochs(self):
        found = one([0.8, 0.9, 1.0])
        assert (found.escape[0], found.plateau_length[0], found.transition_length[0]) == (1, 0, 2)
        assert found.sharpness[0] == pytest.approx(0.1)

    def test_that_starts_solved_is_one_epoch_long(self):
        found = one([1.0])
        assert (found.escape[0], found.plateau_length[0], found.transition_length[0]) == (1, 0, 0)
        assert math.isnan(found.sharpness[0])

    def test_that_never_moves_has_a_censored_plateau(self):
        found = one([0.5] * 100)
        assert math.isnan(found.escape[0])
        assert found.plateau_length[0] == 100
        assert found.plateau_censored[0]
        assert math.isnan(found.transition_length[0])
        assert math.isnan(found.sharpness[0])

    def test_that_holds_a_level_below_the_target_has_escaped_and_no_transition(self):
        found = one([*CHANCE, *[0.75] * 30])
        assert found.escape[0] == 11
        assert math.isnan(found.transition_length[0])

    def test_whose_excursion_ends_has_not_escaped_by_it(self):
        assert math.isnan(escape([*CHANCE, 0.75, 0.8, 0.75, *CHANCE]))
        assert escape([*CHANCE, 0.75, 0.8, 0.75, *CHANCE, 0.8, 0.9, 1.0]) == 24

    def test_with_a_short_dip_keeps_its_escape(self):
        assert escape([*CHANCE, 0.75, 0.8, 0.8, 0.55, 0.5, 0.85, 0.9, 1.0]) == 11

    def test_that_falls_back_at_its_end_for_fewer_epochs_than_it_was_out_keeps_its_escape(self):
        assert escape([*CHANCE, *[0.8] * 11, *CHANCE]) == 11
        assert math.isnan(escape([*CHANCE, *[0.8] * 10, *CHANCE]))

    def test_that_drops_below_the_band_has_not_escaped(self):
        assert math.isnan(escape([0.5] * 10 + [0.15] * 30, class_counts=(170, 30)))

    def test_that_diverges_at_chance_is_censored_where_it_stopped(self):
        found = one([0.5, 0.5, 0.9], [0.7, 3.0, math.nan], solved=False)
        assert found.plateau_censored[0]
        assert found.plateau_length[0] == 3

    def test_that_diverges_after_its_escape_keeps_it(self):
        accuracy = [*CHANCE, 0.8, 0.9, 0.9, 0.4]
        loss = [*plausible_loss(np.array(accuracy[:-1])), math.inf]
        assert escape(accuracy, loss, solved=False) == 11

    def test_of_nothing_but_nan_has_not_escaped(self):
        found = one([math.nan] * 5, [math.nan] * 5, solved=False)
        assert found.plateau_censored[0]

    def test_right_by_a_hair_while_its_loss_is_at_chance_is_on_its_plateau(self):
        accuracy = [0.5] * 5 + [0.9] * 5 + [0.6] * 5 + [0.9, 1.0]
        loss = [0.693] * 5 + [0.690] * 5 + [0.66] * 5 + [0.5, 0.3]
        assert escape(accuracy, loss) == 16

    def test_wrong_with_confidence_is_judged_by_its_accuracy(self):
        assert escape([0.5] * 5 + [0.8] * 20, [1.5] * 25, solved=False) == 6

    def test_whose_loss_falls_alone_is_on_its_plateau(self):
        assert math.isnan(escape([0.55] * 20, np.linspace(0.69, 0.6, 20), solved=False))

    def test_with_no_room_for_accuracy_escapes_by_its_loss(self):
        # Of ten records, all are right by chance once in a thousand epochs.
        assert chance_band((5, 5)).high == 1.0
        assert escape([0.5] * 5 + [0.9] * 5, [0.69] * 5 + [0.2] * 5, class_counts=(5, 5)) == 6
        # A class of 97.5 %.
        accuracy = [0.975] * 10 + [0.985, 0.99, 0.995, 1.0]
        loss = [0.117] * 10 + [0.055, 0.04, 0.03, 0.01]
        assert escape(accuracy, loss, class_counts=(195, 5)) == 11

    def test_solved_at_chance_escapes_with_that_epoch(self):
        # A target that chance may reach is reached all the same.
        found = one([0.5, 0.49, 0.56], solved=True)
        assert (found.escape[0], found.transition_length[0]) == (3, 0)

    def test_of_ten_classes(self):
        accuracy = [0.1, 0.12, 0.08, 0.15, 0.11, 0.3, 0.5, 0.8, 1.0]
        assert escape(accuracy, class_counts=(20,) * 10) == 6


@pytest.mark.parametrize(("seed", "expected"), [(0, 16), (1, 17), (2, 16), (3, 17)])
def test_measured_runs_escape_where_their_final_rise_begins(seed, expected):
    loss, accuracy = measured(seed)
    assert escape(accuracy, loss) == expected


class TestManyCurves:
    def planted(self, width: int, counts=BALANCED, runs=400, epochs=60):
        """Curves that rise from chance to 1 in `width` epochs from a known one on, with noise."""
        random = np.random.default_rng(width)
        records, top = sum(counts), max(counts) / sum(counts)
        start = random.integers(3, 40, runs)
        rise = np.clip((np.arange(1, epochs + 1) - start[:, None] + 1) / width, 0, 1)
        expected = top + (1 - top) * rise
        accuracy = random.binomial(records, expected) / records
        entropy = chance_band(counts).loss
        loss = entropy * (1 - rise) + 0.01 + random.normal(0, 0.005, rise.shape)
        solved = np.ones(runs, dtype=bool)
        lengths = np.minimum(start + width - 1, epochs)
        return find_plateaus(loss, accuracy, lengths, solved, chance=counts), start

    @pytest.mark.parametrize("width", [1, 2, 3, 4, 5, 6])
    @pytest.mark.parametrize("counts", [BALANCED, (67, 67, 66), (20,) * 10])
    def test_planted_escapes_are_found_within_an_epoch(self, width, counts):
        found, start = self.planted(width, counts)
        error = np.abs(found.escape - start)
        assert np.median(error) <= 1
        assert np.quantile(error, 0.95) <= 2

    @pytest.mark.parametrize(
        ("width", "counts"), [(12, BALANCED), (24, BALANCED), (6, (140, 60)), (12, (140, 60))]
    )
    def test_slow_rises_are_found_within_an_epoch_of_leaving_the_band(self, width, counts):
        found, start = self.planted(width, counts)
        top = found.band.accuracy
        needed = math.ceil((found.band.high - top) / (1 - top) * width) - 1
        assert np.median(np.abs(found.escape - start - needed)) <= 1

    @pytest.mark.parametrize("counts", [BALANCED, (170, 30), (20,) * 10, (15, 15)])
    @pytest.mark.parametrize("loss_says", ["chance", "nothing"])
    def test_pure_noise_escapes_in_fewer_than_one_case_in_a_hundred(self, counts, loss_says):
        random = np.random.default_rng(5)
        records, band = sum(counts), chance_band(counts)
        accuracy = random.binomial(records, band.accuracy, (20_000, 100)) / records
        level = band.loss if loss_says == "chance" else 3 * band.loss
        loss = level + np.abs(random.normal(0, 0.02, accuracy.shape))
        lengths = random.integers(5, 101, len(accuracy))
        found = find_plateaus(loss, accuracy, lengths, lengths < 0, chance=counts)
        assert np.mean(~found.plateau_censored) < 0.01

    def test_noise_with_a_budget_of_ten_thousand_epochs_escapes_no_more_often(self):
        random = np.random.default_rng(6)
        accuracy = random.binomial(200, 0.5, (500, 10_000)) / 200
        lengths = np.full(500, 10_000)
        found = find_plateaus(accuracy + 5, accuracy, lengths, lengths < 0, chance=BALANCED)
        assert np.mean(~found.plateau_censored) < 0.01


curves = arrays.arrays(np.float64, (6, 20), elements=st.floats(0, 1))


@given(
    accuracy=curves, loss=curves, lengths=arrays.arrays(np.int64, 6, elements=st.integers(1, 20))
)
def test_a_curve_is_judged_by_itself_alone(accuracy, loss, lengths):
    solved = np.arange(6) % 2 == 0
    together = find_plateaus(loss, accuracy, lengths, solved, chance=BALANCED)
    for i in range(6):
        n = lengths[i]
        alone = one(accuracy[i, :n], loss[i, :n], solved=solved[i])
        for name in ("escape", "plateau_length", "plateau_censored", "transition_length"):
            assert np.array_equal(
                getattr(alone, name), getattr(together, name)[i : i + 1], equal_nan=True
            )
        assert alone.sharpness[0] == pytest.approx(together.sharpness[i], nan_ok=True)


@given(
    accuracy=curves, loss=curves, lengths=arrays.arrays(np.int64, 6, elements=st.integers(1, 20))
)
def test_plateau_escape_and_transition_add_up_to_the_epochs_to_target(accuracy, loss, lengths):
    found = find_plateaus(loss, accuracy, lengths, lengths > 0, chance=BALANCED)
    total = found.plateau_length + 1 + found.transition_length
    assert np.array_equal(total, lengths)
    assert not found.plateau_censored.any()


@given(
    accuracy=curves, loss=curves, lengths=arrays.arrays(np.int64, 6, elements=st.integers(1, 20))
)
def test_the_escape_is_the_majority_of_the_definition(accuracy, loss, lengths):
    loss = loss / 4  # below half of chance now and then, within the band never
    found = find_plateaus(loss, accuracy, lengths, lengths < 0, chance=BALANCED)
    for i in range(6):
        outside = [
            a > found.band.high or w < found.band.loss / 2
            for a, w in zip(accuracy[i, : lengths[i]], loss[i, : lengths[i]], strict=True)
        ]
        surplus = [sum(1 if o else -1 for o in outside[e:]) for e in range(len(outside))]
        best = max(surplus)
        if best <= 0:
            assert math.isnan(found.escape[i])
        else:
            last = max(e for e, s in enumerate(surplus) if s == best)
            assert found.escape[i] == last + 1


def test_curves_of_different_runs_are_refused():
    with pytest.raises(ValueError, match="not of the same runs"):
        find_plateaus(
            np.zeros((2, 5)), np.zeros((2, 6)), np.array([5, 5]), np.zeros(2), chance=BALANCED
        )
    with pytest.raises(ValueError, match="1 … 5"):
        find_plateaus(
            np.zeros((1, 5)), np.zeros((1, 5)), np.array([6]), np.zeros(1), chance=BALANCED
        )


def finished(seed: int) -> FinishedRun:
    loss, accuracy = measured(seed)
    run = Run(Configuration(layers=3, units=15), seed, 100)
    return FinishedRun(run, "solved", np.array([loss, accuracy], dtype=np.float32).T)


def test_finished_runs_are_analysed_in_their_order_however_they_are_divided(monkeypatch):
    runs = [finished(seed) for seed in (0, 1, 2, 3, 1)]
    whole = plateaus_of(runs, BALANCED)
    monkeypatch.setattr(plateau, "BLOCK", 2)
    parts = plateaus_of(runs, BALANCED)
    assert whole.escape.tolist() == parts.escape.tolist() == [16, 17, 16, 17, 17]
    assert whole.sharpness.tolist() == parts.sharpness.tolist()
    assert len(parts) == 5
    assert parts[1:3].plateau_length.tolist() == [16, 15]


def test_no_runs_have_no_plateaus():
    assert len(plateaus_of([], BALANCED)) == 0
