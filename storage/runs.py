"""Runs and their curves: facts that are trained once, and answer every study that asks.

A run's key names the fact, whatever the budget. There is one row a key: a run that solved its task
or diverged answers every budget, a censored one every budget up to its own, and a longer one takes
its place.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from storage.database import Database, StorageFailure
from storage.rows import put_task
from storage.tables import batches, runs, studies, trial_runs
from storage.values import StoredStudy, TaskFacts
from studies.own import configuration_from
from studies.run import SEMANTICS, Configuration, Ending, FinishedRun, Run

if TYPE_CHECKING:
    from storage.lease import Lease

_PAGE = 500
"""Runs in memory at a time while a study's are streamed."""


@dataclass(frozen=True, slots=True, eq=False)
class StudyRun:
    """A run of a study: of which trial, and which of its replicates."""

    number: int
    replicate: int
    key: str
    finished: FinishedRun


class StudyChanged(StorageFailure):
    """A study was extended, or deleted, while its runs were being read."""


def put_runs(
    db: Database,
    task: TaskFacts,
    finished: Iterable[FinishedRun],
    *,
    trained_for: StoredStudy | None = None,
    lease: "Lease | None" = None,
) -> int:
    """Keeps finished runs of a task, all of them or none, and returns how many were new.

    A run is left out if what is there answers its budget already; it takes the place of a censored
    one that was shorter, and of one as long that has fewer series. All of `finished` is read before
    the first is written. Before a trial refers to them, runs are kept for the study that they were
    `trained_for` (see `storage.garbage`); with its `lease` given, nothing is written once that is
    lost.

    Raises StorageFailure or BadInput as the database does; ValueError for curves that do not fit
    their series.
    """
    study = None if trained_for is None else trained_for.uuid
    rows: dict[str, dict[str, Any]] = {}
    budgets: dict[str, int] = {}
    identities: dict[Configuration, dict[str, Any]] = {}
    now = datetime.now(UTC)
    for run in finished:
        configuration = run.run.configuration
        identity = identities.get(configuration)
        if identity is None:
            identity = identities[configuration] = configuration.identity()
        row = _row(run, task.fingerprint, identity, now)
        row["trained_for"] = study
        key = row["key"]
        there = rows.get(key)
        if there is None or not _answers(there["ended"], there["epochs"], run.run.epochs):
            rows[key], budgets[key] = row, run.run.epochs

    def put(connection: Connection) -> int:
        if lease is not None:
            lease.check(connection)
        put_task(db, connection, task)
        return put_rows(db, connection, list(rows.values()), budgets)

    return db.write(put)


def put_rows(
    db: Database,
    connection: Connection,
    rows: Sequence[Mapping[str, Any]],
    budgets: Mapping[str, int],
) -> int:
    """What `put_runs` does with rows of `sweep_runs`, and the budget of each by its key."""
    new = 0
    for batch in batches(rows):
        query = sa.select(runs.c.key, runs.c.ended, runs.c.epochs, runs.c.series)
        there = connection.execute(query.where(runs.c.key.in_([row["key"] for row in batch])))
        stored = {row.key: row for row in there}
        first = [row for row in batch if row["key"] not in stored]
        if first:
            connection.execute(db.insert(runs).on_conflict_do_nothing(), first)
        more = [
            row
            for row in batch
            if row["key"] in stored and _says_more(row, budgets[row["key"]], stored[row["key"]])
        ]
        for row in more:
            connection.execute(runs.update().where(runs.c.key == row["key"]), row)
        new += len(first) + len(more)
    return new


def is_whole(row: Any) -> bool:
    """Whether the curves of a row of `sweep_runs` have the checksum that they were stored with."""
    return row.checksum == _checksum(row.key, row.epochs, row.ended, row.series, row.curves)


def find_runs(db: Database, task_fingerprint: str, wanted: Sequence[Run]) -> dict[Run, FinishedRun]:
    """What is known of the wanted runs, each as its own budget shows it.

    A run whose answer is not known, or not for as long as its budget, is not in the result.
    Raises StorageFailure if a stored curve is damaged.
    """
    asked = [(run.key(task_fingerprint), run) for run in wanted]
    columns = (
        runs.c.key,
        runs.c.epochs,
        runs.c.ended,
        runs.c.series,
        runs.c.curves,
        runs.c.checksum,
    )

    def find(connection: Connection) -> dict[Run, FinishedRun]:
        found: dict[Run, FinishedRun] = {}
        for batch in batches(asked):
            query = sa.select(*columns).where(runs.c.key.in_({key for key, _ in batch}))
            there = {row.key: row for row in connection.execute(query)}
            for key, run in batch:
                row = there.get(key)
                if row is not None and _answers(row.ended, row.epochs, run.epochs):
                    found[run] = _finished(db, row, run).within(run.epochs)
        return found

    return db.read(find)


