"""One coordinator for each study: a leased row with a heartbeat.

    with hold(database, "hello-lstm") as lease:
        put_trials(database, stored, trials, lease=lease)

A thread renews the lease while its holder lives. A holder that is gone (its process is dead, or its
heartbeat has stopped) loses the lease to the next who asks. One that was only suspended finds out
before it writes: every write checks the lease in its own transaction.
"""

import os
import socket
import sys
import threading
import uuid
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage.database import Database, StorageFailure
from storage.tables import leases

RENEWAL = 2.0
"""Seconds between heartbeats."""

STALE = 15.0
"""Seconds without a heartbeat after which a lease can be taken over."""


class LeaseHeld(StorageFailure):
    """Another coordinator works on the study: `holder` says who, `since` from when on."""

    def __init__(self, study_name: str, holder: str, since: datetime) -> None:
        self.study_name = study_name
        self.holder = holder
        self.since = since
        local = since.astimezone().strftime("%Y-%m-%d %H:%M:%S")
        super().__init__(f"the study {study_name!r} is being worked on by {holder} since {local}")


class Lease:
    """The right to write to a study, as long as `check()` says so. Made by `hold`."""

    def __init__(self, db: Database, study_name: str, token: str) -> None:
        self.study_name = study_name
        self._db = db
        self._token = token

    def check(self, connection: Connection | None = None) -> None:
        """Raises StorageFailure if another coordinator has taken over.

        Within the transaction of `connection`, where one is given: what that writes is then safe
        from a takeover in between.
        """
        if connection is None:
            self._db.read(self._check)
        else:
            self._check(connection)

    def _check(self, connection: Connection) -> None:
        query = (
            sa.select(leases.c.token, leases.c.holder)
            .where(leases.c.study_name == self.study_name)
            .with_for_update(read=True)
        )
        row = connection.execute(query).one_or_none()
        if row is None or row.token != self._token:
            other = "another process" if row is None else row.holder
            raise StorageFailure(
                f"the study {self.study_name!r} was taken over by {other}, since this process gave "
                "no sign of life; nothing was written"
            )

    def renew(self) -> bool:
        """Gives a sign of life, once; false if the lease is no longer ours."""
        with self._db.writing() as connection:
            renewed = connection.execute(
                leases.update()
                .where(leases.c.study_name == self.study_name, leases.c.token == self._token)
                .values(heartbeat=_now(self._db))
            )
        return renewed.rowcount == 1


@contextmanager
def hold(
    db: Database,
    study_name: str,
    *,
    token: str | None = None,
    waiting: Callable[[LeaseHeld], None] | None = None,
    renewal: float = RENEWAL,
    stale: float = STALE,
) -> Generator[Lease]:
    """Holds the lease of a study for the block; with `token`, one that `claim` has taken.

    Where a living coordinator has it, `waiting` is called with who that is, again and again until
    the lease is free; it has to let some time pass. Without it LeaseHeld is raised. The study
    itself need not be there yet.
    """
    token = token or new_token()
    while True:
        try:
            _take(db, study_name, token, stale)
        except LeaseHeld as held:
            if waiting is None:
                raise
            waiting(held)
        else:
            break
    lease = Lease(db, study_name, token)
    done = threading.Event()

    def beat() -> None:
        while not done.wait(renewal):
            # A storage that is locked or full may be well at the next beat, and `check` decides.
            with suppress(StorageFailure):
                if not lease.renew():
                    return

    thread = threading.Thread(target=beat, name=f"lease of {study_name}", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        done.set()
        thread.join()
        # A lease that cannot be given back ends by itself; what went wrong inside matters more.
        with suppress(StorageFailure), db.writing() as connection:
            connection.execute(
                leases.delete().where(leases.c.study_name == study_name, leases.c.token == token)
            )


def new_token() -> str:
    """What tells a lease from all others."""
    return uuid.uuid4().hex


def claim(db: Database, connection: Connection, name: str, token: str) -> bool:
    """Takes a lease within a transaction of the caller's; false where a living holder has it.

    `hold` with the same token keeps it from then on; without, it ends as a dead holder's does.
    """
    return _taking(db, name, token, STALE)(connection) is None


def abandoned(db: Database, connection: Connection, names: Sequence[str]) -> set[str]:
    """Those of the names whose lease nobody has, or a holder that is dead or silent too long."""
    silence = (_now(db) - leases.c.heartbeat).label("silence")
    query = sa.select(leases, silence).where(leases.c.study_name.in_(names))
    held = {
        row.study_name for row in connection.execute(query) if not _is_over(row, _host(), STALE)
    }
    return set(names) - held


def _is_over(row: Any, host: str, stale: float) -> bool:
    """Whether a lease can be taken over; `row` has its columns, and its `silence`."""
    return row.silence > stale or (row.host == host and not _is_alive(row.pid))


def _take(db: Database, study_name: str, token: str, stale: float) -> None:
    take = _taking(db, study_name, token, stale)
    # PostgreSQL lets a lease be given back, or change hands, between two of these statements.
    for _ in range(3):
        row = db.write(take)
        if row is None:
            return
        if row is not _UNKNOWN:
            raise LeaseHeld(study_name, row.holder, datetime.fromtimestamp(row.since, UTC))
    raise LeaseHeld(study_name, "another process", datetime.now(UTC))


def _taking(db: Database, study_name: str, token: str, stale: float) -> Callable[[Connection], Any]:
    host, pid = _host(), os.getpid()
    now = _now(db)
    mine: dict[str, Any] = {
        "token": token,
        "holder": f"process {pid} on {socket.gethostname()}",
        "host": host,
        "pid": pid,
        "since": now,
        "heartbeat": now,
    }
    insert = db.insert(leases).values(study_name=study_name, **mine).on_conflict_do_nothing()
    there = sa.select(leases, (now - leases.c.heartbeat).label("silence")).where(
        leases.c.study_name == study_name
    )

    def take(connection: Connection) -> Any:
        """Nothing if the lease is ours now, else who has it."""
        if connection.execute(insert).rowcount == 1:
            return None
        row = connection.execute(there).one_or_none()
        if row is None:
            return _UNKNOWN
        if row.token == token:
            return None
        if _is_over(row, host, stale):
            takeover = leases.update().where(
                leases.c.study_name == study_name,
                leases.c.token == row.token,
                leases.c.heartbeat == row.heartbeat,
            )
            taken = connection.execute(takeover.values(**mine)).rowcount == 1
            return None if taken else _UNKNOWN
        return row

    return take


_UNKNOWN = object()


def _now(db: Database) -> sa.ColumnElement[float]:
    """The database's own clock, in seconds since 1970."""
    if db.engine.dialect.name == "postgresql":
        return sa.cast(sa.extract("epoch", sa.func.clock_timestamp()), sa.Float(53))
    return sa.literal_column("(julianday('now') - 2440587.5) * 86400.0", sa.Float(53))


def _host() -> str:
    """Where a process number means the same: a machine since it was started, and a container."""
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(os.readlink("/proc/self/ns/pid"))  # noqa: PTH115
    return " ".join(parts)


def _is_alive(pid: int) -> bool:
    if sys.platform == "win32":
        # There, signal 0 would be sent; the heartbeat tells.
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
