"""Comparisons of studies' results: pairing, measures, sentences and documents."""

import json
from zlib import crc32

import numpy as np
import pytest

from studies.errors import BadInput
from sweep.comparing import (
    as_json,
    compare_setting,
    compare_studies,
    compare_trials,
    finding,
    laws_of,
)
from sweep.comparing.cells import groups_cells
from sweep.report.rows import number


class TestPairing:
    def test_of_a_grid_is_by_seed_and_equal_other_settings(self, grid):
        (pair,) = compare_setting([grid], "optimizer").result.contrasts
        assert (pair.paired, pair.pairs, pair.configurations) == (True, 36, 6)
        assert (pair.faster, pair.slower) == (0, 36)

    def test_passes_over_settings_that_follow_from_what_is_compared(self, make):
        # Keras's learning rate for sgd is another than for adam; momentum is sgd's alone.
        result = make.result(
            [{"optimizer": "adam"}, {"optimizer": "sgd", "momentum": 0.9}],
            make.by_optimizer,
            space={
                "optimizer": ["adam", "sgd"],
                "momentum": {"choices": [0.5, 0.9], "when": {"optimizer": "sgd"}},
            },
        )
        assert compare_setting([result], "optimizer").result.contrasts[0].paired

    def test_of_trials_is_by_seed(self, grid):
        (pair,) = compare_trials(grid, [2, 8]).result.contrasts
        assert (pair.paired, pair.pairs, pair.units) == (True, 6, 6)

    def test_of_studies_is_by_parameters(self, make):
        studies = [
            make.result(
                make.points(layers=[1, 2, 3]),
                make.by_optimizer,
                name=name,
                training={"optimizer": name},
            )
            for name in ("adam", "sgd")
        ]
        (pair,) = compare_studies(studies).result.contrasts
        assert (pair.paired, pair.pairs) == (True, 18)

    def test_leaves_out_what_was_tried_with_some_values_only(self, make):
        # One setting changed at a time, from a model of 3 layers.
        points = [*make.points(layers=[1, 3, 4], units=[8]), {"layers": 3, "units": 30}]
        result = make.result(points, make.by_optimizer)
        found = compare_setting([result], "layers")
        assert [group.trials for group in found.result.groups] == [1, 1, 1]
        assert all(pair.paired for pair in found.result.contrasts)
        assert "1 trial has no partner" in " ".join(found.notes)

    def test_is_along_the_longest_line_where_no_settings_have_every_value(self, make):
        points = [
            *make.points(optimizer=["adam"], layers=[1, 2, 3, 4]),
            *make.points(optimizer=["sgd"], layers=[5, 6]),
        ]
        found = compare_setting([make.result(points, make.by_optimizer)], "layers")
        assert [group.label for group in found.result.groups] == ["1", "2", "3", "4"]
        assert "2 trials have no partner" in " ".join(found.notes)

    def test_is_none_where_a_search_chose_and_that_is_said(self, make):
        random = np.random.default_rng(2)
        points = [
            {
                "optimizer": str(random.choice(["adam", "sgd"])),
                "units": int(random.integers(4, 400)),
            }
            for _ in range(30)
        ]
        space = {"optimizer": ["adam", "sgd"], "units": {"low": 4, "high": 400}}
        chosen = make.result(points, make.by_optimizer, space=space, sampler="tpe")
        found = compare_setting([chosen], "optimizer")
        assert not found.result.contrasts[0].paired
        assert "which the search (tpe) chose" in " ".join(found.notes)
        drawn = make.result(points, make.by_optimizer, space=space, sampler="random")
        assert "drawn at random" in " ".join(compare_setting([drawn], "optimizer").notes)


