"""What the storage remembers, as rows of its tables: read from them and written to them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage.database import Database, StorageFailure
from storage.tables import batches, runs, studies, tasks, trial_runs, trials
from storage.values import StoredStudy, StoredTrial, TaskFacts


class MissingRun(StorageFailure):
    """A run of a trial is not stored, or no longer: somebody deleted the study that it was of."""


STUDY_QUERY = sa.select(
    studies,
    tasks.c.records,
    tasks.c.timesteps,
    tasks.c.features,
    tasks.c.class_counts,
    tasks.c.target,
    tasks.c.chance,
).join(tasks, tasks.c.fingerprint == studies.c.task)
"""The rows that `study_from` reads."""


def study_from(row: Any) -> StoredStudy:
    """The study that a row of `STUDY_QUERY` holds."""
    return StoredStudy(
        uuid=row.uuid,
        name=row.name,
        document=row.document,
        task=TaskFacts(
            fingerprint=row.task,
            name=row.task_name,
            records=row.records,
            timesteps=row.timesteps,
            features=row.features,
            classes=tuple(row.classes),
            class_counts=tuple(row.class_counts),
            target=row.target or "class",
            chance=None if row.chance is None else tuple(row.chance),
        ),
        created=row.created,
        updated=row.updated,
        directions=tuple(row.directions),
        metric_names=tuple(row.metric_names),
        user_attrs=row.user_attrs,
        revision=row.revision,
    )


def study_row(stored: StoredStudy) -> dict[str, Any]:
    """The row of `sweep_studies` that a study is kept as."""
    return {
        "uuid": stored.uuid,
        "name": stored.name,
        "document": stored.document,
        "budget": stored.budget,
        "task": stored.task.fingerprint,
        "task_name": stored.task.name,
        "classes": list(stored.task.classes),
        "directions": list(stored.directions),
        "metric_names": list(stored.metric_names),
        "user_attrs": stored.user_attrs,
        "revision": stored.revision,
        "created": stored.created,
        "updated": stored.updated,
    }


def task_row(task: TaskFacts, origin: Mapping[str, Any] | None) -> dict[str, Any]:
    """The row of `sweep_tasks` that a task is kept as."""
    return {
        "fingerprint": task.fingerprint,
        "name": task.name,
        "records": task.records,
        "timesteps": task.timesteps,
        "features": task.features,
        "classes": list(task.classes),
        "class_counts": list(task.class_counts),
        "origin": origin,
        "target": None if task.target == "class" else task.target,
        "chance": None if task.chance is None else list(task.chance),
    }


def trial_from(row: Any, run_keys: Sequence[str]) -> StoredTrial:
    """The trial that a row of `sweep_trials` holds, with the keys of its runs."""
    row = row._mapping
    return StoredTrial(
        number=row["number"],
        params=row["params"],
        distributions=row["distributions"],
        values=tuple(row["values"]),
        user_attrs=row["user_attrs"],
        system_attrs=row["system_attrs"],
        intermediate={int(step): value for step, value in row["intermediate"].items()},
        run_keys=tuple(run_keys),
        started=row["started"],
        finished=row["finished"],
    )


def trial_row(study: str, trial: StoredTrial) -> dict[str, Any]:
    """The row of `sweep_trials` that a trial is kept as."""
    return {
        "study": study,
        "number": trial.number,
        "params": trial.params,
        "distributions": trial.distributions,
        "values": list(trial.values),
        "user_attrs": trial.user_attrs,
        "system_attrs": trial.system_attrs,
        "intermediate": {str(step): value for step, value in trial.intermediate.items()},
        "started": trial.started,
        "finished": trial.finished,
    }


def put_task(
    db: Database,
    connection: Connection,
    task: TaskFacts,
    origin: Mapping[str, Any] | None = None,
) -> None:
    """Keeps the facts of a task, within a transaction; its `origin` where none was known."""
    connection.execute(db.insert(tasks).on_conflict_do_nothing(), task_row(task, origin))
    if origin is not None:
        unknown = (tasks.c.fingerprint == task.fingerprint, tasks.c.origin.is_(sa.null()))
        connection.execute(tasks.update().where(*unknown), {"origin": origin})


def select_trials(
    connection: Connection, uuid: str, *criteria: sa.ColumnElement[bool]
) -> list[StoredTrial]:
    """The trials of a study that meet the criteria, in the order of their numbers."""
    keys: defaultdict[int, list[str]] = defaultdict(list)
    on_trial = (trials.c.study == trial_runs.c.study) & (trials.c.number == trial_runs.c.number)
    for number, key in connection.execute(
        sa.select(trial_runs.c.number, trial_runs.c.run_key)
        .join(trials, on_trial)
        .where(trials.c.study == uuid, *criteria)
        .order_by(trial_runs.c.number, trial_runs.c.replicate)
    ):
        keys[number].append(key)
    query = sa.select(trials).where(trials.c.study == uuid, *criteria).order_by(trials.c.number)
    return [trial_from(row, keys[row.number]) for row in connection.execute(query)]


def insert_trials(
    db: Database,
    connection: Connection,
    stored: StoredStudy,
    new: Sequence[StoredTrial],
    moment: datetime,
) -> None:
    """Puts trials whose runs are there, and notes the moment. Raises MissingRun."""
    keys = sorted({key for trial in new for key in trial.run_keys})
    known: set[str] = set()
    for batch in batches(keys):
        query = sa.select(runs.c.key).where(runs.c.key.in_(batch))
        # From here on nobody can delete them as unused.
        held = query.with_for_update(read=True, key_share=True)
        known.update(connection.execute(held).scalars())
    for trial in new:
        for key in trial.run_keys:
            if key not in known:
                raise MissingRun(
                    f"trial {trial.number} of {stored.name!r} refers to the run {key}, which is "
                    f"not in {db.url}"
                )
    if new:
        connection.execute(trials.insert(), [trial_row(stored.uuid, trial) for trial in new])
    links = [
        {"study": stored.uuid, "number": trial.number, "replicate": r, "run_key": key}
        for trial in new
        for r, key in enumerate(trial.run_keys)
    ]
    if links:
        connection.execute(trial_runs.insert(), links)
    connection.execute(studies.update().where(studies.c.uuid == stored.uuid), {"updated": moment})
