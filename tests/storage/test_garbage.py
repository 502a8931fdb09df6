"""What is deleted with a study, and what stays."""

import contextlib
import os
import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from optuna.study import StudyDirection

from storage.database import Database, open_database
from storage.garbage import count_unused, delete_study, delete_unused
from storage.lease import LeaseHeld, hold
from storage.runs import put_runs
from storage.tables import metadata, runs, totals
from storage.trials import MissingRun, put_trials, read_trials, study_lines
from studies.errors import BadInput
from studies.run import FinishedRun


class TestDeleting:
    def test_takes_the_study_with_what_only_it_used(self, database: Database, bench) -> None:
        one, two = bench.study("one"), bench.study("two")
        put_trials(database, one, [bench.trial(0), bench.trial(1)])
        put_trials(database, two, [bench.trial(0)])
        delete_study(database, "one")
        assert [line.name for line in study_lines(database)] == ["two"]
        assert bench.optuna_names() == ["two"]
        assert bench.stored_keys() == set(bench.trial_keys(0))
        bench.assert_mirrored(two)
        delete_study(database, "two")
        with database.reading() as connection:
            # Counters go on counting, whatever is deleted.
            for table in set(metadata.sorted_tables) - {totals}:
                assert (
                    connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
                    == 0
                )

    def test_of_a_name_that_no_study_has_is_refused(self, database: Database, bench) -> None:
        database.optuna_storage().create_new_study([StudyDirection.MINIMIZE], "theirs")
        for name in ("nothing", "theirs"):
            with pytest.raises(BadInput, match=f"no study named '{name}'"):
                delete_study(database, name)
        assert bench.optuna_names() == ["theirs"]

    def test_takes_the_runs_that_it_finished_and_never_came_to_use(
        self, database: Database, bench, finished: Callable
    ) -> None:
        one, two = bench.study("one"), bench.study("two")
        put_trials(database, two, [bench.trial(0)], mirrored=False)
        mine, others = finished(7, units=99), finished(8, units=99)
        put_runs(database, bench.task, [mine], trained_for=one)
        put_runs(database, bench.task, [others], trained_for=two)
        assert delete_study(database, "one") == 1
        assert bench.stored_keys() == {key_of(others), *bench.trial_keys(0)}

    def test_leaves_what_another_study_had_finished_and_not_yet_used(
        self, database: Database, bench
    ) -> None:
        one, two = bench.study("one"), bench.study("two")
        put_trials(database, one, [bench.trial(0, trained_for=two)], mirrored=False)
        delete_study(database, "one")
        assert bench.stored_keys() == set(bench.trial_keys(0))
        put_trials(database, two, [bench.trial(0)])

    def test_of_a_study_that_is_worked_on_is_refused_and_works_afterwards(
        self, database: Database, storage_url: str, bench
    ) -> None:
        stored = bench.study()
        put_trials(database, stored, [bench.trial(0)])
        with (
            open_database(storage_url) as other,
            hold(other, "hello"),
            pytest.raises(LeaseHeld, match=f"is being worked on by process {os.getpid()} on"),
        ):
            delete_study(database, "hello")
        bench.assert_mirrored(stored)
        delete_study(database, "hello")
        assert study_lines(database) == []


class TestUnusedRuns:
    def test_are_those_of_studies_that_are_gone(
        self, database: Database, bench, finished: Callable
    ) -> None:
        gone, there = bench.study("gone"), bench.study("there")
        put_trials(database, there, [bench.trial(0)], mirrored=False)
        late, waiting = finished(7, units=99), finished(8, units=99)
        delete_study(database, "gone")
        put_runs(database, bench.task, [late], trained_for=gone)
        put_runs(database, bench.task, [waiting], trained_for=there)
        assert count_unused(database) == 1
        assert delete_unused(database) == 1
        assert bench.stored_keys() == {key_of(waiting), *bench.trial_keys(0)}
        assert (count_unused(database), delete_unused(database)) == (0, 0)

    def test_of_an_unknown_study_stay_until_no_study_is_of_their_data(
        self, database: Database, bench, finished: Callable
    ) -> None:
        bench.study()
        run = finished(7, units=99)
        put_runs(database, bench.task, [run])
        assert delete_unused(database) == 0
        delete_study(database, "hello")
        assert bench.stored_keys() == set()

    def test_of_an_older_meaning_of_training_are_kept_for_trials_only(
        self, database: Database, bench, finished: Callable
    ) -> None:
        stored = bench.study()
        put_trials(database, stored, [bench.trial(0)], mirrored=False)
        put_runs(database, bench.task, [finished(7, units=99)], trained_for=stored)
        database.write(lambda connection: connection.execute(runs.update().values(semantics=0)))
        assert delete_unused(database) == 1
        assert bench.stored_keys() == set(bench.trial_keys(0))

    def test_that_a_trial_comes_to_use_at_the_same_time_are_kept(
        self, database: Database, storage_url: str, bench
    ) -> None:
        """Many times over: whoever is first, no trial refers to a run that is not there."""
        stored = bench.study()
        gone = bench.study("gone")
        delete_study(database, "gone")
        with open_database(storage_url) as other:
            for number in range(10):
                trial = bench.trial(number, trained_for=gone)
                start = threading.Barrier(2)

                def delete(start: threading.Barrier = start) -> None:
                    start.wait()
                    delete_unused(other)

                thread = threading.Thread(target=delete)
                thread.start()
                start.wait()
                with contextlib.suppress(MissingRun):
                    put_trials(database, stored, [trial], mirrored=False)
                thread.join()
        kept = {key for trial in read_trials(database, stored.uuid) for key in trial.run_keys}
        assert bench.stored_keys() == kept


def key_of(run: FinishedRun) -> str:
    return run.run.key("0f" * 16)
