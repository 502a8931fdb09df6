"""A user's file as bytes, with errors that say what is wrong with it."""

import difflib
import os
from itertools import islice
from pathlib import Path

from studies.errors import BadInput


def first_bytes(path: str | os.PathLike[str], most: int) -> bytes:
    """The first `most` bytes of a regular file, fewer where it has fewer.

    Raises BadInput, naming the file and the nearest name beside it, if it is missing, unreadable or
    no regular file.
    """
    try:
        file = Path(path)
        if file.is_dir():
            raise BadInput(f"{path}: this is a directory, not a file")
        if file.exists() and not file.is_file():
            raise BadInput(f"{path}: this is not a regular file; it has to be read more than once")
        with file.open("rb") as stream:
            return stream.read(most)
    except FileNotFoundError:
        raise BadInput(f"{path}: there is no such file{_near(path)}") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}") from None
    except BadInput:
        raise
    except ValueError as error:  # a NUL in the name
        raise BadInput(f"{os.fspath(path)!r}: this cannot be a file's name: {error}") from None


def _near(path: str | os.PathLike[str]) -> str:
    try:
        names = [entry.name for entry in islice(Path(path).parent.iterdir(), 1000)]
    except OSError:
        return ""
    stems = {Path(name).stem: name for name in names if name.isprintable()}
    found = difflib.get_close_matches(Path(path).stem, stems, n=1)
    return f"; did you mean {stems[found[0]]}?" if found else ""
