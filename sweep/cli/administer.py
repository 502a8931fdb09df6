"""The commands on what is stored: `dashboard` and `delete`."""

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from studies.errors import BadInput
from sweep.cli.options import DEFAULT_STORAGE, Storage, existing

if TYPE_CHECKING:
    from storage.database import Database


def dashboard(
    host: Annotated[str, typer.Option(help="The address to listen on, of this machine.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8080,
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Serve the Optuna dashboard on the storage, until Ctrl-C."""
    from storage.database import open_database

    _check_address(host, port)
    with open_database(storage, create=False) as database:
        optuna_storage = database.optuna_storage()
        _complete_copies(database)
        _prepare(database)
        from optuna_dashboard import wsgi

        from sweep.dashboard import Artifacts

        shown = f"[{host}]" if ":" in host else host
        typer.echo(f"The Optuna dashboard of {database.url}: http://{shown}:{port}/", err=True)
        typer.echo("Ctrl-C ends it.", err=True)
        # A Bottle application: `run_server` would print a line for each request.
        application: Any = wsgi(optuna_storage, artifact_store=Artifacts(database))
        application.run(host=host, port=port, quiet=True)


def _complete_copies(database: "Database") -> None:
    """Brings Optuna's copies up that were left behind; a study that is worked on has its own."""
    from storage.lease import LeaseHeld, hold
    from storage.trials import complete_mirror, find_study, study_lines

    for line in study_lines(database):
        with contextlib.suppress(LeaseHeld, BadInput), hold(database, line.name) as held:
            stored = find_study(database, line.name)
            if stored is None:
                continue
            missing = complete_mirror(database, stored, lease=held, enough=lambda took: True)
            if missing:
                typer.echo(f"Copying {missing:,} trials of {line.name} to Optuna …", err=True)
                complete_mirror(database, stored, lease=held)


def _prepare(database: "Database") -> None:
    """Brings the notes and figures in the dashboard up to date, and says what it leaves out."""
    from storage.database import StorageFailure
    from sweep.dashboard import prepare

    try:
        for study in prepare(database):
            if study.figures:
                typer.echo(
                    f"Note and {len(study.figures)} figures of {study.name} are new.", err=True
                )
            if study.left_out:
                typer.echo(f"{study.left_out}", err=True)
    except StorageFailure as error:
        typer.echo(f"Notes and figures are left as they are: {error}", err=True)


def _check_address(host: str, port: int) -> None:
    """That a server may and can listen there. Raises BadInput, or OSError where the port is taken.

    The dashboard lets everybody who reaches it delete studies, and asks for no password.
    """
    import ipaddress
    import socket

    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise BadInput(f"--host {host}: no address of that name") from error
    if not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise BadInput(
            f"--host {host}: the dashboard asks for no password and can delete studies, so it "
            "listens on this machine only (127.0.0.1); from another one, reach it through "
            f"ssh -L {port}:127.0.0.1:{port}"
        )
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            reason = f"cannot listen on port {port} of {host}: {error.strerror}; try --port"
            raise OSError(error.errno, f"{reason} {port % 65535 + 1}") from error


def delete(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A study's name, as `list` shows it.")
    ] = None,
    unused: Annotated[
        bool,
        typer.Option("--unused", help="Delete runs that no study uses, nor can go on with."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Delete a study, and the runs that are of no use without it.

    A study that is being worked on is not deleted. What an interrupted study has finished stays
    until it goes on or is deleted; --unused takes what was left behind otherwise.
    """
    from storage.database import open_database
    from storage.garbage import count_unused, delete_study, delete_unused
    from storage.trials import study_lines
    from sweep.report.sentences import plural

    if (name is None) != unused:
        raise BadInput("delete takes the NAME of a study, or --unused")
    with open_database(storage, create=False) as database:
        if name is None:
            count = count_unused(database)
            if not count:
                typer.echo(f"No unused runs in {database.url}.", err=True)
                return
            _confirm(f"{plural(count, 'unused run')} from {database.url}", yes)
            count = delete_unused(database)
            typer.echo(f"Deleted {plural(count, 'unused run')} from {database.url}.", err=True)
            return
        existing(database, name)
        line = next(line for line in study_lines(database) if line.name == name)
        held = f"{plural(line.trials, 'trial')}, {plural(line.runs, 'run')}"
        what = f"{name} ({held}) from {database.url}"
        _confirm(what, yes)
        delete_study(database, name)
    typer.echo(f"Deleted {what}.", err=True)


def _confirm(what: str, yes: bool) -> None:
    """Returns if `what` is to be deleted: the user said so before, or says so now."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadInput(f"delete {what}? Nobody can be asked here; --yes says that it is meant")
    if not typer.confirm(f"Delete {what}?", err=True):
        typer.echo("Nothing was deleted.", err=True)
        raise typer.Exit(1)
