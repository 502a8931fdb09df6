"""A URL becomes an open database.

    with open_database("sqlite:///sweep.db") as database:
        database.write(lambda connection: connection.execute(...))

Opening brings our tables up to date and does nothing else; where they are, neither alembic nor
Optuna is imported. A server that is lost afterwards, as it is when it starts anew, is waited for:
what was being read or written is then done again as a whole, for `PATIENCE` seconds at most.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

from storage.address import check_path, has_log, parse, shown_address, sqlite_file, unchanging
from storage.failures import Lost, Passing, StorageFailure, Unwritable, plainly, sqlite_code
from storage.tables import HEAD, VERSION_TABLE
from studies.errors import BadInput

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

Result = TypeVar("Result")

__all__ = ["LOCK_TIMEOUT", "PATIENCE", "Database", "StorageFailure", "hurry", "open_database"]

LOCK_TIMEOUT = 10.0
"""Seconds to wait for another process that is writing to the same SQLite file."""

PATIENCE = 60.0
"""Seconds for which a server that was lost is waited for, in each reading or writing."""

BRIEFLY = 1.0
"""The same where it was waited for in vain before, or this process is about to end."""

SILENCE = 10.0
"""Seconds after which PostgreSQL ends a writing transaction whose process does nothing. One that
was suspended in its midst would keep others from the study for as long as it sleeps."""


OPTUNAS = (
    "studies",
    "study_directions",
    "study_user_attributes",
    "study_system_attributes",
    "trials",
    "trial_user_attributes",
    "trial_system_attributes",
    "trial_params",
    "trial_values",
    "trial_intermediate_values",
    "trial_heartbeats",
    "version_info",
    "alembic_version",
)
"""The tables that Optuna makes."""

_hurried = threading.Event()


def hurry() -> None:
    """From now on this process waits briefly for a server that is lost: it is about to end."""
    _hurried.set()


class Database:
    """An open storage. Made by `open_database`; closed by `close()` or as a context manager.

    `url` is the address as it may be shown: without a password. `engine` is SQLAlchemy's, for what
    `reading()` and `writing()` do not cover.
    """

    def __init__(self, address: URL, timeout: float, shown: str | None = None) -> None:
        self._address = address
        self.timeout = timeout
        self.patience = PATIENCE
        # Of this process's threads one writes at a time: waiting for SQLite's own lock is slower,
        # and unfair to who writes seldom.
        self.turn = threading.RLock()
        self._reached = self._given_up = False
        self._optuna: RDBStorage | None = None
        self.url = shown or shown_address(address)
        self.engine = _make_engine(address, timeout)
        self._writer = self.engine.execution_options(sweep_writes=True)

    @property
    def secret_url(self) -> str:
        """The address with its password, to open the same storage in another process."""
        return self._address.render_as_string(hide_password=False)

    def read(self, work: Callable[[Connection], Result]) -> Result:
        """What `work` makes of a transaction that sees one state of the database.

        Where the server is lost in between, `work` is called again. Raises BadInput or
        StorageFailure for what the database cannot do.
        """

        def attempt() -> Result:
            with self.reading() as connection:
                return work(connection)

        return self.patiently(attempt)

    def write(self, work: Callable[[Connection], Result]) -> Result:
        """What `work` makes of a transaction that is kept whole, or not at all when it raises.

        On SQLite it has the file's write lock from its beginning, so that what it reads is still
        so when it writes. `work` is called again where the server was lost or took back the
        transaction. Where it was lost with the commit, nobody knows whether that was kept: `work`
        has to come to the same end when it was. Raises as `read`.
        """

        def attempt() -> Result:
            with self.writing() as connection:
                return work(connection)

        return self.patiently(attempt)

    def check(self) -> None:
        """Raises StorageFailure where the database cannot be read just now, BadInput where the file
        is no database any more; waits for nothing."""
        with self.reading() as connection:
            connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one()

    def patiently(self, attempt: Callable[[], Result]) -> Result:
        """What `attempt` gives, called again while the server is lost, for `patience` seconds.

        A server that never answered is not waited for: its address may be wrong. One that was
        waited for in vain is waited for as long again once it has answered.
        """
        since: float | None = None
        pause = 0.05
        while True:
            try:
                with self.plainly():
                    result = attempt()
            except Passing as failure:
                self._reached = self._reached or failure.met
                if not self._reached:
                    raise
                now = time.monotonic()
                since = now if since is None else since
                waits = not (self._given_up or _hurried.is_set())
                patience = self.patience if waits else min(BRIEFLY, self.patience)
                if now + pause > since + patience:
                    self._given_up = True
                    tried = f" (tried again for {self.patience:g} s)" if waits else ""
                    raise Lost(
                        f"{failure}{tried}; what was written before is kept, and the same command "
                        "goes on from there"
                    ) from failure
            else:
                self._reached, self._given_up = True, False
                return result
            _hurried.wait(pause)
            pause = min(2 * pause, 2.0)

    @contextmanager
    def reading(self) -> Generator[Connection]:
        """The transaction of `read`, for a block that nobody calls again."""
        with self.plainly(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Generator[Connection]:
        """The transaction of `write`, for a block that nobody calls again."""
        with self.turn, self.plainly(), self._writer.begin() as connection:
            yield connection

    def plainly(self) -> AbstractContextManager[None]:
        """Within this, errors of SQLAlchemy, the drivers and Optuna are raised as ours."""
        return plainly(self.url, self.timeout)

    def insert(self, table: sa.Table) -> Any:
        """An INSERT in this database's dialect: it has `on_conflict_do_nothing()`.

        With one row, its result's `rowcount` says whether that was put.
        """
        if self.engine.dialect.name == "postgresql":
            from sqlalchemy.dialects.postgresql import insert
        else:
            from sqlalchemy.dialects.sqlite import insert
        return insert(table).execution_options(preserve_rowcount=True)

    def optuna_storage(self) -> "RDBStorage":
        """Optuna's storage in the same database; its tables are made on the first call.

        Raises BadInput if another version of Optuna made them and this one cannot read them.
        """
        if self._optuna is None:
            options = _engine_options(self._address, self.timeout)
            self._optuna = self.patiently(lambda: _open_optuna(self, options))
        return self._optuna

    def close(self) -> None:
        """Gives back every connection. A closed database opens again when it is used."""
        if self._optuna is not None:
            self._optuna.remove_session()
            self._optuna.engine.dispose()
            self._optuna = None
        self.engine.dispose()

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_database(url: str, *, create: bool = True, timeout: float = LOCK_TIMEOUT) -> Database:
    """Opens the storage at an SQLAlchemy URL, and brings its tables up to this version.

    A bare path ending in .db, .sqlite or .sqlite3 is a SQLite file. With `create`, what is missing
    is made; without, a storage that is not there, or holds nothing of ours, is BadInput. `timeout`
    is in seconds, for locks that others hold.

    Raises BadInput for an address that cannot be a storage, a file that is no database, or one made
    by a newer version; StorageFailure for one that cannot be opened now.
    """
    address = parse(url)
    file = sqlite_file(address)
    if file is not None:
        check_path(file, create)
    database = Database(address, timeout)
    try:
        _bring_up_to_date(database, create)
    except Unwritable:
        database.close()
        if create or file is None or has_log(file):
            raise
        database = Database(unchanging(file), timeout, database.url)
        _bring_up_to_date(database, create)
    except BaseException:
        database.close()
        raise
    return database


class _SQLite(sqlite3.Connection):
    """A connection with our settings. As a factory it serves Optuna's engine as well as ours."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # With WAL this loses no committed state when a process dies, and costs no fsync a commit.
        self.execute("PRAGMA synchronous = NORMAL")
        self.execute("PRAGMA foreign_keys = ON")


