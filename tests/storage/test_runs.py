import math
from collections.abc import Callable

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.database import Database, StorageFailure
from storage.garbage import delete_study
from storage.runs import StudyChanged, find_runs, iter_runs, put_runs
from storage.tables import runs, tasks
from storage.trials import TaskFacts, put_trials, rewrite_trials, update_document
from studies.run import SEMANTICS, Configuration, FinishedRun, Run

Make = Callable[..., FinishedRun]
Same = Callable[[FinishedRun, FinishedRun], bool]


def rows(database: Database) -> list[sa.Row]:
    with database.reading() as connection:
        return list(connection.execute(sa.select(runs)))


def test_a_run_comes_back_as_it_was_put(
    database: Database, task: TaskFacts, finished: Make, same: Same
) -> None:
    run = finished(3)
    assert put_runs(database, task, [run]) == 1
    assert same(find_runs(database, task.fingerprint, [run.run])[run.run], run)


def test_a_row_says_what_the_run_was(database: Database, task: TaskFacts, finished: Make) -> None:
    run = finished(3, target=0.5)
    put_runs(database, task, [run])
    (row,) = rows(database)
    assert row.key == run.run.key(task.fingerprint)
    assert (row.epochs, row.ended, row.solved_epoch) == (12, "solved", 12)
    assert (row.seed, row.target, row.semantics) == (3, 0.5, SEMANTICS)
    assert row.configuration == run.run.configuration.identity()
    assert row.series == "loss,accuracy"
    assert row.curves == run.curves.astype("<f4").tobytes()
    assert row.finished_at.tzinfo is not None


def test_a_run_is_stored_once(database: Database, task: TaskFacts, finished: Make) -> None:
    many = [finished(seed) for seed in range(3)]
    assert put_runs(database, task, [*many, many[0]]) == 3
    assert put_runs(database, task, [*many, finished(9)]) == 1
    assert len(rows(database)) == 4


def test_settings_that_are_not_read_do_not_make_another_run(
    database: Database, task: TaskFacts, finished: Make
) -> None:
    run = finished()
    other = Run(Configuration(units=8, rho=0.5), run.run.seed, run.run.epochs)
    put_runs(database, task, [run])
    assert np.array_equal(find_runs(database, task.fingerprint, [other])[other].curves, run.curves)
    assert put_runs(database, task, [FinishedRun(other, run.ended, run.curves)]) == 0


def test_runs_of_another_task_are_not_found(
    database: Database, task: TaskFacts, finished: Make
) -> None:
    put_runs(database, task, [finished()])
    assert find_runs(database, "ab" * 16, [finished().run]) == {}


@pytest.mark.parametrize("ended", ["solved", "diverged"])
def test_a_run_that_ended_by_itself_answers_every_budget(
    database: Database, task: TaskFacts, finished: Make, ended: str
) -> None:
    put_runs(database, task, [finished(budget=40, solved=12, ended=ended)])
    asked = [finished(budget=budget).run for budget in (5, 11, 12, 40, 1000)]
    found = find_runs(database, task.fingerprint, asked)
    assert [found[run].ended for run in asked] == ["censored", "censored", ended, ended, ended]
    assert [found[run].epochs for run in asked] == [5, 11, 12, 12, 12]


def test_a_censored_run_answers_budgets_up_to_its_own(
    database: Database, task: TaskFacts, finished: Make
) -> None:
    put_runs(database, task, [finished(budget=40, solved=None)])
    asked = [finished(budget=budget).run for budget in (1, 40, 41)]
    found = find_runs(database, task.fingerprint, asked)
    assert [found[run].epochs if run in found else None for run in asked] == [1, 40, None]


def test_a_longer_run_takes_the_place_of_a_shorter_one_only(
    database: Database, task: TaskFacts, finished: Make, same: Same
) -> None:
    short, long = finished(budget=10, solved=25), finished(budget=40, solved=25)
    assert put_runs(database, task, [short]) == 1
    assert put_runs(database, task, [long]) == 1
    assert put_runs(database, task, [short]) == 0
    found = find_runs(database, task.fingerprint, [short.run, long.run])
    assert same(found[short.run], short)
    assert same(found[long.run], long)
    assert len(rows(database)) == 1


