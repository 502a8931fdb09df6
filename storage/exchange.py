"""Studies from one storage into another, with their runs and curves; nothing is stored twice.

A study keeps its uuid, so it is known again: imported once more, it brings what it has become
since. Runs come first and then the trials that refer to them, in their order; an import that ends
in between is taken up by the next. What others noted in Optuna's copy does not come along.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage.database import Database, StorageFailure
from storage.lease import Lease, hold
from storage.runs import is_whole, put_rows
from storage.tables import batches, runs, studies, tasks, trial_runs
from storage.trials import (
    StoredStudy,
    adopt_study,
    complete_mirror,
    find_study,
    no_study,
    put_trials,
    read_trials,
    rewrite_trials,
    update_document,
)
from studies.errors import BadInput

_PAGE = 200
"""Runs or trials in memory at a time."""


@dataclass(frozen=True)
class Imported:
    """What an import brought: the study's name here, its trials in all and those that were new,
    its runs in all and those that were new."""

    name: str
    trials: int
    new_trials: int
    runs: int
    new_runs: int


def import_study(
    source: Database, target: Database, name: str, *, new_name: str | None = None
) -> Imported:
    """Takes a study from `source` into `target`, under another name where one is given.

    Raises BadInput if `source` has no study of this name, or `target` another one;
    StorageFailure if a curve is damaged, the study changes meanwhile, was continued to something
    else in `target`, or is worked on there (LeaseHeld).
    """
    if source.url == target.url:
        raise BadInput(f"{source.url} is this storage itself; name another one")
    theirs = find_study(source, name)
    if theirs is None:
        raise no_study(source, name)
    named = replace(theirs, name=new_name or name)
    with hold(target, named.name) as lease:
        ours = _ours(target, named)
        trials = read_trials(source, theirs.uuid)
        keys = _keys(source, theirs, [key for trial in trials for key in trial.run_keys])
        new_runs = sum(_copy(source, target, named, batch, lease) for batch in batches(keys, _PAGE))
        before = 0 if ours is None else len(read_trials(target, named.uuid))
        if ours is None:
            ours = adopt_study(target, named, lease=lease)
        elif ours.revision < named.revision:
            revision = named.revision
            ours = rewrite_trials(
                target, ours, named.document, trials, lease=lease, revision=revision, mirrored=False
            )
            before = 0
        if ours.revision == named.revision:
            newer = ours.updated < named.updated
            if newer and ours.document != named.document:
                ours = update_document(
                    target, ours, named.document, task_name=named.task.name, lease=lease
                )
            for page in batches(trials, _PAGE):
                put_trials(target, ours, page, lease=lease, mirrored=False)
            if newer or before == 0:
                _date(target, named, lease)
        again = find_study(source, name)
        if again is None or (again.uuid, again.revision) != (theirs.uuid, theirs.revision):
            raise StorageFailure(
                f"the study {name!r} in {source.url} was changed while it was read; import it again"
            )
        complete_mirror(target, ours, lease=lease)
        after = len(read_trials(target, named.uuid))
    return Imported(named.name, after, after - before, len(keys), new_runs)


def _ours(target: Database, named: StoredStudy) -> StoredStudy | None:
    """The study where it was imported before; BadInput where its name or uuid is another's."""
    ours = find_study(target, named.name)
    if ours is not None and ours.uuid != named.uuid:
        raise BadInput(
            f"{target.url} has another study named {named.name!r}; import it under another name: "
            "--name NAME"
        )
    query = sa.select(studies.c.name).where(studies.c.uuid == named.uuid)
    there = target.read(lambda connection: connection.execute(query).scalar_one_or_none())
    if there not in (None, named.name):
        raise BadInput(f"this study is in {target.url} already, as {there!r}: --name {there!r}")
    return ours


def _keys(source: Database, study: StoredStudy, used: Sequence[str]) -> list[str]:
    """The runs of a study: of its trials, and those that it finished and has not come to use."""
    linked = sa.exists().where(trial_runs.c.run_key == runs.c.key)
    waiting = sa.select(runs.c.key).where(runs.c.trained_for == study.uuid, ~linked)
    more = source.read(lambda connection: list(connection.execute(waiting).scalars()))
    return list(dict.fromkeys([*used, *more]))


def _date(target: Database, study: StoredStudy, lease: Lease) -> None:
    """Lets a study be as old here as it is where it came from."""
    dated = studies.update().where(studies.c.uuid == study.uuid).values(updated=study.updated)

    def write(connection: Connection) -> None:
        lease.check(connection)
        connection.execute(dated)

    target.write(write)


def _copy(
    source: Database, target: Database, study: StoredStudy, keys: Sequence[str], lease: Lease
) -> int:
    """Copies runs as they are, where they are not there already; returns how many."""

    of_task = tasks.c.fingerprint == study.task.fingerprint

    def read(connection: Connection) -> tuple[Any, Sequence[Any]]:
        facts = connection.execute(sa.select(tasks).where(of_task)).mappings().one()
        return facts, connection.execute(sa.select(runs).where(runs.c.key.in_(keys))).all()

    task, found = source.read(read)
    for row in found:
        if not is_whole(row):
            raise StorageFailure(
                f"the curves of run {row.key} in {source.url} are damaged; `doctor` says more"
            )
    rows: list[dict[str, Any]] = [{**row._mapping, "trained_for": study.uuid} for row in found]
    for row in rows:
        # Each database numbers its rows itself.
        del row["id"]

    def write(connection: Connection) -> int:
        lease.check(connection)
        connection.execute(target.insert(tasks).on_conflict_do_nothing(), dict(task))
        budgets = {row["key"]: row["epochs"] for row in rows}
        return put_rows(target, connection, rows, budgets)

    return target.write(write)
