import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import optuna
import pytest
import sqlalchemy as sa
from optuna.storages import RDBStorage
from optuna.study import StudyDirection

from storage.database import Database, StorageFailure, open_database
from storage.runs import put_runs
from storage.tables import metadata, runs, tasks
from storage.trials import (
    StoredStudy,
    TaskFacts,
    complete_mirror,
    create_study,
    delete_study,
    find_study,
    put_trials,
    read_trials,
    rewrite_trials,
    study_lines,
    update_document,
)
from studies.errors import BadInput
from studies.tasks import Task

ODD_NAMES = [
    "hello-lstm",
    'it\'s "quoted" `so`; DROP TABLE sweep_runs; --',
    "../etc/passwd",
    "--name",
    "a/b\\c?d#e%f&g{h}",
    "zweite Größe 二 🚀👩🏽‍🔬",
    "%s :name ${HOME}",
    "x" * 255,
    "🚀" * 200,
    " spaced ",
    "Hello",
    "hello",
]

optuna.logging.set_verbosity(optuna.logging.WARNING)


class Killed(BaseException):
    """Stands for a process that ends at this point."""


class Interruption:
    """Ends the process at the n-th of its writes, counted from 1, before or after it takes place.

    A write is a transaction of ours or a call of Optuna's storage that changes it.
    """

    OPTUNAS = (
        "create_new_study",
        "create_new_trial",
        "delete_study",
        "set_study_system_attr",
        "set_study_user_attr",
    )

    def __init__(self, patch: pytest.MonkeyPatch, n: int, after: bool) -> None:
        self.left, self.after = n, after
        for name in self.OPTUNAS:
            patch.setattr(RDBStorage, name, self._around(getattr(RDBStorage, name)))
        writing = Database.writing

        @contextmanager
        def ours(database: Database) -> Iterator[sa.Connection]:
            with writing(database) as connection:
                yield connection
                self._before()
            self._behind()

        patch.setattr(Database, "writing", ours)

    def _before(self) -> None:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise Killed

    def _behind(self) -> None:
        if self.left == 0 and self.after:
            raise Killed

    def _around(self, method: Callable) -> Callable:
        def patched(*args: object, **kwargs: object) -> object:
            self._before()
            result = method(*args, **kwargs)
            self._behind()
            return result

        return patched


def at_every_write(
    monkeypatch: pytest.MonkeyPatch, act: Callable[[], object], check: Callable[[], None]
) -> int:
    """Interrupts `act` at each of its writes in turn, a `check` after each; gives their number.

    `check` has to bring everything back to where `act` can begin again.
    """
    n = 0
    while True:
        n += 1
        for after in (False, True):
            with monkeypatch.context() as patch:
                Interruption(patch, n, after)
                try:
                    act()
                except Killed:
                    ended = False
                else:
                    ended = True
            check()
        if ended:
            return n - 1


def optuna_names(database: Database) -> list[str]:
    return [study.study_name for study in database.optuna_storage().get_all_studies()]


class TestTaskFacts:
    def test_are_those_of_the_task(self) -> None:
        x = np.zeros((4, 3, 2), dtype=np.float32)
        made = Task("mine", x, np.array([0, 1, 1, 2], dtype=np.int32), ("a", "b", "c"))
        facts = TaskFacts.of(made)
        assert facts == TaskFacts(made.fingerprint, "mine", 4, 3, 2, ("a", "b", "c"), (1, 2, 1))
        assert facts.chance_accuracy == 0.5
        assert facts.chance_loss == pytest.approx(1.5 * math.log(2))

    def test_of_balanced_classes_chance_is_one_in_k(self, task: TaskFacts) -> None:
        balanced = replace(task, classes=tuple("abcd"), class_counts=(50, 50, 50, 50))
        assert balanced.chance_accuracy == 0.25
        assert balanced.chance_loss == pytest.approx(math.log(4))

    def test_of_a_class_without_records_chance_is_certain(self, task: TaskFacts) -> None:
        assert replace(task, class_counts=(200, 0)).chance_accuracy == 1.0
        assert replace(task, class_counts=(200, 0)).chance_loss == 0.0


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
        database.optuna_storage().create_new_study([StudyDirection.MINIMIZE], "--hello")
        with pytest.raises(BadInput, match="optuna delete-study --study-name=--hello"):
            bench.study("--hello")
        assert study_lines(database) == []
        assert optuna_names(database) == ["--hello"]

    @pytest.mark.parametrize("name", ["", "  ", "x" * 256, "a\nb", "a\x00b", "a\x7f", "a\u2028b"])
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
    assert optuna_names(database) == []


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