def _engine_options(address: URL, timeout: float) -> dict[str, Any]:
    if address.drivername.startswith("sqlite"):
        return {"connect_args": {"timeout": timeout, "factory": _SQLite}}
    # A server that is gone without a word is noticed, which may take hours by default.
    limits = {
        "connect_timeout": 10,
        "keepalives_idle": 20,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }
    given = {name: value for name, value in limits.items() if name not in address.query}
    return {"pool_pre_ping": True, "connect_args": given}


def _make_engine(address: URL, timeout: float) -> Engine:
    options = _engine_options(address, timeout)
    if not address.drivername.startswith("sqlite"):
        try:
            engine = sa.create_engine(address, **options)
        except ModuleNotFoundError as error:
            raise BadInput(
                f"{shown_address(address)}: PostgreSQL needs the driver {error.name}; "
                "`uv sync --extra postgresql` installs it"
            ) from error
        event.listen(engine, "begin", _limit_silence)
        return engine
    # The driver's own transactions begin at the first write only; ours begin where they say so.
    options["connect_args"]["isolation_level"] = None
    engine = sa.create_engine(address, **options)

    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("sweep_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _limit_silence(connection: Connection) -> None:
    if connection.get_execution_options().get("sweep_writes", False):
        milliseconds = int(1000 * SILENCE)
        connection.exec_driver_sql(
            f"SET LOCAL idle_in_transaction_session_timeout = {milliseconds}"
        )


def _version(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()


def _bring_up_to_date(database: Database, create: bool) -> None:
    version = database.read(_version)
    if version == HEAD:
        return
    if version is None and not create:
        raise BadInput(f"no study in {database.url}; `python -m sweep run` makes one")
    if version is not None and version > HEAD:
        raise BadInput(
            f"{database.url} was made by a newer version of sweep (schema {version}, this version "
            f"knows {HEAD}); update sweep, or use another storage"
        )
    if version is None:
        database.read(partial(_check_names, shown=database.url))
    if database.engine.dialect.name == "sqlite":
        _turn_on_wal(database)
    database.write(_migrate)


def _check_names(connection: Connection, shown: str) -> None:
    """Raises BadInput where another program's tables have the names of Optuna's."""
    there = sa.inspect(connection)
    taken = [name for name in OPTUNAS if there.has_table(name)]
    if not taken:
        return
    versions = there.get_columns("version_info") if "version_info" in taken else []
    optunas = any(column["name"] == "schema_version" for column in versions)
    # Another process may have made ours and Optuna's since.
    if not optunas and _version(connection) is None:
        raise BadInput(
            f"{shown} is another program's: it has a table {taken[0]}, and Optuna's table of that "
            "name could not be beside it; use another storage"
        )


def _turn_on_wal(database: Database) -> None:
    # A file remembers it. SQLite does not wait for locks here as it does elsewhere.
    deadline = time.monotonic() + database.timeout
    with database.plainly():
        raw = database.engine.raw_connection()
        try:
            while True:
                try:
                    raw.cursor().execute("PRAGMA journal_mode = WAL")
                    return
                except sqlite3.OperationalError as error:
                    if sqlite_code(error) != "BUSY" or time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)
        finally:
            raw.close()


def _migrate(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('sweep'))"))
    if _version(connection) == HEAD:
        # Another process was first while this one waited for the lock.
        return
    from alembic import command
    from alembic.config import Config

    config = Config()
    # A Config reads % as the start of a variable.
    folder = str(Path(__file__).parent / "migrations").replace("%", "%%")
    config.set_main_option("script_location", folder)
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _open_optuna(database: Database, options: dict[str, Any]) -> "RDBStorage":
    from optuna.storages import RDBStorage

    attempts = 10
    for attempt in range(attempts):
        try:
            opened = RDBStorage(database.secret_url, engine_kwargs=options)
        except (OperationalError, ProgrammingError, IntegrityError) as error:
            # Optuna looks for its tables and then makes them: another process may do so in between.
            taken = isinstance(error, IntegrityError) or "already exists" in str(error)
            if attempt == attempts - 1 or not taken:
                raise
            time.sleep(0.1)
        except RuntimeError as error:
            raise BadInput(
                f"{database.url}: its Optuna tables are of another version. {error}"
            ) from error
        else:
            opened.engine.update_execution_options(sweep_writes=True)
            if opened.engine.dialect.name == "postgresql":
                event.listen(opened.engine, "begin", _limit_silence)
            return opened
    raise AssertionError("the last attempt returns or raises")
