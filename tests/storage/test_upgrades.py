"""A storage that an earlier version made opens with all that was in it."""

import json
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import storage
from storage.database import open_database
from storage.doctor import examine
from storage.garbage import delete_study, delete_unused
from storage.queue import counts, entries
from storage.runs import find_runs, iter_runs
from storage.tables import HEAD, VERSION_TABLE, metadata
from storage.trials import complete_mirror, find_study, put_trials, read_trials
from studies.run import SEMANTICS, Configuration, Run
from studies.study import read_study

TASK = "0f" * 16
NOW = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
CURVES = np.linspace(0.7, 0.1, 24, dtype="<f4").reshape(12, 2)


@pytest.fixture
def storage_url(empty_url: str) -> str:
    return empty_url


def script() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(storage.__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


EARLIER = [
    found.revision
    for found in ScriptDirectory.from_config(script()).walk_revisions()
    if found.revision != HEAD
]


def make(url: str, revision: str) -> None:
    """A storage as the version of this revision left it: a study of two trials, and a run more."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        config = script()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        FILLED[revision](connection)
    engine.dispose()


def run_of(seed: int) -> Run:
    return Run(Configuration(units=8), seed, 100)


def fill_0001(connection: sa.Connection, **of_runs: Any) -> None:
    def put(table: str, **values: Any) -> None:
        columns = [sa.column(name, sa.JSON() if name in JSON else None) for name in values]
        connection.execute(sa.insert(sa.table(table, *columns)).values(**values))

    task = {"name": "first-value", "records": 200, "timesteps": 3, "features": 1}
    put(
        "sweep_tasks",
        fingerprint=TASK,
        **task,
        classes=["0", "1"],
        class_counts=[120, 80],
        origin={"name": "first-value"},
    )
    for seed in range(5):
        run = run_of(seed)
        key, blob = run.key(TASK), CURVES.tobytes()
        put(
            "sweep_runs",
            key=key,
            epochs=12,
            ended="solved",
            solved_epoch=12,
            task=TASK,
            configuration=run.configuration.identity(),
            seed=seed,
            target=1.0,
            semantics=SEMANTICS,
            series="loss,accuracy",
            curves=blob,
            checksum=zlib.crc32(blob, zlib.crc32(f"{key} 12 solved loss,accuracy".encode())),
            finished_at=NOW,
            **of_runs,
        )
    put(
        "sweep_studies",
        uuid="u" * 36,
        name="hello",
        document=read_study("hello-lstm").document(),
        budget=100,
        task=TASK,
        task_name="first-value",
        classes=["0", "1"],
        directions=["minimize"],
        metric_names=["par2"],
        user_attrs={"question": "how fast?"},
        revision=1,
        created=NOW,
        updated=NOW,
    )
    for number in range(2):
        put(
            "sweep_trials",
            study="u" * 36,
            number=number,
            params={"layers": 1},
            distributions={"layers": json.dumps({"name": "IntDistribution", "attributes": LAYERS})},
            values=[12.0],
            user_attrs={"solved": "2 of 2"},
            system_attrs={},
            intermediate={"1": 0.7},
            started=NOW,
            finished=NOW,
        )
        for replicate in range(2):
            key = run_of(2 * number + replicate).key(TASK)
            place = {"number": number, "replicate": replicate}
            put("sweep_trial_runs", study="u" * 36, **place, run_key=key)


LAYERS = {"low": 1, "high": 4, "log": False, "step": 1}
JSON = {
    "classes",
    "class_counts",
    "configuration",
    "directions",
    "distributions",
    "document",
    "intermediate",
    "metric_names",
    "origin",
    "params",
    "system_attrs",
    "user_attrs",
    "values",
}


def fill_0002(connection: sa.Connection) -> None:
    fill_0001(connection, trained_for="u" * 36)


def fill_0003(connection: sa.Connection) -> None:
    fill_0002(connection)
    values = sa.table("sweep_tasks", sa.column("target"), sa.column("chance", sa.JSON()))
    connection.execute(sa.update(values).values(target="values", chance=[0.5, 0.25]))


def fill_0004(connection: sa.Connection) -> None:
    fill_0003(connection)
    kinds = {"document": sa.JSON(), "progress": sa.JSON()}
    values = {
        "name": "hello",
        "document": read_study("hello-lstm").document(),
        "priority": 1,
        "state": "done",
        "submitted": NOW,
        "attempts": 1,
        "cancel": False,
        "progress": {"runs_trained": 5, "ask_seconds": 0.5, "tell_seconds": 0.25},
    }
    columns = [sa.column(name, kinds.get(name)) for name in values]
    connection.execute(sa.insert(sa.table("sweep_queue", *columns)).values(**values))


FILLED: dict[str, Callable[[sa.Connection], None]] = {
    "0001": fill_0001,
    "0002": fill_0002,
    "0003": fill_0003,
    "0004": fill_0004,
}


def test_every_earlier_version_is_among_those_that_are_upgraded_here() -> None:
    assert set(FILLED) == set(EARLIER)


@pytest.mark.parametrize("revision", EARLIER)
def test_an_earlier_storage_opens_with_all_that_was_in_it(
    storage_url: str, revision: str, bench_on: Callable
) -> None:
    make(storage_url, revision)
    with open_database(storage_url, create=False) as database:
        with database.reading() as connection:
            options = {"version_table": VERSION_TABLE}
            context = MigrationContext.configure(connection, opts=options)
            assert context.get_current_revision() == HEAD
            columns = {c["name"] for c in sa.inspect(connection).get_columns("sweep_runs")}
            assert columns == {column.name for column in metadata.tables["sweep_runs"].columns}
        stored = find_study(database, "hello")
        assert stored is not None
        assert (stored.created, stored.user_attrs) == (NOW, {"question": "how fast?"})
        trials = read_trials(database, stored.uuid)
        assert [trial.values for trial in trials] == [(12.0,), (12.0,)]
        streamed = list(iter_runs(database, stored.uuid))
        assert [run.key for run in streamed] == [run_of(seed).key(TASK) for seed in range(4)]
        assert all(np.array_equal(run.finished.curves, CURVES) for run in streamed)
        ended = [(entry.name, entry.priority, entry.state) for entry in entries(database)]
        assert ended == ([("hello", 1, "done")] if revision >= "0004" else [])
        assert counts(database).totals["runs_trained"] == (5 if revision >= "0004" else 0)
        complete_mirror(database, stored)
        assert examine(database).problems == ()
        there = optuna.load_study(study_name="hello", storage=database.secret_url).trials
        assert [trial.params for trial in there] == [{"layers": 1}, {"layers": 1}]
        # And it goes on.
        put_trials(database, stored, [bench_on(database).trial(2)])
        assert len(read_trials(database, stored.uuid)) == 3


@pytest.mark.parametrize("revision", EARLIER)
def test_what_an_interrupted_study_had_finished_in_an_earlier_version_waits_for_it(
    storage_url: str, revision: str
) -> None:
    make(storage_url, revision)
    with open_database(storage_url) as database:
        assert delete_unused(database) == 0
        assert list(find_runs(database, TASK, [run_of(4)])) == [run_of(4)]
        delete_study(database, "hello")
        assert find_runs(database, TASK, [run_of(4)]) == {}