class TestTheMirror:
    def test_lags_when_it_is_told_to_and_is_completed_later(
        self, database: Database, bench
    ) -> None:
        stored = bench.study()
        for number in range(7):
            put_trials(database, stored, [bench.trial(number)], mirrored=number == 2)
        complete_mirror(database, stored)
        bench.assert_mirrored(stored)

    def test_is_made_again_after_another_tool_deleted_it(self, database: Database, bench) -> None:
        stored = bench.study()
        put_trials(database, stored, [bench.trial(0), bench.trial(1)])
        optuna.delete_study(study_name="hello", storage=database.secret_url)
        assert study_lines(database)[0].trials == 2
        assert len(read_trials(database, stored.uuid)) == 2
        put_trials(database, stored, [bench.trial(2)])
        bench.assert_mirrored(stored)

    def test_does_not_take_the_place_of_a_study_that_another_tool_made_of_the_same_name(
        self, database: Database, bench
    ) -> None:
        stored = bench.study()
        optuna.delete_study(study_name="hello", storage=database.secret_url)
        theirs = optuna.create_study(study_name="hello", storage=database.secret_url)
        theirs.set_user_attr("mine", 1)
        with pytest.raises(BadInput, match="that sweep did not make"):
            complete_mirror(database, stored)
        delete_study(database, "hello")
        assert optuna_names(database) == ["hello"]

    def test_with_trials_of_another_tool_is_refused_with_the_way_out(
        self, database: Database, bench
    ) -> None:
        stored = bench.study()
        put_trials(database, stored, [bench.trial(0)])
        study = optuna.load_study(study_name="hello", storage=database.secret_url)
        study.ask()
        for act in (
            lambda: complete_mirror(database, stored),
            lambda: put_trials(database, stored, [bench.trial(1)]),
        ):
            with pytest.raises(BadInput, match="has trials that sweep did not make"):
                act()
        assert len(read_trials(database, stored.uuid)) == 2
        optuna.delete_study(study_name="hello", storage=database.secret_url)
        complete_mirror(database, stored)
        bench.assert_mirrored(stored)

    def test_says_what_the_study_file_says_now(
        self, database: Database, bench, document: Callable
    ) -> None:
        stored = bench.study()
        put_trials(database, stored, [bench.trial(0)])
        new = update_document(database, stored, document(search={"trials": 200}))
        assert new.document["search"] == {"trials": 200}
        found = find_study(database, "hello")
        assert found == new
        bench.assert_mirrored(new)
        with pytest.raises(ValueError, match="rewrite_trials"):
            update_document(database, new, document(80))

    def test_keeps_a_persons_notes_on_the_study_when_it_is_made_anew(
        self, database: Database, bench, document: Callable
    ) -> None:
        from optuna_dashboard import get_note, save_note

        stored = bench.study()
        put_trials(database, stored, [bench.trial(0)])
        study = optuna.load_study(study_name="hello", storage=database.secret_url)
        study.set_user_attr("mine", "keep me")
        save_note(study, "what we saw")
        note_of_a_trial = f"dashboard:{study.trials[0]._trial_id}:note_ver"
        database.optuna_storage().set_study_system_attr(study._study_id, note_of_a_trial, 1)
        rewrite_trials(database, stored, document(), [bench.trial(0, replicates=3)])
        study = optuna.load_study(study_name="hello", storage=database.secret_url)
        assert study.user_attrs["mine"] == "keep me"
        assert get_note(study) == "what we saw"
        kept = database.optuna_storage().get_study_system_attrs(study._study_id)
        assert note_of_a_trial not in kept


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


class TestDeleting:
    def test_takes_the_study_with_what_only_it_used(self, database: Database, bench) -> None:
        one, two = bench.study("one"), bench.study("two")
        put_trials(database, one, [bench.trial(0), bench.trial(1)])
        put_trials(database, two, [bench.trial(0)])
        delete_study(database, "one")
        assert [line.name for line in study_lines(database)] == ["two"]
        assert optuna_names(database) == ["two"]
        assert stored_keys(database) == set(bench.trial_keys(0))
        bench.assert_mirrored(two)
        delete_study(database, "two")
        with database.reading() as connection:
            for table in metadata.sorted_tables:
                assert (
                    connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
                    == 0
                )

    def test_leaves_runs_that_no_study_refers_to_yet(
        self, database: Database, bench, finished: Callable
    ) -> None:
        stored = bench.study()
        put_trials(database, stored, [bench.trial(0)], mirrored=False)
        in_flight = finished(7, units=99)
        put_runs(database, bench.task, [in_flight])
        delete_study(database, "hello")
        assert stored_keys(database) == {in_flight.run.key(bench.task.fingerprint)}

    def test_of_a_name_that_no_study_has_is_refused(self, database: Database, bench) -> None:
        database.optuna_storage().create_new_study([StudyDirection.MINIMIZE], "theirs")
        for name in ("nothing", "theirs"):
            with pytest.raises(BadInput, match=f"no study named '{name}'"):
                delete_study(database, name)
        assert optuna_names(database) == ["theirs"]


