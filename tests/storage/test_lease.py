import os
import signal
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from storage.database import Database, StorageFailure, open_database
from storage.lease import LeaseHeld, hold
from storage.tables import leases
from storage.trials import put_trials, read_trials, rewrite_trials, update_document

HOLDER = """
    import sys
    from storage.database import open_database
    from storage.lease import hold

    with open_database(sys.argv[1]) as database:
        with hold(database, "hello", renewal=0.05) as lease:
            print("held", flush=True)
            sys.stdin.readline()
            try:
                lease.check()
                print("mine", flush=True)
            except Exception as error:
                print(type(error).__name__, error, flush=True)
"""


def rows(database: Database) -> list[sa.Row]:
    with database.reading() as connection:
        return list(connection.execute(sa.select(leases)))


def test_a_lease_is_held_for_the_block_and_given_back(database: Database) -> None:
    with hold(database, "hello") as lease:
        lease.check()
        (row,) = rows(database)
        assert (row.study_name, row.pid) == ("hello", os.getpid())
        assert abs(row.since - datetime.now(UTC).timestamp()) < 60
    assert rows(database) == []
    with hold(database, "hello"):
        pass


def test_a_lease_is_given_back_when_the_block_raises(database: Database) -> None:
    with pytest.raises(KeyboardInterrupt), hold(database, "hello"):
        raise KeyboardInterrupt
    assert rows(database) == []


def test_a_second_coordinator_is_told_who_holds_the_study_and_since_when(
    database: Database, storage_url: str
) -> None:
    with (
        hold(database, "hello"),
        open_database(storage_url) as other,
        pytest.raises(LeaseHeld, match=f"'hello' is being worked on by process {os.getpid()} on"),
        hold(other, "hello"),
    ):
        pass
    assert rows(database) == []


def test_leases_of_different_studies_do_not_meet(database: Database) -> None:
    with hold(database, "one") as one, hold(database, "two") as two:
        one.check()
        two.check()
        assert [row.study_name for row in rows(database)] == ["one", "two"]


def test_the_heartbeat_goes_on_while_the_lease_is_held(database: Database) -> None:
    beat = threading.Event()
    with hold(database, "hello", renewal=0.01):
        (first,) = rows(database)
        while rows(database)[0].heartbeat == first.heartbeat:
            beat.wait(0.01)
        assert rows(database)[0].since == first.since


def test_a_lease_whose_heartbeat_is_old_is_taken_over_and_its_holder_notices(
    database: Database, storage_url: str
) -> None:
    with hold(database, "hello", renewal=1000) as old:
        with database.writing() as connection:
            connection.execute(leases.update().values(heartbeat=leases.c.heartbeat - 15.5))
        with open_database(storage_url) as other, hold(other, "hello") as new:
            with pytest.raises(StorageFailure, match="was taken over by process"):
                old.check()
            assert not old.renew()
            new.check()
    assert rows(database) == []


def test_giving_back_a_lease_that_was_taken_over_leaves_the_new_one(
    database: Database, storage_url: str
) -> None:
    with open_database(storage_url) as other:
        old = hold(database, "hello", renewal=1000)
        old.__enter__()
        with database.writing() as connection:
            connection.execute(leases.update().values(heartbeat=0.0))
        with hold(other, "hello") as new:
            old.__exit__(None, None, None)
            new.check()


def test_a_lease_of_a_process_of_another_machine_counts_by_its_heartbeat_alone(
    database: Database,
) -> None:
    with hold(database, "hello", renewal=1000):
        with database.writing() as connection:
            connection.execute(leases.update().values(host="elsewhere", pid=2**30))
        with pytest.raises(LeaseHeld), hold(database, "hello"):
            pass


def test_a_killed_holder_loses_the_lease_at_once(
    database: Database, storage_url: str, program: Callable
) -> None:
    process = program(HOLDER, storage_url)
    assert process.stdout.readline() == "held\n"
    with pytest.raises(LeaseHeld, match=f"process {process.pid} "), hold(database, "hello"):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(rows(database)) == 1
    with hold(database, "hello") as lease:
        lease.check()


def test_a_suspended_holder_finds_out_before_it_writes(
    database: Database, storage_url: str, program: Callable
) -> None:
    process = program(HOLDER, storage_url)
    assert process.stdout.readline() == "held\n"
    process.send_signal(signal.SIGSTOP)
    with database.writing() as connection:
        connection.execute(leases.update().values(heartbeat=leases.c.heartbeat - 60))
    with hold(database, "hello") as lease:
        process.send_signal(signal.SIGCONT)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith("StorageFailure the study 'hello' was taken")
        process.wait()
        lease.check()


def test_of_coordinators_that_start_at_once_exactly_one_holds(
    database: Database, storage_url: str, program: Callable
) -> None:
    text = """
        import sys
        from storage.database import open_database
        from storage.lease import LeaseHeld, hold

        with open_database(sys.argv[1]) as database:
            print("ready", flush=True)
            sys.stdin.readline()
            try:
                with hold(database, "hello"):
                    print("held", flush=True)
                    sys.stdin.readline()
            except LeaseHeld:
                print("refused", flush=True)
    """
    processes = [program(text, storage_url) for _ in range(4)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    answers = sorted(process.stdout.readline() for process in processes)
    assert answers == ["held\n", "refused\n", "refused\n", "refused\n"]


def test_without_the_lease_nothing_is_written(
    database: Database, bench, document: Callable, storage_url: str
) -> None:
    stored = bench.study()
    trial = bench.trial(0)
    with hold(database, "hello", renewal=1000) as old:
        with database.writing() as connection:
            connection.execute(leases.update().values(heartbeat=0.0))
        with open_database(storage_url) as other, hold(other, "hello") as new:
            for write in (
                lambda: put_trials(database, stored, [trial], lease=old),
                lambda: update_document(database, stored, document(trials=9), lease=old),
                lambda: rewrite_trials(database, stored, document(80), [], lease=old),
            ):
                with pytest.raises(StorageFailure, match="was taken over"):
                    write()
            assert read_trials(database, stored.uuid) == []
            bench.assert_mirrored(stored)
            put_trials(database, stored, [trial], lease=new)
    assert read_trials(database, stored.uuid) == [trial]
