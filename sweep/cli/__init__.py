"""The command line. One module a group of commands; what they need they import when called.

Exit status: 0 done, 1 failed, 2 bad input, 130 interrupted. Every error becomes its message here,
in `Commands.invoke`; a traceback is shown for a fault of the program only.
"""

import contextlib
import os
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from studies.errors import BadInput
from sweep.cli import (
    administer,
    bench,
    compare,
    exchange,
    explain,
    export,
    guess,
    inspect,
    keras,
    models,
    run,
    service,
)

REPORT_FAULTS = (
    "This is a fault in sweep. Please report it with the lines above, the command, "
    "and what `sweep --version` says."
)


class Commands(TyperGroup):
    """The group of commands, which turns what they raise into a message and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except BadInput as error:
            _fail(str(error), 2)
        except KeyboardInterrupt as interrupt:
            _fail(str(interrupt) or "interrupted", 130)
        except BrokenPipeError:
            _close_output()
            raise typer.Exit(1) from None
        except OSError as error:
            reason = error.strerror or str(error) or type(error).__name__
            _fail(f"{error.filename}: {reason}" if error.filename else reason, 1)
        except Exception as error:
            if _is_storage_failure(error):
                _fail(str(error), 1)
            if not hasattr(error, "exit_code"):
                error.add_note(REPORT_FAULTS)
            raise


def _fail(message: str, status: int) -> NoReturn:
    with contextlib.suppress(OSError):
        typer.echo(f"sweep: {message}", err=True)
    raise typer.Exit(status)


def _is_storage_failure(error: Exception) -> bool:
    # Commands that open no storage do without the time that importing it takes.
    failures = sys.modules.get("storage.failures")
    return failures is not None and isinstance(error, failures.StorageFailure)


def _close_output() -> None:
    """Sends what is still to be flushed to nowhere: its reader has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with contextlib.suppress(OSError, ValueError):
        os.dup2(nowhere, sys.stdout.fileno())


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"sweep {version('sweep')}")
        raise typer.Exit


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Measures how fast small networks learn a task under which settings, and why they wait."""


app.command()(run.run)
app.command("list")(inspect.list_studies)
app.command()(inspect.status)
app.command()(inspect.show)
app.command()(compare.compare)
app.command()(explain.explain)
app.command()(guess.guess)
app.command()(export.report)
app.command()(export.export)
app.command()(keras.code)
app.command()(keras.verify)
app.command()(models.model)
app.command()(models.predict)
app.command()(administer.dashboard)
app.command()(administer.delete)
app.command("import")(exchange.import_studies)
app.command()(exchange.doctor)
app.command()(bench.bench)
app.command()(service.submit)
app.command()(service.worker)
app.command()(service.cancel)
app.command()(service.serve)
