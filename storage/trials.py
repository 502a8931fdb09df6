"""Studies and their trials: a trial is written once, whole, when all its replicates are done.

Our tables are the truth of what a study has. Optuna's study of the same name is a mirror that its
tools can read; it is written after ours, so a process killed in between leaves a mirror that lags,
never a trial that is half there, and `complete_mirror` brings it up when the study is opened next.
A mirror that somebody deleted is made again in the same way.

A study has one coordinator, which holds its lease (see `storage.lease`); with the lease given, a
coordinator that has lost it writes nothing.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage import mirror
from storage.database import Database, StorageFailure
from storage.rows import (
    STUDY_QUERY,
    MissingRun,
    insert_trials,
    put_task,
    select_trials,
    study_from,
    study_row,
)
from storage.tables import batches, runs, studies, trial_runs, trials
from storage.values import StoredStudy, StoredTrial, StudyLine, TaskFacts, plain, storable
from studies.errors import BadInput

if TYPE_CHECKING:
    from storage.lease import Lease

__all__ = [
    "MissingRun",
    "StoredStudy",
    "StoredTrial",
    "StudyLine",
    "TaskFacts",
    "add_attributes",
    "adopt_study",
    "complete_mirror",
    "create_study",
    "find_study",
    "no_study",
    "put_trials",
    "read_trials",
    "rewrite_trials",
    "study_lines",
    "update_document",
]


def create_study(
    db: Database,
    name: str,
    document: Mapping[str, Any],
    task: TaskFacts,
    directions: Sequence[str] = ("minimize",),
    metric_names: Sequence[str] = ("par2",),
    user_attrs: Mapping[str, Any] | None = None,
) -> StoredStudy:
    """Makes a study, and Optuna's study of the same name.

    `document` is the study file, with its budget at training.epochs; `directions` are "minimize" or
    "maximize", one a metric name. `user_attrs` are for Optuna's study, which also tells our uuid,
    the document and the task's fingerprint.

    Raises BadInput for a name that cannot be one, that a study of ours has, or that Optuna has for
    a study that is not ours.
    """
    from studies.study import name_problems

    problems = name_problems(name)
    if problems:
        raise BadInput("\n".join(problems))
    if len(directions) != len(metric_names):
        raise ValueError("as many directions as metric names are needed")
    now = datetime.now(UTC)
    stored = StoredStudy(
        uuid=str(uuid.uuid4()),
        name=name,
        document=plain(document),
        task=task,
        created=now,
        updated=now,
        directions=tuple(directions),
        metric_names=tuple(metric_names),
        user_attrs=plain(user_attrs or {}),
        revision=1,
    )
    return adopt_study(db, stored)


def adopt_study(db: Database, stored: StoredStudy, *, lease: "Lease | None" = None) -> StoredStudy:
    """Makes a study that is known from elsewhere, with its uuid. Raises as `create_study`."""

    taken = BadInput(f"a study named {stored.name!r} is already in {db.url}; choose another name")

    def make(connection: Connection) -> None:
        if lease is not None:
            lease.check(connection)
        put_task(db, connection, stored.task, stored.document.get("task"))
        made = connection.execute(
            db.insert(studies).on_conflict_do_nothing(index_elements=["name"]), study_row(stored)
        )
        named = sa.select(studies.c.uuid).where(studies.c.name == stored.name)
        if made.rowcount != 1 and connection.execute(named).scalar() != stored.uuid:
            raise taken

    if find_study(db, stored.name) is not None:
        raise taken
    mirror.check_free(db, stored.name)
    db.write(make)
    complete_mirror(db, stored, lease=lease)
    return stored


def find_study(db: Database, name: str) -> StoredStudy | None:
    """The study of this name, if there is one."""
    query = STUDY_QUERY.where(studies.c.name == name)
    row = db.read(lambda connection: connection.execute(query).one_or_none())
    return None if row is None else study_from(row)


def no_study(db: Database, name: str) -> BadInput:
    """What is said of a name that no study has: the nearest that one has, or all there are."""
    from studies.problems import nearest

    query = sa.select(studies.c.name).order_by(studies.c.created, studies.c.name)
    names = db.read(lambda connection: list(connection.execute(query).scalars()))
    near = nearest(name, names)
    if near:
        hint = f"did you mean {near}? `python -m sweep list` shows all there are"
    elif names:
        hint = f"there are: {', '.join(names[:10])}{', …' if len(names) > 10 else ''}"
    else:
        hint = "it has no study yet; `python -m sweep run` makes one"
    return BadInput(f"no study named {name!r} in {db.url}: {hint}")


def study_lines(db: Database) -> list[StudyLine]:
    """Every study, the oldest first. A run counts as solved if it was within the study's budget."""
    trial_counts = (
        sa.select(trials.c.study, sa.func.count().label("n")).group_by(trials.c.study).subquery()
    )
    solved = sa.case((runs.c.solved_epoch <= studies.c.budget, 1))
    run_counts = (
        sa.select(
            trial_runs.c.study, sa.func.count().label("n"), sa.func.count(solved).label("solved")
        )
        .join(studies, studies.c.uuid == trial_runs.c.study)
        .join(runs, runs.c.key == trial_runs.c.run_key)
        .group_by(trial_runs.c.study)
        .subquery()
    )
    query = (
        sa.select(
            studies.c.name,
            studies.c.task_name,
            sa.func.coalesce(trial_counts.c.n, 0),
            sa.func.coalesce(run_counts.c.n, 0),
            sa.func.coalesce(run_counts.c.solved, 0),
            studies.c.created,
            studies.c.updated,
        )
        .outerjoin(trial_counts, trial_counts.c.study == studies.c.uuid)
        .outerjoin(run_counts, run_counts.c.study == studies.c.uuid)
        .order_by(studies.c.created, studies.c.name)
    )
    return db.read(lambda connection: [StudyLine(*row) for row in connection.execute(query)])


