"""The queue: whose turn it is, what becomes of it, and that no entry is lost or taken twice."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage import queue
from storage.database import Database, StorageFailure, open_database
from storage.lease import hold
from storage.queue import MOST_ATTEMPTS, PRIORITIES, Entry, claim, entries, submit
from storage.tables import leases, uploads
from studies.errors import BadInput

DOCUMENT = {"search": {"trials": 3}, "training": {"epochs": 10}}
LARGER = {"search": {"trials": 9}, "training": {"epochs": 10}}


def waiting(database: Database) -> list[str]:
    return [entry.name for entry in entries(database) if entry.state == "waiting"]


def only(database: Database, name: str) -> Entry:
    (entry,) = entries(database, name=name)
    return entry


def expire(database: Database, number: int) -> None:
    """The holder of an entry's lease has given no sign of life for long."""
    with database.writing() as connection:
        connection.execute(
            leases.update()
            .where(leases.c.study_name == f"queue/{number}")
            .values(heartbeat=leases.c.heartbeat - 60)
        )


def test_what_is_given_back_twice_is_given_back_once(database: Database) -> None:
    """As it is where the connection was lost with the commit."""
    submit(database, "a", DOCUMENT)
    claimed = claim(database, "a worker")
    assert claimed is not None
    with queue.working(database, claimed) as held:
        queue.give_back(database, claimed, held)
        queue.give_back(database, claimed, held)
    (entry,) = entries(database)
    assert (entry.state, entry.attempts) == ("waiting", 0)


def test_the_highest_priority_comes_first_and_of_equal_ones_the_oldest(
    database: Database,
) -> None:
    for name, priority in (("a", 0), ("b", 2), ("c", 0), ("d", 2), ("e", -1)):
        submit(database, name, DOCUMENT, priority=priority)
    assert waiting(database) == ["b", "d", "a", "c", "e"]
    assert [entry.position for entry in entries(database)] == [1, 2, 3, 4, 5]
    taken = [claim(database, "me") for _ in range(6)]
    assert [one.entry.name if one else None for one in taken] == ["b", "d", "a", "c", "e", None]


@pytest.mark.parametrize("priority", [PRIORITIES[0] - 1, PRIORITIES[1] + 1])
def test_a_priority_out_of_range_is_refused(database: Database, priority: int) -> None:
    with pytest.raises(BadInput, match="must be a whole number from"):
        submit(database, "a", DOCUMENT, priority=priority)
    assert entries(database) == []


def test_submitted_again_an_entry_takes_its_own_place_with_the_higher_priority(
    database: Database,
) -> None:
    first = submit(database, "a", DOCUMENT, priority=1)
    submit(database, "b", DOCUMENT, priority=1)
    assert submit(database, "a", DOCUMENT) == first
    larger = submit(database, "a", LARGER, priority=3, replaces=lambda old: old == DOCUMENT)
    assert (larger.id, larger.priority, larger.document) == (first.id, 3, LARGER)
    with pytest.raises(BadInput, match="another study named 'a' is waiting"):
        submit(database, "a", DOCUMENT, replaces=lambda old: False)
    with pytest.raises(BadInput, match="another study named 'a' is waiting"):
        submit(database, "a", LARGER, data=b"other data", replaces=lambda old: True)
    assert only(database, "a").document == LARGER


def test_more_may_be_asked_of_a_study_that_runs_and_waits_until_that_is_over(
    database: Database,
) -> None:
    submit(database, "a", DOCUMENT)
    first = claim(database, "me")
    assert first is not None
    with queue.working(database, first) as held:
        second = submit(database, "a", LARGER, priority=5)
        assert second.id != first.entry.id
        assert claim(database, "other") is None
        queue.finish(database, first, held, "done")
    taken = claim(database, "other")
    assert taken is not None
    assert taken.entry.id == second.id


def test_a_study_that_somebody_runs_without_the_queue_waits(
    database: Database, storage_url: str
) -> None:
    submit(database, "a", DOCUMENT)
    with open_database(storage_url) as other, hold(other, "a"):
        assert claim(database, "me") is None
    assert claim(database, "me") is not None


def test_the_entry_of_a_dead_worker_is_taken_again_before_what_waits(database: Database) -> None:
    submit(database, "a", DOCUMENT)
    first = claim(database, "one")
    submit(database, "a", LARGER)
    assert first is not None
    assert claim(database, "two") is None
    expire(database, first.entry.id)
    again = claim(database, "two")
    assert again is not None
    assert (again.entry.id, again.entry.worker, again.entry.attempts) == (first.entry.id, "two", 2)
    with queue.working(database, again) as held:
        assert held is not None
        queue.tell(database, again, held, {"trials": 1})


def test_a_worker_that_lost_its_entry_can_neither_tell_nor_finish_it(database: Database) -> None:
    submit(database, "a", DOCUMENT)
    first = claim(database, "one")
    assert first is not None
    with queue.working(database, first) as old:
        expire(database, first.entry.id)
        again = claim(database, "two")
        assert again is not None
        for write in (
            lambda: queue.tell(database, first, old, {"trials": 9}),
            lambda: queue.finish(database, first, old, "done"),
            lambda: queue.give_back(database, first, old),
        ):
            with pytest.raises(StorageFailure, match="was taken over"):
                write()
    entry = only(database, "a")
    assert (entry.state, entry.worker, entry.progress) == ("running", "two", {})


def test_an_entry_of_which_workers_die_is_given_up(database: Database) -> None:
    submit(database, "a", DOCUMENT)
    for _ in range(MOST_ATTEMPTS):
        taken = claim(database, "me")
        assert taken is not None
        expire(database, taken.entry.id)
    assert claim(database, "me") is None
    entry = only(database, "a")
    assert entry.state == "failed"
    assert f"died {MOST_ATTEMPTS} times" in str(entry.message)


