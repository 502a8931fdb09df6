"""Deleting: a study with what only it used, and runs that nobody can use any more.

A run is kept while a trial refers to it, or while the study is there that it was trained for: what
an interrupted or killed study had finished waits in the storage until the study goes on. Of runs
whose study is not known, as explanations and the first version stored them, some study of the same
data has to be there. Runs of an older meaning of training (`studies.run.SEMANTICS`), which no study
can ever find again, are kept for the trials that refer to them only.
"""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage import mirror
from storage.database import Database
from storage.lease import hold
from storage.tables import batches, runs, studies, tasks, trial_runs, trials
from storage.trials import find_study, no_study
from studies.run import SEMANTICS

_LINKED = sa.exists().where(trial_runs.c.run_key == runs.c.key)
_OWNED = sa.exists().where(studies.c.uuid == runs.c.trained_for)
_OF_A_STUDYS_DATA = runs.c.trained_for.is_(None) & sa.exists().where(studies.c.task == runs.c.task)

UNUSED = ~_LINKED & ((runs.c.semantics != SEMANTICS) | ~(_OWNED | _OF_A_STUDYS_DATA))
"""What makes a run of `sweep_runs` garbage."""


def delete_study(db: Database, name: str) -> int:
    """Deletes a study, Optuna's study of it, and the runs that are of no use without it.

    These are the runs that only its trials referred to, and those that were trained for it and
    never came into a trial. Returns how many runs were deleted. Optuna's study goes first: killed
    in between, the study is still listed, and the same call ends it.

    Raises BadInput if there is no such study, LeaseHeld while somebody works on it.
    """
    if find_study(db, name) is None:
        raise no_study(db, name)
    with hold(db, name) as lease:
        stored = find_study(db, name)
        if stored is None:
            raise no_study(db, name)
        db.patiently(lambda: mirror.remove(db, stored))

        def delete(connection: Connection) -> int:
            lease.check(connection)
            own = sa.select(trial_runs.c.run_key).where(trial_runs.c.study == stored.uuid)
            used = list(connection.execute(own.distinct()).scalars())
            connection.execute(trial_runs.delete().where(trial_runs.c.study == stored.uuid))
            connection.execute(trials.delete().where(trials.c.study == stored.uuid))
            connection.execute(studies.delete().where(studies.c.uuid == stored.uuid))
            deleted = _delete(connection, UNUSED & (runs.c.task == stored.task.fingerprint))
            for batch in batches(used):
                deleted += _delete(connection, runs.c.key.in_(batch) & ~_OWNED)
            _delete_tasks(connection)
            return deleted

        return db.write(delete)


def delete_unused(db: Database) -> int:
    """Deletes the runs that are garbage, as this module's head defines it; returns how many."""

    def delete(connection: Connection) -> int:
        deleted = _delete(connection, UNUSED)
        _delete_tasks(connection)
        return deleted

    return db.write(delete)


def count_unused(db: Database) -> int:
    """How many runs are garbage."""
    query = sa.select(sa.func.count()).select_from(runs).where(UNUSED)
    return db.read(lambda connection: connection.execute(query).scalar_one())


def _delete(connection: Connection, which: sa.ColumnElement[bool]) -> int:
    """Deletes runs that no trial refers to, of those that a condition is true of."""
    # Locked before the second look: a trial that came to refer to one meanwhile holds its row.
    query = sa.select(runs.c.key).where(which, ~_LINKED).with_for_update(skip_locked=True, of=runs)
    keys = list(connection.execute(query).scalars())
    deleted = 0
    for batch in batches(keys):
        gone = connection.execute(runs.delete().where(runs.c.key.in_(batch), ~_LINKED))
        deleted += gone.rowcount
    return deleted


def _delete_tasks(connection: Connection) -> None:
    """Deletes the facts of data that neither a study nor a run is of."""
    connection.execute(
        tasks.delete().where(
            ~sa.exists().where(studies.c.task == tasks.c.fingerprint),
            ~sa.exists().where(runs.c.task == tasks.c.fingerprint),
        )
    )