def test_a_run_with_more_series_takes_the_place_of_one_that_says_no_more_otherwise(
    database: Database, task: TaskFacts, finished: Make, same: Same
) -> None:
    plain, longer = finished(budget=10, solved=None), finished(budget=40, solved=None)
    measured = FinishedRun(
        plain.run,
        plain.ended,
        np.column_stack([plain.curves, plain.curves[:, :1]]),
        (*plain.series, "contrast"),
    )
    assert put_runs(database, task, [plain]) == 1
    assert put_runs(database, task, [measured]) == 1
    assert put_runs(database, task, [plain, measured]) == 0
    assert same(find_runs(database, task.fingerprint, [plain.run])[plain.run], measured)
    assert put_runs(database, task, [longer]) == 1
    assert put_runs(database, task, [measured]) == 0
    assert same(find_runs(database, task.fingerprint, [longer.run])[longer.run], longer)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    solved=st.none() | st.integers(1, 60),
    put=st.lists(st.lists(st.integers(1, 60), min_size=1, max_size=3), max_size=4),
    asked=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    seed=st.integers(0, 2**20),
)
def test_a_budget_is_answered_if_and_only_if_something_put_answers_it(
    database: Database,
    task: TaskFacts,
    finished: Make,
    same: Same,
    solved: int | None,
    put: list[list[int]],
    asked: list[int],
    seed: int,
) -> None:
    with database.writing() as connection:
        connection.execute(runs.delete())
    for budgets in put:
        put_runs(
            database, task, [finished(seed, budget=budget, solved=solved) for budget in budgets]
        )
    longest = max((budget for budgets in put for budget in budgets), default=0)
    wanted = [finished(seed, budget=budget, solved=solved) for budget in asked]
    found = find_runs(database, task.fingerprint, [run.run for run in wanted])
    for run in wanted:
        known = run.run.epochs <= longest or (solved is not None and solved <= longest)
        assert (run.run in found) == known
        assert not known or same(found[run.run], run)
    assert len(rows(database)) == (1 if put else 0)


def test_thousands_of_runs_are_put_and_found(
    database: Database, task: TaskFacts, finished: Make, same: Same
) -> None:
    many = [finished(seed, units=1 + seed % 7) for seed in range(2500)]
    assert put_runs(database, task, iter(many)) == 2500
    found = find_runs(database, task.fingerprint, [run.run for run in many])
    assert all(same(found[run.run], run) for run in many)


def test_curves_that_are_not_finite_are_kept_to_the_bit(
    database: Database, task: TaskFacts, finished: Make
) -> None:
    curves = np.array([[0.7, 0.5], [math.inf, 0.5], [math.nan, 0.0]], dtype=np.float32)
    run = FinishedRun(finished().run, "diverged", curves)
    put_runs(database, task, [run])
    (stored,) = find_runs(database, task.fingerprint, [run.run]).values()
    assert stored.curves.tobytes() == curves.tobytes()


def test_other_series_keep_their_names_and_order(
    database: Database, task: TaskFacts, finished: Make
) -> None:
    curves = np.arange(12, dtype=np.float32).reshape(4, 3)
    run = FinishedRun(finished().run, "solved", curves, ("loss", "accuracy", "grad norm"))
    put_runs(database, task, [run])
    (stored,) = find_runs(database, task.fingerprint, [run.run]).values()
    assert stored.series == run.series
    assert np.array_equal(stored.curve("grad norm"), curves[:, 2])


@pytest.mark.parametrize("shape", [(0, 2), (3, 1), (6,)])
def test_curves_that_do_not_fit_their_series_are_refused_and_nothing_is_stored(
    database: Database, task: TaskFacts, finished: Make, shape: tuple[int, ...]
) -> None:
    wrong = FinishedRun(finished(1).run, "solved", np.zeros(shape, dtype=np.float32))
    with pytest.raises(ValueError, match="curves of shape"):
        put_runs(database, task, [finished(), wrong])
    assert rows(database) == []