def test_what_waits_is_cancelled_at_once_and_what_runs_is_told(database: Database) -> None:
    submit(database, "a", DOCUMENT)
    submit(database, "b", DOCUMENT)
    (gone,) = queue.cancel(database, "b")
    assert (gone.state, gone.message) == ("cancelled", "before it began")
    taken = claim(database, "me")
    assert taken is not None
    with queue.working(database, taken) as held:
        assert not queue.tell(database, taken, held, {"trials": 1})
        (told,) = queue.cancel(database, "a")
        assert (told.state, told.cancelling) == ("running", True)
        assert queue.tell(database, taken, held, {"trials": 2})
        queue.finish(database, taken, held, "cancelled", "as asked")
    assert only(database, "a").progress == {"trials": 2}
    with pytest.raises(BadInput, match="no study named 'a' is in the queue"):
        queue.cancel(database, "a")


def test_what_a_dead_worker_had_is_cancelled_for_good(database: Database) -> None:
    submit(database, "a", DOCUMENT)
    taken = claim(database, "me")
    assert taken is not None
    expire(database, taken.entry.id)
    (gone,) = queue.cancel(database, "a")
    assert gone.state == "cancelled"
    assert claim(database, "me") is None


def test_an_entry_that_is_given_back_waits_as_it_did(database: Database) -> None:
    before = submit(database, "a", DOCUMENT)
    taken = claim(database, "me")
    assert taken is not None
    with queue.working(database, taken) as held:
        queue.give_back(database, taken, held)
    after = only(database, "a")
    assert (after.id, after.state, after.attempts, after.position) == (before.id, "waiting", 0, 1)


def test_an_entry_that_is_given_back_yields_to_what_asks_for_more(database: Database) -> None:
    submit(database, "a", DOCUMENT)
    taken = claim(database, "me")
    larger = submit(database, "a", LARGER)
    assert taken is not None
    with queue.working(database, taken) as held:
        queue.give_back(database, taken, held)
    assert {entry.id: entry.state for entry in entries(database)} == {
        taken.entry.id: "cancelled",
        larger.id: "waiting",
    }


def test_equal_data_are_kept_once_and_only_while_they_are_needed(database: Database) -> None:
    def kept() -> int:
        with database.reading() as connection:
            count = sa.select(sa.func.count()).select_from(uploads)
            return connection.execute(count).scalar_one()

    one = submit(database, "a", DOCUMENT, data=b"1,2,0\n3,4,1\n")
    submit(database, "b", DOCUMENT, data=b"1,2,0\n3,4,1\n")
    submit(database, "c", DOCUMENT, data=bytes(range(256)))
    assert kept() == 2
    assert one.upload is not None
    assert queue.uploaded(database, one.upload) == b"1,2,0\n3,4,1\n"
    queue.cancel(database, "a")
    assert kept() == 2
    queue.cancel(database, "b")
    assert kept() == 1
    with pytest.raises(StorageFailure, match=r"the data .* are not in"):
        queue.uploaded(database, one.upload)
    assert entries(database, name="c")[0].upload is not None


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=2000))
def test_data_come_back_as_they_were_whatever_they_are(database: Database, content: bytes) -> None:
    entry = submit(database, "any", DOCUMENT, data=content)
    assert entry.upload is not None
    assert queue.uploaded(database, entry.upload) == content
    queue.cancel(database, "any")


CLAIMS = """
import sys
from storage.database import open_database
from storage.queue import claim
with open_database(sys.argv[1]) as database:
    print("ready", flush=True)
    sys.stdin.readline()
    while (taken := claim(database, sys.argv[2])) is not None:
        print(taken.entry.name, flush=True)
    print("end", flush=True)
    sys.stdin.readline()
"""


def test_workers_that_ask_at_once_each_get_entries_of_their_own(
    database: Database, storage_url: str, program: Callable[..., subprocess.Popen[str]]
) -> None:
    names = [f"study {n}" for n in range(12)]
    for name in names:
        submit(database, name, DOCUMENT)
    workers = [program(CLAIMS, storage_url, f"worker {n}") for n in range(3)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("go\n")
        worker.stdin.flush()
    taken: list[str] = []
    for worker in workers:
        assert worker.stdout is not None
        while (line := worker.stdout.readline()) != "end\n":
            taken.append(line.strip())
    assert sorted(taken) == sorted(names)
    # Their processes end without having finished anything, and all is to be had again.
    for worker in workers:
        worker.communicate("\n")
    again: list[Any] = [claim(database, "me") for _ in names]
    assert sorted(one.entry.name for one in again) == sorted(names)


def test_the_last_of_what_is_over_is_kept_and_what_the_others_counted(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "KEPT", 3)
    submit(database, "later", DOCUMENT, priority=-1)
    for number in range(6):
        submit(database, f"s{number}", DOCUMENT)
        claimed = claim(database, "me")
        assert claimed is not None
        with queue.working(database, claimed) as held:
            told = {"runs_trained": 10, "ask_seconds": 0.5, "models_per_second": 7.5}
            queue.tell(database, claimed, held, told)
            assert queue.counts(database).models_per_second == 7.5
            queue.finish(database, claimed, held, "done")
        now = queue.counts(database)
        assert now.totals == {
            "runs_trained": 10 * (number + 1),
            "ask_seconds": 0.5 * (number + 1),
            "tell_seconds": 0,
        }
        assert (now.states, now.models_per_second) == (
            {"waiting": 1, "done": min(number + 1, 3)},
            0,
        )
    queue.cancel(database, "later")
    assert [entry.name for entry in entries(database)] == ["s5", "s4", "later"]
