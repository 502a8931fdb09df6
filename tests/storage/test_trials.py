"""Trials are put whole, read back as they were, and rewritten together."""

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import optuna
import pytest

from storage.database import Database, StorageFailure
from storage.garbage import delete_study
from storage.trials import find_study, put_trials, read_trials, rewrite_trials, study_lines


class TestTrials:
    def test_come_back_as_they_were_put_in_the_order_of_their_numbers(
        self, database: Database, bench
    ) -> None:
        stored = bench.study()
        trials = [bench.trial(number) for number in range(4)]
        put_trials(database, stored, trials[:2])
        put_trials(database, stored, trials[2:])
        assert read_trials(database, stored.uuid) == trials
        assert read_trials(database, stored.uuid, first=3) == trials[3:]
        assert [t.started for t in read_trials(database, stored.uuid)] == [
            trial.started for trial in trials
        ]
        bench.assert_mirrored(stored)

    def test_are_what_optuna_plots_and_ranks(self, database: Database, bench) -> None:
        stored = bench.study()
        put_trials(database, stored, [bench.trial(n, value=float(9 - n)) for n in range(3)])
        study = optuna.load_study(study_name="hello", storage=database.secret_url)
        assert study.best_trial.number == 2
        assert study.metric_names == ["epochs to target"]
        assert study.best_trial.intermediate_values == {1: 0.7, 2: 0.5}
        assert study.best_trial.params["optimizer"] == "adam"

    def test_move_the_moment_of_the_last_change(self, database: Database, bench) -> None:
        stored = bench.study()
        put_trials(database, stored, [bench.trial(0)])
        (line,) = study_lines(database)
        assert line.created == stored.created
        assert stored.created < line.updated <= datetime.now(UTC) + timedelta(seconds=5)

    def test_put_out_of_order_wait_in_the_mirror_for_those_before_them(
        self, database: Database, bench
    ) -> None:
        stored = bench.study()
        put_trials(database, stored, [bench.trial(2)])
        study = optuna.load_study(study_name="hello", storage=database.secret_url)
        assert study.trials == []
        put_trials(database, stored, [bench.trial(0), bench.trial(1)])
        bench.assert_mirrored(stored)

    def test_put_again_with_equal_content_are_left_alone(self, database: Database, bench) -> None:
        stored = bench.study()
        trial = bench.trial(0)
        put_trials(database, stored, [trial])
        later = replace(trial, finished=trial.finished + timedelta(hours=1))
        put_trials(database, stored, [later, bench.trial(1)])
        assert read_trials(database, stored.uuid)[0].finished == trial.finished
        assert len(read_trials(database, stored.uuid)) == 2
        bench.assert_mirrored(stored)

    def test_put_again_with_other_content_are_refused_together_with_the_rest(
        self, database: Database, bench
    ) -> None:
        stored = bench.study()
        trial = bench.trial(0)
        put_trials(database, stored, [trial])
        for other in (
            replace(trial, values=(1.5,)),
            replace(trial, params={**trial.params, "layers": 2}),
            replace(trial, run_keys=trial.run_keys[:1]),
        ):
            with pytest.raises(StorageFailure, match=r"trial 0 of 'hello' .* other content"):
                put_trials(database, stored, [bench.trial(1), other])
        assert read_trials(database, stored.uuid) == [trial]

    def test_whose_runs_are_not_stored_are_refused(self, database: Database, bench) -> None:
        stored = bench.study()
        trial = replace(bench.trial(0), run_keys=("ab" * 16,))
        with pytest.raises(StorageFailure, match="refers to the run abab"):
            put_trials(database, stored, [trial])
        assert read_trials(database, stored.uuid) == []

    def test_with_values_that_are_not_finite_are_an_error(self, database: Database, bench) -> None:
        stored = bench.study()
        for value in (math.nan, math.inf):
            with pytest.raises(ValueError, match="not all finite"):
                put_trials(database, stored, [bench.trial(0, value=value)])
        with pytest.raises(ValueError, match="not all finite"):
            put_trials(database, stored, [replace(bench.trial(0), values=())])
        assert read_trials(database, stored.uuid) == []

    def test_store_no_number_that_json_does_not_know(self, database: Database, bench) -> None:
        stored = bench.study()
        trial = replace(
            bench.trial(0),
            user_attrs={"median": math.nan, "nested": {"list": [math.inf, 1]}},
            intermediate={1: 0.5, 2: math.nan, 3: math.inf},
        )
        put_trials(database, stored, [trial])
        (read,) = read_trials(database, stored.uuid)
        assert read.user_attrs == {"median": None, "nested": {"list": [None, 1]}}
        assert read.intermediate == {1: 0.5}
        put_trials(database, stored, [trial])
        bench.assert_mirrored(stored)

    def test_may_carry_numbers_of_numpy(self, database: Database, bench) -> None:
        stored = bench.study()
        trial = replace(
            bench.trial(0),
            params={"layers": np.int64(2), "learning_rate": np.float32(0.5), "optimizer": "sgd"},
            values=(np.float64(3.0),),
            user_attrs={"curve": np.array([0.5, np.nan], dtype=np.float32), "solved": np.True_},
            intermediate={np.int32(1): np.float32(0.25)},
        )
        put_trials(database, stored, [trial])
        (read,) = read_trials(database, stored.uuid)
        assert read.params == {"layers": 2, "learning_rate": 0.5, "optimizer": "sgd"}
        assert read.user_attrs == {"curve": [0.5, None], "solved": True}
        assert read.intermediate == {1: 0.25}
        bench.assert_mirrored(stored)

    def test_of_one_number_twice_are_an_error(self, database: Database, bench) -> None:
        stored = bench.study()
        with pytest.raises(ValueError, match="two trials"):
            put_trials(database, stored, [bench.trial(0), bench.trial(0)])

    def test_of_a_study_that_is_gone_or_was_extended_elsewhere_are_refused(
        self, database: Database, bench, document: Callable
    ) -> None:
        stored = bench.study()
        trial = bench.trial(0)
        rewrite_trials(database, stored, document(80), [])
        with pytest.raises(StorageFailure, match="was extended"):
            put_trials(database, stored, [trial])
        delete_study(database, "hello")
        with pytest.raises(StorageFailure, match="was deleted"):
            put_trials(database, stored, [trial])


class TestRewriting:
    def test_replaces_the_document_and_all_trials(
        self, database: Database, bench, document: Callable
    ) -> None:
        stored = bench.study()
        put_trials(database, stored, [bench.trial(n) for n in range(3)])
        longer = [bench.trial(n, replicates=3, value=100.0 + n, budget=80) for n in range(3)]
        new = rewrite_trials(database, stored, document(80), longer)
        assert new.uuid == stored.uuid
        assert (new.budget, new.revision) == (80, 2)
        assert find_study(database, "hello") == new
        assert read_trials(database, new.uuid) == longer
        bench.assert_mirrored(new)
        put_trials(database, new, [bench.trial(3, replicates=3)])
        bench.assert_mirrored(new)

    def test_of_a_stale_study_is_refused(
        self, database: Database, bench, document: Callable
    ) -> None:
        stored = bench.study()
        put_trials(database, stored, [bench.trial(0)])
        rewrite_trials(database, stored, document(50), [bench.trial(0)])
        with pytest.raises(StorageFailure, match="was extended"):
            rewrite_trials(database, stored, document(60), [])
        assert len(read_trials(database, stored.uuid)) == 1