def read_trials(
    db: Database, uuid: str, first: int = 0, before: int | None = None
) -> list[StoredTrial]:
    """The finished trials of a study in the order of their numbers, from `first` on.

    With `before`, those of lower numbers than that only.
    """
    asked = [trials.c.number >= first]
    if before is not None:
        asked.append(trials.c.number < before)
    return db.read(lambda connection: select_trials(connection, uuid, *asked))


def put_trials(
    db: Database,
    stored: StoredStudy,
    finished: Iterable[StoredTrial],
    *,
    lease: "Lease | None" = None,
    mirrored: bool = True,
) -> None:
    """Keeps finished trials, all of them or none, and then mirrors them to Optuna's study.

    A trial that is there already with equal content is left alone. Intermediate values that are not
    finite are left out. The runs have to be there (`storage.runs.put_runs`). With `mirrored` false,
    Optuna's study follows at the next `complete_mirror`, or the next call that does mirror.

    Raises StorageFailure if a trial of the same number has other content, a run is missing (then
    `MissingRun`), or the study was deleted or changed by another process; ValueError for a value
    that is not finite.
    """
    new = _by_number(finished)

    def put(connection: Connection) -> None:
        _guard(connection, stored, lease)
        there = {
            trial.number: trial
            for batch in batches(list(new))
            for trial in select_trials(connection, stored.uuid, trials.c.number.in_(batch))
        }
        for number, trial in there.items():
            if trial != new[number]:
                raise StorageFailure(
                    f"trial {number} of {stored.name!r} is already in {db.url} with other content"
                )
        added = [trial for number, trial in new.items() if number not in there]
        if added:
            insert_trials(db, connection, stored, added, datetime.now(UTC))

    db.write(put)
    if mirrored:
        complete_mirror(db, stored, lease=lease)


def add_attributes(
    db: Database,
    stored: StoredStudy,
    attributes: Mapping[str, Any],
    *,
    lease: "Lease | None" = None,
) -> StoredStudy:
    """Gives a study user attributes, in the place of those that have the same names.

    Optuna's study has them after the next `complete_mirror`. Raises as `put_trials`.
    """
    new = replace(stored, user_attrs={**stored.user_attrs, **plain(attributes)})
    _update(db, stored, {"user_attrs": new.user_attrs}, lease)
    return new


def update_document(
    db: Database,
    stored: StoredStudy,
    document: Mapping[str, Any],
    *,
    task_name: str | None = None,
    lease: "Lease | None" = None,
) -> StoredStudy:
    """Gives a study a new study file that leaves its finished trials as they are: more trials.

    `task_name` is what it calls its data from now on. A change of the budget is for
    `rewrite_trials`, and a ValueError here. Raises as `put_trials`.
    """
    task = stored.task if task_name is None else replace(stored.task, name=task_name)
    new = replace(stored, document=plain(document), task=task, updated=datetime.now(UTC))
    if new.budget != stored.budget:
        raise ValueError("a new budget changes finished trials: use rewrite_trials")
    named = {"task_name": new.task.name, "document": new.document, "updated": new.updated}
    _update(db, stored, named, lease)
    complete_mirror(db, new, lease=lease, enough=lambda took: True)
    return new


