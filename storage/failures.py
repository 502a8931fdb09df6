"""What goes wrong in a storage, in words for the user.

SQLAlchemy, the drivers and Optuna each wrap the cause in exceptions of their own; `plainly` finds
it and raises `BadInput` for a storage that cannot be what the user meant, `StorageFailure` for one
that cannot be used now. A failure that may be over when the same is tried again is a `Passing` one.
"""

import sqlite3
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from studies.errors import BadInput


class StorageFailure(Exception):
    """The storage cannot be read or written, for a reason outside what was asked.

    The message is for the user as it stands. The command line prints it and exits with status 1.
    """


class Lost(StorageFailure):
    """The server did not come back in the time that it was waited for, or another process kept the
    file locked for longer."""


class Unwritable(StorageFailure):
    """A file or its directory does not let SQLite write there, or not even open it."""


class Passing(StorageFailure):
    """The server was lost or refuses for the moment, or another transaction was in the way.

    Nothing of the transaction was kept, or all of it where the loss came with the commit. `met`
    says whether the server was there at first: if it was not, its address may be wrong.
    """

    def __init__(self, message: str, *, met: bool = True) -> None:
        self.met = met
        super().__init__(message)


_PASSING = ("08", "40", "57P", "53", "25P03", "55P03")
"""How the codes of PostgreSQL begin that may be over soon: connection lost, transaction rolled back
by the server, server shutting down or starting, too many connections, and a transaction that was
ended because its client was silent."""


@contextmanager
def plainly(shown: str, timeout: float) -> Generator[None]:
    """Within this, errors of SQLAlchemy, sqlite3, psycopg and Optuna's storage are raised as ours.

    `shown` is the storage as the messages name it; `timeout`, in seconds, how long locks of others
    were waited for.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise _translated(error, shown, timeout) from error
    except Exception as error:
        if not _is_optunas(error):
            raise
        raise _translated(error, shown, timeout) from error


def sqlite_code(error: sqlite3.Error) -> str:
    """The primary result code without its prefix: BUSY, FULL, READONLY, …; empty if there is none.

    `sqlite_errorname` is the extended code, whose name begins with the primary one.
    """
    name: str = getattr(error, "sqlite_errorname", "")
    return name.removeprefix("SQLITE_").partition("_")[0]


def _is_optunas(error: Exception) -> bool:
    # Only a program that has imported Optuna can meet its exceptions.
    optuna = sys.modules.get("optuna.exceptions")
    return optuna is not None and isinstance(error, optuna.StorageInternalError)


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    while link is not None:
        yield link
        cause = link.orig if isinstance(link, DBAPIError) else None
        link = cause or link.__cause__ or link.__context__


def _translated(error: Exception, shown: str, timeout: float) -> Exception:
    links = list(_chain(error))
    for link in links:
        if isinstance(link, sqlite3.Error) and sqlite_code(link):
            return _from_sqlite(link, shown, timeout)
    wrapped = next((link for link in links if isinstance(link, DBAPIError)), None)
    if wrapped is None:
        return StorageFailure(f"{shown}: {_first_line(error)}")
    message = f"{shown}: {_first_line(wrapped.orig or error)}"
    code = getattr(wrapped.orig, "sqlstate", None)
    if code is not None:
        return Passing(message) if str(code).startswith(_PASSING) else StorageFailure(message)
    # Without a code, it was the client that found out: it was cut off, or cannot connect.
    if wrapped.connection_invalidated:
        return Passing(message)
    if isinstance(wrapped, OperationalError):
        return Passing(message, met=False)
    return StorageFailure(message)


def _from_sqlite(error: sqlite3.Error, shown: str, timeout: float) -> Exception:
    match sqlite_code(error):
        case "NOTADB":
            return BadInput(f"{shown} is not a SQLite database; name another file, or a new one")
        case "BUSY" | "LOCKED":
            return Lost(
                f"{shown} is locked: another process was writing to it for longer than "
                f"{timeout:g} s; try again when it is done"
            )
        case "FULL":
            return StorageFailure(
                f"{shown}: no space left to write; what was written before is kept, and the same "
                "command goes on from there"
            )
        case "READONLY":
            return Unwritable(f"{shown} cannot be written: the file or its directory is read-only")
        case "CANTOPEN":
            return Unwritable(
                f"{shown} cannot be opened: no permission for the file or its directory, or the "
                "directory is read-only"
            )
        case "CORRUPT":
            return StorageFailure(f"{shown} is damaged ({_first_line(error)})")
        case "IOERR":
            return StorageFailure(
                f"{shown}: the disk failed, or is full ({error.sqlite_errorname}: "
                f"{_first_line(error)})"
            )
        case _:
            return StorageFailure(f"{shown}: {_first_line(error)}")


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