@pytest.mark.parametrize(
    "damage",
    [
        {"curves": b"\0" * 96},
        {"curves": b""},
        {"epochs": 11},
        {"ended": "censored"},
        {"series": "accuracy,loss"},
    ],
)
def test_a_damaged_run_is_named(
    database: Database, task: TaskFacts, finished: Make, damage: dict[str, object]
) -> None:
    run = finished()
    put_runs(database, task, [run])
    with database.writing() as connection:
        connection.execute(runs.update(), damage)
    # A budget that a run censored at epoch 11 would answer as well.
    asked = finished(budget=11).run
    with pytest.raises(StorageFailure, match=f"run {run.run.key(task.fingerprint)} .* damaged"):
        find_runs(database, task.fingerprint, [asked])


def test_the_facts_of_the_task_are_kept_with_its_runs(
    database: Database, task: TaskFacts, finished: Make
) -> None:
    put_runs(database, task, [finished()])
    with database.reading() as connection:
        row = connection.execute(sa.select(tasks)).one()
    assert (row.fingerprint, row.name, row.records) == (task.fingerprint, "first-value", 200)
    assert (row.classes, row.class_counts) == (["zero", "one"], [120, 80])


def test_the_runs_of_a_study_are_streamed_in_the_order_of_trials_and_replicates(
    database: Database, bench, task: TaskFacts, finished: Make, same: Same
) -> None:
    stored = bench.study()
    put_trials(database, stored, [bench.trial(n) for n in (2, 0, 1)], mirrored=False)
    found = list(iter_runs(database, stored.uuid))
    assert [(run.number, run.replicate) for run in found] == [
        (number, replicate) for number in range(3) for replicate in range(2)
    ]
    for run in found:
        assert same(run.finished, finished(run.replicate, units=run.number + 1))
        assert run.key == run.finished.run.key(task.fingerprint)


def test_the_runs_of_a_study_are_shown_as_its_own_budget_has_them(
    database: Database, bench, finished: Make, same: Same
) -> None:
    short = bench.study("short", epochs=5)
    put_trials(database, short, [bench.trial(0, budget=5)], mirrored=False)
    longer = bench.study("longer", epochs=40)
    put_trials(database, longer, [bench.trial(0, budget=40)], mirrored=False)
    cut = [run.finished for run in iter_runs(database, short.uuid)]
    whole = [run.finished for run in iter_runs(database, longer.uuid)]
    assert [(run.ended, run.epochs) for run in cut] == [("censored", 5)] * 2
    assert [(run.ended, run.epochs) for run in whole] == [("solved", 12)] * 2
    assert same(cut[0], finished(0, units=1, budget=5))


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.runs._PAGE", 2)


@pytest.mark.usefixtures("small_pages")
def test_streaming_gives_the_trials_that_were_there_when_it_began(
    database: Database, bench, document: Callable
) -> None:
    stored = bench.study()
    put_trials(database, stored, [bench.trial(n) for n in range(3)], mirrored=False)
    stream = iter_runs(database, stored.uuid)
    next(stream)
    put_trials(database, stored, [bench.trial(3)], mirrored=False)
    update_document(database, stored, document(trials=4))
    assert [(run.number, run.replicate) for run in stream] == [
        (0, 1),
        (1, 0),
        (1, 1),
        (2, 0),
        (2, 1),
    ]
    assert len(list(iter_runs(database, stored.uuid))) == 8


@pytest.mark.usefixtures("small_pages")
def test_streaming_a_study_that_is_extended_or_deleted_meanwhile_says_so(
    database: Database, bench, document: Callable
) -> None:
    stored = bench.study()
    put_trials(database, stored, [bench.trial(n) for n in range(3)], mirrored=False)
    stream = iter_runs(database, stored.uuid)
    next(stream)
    stored = rewrite_trials(database, stored, document(80), [bench.trial(0, replicates=3)])
    with pytest.raises(StudyChanged, match="was changed while it was read"):
        list(stream)
    stream = iter_runs(database, stored.uuid)
    next(stream)
    delete_study(database, "hello")
    with pytest.raises(StudyChanged):
        list(stream)