def series_of(db: Database, study: str) -> list[str]:
    """The names of all series that the runs of a study, given by its uuid, have."""
    query = (
        sa.select(runs.c.series)
        .join(trial_runs, trial_runs.c.run_key == runs.c.key)
        .where(trial_runs.c.study == study)
        .distinct()
        .order_by(runs.c.series)
    )
    found = db.read(lambda connection: connection.execute(query).scalars().all())
    return list(dict.fromkeys(name for names in found for name in names.split(",")))


def iter_runs(db: Database, study: str) -> Iterator[StudyRun]:
    """The runs of a study, given by its uuid, as its budget shows them.

    Of the trials that it has at first, in the order of trials and replicates; a few hundred are in
    memory at a time. Raises StudyChanged if the study is extended or deleted meanwhile,
    StorageFailure if a stored curve is damaged.
    """
    mine = trial_runs.c.study == study
    last = sa.select(sa.func.coalesce(sa.func.max(trial_runs.c.number), -1)).where(mine)
    end = db.read(lambda connection: connection.execute(last).scalar_one())
    place = sa.tuple_(trial_runs.c.number, trial_runs.c.replicate)
    query = (
        sa.select(runs, trial_runs.c.number, trial_runs.c.replicate)
        .join(trial_runs, trial_runs.c.run_key == runs.c.key)
        .where(mine, trial_runs.c.number <= end)
        .order_by(trial_runs.c.number, trial_runs.c.replicate)
        .limit(_PAGE)
    )
    state = sa.select(studies.c.revision, studies.c.budget).where(studies.c.uuid == study)

    def page(after: tuple[int, int]) -> tuple[Any, Sequence[Any]]:
        # A transaction a page: one for all would be held for as long as the reader takes.
        return db.read(
            lambda connection: (
                connection.execute(state).one_or_none(),
                connection.execute(query.where(place > sa.tuple_(*after))).all(),
            )
        )

    identity: Mapping[str, Any] | None = None
    configuration: Any = None
    now, rows = first, _ = page((-1, -1))
    while now is not None and rows:
        for row in rows:
            if configuration is None or row.configuration != identity:
                identity = row.configuration
                configuration = configuration_from(row.configuration)
            run = Run(configuration, row.seed, now.budget, row.target)
            finished = _finished(db, row, run)
            # A run that is too short for the budget is shown as it is, for the reader to judge.
            if _answers(row.ended, row.epochs, now.budget):
                finished = finished.within(now.budget)
            yield StudyRun(row.number, row.replicate, row.key, finished)
        now, rows = page((rows[-1].number, rows[-1].replicate))
        if now != first:
            raise StudyChanged(f"a study in {db.url} was changed while it was read; read it again")


def _says_more(row: Mapping[str, Any], budget: int, stored: Any) -> bool:
    if not _answers(stored.ended, stored.epochs, budget):
        return True
    had, has = stored.series.split(","), row["series"].split(",")
    return row["epochs"] >= stored.epochs and set(had) < set(has)


def _answers(ended: str, epochs: int, budget: int) -> bool:
    # What failed may do better the next time: it answers nothing beyond the trial it was of.
    return ended in ("solved", "diverged") or (ended == "censored" and epochs >= budget)


def _row(
    finished: FinishedRun, task: str, identity: Mapping[str, Any], now: datetime
) -> dict[str, Any]:
    curves, series = finished.curves, finished.series
    if curves.ndim != 2 or curves.shape[0] < 1 or curves.shape[1] != len(series):
        raise ValueError(f"curves of shape {curves.shape} for the series {', '.join(series)}")
    if finished.ended not in get_args(Ending):
        raise ValueError(f"a run cannot end {finished.ended!r}")
    run = finished.run
    key = run.key(task)
    names = ",".join(series)
    blob = curves.astype("<f4", copy=False).tobytes()
    epochs = len(curves)
    return {
        "key": key,
        "epochs": epochs,
        "ended": finished.ended,
        "solved_epoch": epochs if finished.ended == "solved" else None,
        "task": task,
        "configuration": identity,
        "seed": run.seed,
        "target": run.target,
        "semantics": SEMANTICS,
        "series": names,
        "curves": blob,
        "checksum": _checksum(key, epochs, finished.ended, names, blob),
        "finished_at": now,
    }


def _checksum(key: str, epochs: int, ended: str, series: str, curves: bytes) -> int:
    """CRC-32 of the curves and of what says how to read them."""
    return zlib.crc32(curves, zlib.crc32(f"{key} {epochs} {ended} {series}".encode()))


def _finished(db: Database, row: Any, run: Run) -> FinishedRun:
    """A row's run as it was trained, in the words of who asks for it."""
    if not is_whole(row):
        raise StorageFailure(
            f"the curves of run {row.key} in {db.url} are damaged: they do not have the checksum "
            "that they were stored with"
        )
    series = tuple(row.series.split(","))
    values = np.frombuffer(row.curves, dtype="<f4").reshape(row.epochs, len(series))
    return FinishedRun(run, cast(Ending, row.ended), values, series)
