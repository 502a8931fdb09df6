"""The commands of the service: `submit`, `worker`, `cancel`, `serve`."""

import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from studies.errors import BadInput
from sweep.cli.options import (
    DEFAULT_STORAGE,
    Csv,
    Epochs,
    Json,
    Label,
    Name,
    Replicates,
    Seed,
    Settings,
    Storage,
    Timesteps,
    Trials,
    command,
    setting,
)
from sweep.cli.stopping import leave

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address
    from types import FrameType

    from storage.queue import Entry

LogFormat = Annotated[
    Literal["text", "json"],
    typer.Option("--log-format", help="Lines for people, or a JSON document a line."),
]


def submit(
    study: Annotated[
        str | None,
        typer.Argument(
            metavar="[STUDY]",
            help="A shipped study, or the path of a study file; default: hello-lstm.",
        ),
    ] = None,
    trials: Trials = None,
    replicates: Replicates = None,
    epochs: Epochs = None,
    seed: Seed = None,
    name: Annotated[str | None, typer.Option(help="The study's name in the storage.")] = None,
    settings: Settings = None,
    csv: Csv = None,
    label: Label = None,
    timesteps: Timesteps = None,
    priority: Annotated[int, typer.Option(help="Higher ones come first; of equals the older.")] = 0,
    storage: Storage = DEFAULT_STORAGE,
    as_json: Json = False,
) -> None:
    """Put a study in the queue of the storage, for a worker to run.

    The file that it learns from goes with it. Submitted again with more trials, replicates or
    epochs, a study is extended.
    """
    from storage.database import open_database
    from studies.study import asked_settings, asked_study
    from sweep.cli.inspect import print_json
    from sweep.service.submission import content_of, entry_document, put, refuse_code

    options = asked_settings(
        name=name,
        trials=trials,
        replicates=replicates,
        epochs=epochs,
        seed=seed,
        csv=csv,
        label=label,
        timesteps=timesteps,
    )
    changes: dict[str, Any] = dict(setting(text) for text in settings or [])
    asked = asked_study(study, changes | options)
    refuse_code(asked)
    data = content_of(asked)
    with open_database(storage) as database:
        entry = put(database, asked, priority=priority, data=data)
    if as_json:
        print_json(entry_document(entry))
        return
    typer.echo(f"{entry_line(entry)}.")
    typer.echo(f"A worker runs it: {command('worker', '', storage)}")
    typer.echo(f"How far it is:    {command('status', entry.name, storage)}")


def worker(
    once: Annotated[
        bool, typer.Option("--once", help="End when nothing is left in the queue.")
    ] = False,
    log_format: LogFormat = "text",
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Take studies from the queue and run them, until Ctrl-C.

    Several workers, on as many machines, share a queue. Where one is stopped or dies, another goes
    on from what it had finished. With --once the exit status is 1 if a study failed.
    """
    from concurrent.futures import ThreadPoolExecutor

    from storage.database import hurry
    from sweep.service import logs
    from sweep.service.worker import Worker

    logs.begin(log_format)
    working = Worker(storage)
    heard: list[int] = []

    def asked(number: int, frame: "FrameType | None") -> None:
        if heard:
            # Who insists is not kept waiting.
            os._exit(128 + number)
        heard.append(number)
        logs.log("stopping; what is finished is saved first")
        working.stop.set()
        hurry()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, asked)
    # In a thread of its own: this one only waits, and hears a signal whatever the other is at.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(working.work, once=once).result()
    if heard:
        leave(130 if heard[0] == signal.SIGINT else 0)
    if working.failed and once:
        raise typer.Exit(1)


def cancel(name: Name, storage: Storage = DEFAULT_STORAGE) -> None:
    """Take a study out of the queue; one that is running stops, and keeps what is finished."""
    from storage.database import open_database
    from storage.queue import cancel as cancel_entries

    with open_database(storage, create=False) as database:
        for entry in cancel_entries(database, name):
            stops = entry.state == "running"
            done = "is told to stop; what it has finished is kept" if stops else "is cancelled"
            typer.echo(f"{name} {done}.")


def serve(
    host: Annotated[
        str, typer.Option(help="The address to listen on; another machine's need a token.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: any free one.")] = 8000,
    workers: Annotated[
        int, typer.Option(min=0, max=256, help="Worker processes to start beside the server.")
    ] = 0,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A file with the token; default: SWEEP_TOKEN's value."),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--allowed-host", metavar="NAME", help="A name by which it is asked, too."),
    ] = None,
    max_upload: Annotated[int, typer.Option(min=1, help="MiB that may be sent at once.")] = 20,
    max_depth: Annotated[int, typer.Option(min=1, help="Tables in one another.")] = 20,
    max_epochs: Annotated[
        int, typer.Option(min=1, help="Trials × replicates × epochs of a study.")
    ] = 10_000_000,
    max_memory: Annotated[
        int, typer.Option(min=1, help="MiB of a study's data and its largest model.")
    ] = 2048,
    log_format: LogFormat = "text",
    storage: Storage = DEFAULT_STORAGE,
) -> None:
    """Serve the queue, live reports, the Optuna dashboard and an HTTP API, until Ctrl-C.

    On 127.0.0.1 it asks for nothing. On any other address it asks for a token, which is at least 16
    characters in a file, or in SWEEP_TOKEN.
    """
    from storage.database import open_database
    from sweep.report.live import check_installed
    from sweep.service import logs

    check_installed()
    from sweep.service.guard import token_from
    from sweep.service.limits import MIB, Limits
    from sweep.service.server import PATIENCE, listen
    from sweep.service.server import serve as run_server

    token = token_from(token_file)
    address = _address(host)
    if token is None and not address.is_loopback:
        raise BadInput(
            f"--host {host}: whoever reaches this address could use the server, so it needs a "
            "token: --token-file FILE, or the variable SWEEP_TOKEN"
        )
    hosts = frozenset(
        {"localhost", "127.0.0.1", "::1", host.lower(), str(address), *map(str.lower, names or [])}
    )
    shown = f"[{address}]" if ":" in str(address) else str(address)
    if address.is_unspecified:
        shown = socket.gethostname()
        hosts |= {shown.lower()}
    limits = Limits(max_upload * MIB, max_depth, max_epochs, max_memory * MIB)
    logs.begin(log_format)
    with open_database(storage) as database:
        # Who asks a server is told soon that its storage is gone, and asks again.
        database.patience = PATIENCE
        taken = listen(str(address), port)
        number = taken.getsockname()[1]
        logs.log("serving", url=f"http://{shown}:{number}/", storage=database.url)
        run_server(
            database,
            taken,
            hosts=hosts,
            token=token,
            limits=limits,
            workers=workers,
            form=log_format,
        )


def _address(host: str) -> "IPv4Address | IPv6Address":
    import ipaddress

    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0]
    except (OSError, UnicodeError) as error:
        raise BadInput(f"--host {host}: no address of that name") from error
    return ipaddress.ip_address(str(found).partition("%")[0])


def entry_line(entry: "Entry") -> str:
    """What becomes of a study in the queue, in a sentence without its end."""
    if entry.state == "waiting":
        return f"{entry.name} waits in the queue at place {entry.position}"
    if entry.state == "running":
        how = "stops, as asked" if entry.cancelling else entry.progress.get("text", "begins")
        return f"{entry.name} is run by {entry.worker}: {how}"
    said = f": {entry.message}" if entry.message else ""
    return f"{entry.name} {'is done' if entry.state == 'done' else entry.state}{said}"
