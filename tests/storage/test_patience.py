"""A server that is lost is waited for, and what was being done is done again as a whole."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from storage.database import Database, StorageFailure, hurry, open_database
from storage.failures import Lost, Passing
from storage.garbage import delete_study
from storage.lease import hold
from storage.runs import find_runs, iter_runs, put_runs
from storage.tables import tasks
from storage.trials import (
    complete_mirror,
    find_study,
    put_trials,
    read_trials,
    rewrite_trials,
    update_document,
)
from studies.errors import BadInput


@pytest.fixture
def on_server(new_postgresql: Callable[[], str]) -> Iterator[Database]:
    with open_database(new_postgresql()) as database:
        yield database


def cut_off(database: Database) -> None:
    """Ends all connections of a database, as a server does that is stopped."""
    server = sa.create_engine(database.secret_url, poolclass=sa.NullPool)
    with server.connect() as connection:
        connection.execute(
            sa.text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], int]]:
    """Asks a storage whose server is gone, or there again; says how often that was tried."""
    monkeypatch.setattr("storage.database.BRIEFLY", 0.0)
    with open_database(f"sqlite:///{tmp_path / 'sweep.db'}") as database:
        database.patience = 0.2

        def ask(there: bool) -> int:
            tries: list[int] = []

            def attempt() -> None:
                tries.append(1)
                if not there:
                    raise Passing("gone", met=False)

            if there:
                database.patiently(attempt)
            else:
                with pytest.raises(Lost, match=r"^gone") as raised:
                    database.patiently(attempt)
                assert ("tried again for 0.2 s" in str(raised.value)) == (len(tries) > 1)
            return len(tries)

        yield ask


def test_a_server_that_was_waited_for_in_vain_is_waited_for_again_once_it_has_answered(
    asked: Callable[[bool], int],
) -> None:
    assert asked(False) > 1
    assert asked(False) == 1
    assert asked(True) == 1
    assert asked(False) > 1


def test_who_is_about_to_end_waits_for_no_server(
    asked: Callable[[bool], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.database._hurried", threading.Event())
    assert asked(False) > 1
    assert asked(True) == 1
    hurry()
    assert asked(False) == 1


class TestAConnectionThatIsCutOff:
    def test_while_idle_goes_unnoticed(self, on_server: Database, bench_on: Callable) -> None:
        stored = bench_on(on_server).study()
        cut_off(on_server)
        assert find_study(on_server, "hello") == stored
        cut_off(on_server)
        bench_on(on_server).assert_mirrored(stored)

    def test_within_a_transaction_has_it_done_again(self, on_server: Database) -> None:
        calls: list[int] = []

        def work(connection: sa.Connection) -> int:
            calls.append(1)
            connection.execute(sa.text("CREATE TABLE mine (x integer)"))
            if len(calls) < 3:
                cut_off(on_server)
            connection.execute(sa.text("INSERT INTO mine VALUES (1)"))
            return connection.execute(sa.text("SELECT count(*) FROM mine")).scalar_one()

        assert on_server.write(work) == 1
        assert len(calls) == 3

    def test_within_a_reading_has_it_done_again(self, on_server: Database, bench_on) -> None:
        bench_on(on_server).study()
        calls: list[int] = []

        def work(connection: sa.Connection) -> int:
            calls.append(1)
            if len(calls) == 1:
                cut_off(on_server)
            return len(connection.execute(sa.select(tasks)).all())

        assert on_server.read(work) == 1

    def test_while_trials_are_copied_to_optuna_leaves_the_copy_right(
        self, on_server: Database, bench_on: Callable
    ) -> None:
        bench = bench_on(on_server)
        stored = bench.study()
        put_trials(on_server, stored, [bench.trial(n) for n in range(4)], mirrored=False)
        copied: list[float] = []

        def enough(took: float) -> bool:
            copied.append(took)
            cut_off(on_server)
            return False

        complete_mirror(on_server, stored, enough=enough)
        assert len(copied) >= 4
        bench.assert_mirrored(stored)

    def test_while_a_study_is_streamed_goes_on_where_it_was(
        self, on_server: Database, bench_on: Callable, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("storage.runs._PAGE", 2)
        bench = bench_on(on_server)
        stored = bench.study()
        put_trials(on_server, stored, [bench.trial(n) for n in range(3)], mirrored=False)
        found: list[tuple[int, int]] = []
        for run in iter_runs(on_server, stored.uuid):
            found.append((run.number, run.replicate))
            cut_off(on_server)
        assert found == [(n, r) for n in range(3) for r in range(2)]

    def test_a_mistake_in_the_work_is_not_repeated(self, on_server: Database) -> None:
        calls: list[int] = []

        def work(connection: sa.Connection) -> None:
            calls.append(1)
            connection.execute(sa.text("SELECT * FROM nothing"))

        with pytest.raises(StorageFailure, match="nothing"):
            on_server.write(work)
        assert len(calls) == 1


class TestACommitThatNobodyHeardOf:
    """The first attempt is kept, and the connection is lost before it can be said."""

    @pytest.fixture
    def unheard(self, database: Database, monkeypatch: pytest.MonkeyPatch) -> Callable:
        writing = Database.writing

        @contextmanager
        def once_lost(self: Database) -> Iterator[sa.Connection]:
            nonlocal left
            with writing(self) as connection:
                yield connection
            if left:
                left -= 1
                raise Passing("lost")

        left = 0

        def arm() -> None:
            nonlocal left
            left = 1
            database.patience = 5.0
            monkeypatch.setattr(Database, "writing", once_lost)

        return arm

    def test_of_a_new_study(self, database: Database, bench, unheard: Callable) -> None:
        bench.optuna_names()
        unheard()
        stored = bench.study()
        assert find_study(database, "hello") == stored
        with pytest.raises(BadInput, match="already"):
            bench.study()

    def test_of_runs(self, database: Database, bench, unheard: Callable, finished) -> None:
        unheard()
        run = finished()
        put_runs(database, bench.task, [run])
        assert list(find_runs(database, bench.task.fingerprint, [run.run])) == [run.run]

    def test_of_trials(self, database: Database, bench, unheard: Callable) -> None:
        stored, trials = bench.study(), [bench.trial(n) for n in range(2)]
        unheard()
        put_trials(database, stored, trials)
        assert read_trials(database, stored.uuid) == trials
        bench.assert_mirrored(stored)

    def test_of_a_new_document(
        self, database: Database, bench, unheard: Callable, document: Callable
    ) -> None:
        stored = bench.study()
        unheard()
        new = update_document(database, stored, document(trials=9))
        assert find_study(database, "hello") == new

    def test_of_rewritten_trials(
        self, database: Database, bench, unheard: Callable, document: Callable
    ) -> None:
        stored = bench.study()
        put_trials(database, stored, [bench.trial(0)])
        longer = [bench.trial(0, replicates=3)]
        unheard()
        new = rewrite_trials(database, stored, document(80), longer)
        assert find_study(database, "hello") == new
        assert read_trials(database, new.uuid) == longer
        bench.assert_mirrored(new)

    def test_of_a_lease(self, database: Database, unheard: Callable) -> None:
        unheard()
        with hold(database, "hello") as lease:
            lease.check()

    def test_of_a_deletion(self, database: Database, bench, unheard: Callable) -> None:
        put_trials(database, bench.study(), [bench.trial(0)])
        unheard()
        delete_study(database, "hello")
        assert bench.stored_keys() == set()
        assert bench.optuna_names() == []


class TestAServerThatIsStopped:
    @pytest.fixture
    def server(self, start_postgresql: Callable) -> Any:
        return start_postgresql()

    def test_is_waited_for_and_found_again_when_it_is_back(
        self, server: Any, bench_on: Callable
    ) -> None:
        with open_database(server.get_uri(driver="psycopg")) as database:
            bench = bench_on(database)
            stored = bench.study()
            trials = [bench.trial(n) for n in range(3)]
            server.stop()
            back = threading.Timer(1.0, server.ensure_postgres_running)
            back.start()
            put_trials(database, stored, trials)
            back.join()
            assert read_trials(database, stored.uuid) == trials
            bench.assert_mirrored(stored)

    def test_is_given_up_after_a_time_that_is_said(self, server: Any, bench_on: Callable) -> None:
        with open_database(server.get_uri(driver="psycopg")) as database:
            bench_on(database).study()
            database.patience = 0.3
            server.stop()
            with pytest.raises(
                StorageFailure, match=r"\(tried again for 0.3 s\); what was written"
            ):
                find_study(database, "hello")
            server.ensure_postgres_running()
            assert find_study(database, "hello") is not None

    def test_is_not_waited_for_when_it_was_never_there(self, tmp_path: Path) -> None:
        began = time.monotonic()
        with pytest.raises(StorageFailure):
            open_database(f"postgresql+psycopg://postgres@/mine?host={tmp_path}")
        # Neither the patience of a minute nor the half of it.
        assert time.monotonic() - began < 30


def test_a_transaction_whose_process_is_suspended_keeps_nobody_out(
    on_server: Database, program: Callable
) -> None:
    process = program(
        """
        import sys, time
        import storage.database
        storage.database.SILENCE = 0.5
        from storage.lease import hold

        with storage.database.open_database(sys.argv[1]) as database:
            with hold(database, "hello", renewal=1000) as lease:
                calls = []
                def work(connection):
                    calls.append(1)
                    lease.check(connection)
                    if len(calls) == 1:
                        print("in it", flush=True)
                        sys.stdin.readline()
                    lease.check(connection)
                try:
                    database.write(work)
                    print("written", flush=True)
                except Exception as error:
                    print(len(calls), type(error).__name__, error, flush=True)
        """,
        on_server.secret_url,
    )
    assert process.stdout.readline() == "in it\n"
    # It holds the row of its lease, and says nothing: as one that the system has suspended.
    with hold(on_server, "hello", stale=0.0):
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith("2 StorageFailure the study 'hello' was taken")
