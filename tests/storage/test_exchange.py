"""Studies go from one storage into another, whole and once."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.database import Database, StorageFailure, open_database
from storage.exchange import Imported, import_study
from storage.lease import LeaseHeld, hold
from storage.runs import iter_runs, put_runs
from storage.tables import metadata, runs
from storage.trials import (
    find_study,
    put_trials,
    read_trials,
    rewrite_trials,
    study_lines,
    update_document,
)
from studies.errors import BadInput


@pytest.fixture(params=["sqlite", "postgresql"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Another storage, of each kind: so each kind is imported into each."""
    if request.param == "sqlite":
        file = shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "elsewhere.db")
        url = f"sqlite:///{file}"
    else:
        make, template = map(request.getfixturevalue, ("new_postgresql", "postgresql_template"))
        url = make(template)
    with open_database(url) as opened:
        yield opened


def contents(database: Database, uuid: str) -> list[object]:
    trials = read_trials(database, uuid)
    return [
        (trial, trial.started, trial.finished, [(r.key, r.finished.curves.tobytes()) for r in own])
        for trial in trials
        for own in [[run for run in iter_runs(database, uuid) if run.number == trial.number]]
    ]


def test_a_study_comes_with_its_trials_runs_and_curves_and_is_copied_to_optuna(
    database: Database, elsewhere: Database, bench, bench_on: Callable, finished: Callable
) -> None:
    stored = bench.study()
    put_trials(database, stored, [bench.trial(n) for n in range(3)])
    put_runs(database, bench.task, [finished(9, units=99)], trained_for=stored)
    assert import_study(database, elsewhere, "hello") == Imported("hello", 3, 3, 7, 7)
    assert find_study(elsewhere, "hello") == find_study(database, "hello")
    assert contents(elsewhere, stored.uuid) == contents(database, stored.uuid)
    bench_on(elsewhere).assert_mirrored(stored)
    assert bench_on(elsewhere).stored_keys() == bench.stored_keys()


def test_imported_again_it_brings_what_is_new_and_stores_nothing_twice(
    database: Database, elsewhere: Database, bench, bench_on: Callable, document: Callable
) -> None:
    stored = bench.study()
    put_trials(database, stored, [bench.trial(0)])
    import_study(database, elsewhere, "hello")
    assert import_study(database, elsewhere, "hello") == Imported("hello", 1, 0, 2, 0)
    put_trials(database, stored, [bench.trial(1)])
    stored = update_document(database, stored, document(search={"trials": 9}))
    assert import_study(database, elsewhere, "hello") == Imported("hello", 2, 1, 4, 2)
    longer = [bench.trial(n, replicates=3, value=50.0 + n, budget=80) for n in range(2)]
    stored = rewrite_trials(database, stored, document(80), longer)
    assert import_study(database, elsewhere, "hello") == Imported("hello", 2, 2, 6, 2)
    assert find_study(elsewhere, "hello") == find_study(database, "hello")
    assert contents(elsewhere, stored.uuid) == contents(database, stored.uuid)
    bench_on(elsewhere).assert_mirrored(stored)


def test_there_and_back_is_the_same(database: Database, elsewhere: Database, bench) -> None:
    stored = bench.study()
    put_trials(database, stored, [bench.trial(n) for n in range(2)])
    before = [rows(database, table) for table in metadata.sorted_tables]
    import_study(database, elsewhere, "hello")
    assert import_study(elsewhere, database, "hello") == Imported("hello", 2, 0, 4, 0)
    assert [rows(database, table) for table in metadata.sorted_tables] == before


def test_what_is_further_here_stays_as_it_is(
    database: Database, elsewhere: Database, bench, bench_on: Callable, document: Callable
) -> None:
    stored = bench.study()
    put_trials(database, stored, [bench.trial(0)])
    import_study(database, elsewhere, "hello")
    there = bench_on(elsewhere)
    put_trials(elsewhere, stored, [there.trial(1)])
    new = rewrite_trials(elsewhere, stored, document(80), [there.trial(0, value=7.0)])
    assert import_study(database, elsewhere, "hello").new_trials == 0
    assert find_study(elsewhere, "hello") == new
    assert [trial.values for trial in read_trials(elsewhere, new.uuid)] == [(7.0,)]


