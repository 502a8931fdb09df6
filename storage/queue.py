"""Studies that wait for a worker, with the data that go with them.

    submit(database, "hello-lstm", document, priority=1)
    claimed = claim(database, "process 7 on here")
    with working(database, claimed):
        ...
        finish(database, claimed, "done")

An entry is waiting, running, done, failed or cancelled. Who claims one holds a lease of it (see
`storage.lease`) in the same transaction: where a worker dies, its lease ends and the entry is
claimed again, with all that its study had finished. Of each name one entry waits and one runs at
most, so that more can be asked of a study that is running. Of those that are over the last
`KEPT` are kept.
"""

import hashlib
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage import lease
from storage.database import Database, StorageFailure
from storage.tables import leases, queue, totals, uploads
from storage.values import plain
from studies.errors import BadInput

State = Literal["waiting", "running", "done", "failed", "cancelled"]

MOST_ATTEMPTS = 3
"""Workers that may die of an entry before nobody takes it again."""

KEPT = 1000
"""Entries that are over and are kept, the last ones; older ones leave the queue."""

TOTALS = ("runs_trained", "ask_seconds", "tell_seconds")
"""What of an entry's progress counts over all its workers, and goes on counting without it."""

PRIORITIES = (-1_000_000, 1_000_000)
"""The lowest and the highest priority; the highest comes first."""


@dataclass(frozen=True)
class Entry:
    """A study in the queue, or one that was.

    `document` is the study file as `Study.document` gives it; `upload` the digest of the data that
    go with it; `position` counts the waiting from 1, 0 for all others; `attempts` how often a
    worker took it; `cancelling` that it is to stop; `progress` what its worker told last.
    """

    id: int
    name: str
    document: dict[str, Any]
    priority: int
    state: State
    upload: str | None
    submitted: datetime
    started: datetime | None
    ended: datetime | None
    worker: str | None
    attempts: int
    cancelling: bool
    message: str | None
    progress: dict[str, Any] = field(default_factory=dict[str, Any])
    position: int = 0

    @property
    def over(self) -> bool:
        """Whether it neither runs nor waits."""
        return self.state not in ("waiting", "running")


@dataclass(frozen=True)
class Claimed:
    """An entry that a worker has taken, and the token of its lease."""

    entry: Entry
    token: str


def submit(
    db: Database,
    name: str,
    document: Mapping[str, Any],
    *,
    priority: int = 0,
    data: bytes | None = None,
    replaces: Callable[[Mapping[str, Any]], bool] = lambda old: False,
) -> Entry:
    """Puts a study in the queue, and the data that its document names as a file.

    Where an entry of this name with the same data is waiting already, `replaces` is asked with its
    document whether this one may take its place: it then keeps its age, and the higher priority.
    Raises BadInput if not, or for a priority out of range.
    """
    low, high = PRIORITIES
    if not low <= priority <= high:
        raise BadInput(f"priority {priority}: must be a whole number from {low:,} to {high:,}")
    digest = None if data is None else hashlib.sha256(data).hexdigest()
    new = plain(document)

    def put(connection: Connection) -> int:
        if digest is not None:
            _one_at_a_time(connection)
            there = db.insert(uploads).values(digest=digest, content=data)
            connection.execute(there.on_conflict_do_nothing())
        row = {
            "name": name,
            "document": new,
            "priority": priority,
            "state": "waiting",
            "upload": digest,
            "submitted": datetime.now(UTC),
            "attempts": 0,
            "cancel": False,
        }
        made = connection.execute(
            db.insert(queue).values(**row).on_conflict_do_nothing().returning(queue.c.id)
        ).scalar_one_or_none()
        if made is not None:
            return made
        query = _waiting().where(queue.c.name == name).with_for_update()
        old = connection.execute(query).one_or_none()
        if old is None:
            raise StorageFailure(f"{name!r} was taken from the queue just now; submit it again")
        same = old.document == new and old.upload == digest
        if not same and (old.upload != digest or not replaces(old.document)):
            raise BadInput(
                f"another study named {name!r} is waiting in the queue, or the same one with more "
                "trials, replicates or epochs; give this one another name, or cancel that one first"
            )
        values = {"document": new, "upload": digest, "priority": max(priority, old.priority)}
        connection.execute(queue.update().where(queue.c.id == old.id).values(**values))
        _forget_uploads(connection)
        return old.id

    entry = find_entry(db, db.write(put))
    assert entry is not None
    return entry