class TestMeasures:
    def test_of_updates_count_batches(self, make):
        result = make.result(make.points(batch_size=[20, 100]), lambda c, s: 10 * make.jitter(s))
        epochs = compare_setting([result], "batch_size")
        updates = compare_setting([result], "batch_size", "updates")
        of = {group.label: group.median.value for group in updates.result.groups}
        few, many = of["20"], of["100"]
        assert few == 10 * {g.label: g.median.value for g in epochs.result.groups}["20"]
        assert many == 2 * epochs.result.groups[1].median.value
        # 100 epochs of two batches each are the smallest budget.
        assert updates.result.budget == 200
        assert "The budgets differ" in " ".join(updates.notes)

    def test_of_flops_count_operations(self, grid):
        found = compare_trials(grid, [0, 1], "flops")
        first, second = grid.trials[0], grid.trials[1]
        assert found.result.budget == 100 * min(first.epoch_flops, second.epoch_flops)
        ratio = second.epoch_flops / first.epoch_flops
        epochs = compare_trials(grid, [0, 1]).result.contrasts[0].ratio.value
        assert found.result.contrasts[0].ratio.value == pytest.approx(ratio * epochs)

    def test_of_the_plateau_is_its_length(self, grid):
        found = compare_setting([grid], "optimizer", "plateau")
        lengths = [
            length for trial in grid.trials[:6] for length in trial.plateaus.plateau_length.tolist()
        ]
        assert found.result.groups[0].median.value == np.sort(lengths)[17]

    def test_of_a_plateau_that_never_ended_is_the_budget_even_where_the_run_diverged(self, make):
        result = make.result(make.points(layers=[1, 2]), lambda c, s: np.inf if s else 5)
        found = compare_setting([result], "layers", "plateau").result.groups[0]
        assert (found.solved, found.runs) == (1, 6)

    def test_that_there_are_not_are_refused(self, grid):
        with pytest.raises(BadInput, match="--measure hours: must be one of epochs, updates"):
            compare_setting([grid], "layers", "hours")


class TestStudiesThatDiffer:
    def test_in_their_budget_are_compared_within_the_smaller(self, make):
        short = make.result([{}], lambda c, s: 40 * make.jitter(s), name="short", budget=50)
        long = make.result([{}], lambda c, s: 60 * make.jitter(s), name="long", budget=200)
        found = compare_studies([short, long])
        assert found.result.budget == 50
        assert "within the smallest, 50 epochs" in " ".join(found.notes)

    def test_in_their_task_or_target_say_so(self, make):
        one = make.result([{}], lambda c, s: 5, name="one")
        other = make.result(
            [{}], lambda c, s: 5, name="other", task=make.other_task, training={"target": 0.9}
        )
        notes = " ".join(compare_studies([one, other]).notes)
        assert "different tasks" in notes
        assert "targets differ" in notes

    def test_are_two_or_more(self, grid):
        with pytest.raises(BadInput, match="one study alone"):
            compare_studies([grid])


class TestTheFinding:
    def test_of_a_clear_difference_names_size_interval_pairs_and_p(self, grid):
        text = " ".join(finding(compare_setting([grid], "optimizer")))
        assert text.startswith("The lowest expected running time (ERT, the epochs spent")
        assert "Against adam, sgd took " in text
        assert "times as many epochs (95 % interval " in text
        assert "slower in 36 of 36 pairs of one seed and equal other settings" in text
        assert "p = 0.031" in text
        assert "log-rank" in text.lower()

    def test_of_no_difference_says_that_chance_may_explain_it(self, make):
        result = make.result(
            make.points(optimizer=["adam", "rmsprop"], layers=list(range(1, 8))),
            lambda c, s: (
                5 + 10 * make.jitter(crc32(f"{c.optimizer} {c.layers} {s}".encode()) % 1000)
            ),
        )
        text = " ".join(finding(compare_setting([result], "optimizer")))
        assert "Chance may explain how" in text

    def test_of_too_few_seeds_says_that_they_are_too_few(self, make):
        result = make.result(
            make.points(optimizer=["adam", "sgd"]), make.by_optimizer, seeds=range(5)
        )
        text = " ".join(finding(compare_setting([result], "optimizer")))
        assert "slower in 5 of 5 pairs of one seed" in text
        assert "5 seeds cannot give a p-value below 0.05" in text

    def test_of_a_group_beyond_the_budget_says_at_least(self, make):
        result = make.result(
            make.points(optimizer=["adam", "sgd"]),
            lambda c, s: np.inf if c.optimizer == "sgd" else 10,
            seeds=range(8),
        )
        text = " ".join(finding(compare_setting([result], "optimizer")))
        assert "at least 8.33 times as many epochs by the median" in text

    def test_where_nothing_was_solved_is_that(self, make):
        result = make.result(make.points(layers=[1, 2]), lambda c, s: np.inf)
        (only,) = finding(compare_setting([result], "layers"))
        assert only.startswith("None of the 12 runs reached 100")

    def test_of_many_groups_names_the_extremes_and_counts_the_rest(self, grid):
        text = " ".join(finding(compare_setting([grid], "layers")))
        assert text.count("Against") + text.count("Chance may") == 3
        assert "Of all 5 other groups" in text

    def test_orders_the_groups_by_what_it_names_and_says_where_the_order_is_not_sure(self, make):
        # One of rmsprop's eight trials never learns; the others are quicker than adam's.
        def wait(configuration, seed):
            if configuration.optimizer == "adam":
                return 12 * make.jitter(seed + configuration.layers)
            return np.inf if configuration.layers > 7 else 9 * make.jitter(seed)

        points = make.points(optimizer=["rmsprop", "adam"], layers=list(range(1, 9)))
        found = compare_setting([make.result(points, wait)], "optimizer")
        erts = [group.ert.value for group in found.result.groups]
        assert erts == sorted(erts)
        assert [group.label for group in found.groups] == ["adam", "rmsprop"]
        assert [line[0] for line in groups_cells(found)[1]] == ["adam", "rmsprop"]
        lead, *more = finding(found)
        assert f"{number(erts[0])} epochs (95 % interval " in lead
        assert ", is that of adam: 100" in lead
        assert f"That is no sure order: near it comes rmsprop with {number(erts[1])} epochs" in lead
        assert "The lowest median, 12 epochs, is that of rmsprop." in lead
        assert "The best trial of all is one of rmsprop, not of adam" in " ".join(more)
        assert (as_json(found)["ranked_by"], as_json(found)["fastest"]) == ("ert", "adam")

    def test_names_what_is_level(self, make):
        result = make.result(make.points(layers=[1, 2, 3]), lambda c, s: 5 + 5 * (c.layers == 3))
        assert "Level with it: 2 layers." in finding(compare_setting([result], "layers"))[0]

    def test_of_plateaus_names_their_mean(self, grid):
        found = compare_setting([grid], "optimizer", "plateau")
        means = [group.mean.value for group in found.result.groups]
        assert means == sorted(means)
        assert finding(found)[0].startswith(
            "The shortest mean plateau (one that never ended counted as the budget), "
        )
        assert as_json(found)["ranked_by"] == "mean_within_budget"

    def test_is_the_same_each_time(self, grid):
        assert finding(compare_setting([grid], "layers")) == finding(
            compare_setting([grid], "layers")
        )


