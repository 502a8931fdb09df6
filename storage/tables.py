"""The tables that hold runs, studies and trials, beside Optuna's own in the same database.

All of them are named `sweep_…`. None refers to a table of Optuna's: a foreign key there would make
Optuna's deletion of a study do nothing, without a word. How a database reaches this schema is in
`migrations/`; `HEAD` is the last of them.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)

HEAD = "0005"
"""The schema that this version reads and writes; revisions are compared as text."""

VERSION_TABLE = "sweep_version"
PREFIX = "sweep_"

Item = TypeVar("Item")


class Moment(TypeDecorator[datetime]):
    """A moment in time: aware in Python, UTC in the database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        # SQLite's driver has no time zones and would drop another one silently.
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

tasks = Table(
    "sweep_tasks",
    metadata,
    Column("fingerprint", String(32), primary_key=True),
    Column("name", Text, nullable=False),
    Column("records", Integer, nullable=False),
    Column("timesteps", Integer, nullable=False),
    Column("features", Integer, nullable=False),
    Column("classes", JSON, nullable=False),
    Column("class_counts", JSON, nullable=False),
    # The [task] section of the first study on these data: how to make or find them again.
    Column("origin", JSON(none_as_null=True)),
    # What is told, and accuracy and loss at chance; null for classes, of which the counts say it.
    Column("target", String(16)),
    Column("chance", JSON(none_as_null=True)),
)

runs = Table(
    "sweep_runs",
    metadata,
    Column("id", Integer, primary_key=True),
    # One row a key: a longer run takes the place of a censored one, which it contains.
    Column("key", String(32), nullable=False, unique=True),
    Column("epochs", Integer, nullable=False),
    Column("ended", String(16), nullable=False),
    Column("solved_epoch", Integer),
    Column("task", ForeignKey("sweep_tasks.fingerprint"), nullable=False, index=True),
    Column("configuration", JSON, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("target", Float(53), nullable=False),
    Column("semantics", Integer, nullable=False),
    # Names joined by commas; the columns of `curves`, float32 little-endian [epochs, series].
    Column("series", Text, nullable=False),
    Column("curves", LargeBinary, nullable=False),
    Column("checksum", BigInteger, nullable=False),
    Column("finished_at", Moment, nullable=False),
    # The uuid of a study, which may be gone: what it finished waits for it while it is there.
    Column("trained_for", String(36), index=True),
)

studies = Table(
    "sweep_studies",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("name", String(255), nullable=False, unique=True),
    Column("document", JSON, nullable=False),
    # The document's training.epochs: runs are shared, and another study may have trained longer.
    Column("budget", Integer, nullable=False),
    Column("task", ForeignKey("sweep_tasks.fingerprint"), nullable=False, index=True),
    # A fingerprint is of the numbers alone: what they are called is each study's own.
    Column("task_name", Text, nullable=False),
    Column("classes", JSON, nullable=False),
    # What Optuna's study has to be made from again.
    Column("directions", JSON, nullable=False),
    Column("metric_names", JSON, nullable=False),
    Column("user_attrs", JSON, nullable=False),
    # Rises when finished trials change, which Optuna's study can follow only by being made anew.
    Column("revision", Integer, nullable=False),
    Column("created", Moment, nullable=False),
    Column("updated", Moment, nullable=False),
)

trials = Table(
    "sweep_trials",
    metadata,
    Column("study", ForeignKey("sweep_studies.uuid", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("params", JSON, nullable=False),
    Column("distributions", JSON, nullable=False),
    Column("values", JSON, nullable=False),
    Column("user_attrs", JSON, nullable=False),
    Column("system_attrs", JSON, nullable=False),
    Column("intermediate", JSON, nullable=False),
    Column("started", Moment, nullable=False),
    Column("finished", Moment, nullable=False),
)

trial_runs = Table(
    "sweep_trial_runs",
    metadata,
    Column("study", String(36), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("replicate", Integer, primary_key=True),
    Column("run_key", ForeignKey("sweep_runs.key"), nullable=False, index=True),
    ForeignKeyConstraint(
        ["study", "number"], ["sweep_trials.study", "sweep_trials.number"], ondelete="CASCADE"
    ),
)

leases = Table(
    "sweep_leases",
    metadata,
    Column("study_name", String(255), primary_key=True),
    Column("token", String(32), nullable=False),
    Column("holder", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    # Seconds since 1970 by the database's own clock, the one that all coordinators share.
    Column("since", Float(53), nullable=False),
    Column("heartbeat", Float(53), nullable=False),
)

uploads = Table(
    "sweep_uploads",
    metadata,
    # SHA-256 of the content: equal data are kept once.
    Column("digest", String(64), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

queue = Table(
    "sweep_queue",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(255), nullable=False),
    Column("document", JSON, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    # The data that the document's [task] names as a file, if it does.
    Column("upload", ForeignKey("sweep_uploads.digest"), index=True),
    Column("submitted", Moment, nullable=False),
    Column("started", Moment),
    Column("ended", Moment),
    Column("worker", Text),
    Column("attempts", Integer, nullable=False),
    Column("cancel", Boolean, nullable=False),
    Column("message", Text),
    Column("progress", JSON(none_as_null=True)),
    Index("ix_sweep_queue_state_name", "state", "name"),
    # Of each name one entry waits and one runs, at most.
    *(
        Index(
            f"uq_sweep_queue_{state}",
            "name",
            unique=True,
            sqlite_where=text(f"state = '{state}'"),
            postgresql_where=text(f"state = '{state}'"),
        )
        for state in ("waiting", "running")
    ),
    sqlite_autoincrement=True,
)

# What entries that have left the queue counted: `storage.queue.TOTALS`.
totals = Table(
    "sweep_totals",
    metadata,
    Column("key", String(32), primary_key=True),
    Column("value", Float(53), nullable=False),
)

# Counting the solved runs of every study reads this index alone, not the rows with their curves.
Index("ix_sweep_runs_key_solved_epoch", runs.c.key, runs.c.solved_epoch)


def batches(items: Sequence[Item], size: int = 500) -> Iterator[Sequence[Item]]:
    """Items in parts: a statement may have so many parameters, and no more."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
