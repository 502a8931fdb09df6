"""Addresses of storages: what a user may give, and how it is shown."""

from pathlib import Path
from urllib.parse import quote, unquote

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from studies.errors import BadInput

_DRIVERS = {"sqlite": "sqlite+pysqlite", "postgresql": "postgresql+psycopg"}
_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_EXAMPLES = "sqlite:///sweep.db or postgresql+psycopg://user@host/database"


def has_log(file: Path) -> bool:
    """Whether a SQLite file has a write-ahead log that was not written back."""
    log = file.with_name(file.name + "-wal")
    return log.exists() and log.stat().st_size > 0


def unchanging(file: Path) -> URL:
    """The address of a file to be read where nothing beside it can be written.

    SQLite puts its shared memory next to a database in WAL mode, and cannot on a read-only medium;
    but a database whose log has been written back can be read without.
    """
    return URL.create(
        "sqlite+pysqlite",
        database=f"file:{quote(str(file))}",
        query={"immutable": "1", "mode": "ro", "uri": "true"},
    )


def parse(url: str) -> URL:
    """The address that a URL or a file's name stands for; BadInput where it cannot be a storage."""
    if "\0" in unquote(url):
        raise BadInput(f"{url!r} is no storage: it contains a null character")
    if "://" not in url and url.lower().endswith(_SUFFIXES):
        path = Path(url).expanduser()
        return URL.create("sqlite+pysqlite", database=str(path))
    try:
        address = sa.make_url(url)
    except (ArgumentError, ValueError) as error:
        raise BadInput(
            f"{url!r} is no storage: expected a URL such as {_EXAMPLES}, or a SQLite file whose "
            f"name ends in {', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]}"
        ) from error
    name = {"postgres": "postgresql"}.get(address.drivername, address.drivername)
    dialect, _, driver = name.partition("+")
    if dialect not in _DRIVERS:
        raise BadInput(
            f"{shown_address(address)}: storage in {dialect} is not known; use {_EXAMPLES}"
        )
    if driver and name != _DRIVERS[dialect]:
        raise BadInput(f"{shown_address(address)}: use {_DRIVERS[dialect]}:// instead of {name}://")
    if dialect == "sqlite" and address.database in (None, "", ":memory:"):
        raise BadInput(f"{url}: names no file; expected, for instance, sqlite:///sweep.db")
    return address.set(drivername=_DRIVERS[dialect])


def shown_address(address: URL) -> str:
    """The address as it may be shown: without a password."""
    name = address.drivername.removesuffix("+pysqlite")
    text = unquote(address.set(drivername=name).render_as_string(hide_password=True))
    return text if text.isprintable() else repr(text)


def sqlite_file(address: URL) -> Path | None:
    """The file of a SQLite address, also where it is itself a `file:` URI."""
    if not address.drivername.startswith("sqlite") or address.database is None:
        return None
    name = address.database
    if name.startswith("file:") and address.query.get("uri") == "true":
        name = unquote(name.removeprefix("file:").partition("?")[0])
    return Path(name)


def check_path(file: Path, create: bool) -> None:
    """Raises BadInput for a file that cannot be a storage, or is not there and not to be made."""
    try:
        if file.is_dir():
            raise BadInput(
                f"{file} is a directory; a storage is a file, such as {file / 'sweep.db'}"
            )
        if file.exists():
            return
        if not create:
            raise BadInput(f"no storage at {file}; `python -m sweep run` makes one")
        if not file.parent.is_dir():
            what = "is no directory" if file.parent.exists() else "does not exist"
            raise BadInput(f"cannot make the storage {file}: {file.parent} {what}")
    except OSError as error:
        raise BadInput(f"{file} cannot name a storage: {error.strerror}") from error