def stored_keys(database: Database) -> set[str]:
    with database.reading() as connection:
        return set(connection.execute(sa.select(runs.c.key)).scalars())


class TestAProcessThatIsKilled:
    def test_while_it_makes_a_study_leaves_none_or_a_whole_one(
        self, database: Database, bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def check() -> None:
            stored = find_study(database, "hello")
            if stored is None:
                assert optuna_names(database) == []
                return
            complete_mirror(database, stored)
            bench.assert_mirrored(stored)
            delete_study(database, "hello")

        assert at_every_write(monkeypatch, bench.study, check) >= 5

    def test_while_it_puts_trials_leaves_all_of_them_or_none(
        self, database: Database, bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trials = [bench.trial(n) for n in range(3)]
        stored = bench.study()

        def check() -> None:
            nonlocal stored
            there = read_trials(database, stored.uuid)
            assert there in ([], trials)
            complete_mirror(database, stored)
            bench.assert_mirrored(stored)
            put_trials(database, stored, trials)
            bench.assert_mirrored(stored)
            delete_study(database, "hello")
            for number in range(3):
                bench.trial(number)
            stored = bench.study()

        assert at_every_write(monkeypatch, lambda: put_trials(database, stored, trials), check) == 4

    def test_while_it_rewrites_trials_leaves_the_old_ones_or_the_new(
        self,
        database: Database,
        bench,
        document: Callable,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        old = [bench.trial(n) for n in range(2)]
        new = [bench.trial(n, replicates=3, value=50.0 + n) for n in range(2)]
        stored = bench.study()
        put_trials(database, stored, old)

        def act() -> StoredStudy:
            return rewrite_trials(database, stored, document(80), new)

        def check() -> None:
            nonlocal stored
            found = find_study(database, "hello")
            assert found is not None
            there = read_trials(database, found.uuid)
            assert (there, found.budget) in [(old, 40), (new, 80)]
            complete_mirror(database, found)
            bench.assert_mirrored(found)
            stored = rewrite_trials(database, found, document(40), old)

        assert at_every_write(monkeypatch, act, check) >= 6

    def test_while_it_deletes_a_study_is_followed_by_a_deletion_that_ends_it(
        self, database: Database, bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def make() -> None:
            put_trials(database, bench.study(), [bench.trial(0)])

        def check() -> None:
            if find_study(database, "hello") is not None:
                delete_study(database, "hello")
            assert study_lines(database) == []
            assert optuna_names(database) == []
            assert stored_keys(database) == set()
            make()

        make()
        assert at_every_write(monkeypatch, lambda: delete_study(database, "hello"), check) == 2

    def test_by_the_system_has_lost_nothing_that_it_had_put(
        self, storage_url: str, bench_on: Callable, program: Callable
    ) -> None:
        text = """
            import sys
            sys.path.insert(0, "tests/storage")
            from conftest import Bench
            from storage.database import open_database
            from storage.trials import find_study, put_trials

            database = open_database(sys.argv[1])
            stored = find_study(database, "hello")
            bench = Bench(database, stored.task)
            for number in range(int(sys.argv[2]), 10_000):
                put_trials(database, stored, [bench.trial(number)], mirrored=number % 5 > 0)
                print(number, flush=True)
        """
        with open_database(storage_url) as database:
            stored = bench_on(database).study()
        there = 0
        for last in (3, 11, 16):
            process = program(text, storage_url, str(there))
            while int(process.stdout.readline()) < last:
                pass
            process.kill()
            process.wait()
            with open_database(storage_url) as database:
                trials = read_trials(database, stored.uuid)
                assert [trial.number for trial in trials] == list(range(len(trials)))
                assert len(trials) > last
                there = len(trials)
                complete_mirror(database, stored)
                bench_on(database).assert_mirrored(stored)
