import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import optuna
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import storage.database
from storage.database import OPTUNAS, Database, StorageFailure, open_database
from storage.mirror import silent_optuna
from storage.runs import find_runs, put_runs
from storage.tables import HEAD, PREFIX, VERSION_TABLE, metadata
from storage.trials import TaskFacts, study_lines
from studies.errors import BadInput
from studies.run import FinishedRun

NOBODY = 65534


def our_tables(database: Database) -> set[str]:
    names = sa.inspect(database.engine).get_table_names()
    return {name for name in names if name.startswith(PREFIX)}


class Unprivileged:
    """A directory, and a test that runs as a user whom permissions hold back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "sweep.db"
        self._root = os.geteuid() == 0

    def allow(self, path: Path, mode: int) -> None:
        if self._root:
            os.seteuid(0)
        path.chmod(mode)
        if self._root:
            os.seteuid(NOBODY)

    def end(self) -> None:
        if self._root:
            os.seteuid(0)
        self.folder.chmod(0o777)


@pytest.fixture
def storage_url(empty_url: str) -> str:
    return empty_url


@pytest.fixture
def unprivileged() -> Iterator[Unprivileged]:
    with tempfile.TemporaryDirectory() as folder:
        user = Unprivileged(Path(folder))
        user.allow(user.folder, 0o777)
        try:
            yield user
        finally:
            user.end()


def test_an_empty_address_gets_all_tables_and_the_newest_version(storage_url: str) -> None:
    with open_database(storage_url) as database:
        assert our_tables(database) == {*metadata.tables, VERSION_TABLE}
        with database.reading() as connection:
            version = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}")
            assert version.scalar_one() == HEAD


def test_the_migrations_lead_to_the_tables_that_the_code_uses(database: Database) -> None:
    def ours(name: str | None, kind: str, parents: object) -> bool:
        return kind != "table" or (str(name).startswith(PREFIX) and name != VERSION_TABLE)

    with database.reading() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_name": ours, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []


def test_the_last_migration_is_the_version_that_the_code_knows() -> None:
    config = Config()
    config.set_main_option("path_separator", "os")
    folder = Path(storage.database.__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder))
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_a_migration_that_is_interrupted_leaves_nothing(
    storage_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate = storage.database._migrate

    def interrupted(connection: sa.Connection) -> None:
        migrate(connection)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(storage.database, "_migrate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            open_database(storage_url)
    engine = sa.create_engine(storage_url)
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()
    with open_database(storage_url) as database:
        assert study_lines(database) == []


def test_a_storage_of_a_newer_version_is_refused(storage_url: str) -> None:
    with open_database(storage_url) as database, database.writing() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(BadInput, match=r"newer version of sweep \(schema 9999"):
        open_database(storage_url)


def test_tables_of_others_are_lived_beside(storage_url: str) -> None:
    engine = sa.create_engine(storage_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE theirs (x INTEGER)")
        connection.exec_driver_sql("INSERT INTO theirs VALUES (7)")
    with pytest.raises(BadInput, match="no study in"):
        open_database(storage_url, create=False)
    with open_database(storage_url) as database:
        database.optuna_storage()
        assert study_lines(database) == []
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT x FROM theirs").scalar_one() == 7
    engine.dispose()


def test_optuna_tables_of_another_version_are_refused_with_the_way_out(
    storage_url: str,
) -> None:
    with open_database(storage_url) as database:
        database.optuna_storage()
        with database.writing() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = 'v2.6.0.a'")
    with (
        open_database(storage_url) as database,
        pytest.raises(BadInput, match="optuna storage upgrade"),
    ):
        database.optuna_storage()


def test_a_write_that_raises_leaves_nothing(database: Database) -> None:
    def interrupted() -> None:
        with database.writing() as connection:
            connection.exec_driver_sql("CREATE TABLE sweep_half (x INTEGER)")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "sweep_half" not in our_tables(database)


def test_what_a_driver_reports_is_said_in_a_line(database: Database) -> None:
    with (
        pytest.raises(StorageFailure, match="nowhere") as caught,
        database.reading() as connection,
    ):
        connection.exec_driver_sql("SELECT * FROM nowhere")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["plain.db", "a b.db", "q?x#y.db", "100%25.db", "ü😀{x}.SQLite3"])
def test_a_bare_path_is_a_sqlite_file_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    with open_database(str(tmp_path / name)) as database:
        database.optuna_storage()
        with database.reading() as connection:
            names = set(sa.inspect(connection).get_table_names())
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert {"sweep_runs", "trials"} <= names


def test_a_sqlite_file_is_in_wal_mode_with_foreign_keys_for_us_and_for_optuna(
    tmp_path: Path,
) -> None:
    with open_database(str(tmp_path / "sweep.db")) as database:
        for engine in (database.engine, database.optuna_storage().engine):
            with engine.connect() as connection:
                pragmas = [
                    connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                    for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
                ]
            assert pragmas == ["wal", 1, 1, 10_000]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sweep", "no storage"),
        ("", "no storage"),
        ("http://example.org/x", "storage in http is not known"),
        ("mysql://me:secret@host/x", r"mysql://me:\*\*\*@host/x: storage in mysql"),
        ("postgresql+psycopg2://host/x", r"use postgresql\+psycopg://"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///x%00.db", "null character"),
    ],
)
def test_an_address_that_is_no_storage_is_refused(url: str, message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        open_database(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_without_its_driver_names_the_extra(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'psycopg'", name="psycopg")

    monkeypatch.setattr(sa, "create_engine", missing)
    with pytest.raises(BadInput, match=r"driver psycopg; `uv sync --extra postgresql`"):
        open_database(f"{scheme}://me:secret@localhost/x")


def test_a_storage_that_is_not_there_is_made_only_on_request(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no storage at .*python -m sweep run"):
        open_database(f"sqlite:///{tmp_path}/sweep.db", create=False)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_becomes_a_storage_only_on_request(tmp_path: Path) -> None:
    (tmp_path / "sweep.db").touch()
    with pytest.raises(BadInput, match="no study in"):
        open_database(f"sqlite:///{tmp_path}/sweep.db", create=False)
    open_database(f"sqlite:///{tmp_path}/sweep.db").close()


@pytest.mark.parametrize("create", [True, False])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, create: bool) -> None:
    file = tmp_path / "sweep.db"
    file.write_text("t0,t1,t2,target\n" * 1000)
    with pytest.raises(BadInput, match="is not a SQLite database"):
        open_database(str(file), create=create)
    assert file.read_text() == "t0,t1,t2,target\n" * 1000


@pytest.mark.parametrize("table", ["studies", "trial_params", "version_info", "alembic_version"])
def test_another_program_s_database_is_refused_and_left_alone(storage_url: str, table: str) -> None:
    engine = sa.create_engine(storage_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE {table} (study_id integer, x integer)")
    with pytest.raises(BadInput, match=f"another program's: it has a table {table}, "):
        open_database(storage_url)
    assert sa.inspect(engine).get_table_names() == [table]
    engine.dispose()


def test_the_tables_that_optuna_makes_are_known(database: Database) -> None:
    database.optuna_storage()
    names = set(sa.inspect(database.engine).get_table_names())
    assert {name for name in names if not name.startswith(PREFIX)} == set(OPTUNAS)


def test_paths_that_cannot_hold_a_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "dir.db").mkdir()
    (tmp_path / "file").touch()
    for path, message in [
        ("dir.db", "is a directory"),
        ("missing/x.db", "missing does not exist"),
        ("file/x.db", "file is no directory"),
        ("x" * 300 + ".db", "too long"),
    ]:
        with pytest.raises(BadInput, match=message):
            open_database(str(tmp_path / path))


def test_a_directory_without_write_permission_is_a_failure(unprivileged: Unprivileged) -> None:
    unprivileged.allow(unprivileged.folder, 0o555)
    with pytest.raises(StorageFailure, match="cannot be opened: no permission"):
        open_database(str(unprivileged.file))


@pytest.mark.parametrize("place", ["file", "folder"])
def test_a_storage_that_cannot_be_written_is_read_all_the_same(
    unprivileged: Unprivileged, task: TaskFacts, finished: Callable[..., FinishedRun], place: str
) -> None:
    file = unprivileged.file
    with open_database(str(file)) as database:
        put_runs(database, task, [finished()])
    unprivileged.allow(file, 0o444)
    if place == "folder":
        unprivileged.allow(unprivileged.folder, 0o555)
    with open_database(str(file), create=False) as database:
        assert len(find_runs(database, task.fingerprint, [finished().run])) == 1
        assert database.url == f"sqlite:///{file}"
        with pytest.raises(StorageFailure, match="read-only"):
            put_runs(database, task, [finished(1)])


def test_a_storage_that_cannot_be_read_is_a_failure(unprivileged: Unprivileged) -> None:
    open_database(str(unprivileged.file)).close()
    unprivileged.allow(unprivileged.file, 0)
    for create in (True, False):
        with pytest.raises(StorageFailure, match="cannot be opened: no permission"):
            open_database(str(unprivileged.file), create=create)


def test_sqlites_own_read_only_mode_is_a_failure_for_writing_only(
    tmp_path: Path, task: TaskFacts, finished: Callable[..., FinishedRun]
) -> None:
    file = tmp_path / "sweep.db"
    open_database(str(file)).close()
    with open_database(f"sqlite:///file:{file}?mode=ro&uri=true") as database:
        assert study_lines(database) == []
        with pytest.raises(StorageFailure, match="read-only"):
            put_runs(database, task, [finished()])


def test_a_full_disk_loses_only_what_was_being_written(
    tmp_path: Path, task: TaskFacts, finished: Callable[..., FinishedRun]
) -> None:
    with open_database(str(tmp_path / "sweep.db")) as database:
        put_runs(database, task, [finished()])
        database.engine.dispose()

        def full(raw: sqlite3.Connection, _: object) -> None:
            raw.execute("PRAGMA max_page_count = 60")

        sa.event.listen(database.engine, "connect", full)
        many = [finished(seed, units=9) for seed in range(1000)]
        with pytest.raises(StorageFailure, match="no space left"):
            put_runs(database, task, many)
        assert find_runs(database, task.fingerprint, [run.run for run in many]) == {}
        assert len(find_runs(database, task.fingerprint, [finished().run])) == 1
        database.engine.dispose()
        sa.event.remove(database.engine, "connect", full)
        assert put_runs(database, task, many) == 1000


def test_a_lock_of_another_process_is_waited_for_and_then_named(
    tmp_path: Path, task: TaskFacts, finished: Callable[..., FinishedRun]
) -> None:
    file = tmp_path / "sweep.db"
    with open_database(str(file), timeout=0.05) as database:
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageFailure, match=r"locked: .* longer than 0.05 s"):
                put_runs(database, task, [finished()])
            assert study_lines(database) == []
        assert put_runs(database, task, [finished()]) == 1


def test_a_lock_met_by_optuna_is_named_in_the_same_words(tmp_path: Path) -> None:
    file = tmp_path / "sweep.db"
    with open_database(str(file), timeout=0.05) as database:
        optunas = database.optuna_storage()
        study_id = optunas.create_new_study([optuna.study.StudyDirection.MINIMIZE], "x")
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageFailure, match="locked"), database.plainly():
                optunas.set_study_user_attr(study_id, "key", "value")


def test_a_damaged_file_is_named(
    tmp_path: Path, task: TaskFacts, finished: Callable[..., FinishedRun]
) -> None:
    file = tmp_path / "sweep.db"
    with open_database(str(file)) as database:
        put_runs(database, task, [finished(seed) for seed in range(200)])
    content = bytearray(file.read_bytes())
    content[8192:] = b"\xff" * (len(content) - 8192)
    file.write_bytes(content)
    with pytest.raises(StorageFailure, match="damaged"), open_database(str(file)) as database:
        find_runs(database, task.fingerprint, [finished(seed).run for seed in range(200)])


def test_processes_that_make_the_same_storage_at_once_all_get_it(
    storage_url: str, program: Callable
) -> None:
    text = """
        import sys
        from storage.database import open_database
        with open_database(sys.argv[1]) as database:
            database.optuna_storage()
        print("made")
    """
    processes = [program(text, storage_url) for _ in range(4)]
    assert [process.communicate()[0] for process in processes] == ["made\n"] * 4


def test_opening_a_storage_and_listing_its_studies_imports_nothing_heavy(
    storage_url: str, program: Callable
) -> None:
    open_database(storage_url).close()
    text = """
        import sys
        from storage.database import open_database
        from storage.trials import study_lines
        with open_database(sys.argv[1], create=False) as database:
            assert study_lines(database) == []
        heavy = {"alembic", "optuna", "numpy", "pydantic", "sqlalchemy.orm"}
        print(sorted(heavy & sys.modules.keys()))
    """
    assert program(text, storage_url).communicate()[0] == "[]\n"


def test_optuna_is_silent_until_the_last_block_that_silences_it_has_ended() -> None:
    from optuna import logging

    before = logging.get_verbosity()
    one, other = silent_optuna(), silent_optuna()
    with one:
        assert logging.get_verbosity() == logging.ERROR
        other.__enter__()
    assert logging.get_verbosity() == logging.ERROR
    other.__exit__(None, None, None)
    assert logging.get_verbosity() == before