def test_runs_that_are_there_are_shared(
    database: Database, elsewhere: Database, bench, bench_on: Callable
) -> None:
    there = bench_on(elsewhere)
    put_trials(elsewhere, there.study("mine"), [there.trial(0)])
    stored = bench.study()
    put_trials(database, stored, [bench.trial(0), bench.trial(1)])
    assert import_study(database, elsewhere, "hello") == Imported("hello", 2, 2, 4, 2)
    assert {line.name for line in study_lines(elsewhere)} == {"mine", "hello"}


def test_another_study_of_the_name_is_refused_and_another_name_is_the_way_out(
    database: Database, elsewhere: Database, bench, bench_on: Callable
) -> None:
    put_trials(database, bench.study(), [bench.trial(0)])
    bench_on(elsewhere).study()
    with pytest.raises(BadInput, match=r"another study named 'hello'.*--name NAME"):
        import_study(database, elsewhere, "hello")
    assert import_study(database, elsewhere, "hello", new_name="theirs").name == "theirs"
    assert {line.name: line.trials for line in study_lines(elsewhere)} == {"hello": 0, "theirs": 1}
    with pytest.raises(BadInput, match="already, as 'theirs'"):
        import_study(database, elsewhere, "hello", new_name="again")


def test_a_study_that_became_something_else_here_is_refused(
    database: Database, elsewhere: Database, bench, bench_on: Callable
) -> None:
    stored = bench.study()
    import_study(database, elsewhere, "hello")
    put_trials(elsewhere, stored, [bench_on(elsewhere).trial(0, value=1.0)])
    put_trials(database, stored, [bench.trial(0, value=2.0)])
    with pytest.raises(StorageFailure, match=r"trial 0 of 'hello' .* other content"):
        import_study(database, elsewhere, "hello")


def test_a_name_that_is_not_there_and_a_storage_itself_are_refused(
    database: Database, elsewhere: Database, bench
) -> None:
    bench.study()
    with pytest.raises(BadInput, match=r"no study named 'helo'.*did you mean hello"):
        import_study(database, elsewhere, "helo")
    with pytest.raises(BadInput, match="is this storage itself"):
        import_study(database, database, "hello")
    assert study_lines(elsewhere) == []


def test_a_damaged_curve_is_not_spread(database: Database, elsewhere: Database, bench) -> None:
    put_trials(database, bench.study(), [bench.trial(0)])
    database.write(lambda connection: connection.execute(runs.update().values(checksum=1)))
    with pytest.raises(StorageFailure, match="are damaged"):
        import_study(database, elsewhere, "hello")
    assert study_lines(elsewhere) == []


def test_a_study_that_is_worked_on_here_is_left_alone(
    database: Database, elsewhere: Database, bench
) -> None:
    put_trials(database, bench.study(), [bench.trial(0)])
    with hold(elsewhere, "hello"), pytest.raises(LeaseHeld):
        import_study(database, elsewhere, "hello")
    assert study_lines(elsewhere) == []


@pytest.mark.parametrize("write", [2, 3, 5])
def test_an_import_that_ends_in_between_is_taken_up_by_the_next(
    database: Database,
    elsewhere: Database,
    bench,
    bench_on: Callable,
    monkeypatch: pytest.MonkeyPatch,
    write: int,
) -> None:
    monkeypatch.setattr("storage.exchange._PAGE", 2)
    stored = bench.study()
    put_trials(database, stored, [bench.trial(n) for n in range(3)])
    writing = Database.writing
    left = write

    @contextlib.contextmanager
    def ends(self: Database) -> Iterator[sa.Connection]:
        nonlocal left
        with writing(self) as connection:
            yield connection
        left -= self is elsewhere
        if left == 0:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Database, "writing", ends)
        with pytest.raises(KeyboardInterrupt):
            import_study(database, elsewhere, "hello")
    import_study(database, elsewhere, "hello")
    assert contents(elsewhere, stored.uuid) == contents(database, stored.uuid)
    bench_on(elsewhere).assert_mirrored(stored)


def rows(database: Database, table: sa.Table) -> list[sa.Row]:
    return database.read(lambda connection: list(connection.execute(sa.select(table)).all()))
