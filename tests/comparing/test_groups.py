"""Which trials are compared."""

import numpy as np
import pytest

from studies.errors import BadInput
from sweep.comparing import groups as module
from sweep.comparing.groups import (
    MOST_VALUES,
    RANGES,
    by_study,
    by_trial,
    searched_settings,
)


def by_setting(results, key):
    """All trials of the studies by a setting."""
    module.known_setting(results, key)
    members = [(result, trial) for result in results for trial in result.trials]
    return module.by_setting(results, key, members)


def trials(group) -> list[int]:
    return [trial.number for _, trial in group.members]


class TestTheValuesOfASetting:
    def test_are_groups_in_their_order(self, grid):
        groups, notes = by_setting([grid], "layers")
        assert [group.label for group in groups] == ["1", "2", "3", "4", "5", "6"]
        assert [group.words for group in groups][:2] == ["1 layer", "2 layers"]
        assert trials(groups[1]) == [1, 7]
        assert notes == []

    def test_are_words_as_well_as_numbers(self, grid):
        groups, _ = by_setting([grid], "optimizer")
        assert [(group.label, group.value) for group in groups] == [
            ("adam", "adam"),
            ("sgd", "sgd"),
        ]

    def test_of_many_numbers_become_ranges_with_as_many_trials_each(self, make):
        random = np.random.default_rng(1)
        rates = np.exp(random.uniform(np.log(1e-4), np.log(1e-1), 40)).tolist()
        result = make.result(
            [{"learning_rate": rate} for rate in rates],
            lambda c, s: 5,
            space={"learning_rate": {"low": 1e-4, "high": 1e-1, "log": True}},
            sampler="random",
        )
        groups, notes = by_setting([result], "learning_rate")
        assert len(groups) == RANGES
        assert [len(group.members) for group in groups] == [10] * RANGES
        assert groups[0].value == [min(rates), sorted(rates)[9]]
        assert sorted(n for group in groups for n in trials(group)) == list(range(40))
        assert "40 values of learning rate are divided into ranges" in notes[0]

    def test_that_a_condition_takes_away_are_left_out_and_said(self, make):
        result = make.result(
            [{"optimizer": "adam"}, *make.points(optimizer=["sgd"], momentum=[0.0, 0.9])],
            lambda c, s: 5,
            space={
                "optimizer": ["adam", "sgd"],
                "momentum": {"choices": [0.0, 0.9], "when": {"optimizer": "sgd"}},
            },
        )
        groups, notes = by_setting([result], "momentum")
        assert [trials(group) for group in groups] == [[1], [2]]
        assert notes == ["1 trial does not have the setting momentum: left out."]

    def test_of_several_studies_may_be_fixed_in_each(self, make):
        small = make.result([{}], lambda c, s: 5, name="small", training={"batch_size": 8})
        large = make.result([{}], lambda c, s: 9, name="large", training={"batch_size": 64})
        assert searched_settings([small, large]) == ["batch_size"]
        groups, _ = by_setting([small, large], "batch_size")
        assert [group.value for group in groups] == [8, 64]

    def test_that_look_alike_get_labels_that_tell_them_apart(self, make):
        result = make.result(
            [{"learning_rate": rate} for rate in (0.0010011, 0.0010012, 0.5)], lambda c, s: 5
        )
        labels = [group.label for group in by_setting([result], "learning_rate")[0]]
        assert labels == ["0.001 (1)", "0.001 (2)", "0.5"]

    def test_of_many_words_are_the_most_frequent_and_the_others(self):
        values = [f"v{n}" for n in range(MOST_VALUES + 3)]
        from sweep.comparing.groups import _frequent

        having = [((None, None), value) for value in [*values, *values[:2]]]
        groups = _frequent("cell", values, having)
        assert len(groups) == MOST_VALUES
        assert [group.label for group in groups[:2]] == ["v0", "v1"]
        assert groups[-1].label == "4 others"


class TestBadKeys:
    def test_that_no_setting_has_name_the_nearest(self, grid):
        with pytest.raises(BadInput, match=r"--by optimiser: .*did you mean optimizer\?"):
            by_setting([grid], "optimiser")
        with pytest.raises(BadInput, match=r"--by zzz: .*searched are layers, optimizer"):
            by_setting([grid], "zzz")

    def test_that_are_fixed_say_so_and_what_differs(self, grid):
        with pytest.raises(BadInput, match=r"batch_size: it is 32 in all.*what differs is layers"):
            by_setting([grid], "batch_size")

    def test_of_a_study_without_trials_say_so(self, make):
        empty = make.result([], make.by_optimizer, space={"layers": [1, 2]})
        with pytest.raises(BadInput, match="no trial has finished yet"):
            by_setting([empty], "layers")

    def test_from_outside_are_shown_without_control_signs(self, grid):
        with pytest.raises(BadInput) as raised:
            by_setting([grid], "lay\x1b[31mers")
        assert "\x1b" not in str(raised.value)


class TestTrials:
    def test_are_groups_of_one(self, grid):
        groups = by_trial(grid, [7, 0])
        assert [(group.label, group.value, trials(group)) for group in groups] == [
            ("trial 7", 7, [7]),
            ("trial 0", 0, [0]),
        ]

    @pytest.mark.parametrize(
        ("numbers", "said"),
        [
            ([0, 99], "no trial 99; its trials are 0 to 11"),
            ([3, 3], "trial 3 is named twice"),
            ([3], "one trial alone"),
        ],
    )
    def test_that_cannot_be_compared_are_refused(self, grid, numbers, said):
        with pytest.raises(BadInput, match=said):
            by_trial(grid, numbers)


class TestStudies:
    def test_are_groups_of_all_their_trials(self, make, grid):
        other = make.result([{}], make.by_optimizer, name="other")
        groups = by_study([grid, other])
        assert [group.label for group in groups] == ["name", "other"]
        assert len(groups[0].members) == 12

    def test_named_twice_or_without_trials_are_refused(self, make, grid):
        with pytest.raises(BadInput, match="named twice"):
            by_study([grid, grid])
        empty = make.result([], make.by_optimizer, name="empty", space={"layers": [1, 2]})
        with pytest.raises(BadInput, match="empty has no finished trial yet"):
            by_study([grid, empty])
