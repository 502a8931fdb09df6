"""Whether a storage is sound: its curves, what refers to what, and Optuna's copies.

`examine` reads everything once and changes nothing. `mend` takes out what is damaged: the same
study, run again, trains it anew and comes to the same trials.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage import mirror
from storage.database import Database
from storage.garbage import count_unused
from storage.lease import abandoned, hold
from storage.runs import is_whole
from storage.tables import batches, leases, queue, runs, studies, tasks, trial_runs, trials
from storage.trials import complete_mirror, find_study, study_lines
from storage.values import StoredStudy
from studies.errors import BadInput
from studies.run import SEMANTICS, Configuration, Run

_PAGE = 500


@dataclass(frozen=True)
class Health:
    """What was found in a storage.

    `counts` are of rows, by what they are; `problems` a sentence each, none in a sound storage;
    `damaged` the keys of runs that cannot be used.
    """

    storage: str
    counts: Mapping[str, int]
    problems: tuple[str, ...]
    damaged: tuple[str, ...]


def examine(db: Database) -> Health:
    """Reads the whole storage and says what is wrong with it.

    Every curve is held against its checksum and every run against its key. Raises StorageFailure
    where the database cannot be read at all.
    """
    problems = list(_file_problems(db))
    damaged: list[str] = []
    for key, wrong in _damaged_runs(db):
        damaged.append(key)
        problems.append(wrong)
    problems += _dangling(db)
    problems += _broken_studies(db)
    behind, copies = _copies(db)
    problems += copies
    counts = db.read(lambda connection: _counted(db, connection)) | {
        "unused runs": count_unused(db),
        "trials not copied": behind,
    }
    return Health(db.url, counts, tuple(problems), tuple(damaged))


def mend(db: Database, damaged: tuple[str, ...]) -> int:
    """Takes out damaged runs, and from each study the trials from the first that refers to one on.

    What was right in those trials stays: the study goes on from there and finds it again. Returns
    how many trials were taken out. Raises LeaseHeld where a study that has to be changed is worked
    on.
    """
    first: dict[str, int] = {}
    for batch in batches(damaged):
        query = (
            sa.select(studies.c.name, sa.func.min(trial_runs.c.number))
            .join(studies, studies.c.uuid == trial_runs.c.study)
            .where(trial_runs.c.run_key.in_(batch))
            .group_by(studies.c.name)
        )
        for name, number in db.read(lambda c, query=query: c.execute(query).all()):
            first[name] = min(number, first.get(name, number))
    taken = 0
    for name, number in first.items():
        with hold(db, name) as lease:
            stored = find_study(db, name)
            if stored is None:
                continue
            new = replace(stored, revision=stored.revision + 1, updated=datetime.now(UTC))

            def cut(connection: Connection, new: StoredStudy = new, number: int = number) -> int:
                lease.check(connection)
                later = (trials.c.study == new.uuid, trials.c.number >= number)
                links = (trial_runs.c.study == new.uuid, trial_runs.c.number >= number)
                connection.execute(trial_runs.delete().where(*links))
                gone = connection.execute(trials.delete().where(*later)).rowcount
                changed = {"revision": new.revision, "updated": new.updated}
                mine = studies.c.uuid == new.uuid
                connection.execute(studies.update().where(mine), changed)
                return gone

            taken += db.write(cut)
            complete_mirror(db, new, lease=lease)
    for batch in batches(damaged):
        linked = sa.exists().where(trial_runs.c.run_key == runs.c.key)
        gone = runs.delete().where(runs.c.key.in_(batch), ~linked)
        db.write(lambda connection, gone=gone: connection.execute(gone))
    return taken


def _file_problems(db: Database) -> Iterator[str]:
    if db.engine.dialect.name != "sqlite":
        return
    said = db.read(lambda c: list(c.exec_driver_sql("PRAGMA quick_check(20)").scalars()))
    if said != ["ok"]:
        yield from (f"SQLite: {line}" for line in said)


def _damaged_runs(db: Database) -> Iterator[tuple[str, str]]:
    """Keys of runs that are not what they were, with what is wrong; a page at a time."""
    after = 0
    while True:
        query = sa.select(runs).where(runs.c.id > after).order_by(runs.c.id).limit(_PAGE)
        rows = db.read(lambda connection, query=query: connection.execute(query).all())
        if not rows:
            return
        for row in rows:
            wrong = _wrong_with(row)
            if wrong:
                yield row.key, f"run {row.key}: {wrong}"
        after = rows[-1].id


def _wrong_with(row: Any) -> str | None:
    if not is_whole(row):
        return "its curves are damaged: they do not have the checksum that they were stored with"
    if len(row.curves) != 4 * row.epochs * len(row.series.split(",")):
        return f"{len(row.curves)} bytes of curves are not {row.epochs} epochs of {row.series}"
    if row.solved_epoch != (row.epochs if row.ended == "solved" else None):
        return f"it ended {row.ended} after {row.epochs} epochs, solved in {row.solved_epoch}"
    if row.semantics == SEMANTICS and "layers" in row.configuration:
        try:
            configuration = Configuration.model_validate(row.configuration)
        except ValueError:
            return "its configuration is none"
        if Run(configuration, row.seed, row.epochs, row.target).key(row.task) != row.key:
            return "its key is another run's"
    return None


def _dangling(db: Database) -> list[str]:
    """What refers to something that is not there; the database itself forbids most of it."""
    no_run = ~sa.exists().where(runs.c.key == trial_runs.c.run_key)
    no_trial = ~sa.exists().where(
        trials.c.study == trial_runs.c.study, trials.c.number == trial_runs.c.number
    )
    no_study = ~sa.exists().where(studies.c.uuid == trials.c.study)
    no_link = ~sa.exists().where(
        trial_runs.c.study == trials.c.study, trial_runs.c.number == trials.c.number
    )
    no_task = ~sa.exists().where(tasks.c.fingerprint == runs.c.task)
    no_data = ~sa.exists().where(tasks.c.fingerprint == studies.c.task)
    asked = [
        (trial_runs, no_run, "trials refer to runs that are not stored"),
        (trial_runs, no_trial, "replicates are of trials that are not there"),
        (trials, no_study, "trials are of studies that are not there"),
        (trials, no_link, "trials have no replicate"),
        (runs, no_task, "runs are of data of which nothing is known"),
        (studies, no_data, "studies are of data of which nothing is known"),
    ]

    def look(connection: Connection) -> list[str]:
        said: list[str] = []
        for table, lacking, what in asked:
            query = sa.select(sa.func.count()).select_from(table).where(lacking)
            count = connection.execute(query).scalar_one()
            if count:
                said.append(f"{count} {what}")
        return said

    return db.read(look)


def _broken_studies(db: Database) -> Iterator[str]:
    """Studies whose file cannot be read, or whose trials or replicates are not numbered through."""
    from studies.study import Study

    count, last = sa.func.count(), sa.func.max(trials.c.number)
    numbers = sa.select(count, last).select_from(trials)
    replicates = (
        sa.select(trial_runs.c.number)
        .group_by(trial_runs.c.number)
        .having(sa.func.count() != sa.func.max(trial_runs.c.replicate) + 1)
    )
    for line in study_lines(db):
        stored = find_study(db, line.name)
        if stored is None:
            continue
        try:
            Study.from_document(stored.document, stored.name)
        except BadInput as error:
            first = str(error).partition("\n")[0]
            yield f"study {line.name!r}: its file cannot be read: {first}"
        uuid = stored.uuid
        there, largest = db.read(
            lambda c, uuid=uuid: c.execute(numbers.where(trials.c.study == uuid)).one()
        )
        if there and largest != there - 1:
            yield f"study {line.name!r}: {there} trials, numbered up to {largest}"
        gaps = db.read(
            lambda c, uuid=uuid: list(
                c.execute(replicates.where(trial_runs.c.study == uuid)).scalars()
            )
        )
        if gaps:
            yield f"study {line.name!r}: trial {gaps[0]} lacks one of its replicates"


def _copies(db: Database) -> tuple[int, list[str]]:
    """How many trials Optuna's copies lack, and which copies others have changed."""
    behind, problems = 0, list[str]()
    for line in study_lines(db):
        stored = find_study(db, line.name)
        if stored is None:
            continue
        try:
            behind += mirror.lacks(db, stored, line.trials)
        except BadInput as error:
            problems.append(str(error))
    return behind, problems


def _counted(db: Database, connection: Connection) -> dict[str, int]:
    tables = {
        "studies": studies,
        "trials": trials,
        "runs": runs,
        "data sets": tasks,
        "studies in the queue": sa.select(queue)
        .where(queue.c.state.in_(("waiting", "running")))
        .subquery(),
    }
    counts = {
        what: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
        for what, table in tables.items()
    }
    # Entries of the queue have leases too, whose names have a sign that no study's has.
    leased = sa.select(leases.c.study_name).where(~leases.c.study_name.contains("/"))
    names = list(connection.execute(leased).scalars())
    counts["studies worked on"] = len(names) - len(abandoned(db, connection, names))
    size = sa.select(sa.func.coalesce(sa.func.sum(sa.func.length(runs.c.curves)), 0))
    return counts | {"bytes of curves": int(connection.execute(size).scalar_one())}
