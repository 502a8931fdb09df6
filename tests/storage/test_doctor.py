"""What is wrong with a storage is found and named, and what is damaged can be taken out."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
import sqlalchemy as sa

from storage.database import Database, open_database
from storage.doctor import examine, mend
from storage.runs import put_runs
from storage.tables import runs, studies, trial_runs, trials
from storage.trials import create_study, find_study, put_trials, read_trials
from studies.run import Configuration, FinishedRun, Run
from studies.study import read_study


@pytest.fixture
def sound(database: Database, bench):
    """A storage with a study of three trials, and the bench to make more."""
    stored = create_study(database, "hello", read_study("hello-lstm").document(), bench.task)
    put_trials(database, stored, [bench.trial(n) for n in range(3)])
    return stored


def write(database: Database, statement: sa.Executable) -> None:
    database.write(lambda connection: connection.execute(statement))


def test_a_sound_storage_has_no_problems_and_is_counted(
    database: Database, sound, finished: Callable, bench
) -> None:
    put_trials(database, sound, [bench.trial(3)], mirrored=False)
    put_runs(database, bench.task, [finished(7, units=99)], trained_for=replace(sound, uuid="gone"))
    health = examine(database)
    assert health.problems == ()
    assert health.damaged == ()
    assert dict(health.counts) == {
        "studies": 1,
        "trials": 4,
        "runs": 9,
        "data sets": 1,
        "studies worked on": 0,
        "studies in the queue": 0,
        "bytes of curves": 9 * 12 * 2 * 4,
        "unused runs": 1,
        "trials not copied": 1,
    }


def test_an_empty_storage_is_sound(database: Database) -> None:
    health = examine(database)
    assert health.problems == ()
    assert set(health.counts.values()) == {0}


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"checksum": 1}, "its curves are damaged"),
        ({"curves": b"1234"}, "its curves are damaged"),
        ({"solved_epoch": 3}, "it ended solved after 12 epochs, solved in 3"),
        ({"seed": 77}, "its key is another run's"),
        ({"configuration": {"layers": 0}}, "its configuration is none"),
    ],
)
def test_a_damaged_run_is_named(
    database: Database, sound, bench, values: dict[str, object], said: str
) -> None:
    key = bench.trial_keys(1)[0]
    write(database, runs.update().where(runs.c.key == key).values(**values))
    health = examine(database)
    assert health.damaged == (key,)
    (problem,) = health.problems
    assert problem.startswith(f"run {key}: {said}")


def test_damaged_runs_are_taken_out_with_the_trials_from_the_first_of_theirs_on(
    database: Database, sound, bench
) -> None:
    put_trials(database, sound, [bench.trial(n) for n in range(3, 6)])
    other = create_study(database, "other", sound.document, bench.task)
    put_trials(database, other, [bench.trial(n) for n in range(2)])
    keys = [bench.trial_keys(4)[0], bench.trial_keys(2)[1]]
    write(database, runs.update().where(runs.c.key.in_(keys)).values(checksum=1))
    assert mend(database, examine(database).damaged) == 4
    assert examine(database).problems == ()
    assert not set(keys) & bench.stored_keys()
    assert set(bench.trial_keys(5)) <= bench.stored_keys()
    cut = find_study(database, "hello")
    assert cut is not None
    assert [trial.number for trial in read_trials(database, cut.uuid)] == [0, 1]
    assert len(read_trials(database, other.uuid)) == 2
    there = optuna.load_study(study_name="hello", storage=database.secret_url).trials
    assert [trial.number for trial in there] == [0, 1]
    put_trials(database, cut, [bench.trial(2)])
    assert examine(database).problems == ()


def test_trials_of_others_in_a_copy_are_a_problem(database: Database, sound) -> None:
    optuna.load_study(study_name="hello", storage=database.secret_url).ask()
    (problem,) = examine(database).problems
    assert "has trials that sweep did not make" in problem


def test_gaps_and_a_study_file_that_cannot_be_read_are_problems(
    database: Database, sound, bench
) -> None:
    write(
        database, trial_runs.delete().where(trial_runs.c.number == 2, trial_runs.c.replicate == 0)
    )
    write(database, trials.delete().where(trials.c.number == 1))
    write(database, studies.update().values(document={"training": {"epochs": 100}}))
    said = " ".join(examine(database).problems)
    assert "study 'hello': its file cannot be read" in said
    assert "study 'hello': 2 trials, numbered up to 2" in said
    assert "study 'hello': trial 2 lacks one of its replicates" in said


def test_links_that_lead_nowhere_are_a_problem_where_the_database_lets_them_be(
    tmp_path: Path, bench_on: Callable
) -> None:
    with open_database(f"sqlite:///{tmp_path}/sweep.db") as database:
        bench = bench_on(database)
        document = read_study("hello-lstm").document()
        stored = create_study(database, "hello", document, bench.task)
        put_trials(database, stored, [bench.trial(n) for n in range(3)])
    with sqlite3.connect(tmp_path / "sweep.db") as other:
        other.execute("DELETE FROM sweep_runs")
    other.close()
    with open_database(f"sqlite:///{tmp_path}/sweep.db") as database:
        assert "6 trials refer to runs that are not stored" in examine(database).problems


def test_a_run_of_a_kind_that_is_not_known_here_is_held_against_its_checksum_only(
    database: Database, sound, bench
) -> None:
    curves = np.ones((3, 2), dtype=np.float32)
    other = FinishedRun(Run(Configuration(units=3), 0, 40), "solved", curves)
    put_runs(database, bench.task, [other], trained_for=sound)
    write(
        database,
        runs.update()
        .where(runs.c.key == other.run.key(bench.task.fingerprint))
        .values(configuration={"own": "model"}),
    )
    assert examine(database).problems == ()
