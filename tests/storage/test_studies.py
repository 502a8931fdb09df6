"""Studies as they are made, found, named and listed."""

from collections.abc import Callable
from dataclasses import replace

import optuna
import pytest
import sqlalchemy as sa
from optuna.study import StudyDirection

from storage.database import Database
from storage.garbage import delete_study
from storage.runs import put_runs
from storage.tables import tasks
from storage.trials import TaskFacts, create_study, find_study, put_trials, study_lines
from studies.errors import BadInput
from studies.tasks import make_task

ODD_NAMES = [
    "hello-lstm",
    'it\'s "quoted" `so`; DROP TABLE sweep_runs; --',
    "c?d#e%f&g{h}",
    "zweite Größe 二 🚀",
    "%s :name ${HOME}",
    "x" * 200,
    "🚀" * 200,
    "Hello",
    "hello",
]


class TestAStudy:
    def test_is_found_as_it_was_made(self, database: Database, bench) -> None:
        stored = bench.study()
        assert find_study(database, "hello") == stored
        assert find_study(database, "other") is None
        assert stored.budget == 40
        assert stored.created.tzinfo is not None
        bench.assert_mirrored(stored)

    def test_keeps_what_it_calls_its_task_where_another_calls_the_same_data_otherwise(
        self, database: Database, document: Callable, task: TaskFacts
    ) -> None:
        other = replace(task, name="mine", classes=("no", "yes"))
        create_study(database, "a", document(), task)
        create_study(database, "b", document(), other)
        assert [find_study(database, name).task for name in "ab"] == [task, other]
        assert [line.task for line in study_lines(database)] == ["first-value", "mine"]

    @pytest.mark.parametrize("name", ["adding", "embedded-reber", "two-sequence"])
    def test_keeps_what_is_told_of_its_task_and_chance(
        self, database: Database, document: Callable, name: str
    ) -> None:
        facts = TaskFacts.of(make_task(name, {"records": 50}))
        create_study(database, "a", document(), facts)
        stored = find_study(database, "a")
        assert stored is not None
        assert stored.task == facts

    def test_says_where_its_task_came_from(
        self, database: Database, document: Callable, task: TaskFacts, finished: Callable
    ) -> None:
        put_runs(database, task, [finished()])
        create_study(database, "a", document(), task)
        with database.reading() as connection:
            assert connection.execute(sa.select(tasks.c.origin)).scalar_one() == {"seed": 0}

    def test_of_a_name_that_is_taken_is_refused(self, database: Database, bench) -> None:
        bench.study()
        with pytest.raises(BadInput, match="'hello'"):
            bench.study()
        assert len(study_lines(database)) == 1

    def test_of_a_name_that_optuna_has_is_refused_with_the_way_out(
        self, database: Database, bench
    ) -> None:
        database.optuna_storage().create_new_study([StudyDirection.MINIMIZE], "it's")
        with pytest.raises(BadInput, match="optuna delete-study --study-name='it"):
            bench.study("it's")
        assert study_lines(database) == []
        assert bench.optuna_names() == ["it's"]

    @pytest.mark.parametrize(
        "name", ["", "  ", "x" * 201, " a", "a/b", "-a", "a\nb", "a\x00b", "a\x7f", "a\u2028b"]
    )
    def test_of_a_name_that_cannot_be_one_is_refused(self, database: Database, bench, name) -> None:
        with pytest.raises(BadInput, match="name"):
            bench.study(name)
        assert study_lines(database) == []

    def test_without_a_budget_in_its_document_is_an_error(
        self, database: Database, task: TaskFacts
    ) -> None:
        with pytest.raises(ValueError, match=r"training\.epochs"):
            create_study(database, "a", {"training": {}}, task)

    def test_of_several_objectives_has_their_names_and_directions_in_optuna(
        self, database: Database, document: Callable, task: TaskFacts, bench
    ) -> None:
        stored = create_study(
            database, "pareto", document(), task, ("minimize", "maximize"), ("epochs", "flops")
        )
        put_trials(database, stored, [replace(bench.trial(0), values=(3.0, 1e9), intermediate={})])
        study = optuna.load_study(study_name="pareto", storage=database.secret_url)
        assert study.metric_names == ["epochs", "flops"]
        assert study.directions == [StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE]
        assert [trial.values for trial in study.best_trials] == [[3.0, 1e9]]


def test_odd_names_work_as_names(database: Database, bench) -> None:
    made = [bench.study(name) for name in ODD_NAMES]
    for stored in made:
        put_trials(database, stored, [bench.trial(0)])
    assert [line.name for line in study_lines(database)] == ODD_NAMES
    for stored in made:
        assert find_study(database, stored.name).uuid == stored.uuid
        bench.assert_mirrored(stored)
        delete_study(database, stored.name)
    assert study_lines(database) == []
    assert bench.optuna_names() == []


class TestAStudyLine:
    def test_counts_trials_runs_and_solved_runs(
        self, database: Database, bench, finished: Callable
    ) -> None:
        first, second = bench.study("first"), bench.study("second")
        put_trials(database, first, [bench.trial(0), bench.trial(1)], mirrored=False)
        unsolved = finished(0, units=30, solved=None)
        put_runs(database, bench.task, [unsolved])
        key = unsolved.run.key(bench.task.fingerprint)
        trial = replace(bench.trial(0), run_keys=(key, *bench.trial(0).run_keys))
        put_trials(database, second, [trial], mirrored=False)
        bench.study("third")
        lines = [
            (line.name, line.task, line.trials, line.runs, line.solved_runs)
            for line in study_lines(database)
        ]
        assert lines == [
            ("first", "first-value", 2, 4, 4),
            ("second", "first-value", 1, 3, 2),
            ("third", "first-value", 0, 0, 0),
        ]

    def test_counts_a_run_as_solved_only_within_the_budget_of_the_study(
        self, database: Database, bench
    ) -> None:
        put_trials(database, bench.study("long"), [bench.trial(0)], mirrored=False)
        put_trials(database, bench.study("short", epochs=11), [bench.trial(0)], mirrored=False)
        put_trials(database, bench.study("just", epochs=12), [bench.trial(0)], mirrored=False)
        assert [line.solved_runs for line in study_lines(database)] == [2, 0, 2]