class TestTheDocument:
    def test_has_plain_values_and_null(self, make):
        result = make.result(
            make.points(optimizer=["adam", "sgd"]),
            lambda c, s: np.inf if c.optimizer == "sgd" else 10,
        )
        for found in (
            compare_setting([result], "optimizer"),
            compare_setting([result], "optimizer", "flops"),
            compare_setting([result], "optimizer", "plateau"),
        ):
            document = as_json(found)
            assert json.loads(json.dumps(document, allow_nan=False)) == document
            assert document["groups"][1]["median"] is None
            (contrast,) = document["contrasts"]
            assert contrast["ratio"] is None
            assert contrast["ratio_low"] > 1
            assert contrast["ratio_high"] is None

    def test_has_an_effect_with_every_p_value_and_runs_with_every_figure(self, grid):
        document = as_json(compare_setting([grid], "optimizer"))
        for contrast in document["contrasts"]:
            assert contrast["mean_ratio_low"] < contrast["mean_ratio"] < contrast["mean_ratio_high"]
            assert contrast["pairs"] == 36
        assert document["log_rank"]["observed"] == [36, 36]
        assert sum(document["log_rank"]["expected"]) == pytest.approx(72)
        assert [group["replicates"] for group in document["groups"]] == [36, 36]
        assert document["fastest"] == "adam"


class TestAnOwnModel:
    @pytest.fixture
    def own(self, make, tmp_path):
        (tmp_path / "mine.py").write_text("def build(width, depth=1): ...\n")
        return make.result(
            make.points(width=[2, 4, 8], depth=[1, 2]),
            lambda c, s: 60 / c.arguments["width"] * make.jitter(s),
            training={"model": f"{tmp_path / 'mine.py'}:build", "target": 1.0},
        )

    def test_is_compared_by_its_own_arguments(self, own):
        found = compare_setting([own], "width")
        assert [group.value for group in found.groups] == [8, 4, 2]
        assert found.first.label == "8"
        assert all(pair.paired for pair in found.result.contrasts)

    def test_has_laws_of_them(self, own):
        first, second = laws_of(own, "width")
        assert [first.others, second.others] == ["depth 1", "depth 2"]
        assert first.law.exponent.value == pytest.approx(-1, abs=0.05)

    def test_has_no_flops(self, own):
        with pytest.raises(BadInput, match="own model are not known"):
            compare_setting([own], "width", "flops")

    def test_has_no_other_settings(self, own):
        with pytest.raises(BadInput, match="did you mean width"):
            compare_setting([own], "widht")
