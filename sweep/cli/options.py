"""Options and arguments that several commands share, and the reading of their values."""

import os
import re
import shlex
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studies.errors import BadInput

if TYPE_CHECKING:
    from storage.database import Database

DEFAULT_STORAGE = "sqlite:///sweep.db"

Storage = Annotated[
    str,
    typer.Option(
        "--storage",
        metavar="URL",
        envvar="SWEEP_STORAGE",
        help="The database: an SQLAlchemy URL, or a SQLite file that ends in .db.",
    ),
]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]

Name = Annotated[str, typer.Argument(metavar="NAME", help="A study's name, as `list` shows it.")]

Trials = Annotated[int | None, typer.Option(help="Configurations to try.")]

Replicates = Annotated[int | None, typer.Option(help="Trainings of each, by seed.")]

Epochs = Annotated[int | None, typer.Option(help="The budget of a training.")]

Seed = Annotated[int | None, typer.Option(help="The seed of the search.")]

Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="A setting of the study file, such as training.batch_size=16; may be repeated.",
    ),
]

Csv = Annotated[Path | None, typer.Option(metavar="FILE", help="A CSV to learn, one row a record.")]

Label = Annotated[str | None, typer.Option(metavar="COLUMN", help="The CSV's column to predict.")]

Timesteps = Annotated[
    int | None, typer.Option(min=1, help="Steps into which the CSV's other columns are divided.")
]


def setting(text: str) -> tuple[str, str]:
    """The key and the value of a `--set KEY=VALUE`; BadInput where it is none."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise BadInput(f"--set {text}: expected KEY=VALUE, such as --set training.batch_size=16")
    return key.strip(), value.strip()


def called() -> str:
    """How a user of this terminal calls sweep: through `uv run` where they did so now, since its
    environment is no other shell's."""
    return "uv run python -m sweep" if "UV_RUN_RECURSION_DEPTH" in os.environ else "python -m sweep"


def command(verb: str, name: str, storage: str, *more: str) -> str:
    """A command on a study as the user would type it; the storage is named where it has to be, and
    its password never: in its place stands PGPASSWORD, from which PostgreSQL takes it."""
    words = [*called().split(), verb, *([name] if name else []), *more]
    secret = ""
    if storage != os.environ.get("SWEEP_STORAGE", DEFAULT_STORAGE):
        address = re.sub(r"(://[^:@/]*):[^@]+@", r"\1@", storage)
        secret = "PGPASSWORD=… " if address != storage else ""
        words += ["--storage", address]
    return secret + shlex.join(words)


def file_for(name: str, ending: str) -> Path:
    """A file in the working directory, named after a study.

    Letters, digits, `.`, `_` and `-` stay, and everything else becomes one `-`; so the name is
    never a path, hidden, an option, or longer than file systems take.
    """
    safe = re.sub(r"[^\w.-]+", "-", name).strip("-.")
    while len(safe.encode()) > 200:
        safe = safe[:-1]
    return Path(f"{safe or 'study'}{ending}")


def writable(path: Path, option: str) -> Path:
    """The same path, once it is sure that a file can be put there.

    Asked before work that takes long. Raises BadInput naming `option`.
    """
    if path.is_dir():
        raise BadInput(f"{option} {path}: is a directory; give the name of a file")
    if path.exists() and not path.is_file():
        raise BadInput(f"{option} {path}: is no ordinary file; give the name of one")
    if not path.parent.is_dir():
        raise BadInput(f"{option} {path}: there is no directory {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise BadInput(f"{option} {path}: no permission to write there")
    return path


@contextmanager
def writing(path: Path) -> Generator[None]:
    """Within this, an OSError names the file that the user asked for, whatever was written."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def existing(database: "Database", name: str) -> str:
    """The name, if a study has it; BadInput with the nearest name if none has."""
    from storage.trials import find_study, no_study

    if find_study(database, name) is None:
        raise no_study(database, name)
    return name