def claim(db: Database, worker: str) -> Claimed | None:
    """Takes the entry whose turn it is: of the highest priority, and of these the oldest.

    Those that wait, and those whose worker died, as long as nobody works on a study of the same
    name. None where there is none. The lease has to be kept by `working` from then on.
    """
    token = lease.new_token()

    def take(connection: Connection) -> int | None:
        mine = sa.select(leases.c.study_name).where(leases.c.token == token)
        known = connection.execute(mine).scalar_one_or_none()
        if known is not None:
            # This is the second call of one whose commit was kept.
            return int(known.partition("/")[2])
        dead = _bury(db, connection)
        running = sa.select(queue.c.name).where(queue.c.state == "running", queue.c.id.not_in(dead))
        # Somebody may run the study without the queue.
        names = connection.execute(
            sa.select(queue.c.name)
            .join(leases, leases.c.study_name == queue.c.name)
            .where(queue.c.state == "waiting")
        ).scalars()
        waiting = list(names)
        busy = set(waiting) - lease.abandoned(db, connection, waiting)
        free = (
            (queue.c.state == "waiting")
            & queue.c.name.not_in(running)
            & queue.c.name.not_in(busy)
            & queue.c.name.not_in(sa.select(queue.c.name).where(queue.c.id.in_(dead)))
        )
        candidates = (
            sa.select(queue.c.id)
            .where(free | queue.c.id.in_(dead))
            .order_by(queue.c.priority.desc(), queue.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        found = connection.execute(candidates).scalar_one_or_none()
        if found is None or not lease.claim(db, connection, _lease_name(found), token):
            return None
        connection.execute(
            queue.update()
            .where(queue.c.id == found)
            .values(
                state="running",
                started=datetime.now(UTC),
                worker=worker,
                attempts=queue.c.attempts + 1,
            )
        )
        return found

    found = db.write(take)
    if found is None:
        return None
    entry = find_entry(db, found)
    return None if entry is None else Claimed(entry, token)


@contextmanager
def working(db: Database, claimed: Claimed) -> Generator[lease.Lease]:
    """Keeps the lease of a claimed entry for the block."""
    with lease.hold(db, _lease_name(claimed.entry.id), token=claimed.token) as held:
        yield held


def tell(db: Database, claimed: Claimed, held: lease.Lease, progress: Mapping[str, Any]) -> bool:
    """Notes how far a claimed entry is, and says whether it is to stop.

    Raises StorageFailure if another worker has taken it over.
    """

    def note(connection: Connection) -> bool:
        held.check(connection)
        mine = queue.c.id == claimed.entry.id
        connection.execute(queue.update().where(mine).values(progress=plain(progress)))
        return bool(connection.execute(sa.select(queue.c.cancel).where(mine)).scalar())

    return db.write(note)


def finish(
    db: Database,
    claimed: Claimed,
    held: lease.Lease,
    state: Literal["done", "failed", "cancelled"],
    message: str | None = None,
) -> None:
    """Ends a claimed entry. Raises StorageFailure if another worker has taken it over."""

    def end(connection: Connection) -> None:
        held.check(connection)
        _end(connection, [claimed.entry.id], state, message)

    db.write(end)


def give_back(db: Database, claimed: Claimed, held: lease.Lease) -> None:
    """Lets a claimed entry wait again, as if it had not been taken; where more was asked of its
    study meanwhile, that waits already and this is over. One that was given back stays so."""

    def put_back(connection: Connection) -> None:
        held.check(connection)
        mine = claimed.entry.id
        others = (queue.c.name == claimed.entry.name) & (queue.c.id != mine)
        same = _waiting().where(others).with_for_update()
        if connection.execute(same).one_or_none() is not None:
            _end(connection, [mine], "cancelled", "more was asked of the study, and that waits")
            return
        connection.execute(
            queue.update()
            .where(queue.c.id == mine, queue.c.state == "running")
            .values(state="waiting", worker=None, attempts=queue.c.attempts - 1)
        )

    db.write(put_back)


def cancel(db: Database, name: str) -> list[Entry]:
    """Takes what waits under this name out of the queue, and tells what runs to stop.

    Returns the entries that it was about. Raises BadInput if nothing waits or runs under the name.
    """

    def take_out(connection: Connection) -> list[int]:
        mine = queue.c.name == name
        waiting = connection.execute(_waiting().where(mine).with_for_update()).all()
        for row in waiting:
            begun = row.started is not None
            why = kept(row.progress or {}) if begun else "before it began"
            _end(connection, [row.id], "cancelled", why)
        running = sa.select(queue.c.id).where(mine, queue.c.state == "running")
        ids = list(connection.execute(running.with_for_update()).scalars())
        connection.execute(queue.update().where(queue.c.id.in_(ids)).values(cancel=True))
        _bury(db, connection)
        return [*(row.id for row in waiting), *ids]

    ids = db.write(take_out)
    if not ids:
        waits = [e.name for e in entries(db) if not e.over]
        there = f"there are: {', '.join(waits[:10])}" if waits else "it is empty"
        raise BadInput(f"no study named {name!r} is in the queue of {db.url}: {there}")
    return [entry for entry in entries(db) if entry.id in ids]


def kept(progress: Mapping[str, Any]) -> str:
    """What becomes of the runs that a study had finished, by its progress, when it is stopped."""
    runs = int(progress.get("runs", 0))
    what = {0: "no run was finished", 1: "its one finished run is kept"}
    return what.get(runs, f"its {runs:,} finished runs are kept")


def entries(db: Database, *, name: str | None = None, most: int = 1000) -> list[Entry]:
    """The queue: what runs, what waits in its order, and then what is over, the newest first; of
    all names or of one, and no more than so many."""
    turn = sa.case((queue.c.state == "running", 0), (queue.c.state == "waiting", 1), else_=2)
    over = sa.case((turn == 2, -queue.c.id), else_=queue.c.id)
    priority = sa.case((turn == 1, -queue.c.priority), else_=0)
    query = _placed().order_by(turn, priority, over).limit(most)
    if name is not None:
        query = query.where(queue.c.name == name)
    return [_entry(row) for row in db.read(lambda connection: list(connection.execute(query)))]


def find_entry(db: Database, number: int) -> Entry | None:
    """The entry of this number, with its position in the queue."""
    query = _placed().where(queue.c.id == number)
    row = db.read(lambda connection: connection.execute(query).one_or_none())
    return None if row is None else _entry(row)


@dataclass(frozen=True)
class Counts:
    """Of the queue in all: entries by state, `TOTALS` ever, and models a second just now."""

    states: Mapping[str, int]
    totals: Mapping[str, float]
    models_per_second: float


def counts(db: Database) -> Counts:
    """What the queue comes to, at one moment."""

    def number(key: str) -> Any:
        return sa.func.sum(queue.c.progress[key].as_float())

    running = queue.c.state == "running"
    query = sa.union_all(
        sa.select(sa.literal("state").label("what"), queue.c.state, sa.func.count()).group_by(
            queue.c.state
        ),
        sa.select(sa.literal("rate"), sa.literal(""), number("models_per_second")).where(running),
        sa.select(sa.literal("total"), totals.c.key, totals.c.value),
        *(sa.select(sa.literal("total"), sa.literal(key), number(key)) for key in TOTALS),
    )
    states = dict[str, int]()
    sums: dict[str, float] = dict.fromkeys(TOTALS, 0.0)
    rate = 0.0
    for what, key, value in db.read(lambda connection: connection.execute(query).all()):
        if what == "state":
            states[key] = int(value)
        elif what == "rate":
            rate = float(value or 0.0)
        else:
            sums[key] += float(value or 0.0)
    return Counts(states, sums, rate)


def uploaded(db: Database, digest: str) -> bytes:
    """The data of this digest. Raises StorageFailure if they are not there or are damaged."""
    query = sa.select(uploads.c.content).where(uploads.c.digest == digest)
    content = db.read(lambda connection: connection.execute(query).scalar_one_or_none())
    if content is None or hashlib.sha256(content).hexdigest() != digest:
        raise StorageFailure(f"the data {digest[:12]} of a submitted study are not in {db.url}")
    return bytes(content)


def _waiting() -> sa.Select[Any]:
    return sa.select(queue).where(queue.c.state == "waiting")


def _placed() -> sa.Select[Any]:
    """Entries, each with its `place` among those that wait, which is 0 for all others."""
    turn = sa.func.row_number().over(order_by=(queue.c.priority.desc(), queue.c.id))
    line = sa.select(queue.c.id, turn.label("place")).where(queue.c.state == "waiting").subquery()
    place = sa.func.coalesce(line.c.place, 0).label("place")
    return sa.select(queue, place).outerjoin(line, line.c.id == queue.c.id)


def _lease_name(number: int) -> str:
    # No study's name has a slash.
    return f"queue/{number}"


def _bury(db: Database, connection: Connection) -> list[int]:
    """Ends running entries whose worker died and that nobody may take again; returns the others
    whose worker died."""
    query = sa.select(queue).where(queue.c.state == "running")
    running = {row.id: row for row in connection.execute(query)}
    gone = lease.abandoned(db, connection, [_lease_name(number) for number in running])
    dead = [number for number in running if _lease_name(number) in gone]
    if not dead:
        return []
    # Locked, and looked at again: another worker may be about the same.
    locked = query.where(queue.c.id.in_(dead)).with_for_update(skip_locked=True)
    rows = list(connection.execute(locked))
    gone = lease.abandoned(db, connection, [_lease_name(row.id) for row in rows])
    rows = [row for row in rows if _lease_name(row.id) in gone]
    stop = [row.id for row in rows if row.cancel]
    _end(connection, stop, "cancelled", "its worker died; what is finished is kept")
    hopeless = [row.id for row in rows if row.attempts >= MOST_ATTEMPTS and not row.cancel]
    _end(
        connection,
        hopeless,
        "failed",
        f"the process of its worker died {MOST_ATTEMPTS} times; for want of memory, perhaps",
    )
    return [row.id for row in rows if row.id not in {*stop, *hopeless}]


def _end(connection: Connection, ids: list[int], state: State, message: str | None) -> None:
    if not ids:
        return
    connection.execute(
        queue.update()
        .where(queue.c.id.in_(ids))
        .values(state=state, ended=datetime.now(UTC), message=message)
    )
    _forget_uploads(connection)
    _prune(connection)


def _prune(connection: Connection) -> None:
    """Takes the oldest of those that are over out of the queue, and keeps what they counted.

    `_forget_uploads` sees to it that no two do this at once.
    """
    over = queue.c.state.in_(("done", "failed", "cancelled"))
    newest_first = sa.select(queue.c.ended).where(over).order_by(queue.c.ended.desc())
    last = connection.execute(newest_first.offset(KEPT).limit(1)).scalar_one_or_none()
    if last is None:
        return
    old = (over, queue.c.ended <= last)
    for progress in connection.execute(sa.select(queue.c.progress).where(*old)).scalars():
        for key in TOTALS:
            more = (progress or {}).get(key, 0)
            mine = totals.update().where(totals.c.key == key)
            connection.execute(mine.values(value=totals.c.value + more))
    connection.execute(queue.delete().where(*old))


def _forget_uploads(connection: Connection) -> None:
    """Deletes data that nothing in the queue will be trained on any more."""
    _one_at_a_time(connection)
    over = queue.c.state.in_(("done", "failed", "cancelled"))
    connection.execute(queue.update().where(over, queue.c.upload.is_not(None)).values(upload=None))
    used = sa.exists().where(queue.c.upload == uploads.c.digest)
    connection.execute(uploads.delete().where(~used))


def _one_at_a_time(connection: Connection) -> None:
    """Until this transaction ends, no other adds or deletes data; on SQLite none does anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('sweep uploads'))"))


def _entry(row: Any) -> Entry:
    return Entry(
        id=row.id,
        name=row.name,
        document=row.document,
        priority=row.priority,
        state=row.state,
        upload=row.upload,
        submitted=row.submitted,
        started=row.started,
        ended=row.ended,
        worker=row.worker,
        attempts=row.attempts,
        cancelling=row.cancel,
        message=row.message,
        progress=row.progress or {},
        position=row.place,
    )