def rewrite_trials(
    db: Database,
    stored: StoredStudy,
    document: Mapping[str, Any],
    finished: Iterable[StoredTrial],
    *,
    lease: "Lease | None" = None,
    revision: int | None = None,
    mirrored: bool = True,
) -> StoredStudy:
    """Puts a new study file and new trials in the place of a study's old ones.

    For more replicates or a larger budget, which change the values of finished trials. Ours change
    in one transaction. Optuna's trials are immutable, so its study is deleted and made anew under
    the same name, with the user attributes that it had; what others attached to single trials is
    lost. After a kill at any moment `complete_mirror` ends it, as it does with `mirrored` false.
    Raises as `put_trials`.
    """
    new_trials = _by_number(finished)
    new = replace(
        stored,
        document=plain(document),
        updated=datetime.now(UTC),
        revision=stored.revision + 1 if revision is None else revision,
    )

    def rewrite(connection: Connection) -> None:
        there = connection.execute(STUDY_QUERY.where(studies.c.uuid == stored.uuid)).one_or_none()
        if there is not None and (there.revision, there.document) == (new.revision, new.document):
            return
        _guard(connection, stored, lease)
        connection.execute(trial_runs.delete().where(trial_runs.c.study == stored.uuid))
        connection.execute(trials.delete().where(trials.c.study == stored.uuid))
        connection.execute(
            studies.update().where(studies.c.uuid == stored.uuid),
            {"document": new.document, "budget": new.budget, "revision": new.revision},
        )
        insert_trials(db, connection, new, list(new_trials.values()), new.updated)

    db.write(rewrite)
    if mirrored:
        complete_mirror(db, new, lease=lease)
    return new


def complete_mirror(
    db: Database,
    stored: StoredStudy,
    *,
    lease: "Lease | None" = None,
    enough: Callable[[float], bool] = lambda took: False,
) -> int:
    """Makes Optuna's study say what ours says: makes it, makes it anew, or adds what is missing.

    `enough` is asked before each trial, and told the seconds that the one before took: true leaves
    the rest for another time. Returns how many trials that is. A coordinator that has lost its
    lease adds no more.

    Raises BadInput if Optuna's study of this name is not this one, or has trials that are not ours.
    """

    def look(connection: Connection) -> tuple[StoredStudy, int]:
        row = connection.execute(STUDY_QUERY.where(studies.c.uuid == stored.uuid)).one_or_none()
        if row is None:
            raise StorageFailure(f"the study {stored.name!r} is no longer in {db.url}")
        last = sa.select(sa.func.coalesce(sa.func.max(trials.c.number) + 1, 0))
        return study_from(row), connection.execute(
            last.where(trials.c.study == stored.uuid)
        ).scalar_one()

    def complete() -> int:
        now, total = db.read(look)
        return mirror.complete(
            db,
            now,
            total,
            read=partial(read_trials, db, stored.uuid),
            check=(lambda: None) if lease is None else lease.check,
            enough=enough,
        )

    return db.patiently(complete)


def _update(
    db: Database, stored: StoredStudy, values: Mapping[str, Any], lease: "Lease | None"
) -> None:
    def update(connection: Connection) -> None:
        _guard(connection, stored, lease)
        connection.execute(studies.update().where(studies.c.uuid == stored.uuid), values)

    db.write(update)


def _guard(connection: Connection, stored: StoredStudy, lease: "Lease | None") -> None:
    """Within the transaction that writes, so that nothing can come in between."""
    if lease is not None:
        lease.check(connection)
    query = sa.select(studies.c.revision).where(studies.c.uuid == stored.uuid).with_for_update()
    revision = connection.execute(query).scalar_one_or_none()
    if revision is None:
        raise StorageFailure(f"the study {stored.name!r} was deleted by another process")
    if revision != stored.revision:
        raise StorageFailure(f"the study {stored.name!r} was extended by another process")


def _by_number(finished: Iterable[StoredTrial]) -> dict[int, StoredTrial]:
    checked = [storable(trial) for trial in finished]
    by_number = {trial.number: trial for trial in checked}
    if len(by_number) != len(checked):
        raise ValueError("two trials of one number")
    return dict(sorted(by_number.items()))
