"""Levels held after the escape: on curves whose answer is known, planted in noise, and in none."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from studies.run import Configuration, FinishedRun, Run
from sweep.analysis import segments
from sweep.analysis.plateau import plateaus_of
from sweep.analysis.segments import (
    LaterPlateaus,
    held_levels,
    later_plateaus,
    later_plateaus_of,
)

RECORDS = 200


def rise(low: float, high: float, epochs: int) -> list[float]:
    """Even steps from above `low` to `high`."""
    return np.linspace(low, high, epochs + 1)[1:].tolist()


def of(*curves, escape=1.0, solved=None, records=RECORDS) -> LaterPlateaus:
    longest = max(len(curve) for curve in curves)
    accuracy = np.full((len(curves), longest), 0.123)
    for row, curve in enumerate(curves):
        accuracy[row, : len(curve)] = curve
    lengths = np.array([len(curve) for curve in curves])
    done = np.array([curve[-1] >= 1.0 for curve in curves]) if solved is None else solved
    escapes = np.broadcast_to(np.asarray(escape, dtype=float), len(curves))
    return later_plateaus(accuracy, lengths, done, escapes, records=records, chance=0.5)


def found(*args, **kwargs) -> list[tuple[int, int, float, bool]]:
    """Start, length, level and whether it goes on, of every plateau of one curve."""
    rows = of(*args, **kwargs)
    return [
        (int(s), int(n), round(float(level), 3), bool(c))
        for s, n, level, c in zip(rows.start, rows.length, rows.level, rows.censored, strict=True)
    ]


class TestAKnownCurve:
    def test_that_stops_at_75_percent_has_one_later_plateau(self):
        curve = [0.5] * 10 + [0.75] * 20 + [0.9, 1.0]
        assert found(curve, escape=11) == [(11, 20, 0.75, False)]

    def test_with_three_levels_has_three(self):
        curve = [0.625] * 15 + [0.75] * 25 + [0.875] * 35 + [1.0]
        assert found(curve) == [
            (1, 15, 0.625, False),
            (16, 25, 0.75, False),
            (41, 35, 0.875, False),
        ]

    def test_that_ends_on_a_level_has_a_plateau_that_goes_on(self):
        assert found([*rise(0.5, 0.75, 3), *[0.75] * 40]) == [(3, 41, 0.75, True)]

    def test_that_was_never_outside_chance_has_none(self):
        assert found([0.5] * 50, escape=math.nan) == []

    def test_is_looked_at_from_its_escape_on(self):
        assert found([0.5] * 30 + [0.75] * 10 + [1.0], escape=31) == [(31, 10, 0.75, False)]

    def test_that_only_rises_has_none(self):
        for epochs in (1, 2, 5, 10, 20, 60, 150):
            assert found(rise(0.5, 1.0, epochs)) == []

    def test_that_is_solved_at_once_has_none(self):
        assert found([1.0]) == []
        assert found([0.9, 1.0]) == []

    def test_with_a_level_too_short_to_be_told_has_none(self):
        assert found([0.75] * (segments.SHORTEST - 1) + [1.0]) == []
        assert found([0.75] * segments.SHORTEST + [1.0]) == [(1, segments.SHORTEST, 0.75, False)]

    def test_that_leaves_its_level_for_an_epoch_or_two_stays_on_it(self):
        curve = [*[0.75] * 12, 0.95, 0.55, *[0.75] * 12, 1.0]
        assert found(curve) == [(1, 26, 0.75, False)]
        long = [*[0.75] * 12, 0.95, 0.95, 0.95, 0.95, *[0.75] * 12, 1.0]
        assert [row[:2] for row in found(long)] == [(1, 12), (17, 12)]

    def test_that_falls_back_holds_a_level_there_as_well(self):
        curve = [*[0.8] * 20, *[0.5] * 10, *[0.8] * 20]
        assert [row[:3] for row in found(curve)] == [(1, 20, 0.8), (21, 10, 0.5), (31, 20, 0.8)]

    def test_that_diverges_ends_with_its_last_number(self):
        curve = [*[0.75] * 20, math.nan]
        assert found(curve, solved=np.array([False])) == [(1, 20, 0.75, True)]

    def test_of_very_many_epochs_is_found_as_well(self):
        curve = [*rise(0.5, 0.75, 100), *[0.75] * 3000, *rise(0.75, 1.0, 100)]
        ((start, length, level, goes_on),) = found(curve)
        stretch = len(curve) / segments.FINEST
        assert abs(start - 101) <= 2 * stretch
        assert abs(length - 3000) <= 3 * stretch
        assert level == pytest.approx(0.75, abs=0.005)
        assert not goes_on

    def test_beyond_its_length_is_not_looked_at(self):
        accuracy = np.full((1, 100), 0.75)
        rows = later_plateaus(
            accuracy, np.array([4]), np.array([False]), np.array([1.0]), records=200, chance=0.5
        )
        assert len(rows) == 0


def noisy(path: list[float], curves: int, seed: int) -> LaterPlateaus:
    """Of as many curves as asked for: guesses of 200 records about a path."""
    random = np.random.default_rng(seed)
    accuracy = random.binomial(RECORDS, np.tile(path, (curves, 1))) / RECORDS
    return of(*accuracy, solved=np.zeros(curves, dtype=bool))


class TestNoise:
    @pytest.mark.parametrize(("epochs", "least"), [(8, 0.7), (12, 0.9), (20, 0.95), (60, 0.99)])
    def test_does_not_hide_a_level_between_two_rises(self, epochs, least):
        path = [*rise(0.5, 0.75, 3), *[0.75] * epochs, *rise(0.75, 1.0, 3)]
        rows = noisy(path, 200, epochs)
        right = np.abs(rows.level - 0.75) < 0.05
        assert len(np.unique(rows.run[right])) / 200 >= least
        assert np.median(np.abs(rows.start[right] - 3)) <= 1
        assert np.median(np.abs(rows.length[right] - epochs)) <= 2
        assert len(rows) / 200 < 1.1

    def test_makes_one_level_of_one_level(self):
        rows = noisy([*rise(0.5, 0.75, 3), *[0.75] * 100], 200, 1)
        assert np.bincount(rows.run, minlength=200).max() == 1
        assert len(rows) > 195
        assert np.mean(rows.censored) > 0.97

    @pytest.mark.parametrize("epochs", [10, 20, 60, 150])
    def test_makes_hardly_any_levels_of_an_even_rise(self, epochs):
        assert len(noisy(rise(0.63, 1.0, epochs), 200, epochs)) / 200 < 0.12


class TestLevelsInCommon:
    def test_are_told_apart_and_ordered_by_the_runs_that_hold_them(self):
        path = [*[0.625] * 15, *[0.75] * 15, *[0.875] * 15, 1.0]
        short = [*[0.75] * 15, 1.0]
        curves = [path] * 20 + [short] * 5
        random = np.random.default_rng(2)
        drawn = [random.binomial(RECORDS, curve) / RECORDS for curve in curves]
        levels = held_levels(of(*drawn, solved=np.ones(25, dtype=bool)), records=RECORDS)
        first, second, third = levels[:3]
        assert first.level == pytest.approx(0.75, abs=0.01)
        assert 23 <= first.runs <= 25
        assert {round(second.level, 1), round(third.level, 1)} == {0.6, 0.9}
        assert first.start_median == pytest.approx(16, abs=1)
        assert first.length_median == pytest.approx(15, abs=1)

    def test_held_to_the_end_by_most_have_no_median_length(self):
        ends, leaves = [0.75] * 40, [*[0.75] * 12, 1.0]
        (level,) = held_levels(of(ends, ends, leaves), records=RECORDS)
        assert (level.runs, level.length_median) == (3, None)
        (level,) = held_levels(of(ends, leaves, leaves), records=RECORDS)
        assert level.length_median == 12

    def test_of_no_plateaus_are_none(self):
        assert held_levels(of([0.9, 1.0]), records=RECORDS) == []


@given(
    curves=arrays.arrays(np.float64, (5, 30), elements=st.floats(0, 1)),
    lengths=arrays.arrays(np.int64, 5, elements=st.integers(1, 30)),
    escapes=st.lists(st.one_of(st.just(math.nan), st.integers(1, 30)), min_size=5, max_size=5),
)
def test_a_curve_is_judged_by_itself_alone(curves, lengths, escapes):
    escape = np.minimum(np.array(escapes, dtype=float), lengths)
    solved = np.arange(5) % 2 == 0
    cut = [curve[:n] for curve, n in zip(curves, lengths, strict=True)]
    together = of(*cut, escape=escape, solved=solved)
    for run in range(5):
        alone = of(cut[run], escape=escape[run], solved=solved[run : run + 1])
        own = together.run == run
        for name in ("level", "start", "length", "censored"):
            assert getattr(together, name)[own].tolist() == pytest.approx(
                getattr(alone, name).tolist()
            )


@given(arrays.arrays(np.float64, (4, 40), elements=st.sampled_from([0.5, 0.7, 0.75, 0.9, 1.0])))
def test_plateaus_of_a_run_are_in_order_and_do_not_overlap(curves):
    rows = of(*curves, escape=3.0, solved=np.zeros(4, dtype=bool))
    for run in range(4):
        own = rows.run == run
        start, end = rows.start[own], rows.start[own] + rows.length[own]
        assert (start >= 3).all()
        assert (end <= 41).all()
        assert (start[1:] >= end[:-1]).all()
        assert (rows.length[own] >= segments.SHORTEST).all()


def test_very_long_curves_beside_short_ones_do_not_change_these():
    short, long = [*[0.75] * 20, 1.0], [*rise(0.5, 0.75, 100), *[0.75] * 1000]
    alone, beside = of(short), of(short, long)
    assert beside.start[0] == alone.start[0]
    assert beside.length[0] == alone.length[0] == 20


def test_finished_runs_are_looked_at_from_the_escape_that_was_found():
    accuracy = [0.5] * 12 + [0.75] * 30 + [0.9, 1.0]
    loss = [0.693] * 12 + [0.4] * 30 + [0.2, 0.1]
    configuration = Configuration(layers=1, units=4)
    runs = [
        FinishedRun(
            Run(configuration, 0, 100), "solved", np.array([loss, accuracy], dtype=np.float32).T
        ),
        FinishedRun(
            Run(configuration, 1, 60), "censored", np.full((60, 2), [0.693, 0.5], dtype=np.float32)
        ),
    ]
    rows = later_plateaus_of(runs, plateaus_of(runs, (100, 100)), records=200)
    assert (rows.run.tolist(), rows.start.tolist(), rows.length.tolist()) == ([0], [13], [30])
    assert len(later_plateaus_of([], plateaus_of([], (100, 100)), records=200)) == 0


def test_arrays_of_different_runs_are_refused():
    with pytest.raises(ValueError, match="not of the same runs"):
        later_plateaus(np.ones((2, 5)), np.ones(2), np.ones(2), np.ones(3), records=200, chance=0.5)
