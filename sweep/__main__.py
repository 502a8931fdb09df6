"""The command line: `python -m sweep`, and the console script `sweep`."""

import gc
import io
import sys

INTERRUPTED = 130

YOUNG = 50_000
"""New objects after which Python looks for garbage. Its own 700 would have it look again and again
through what a command imports, which is a tenth of the time that `list` takes."""


def main() -> None:
    """Runs the command that `sys.argv` names, and exits with its status."""
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    from sweep.cli import app
    from sweep.cli.stopping import leave

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A sign that the terminal's encoding does not have is no reason to fail.
            stream.reconfigure(errors="replace")
    try:
        app(prog_name="sweep")
    except SystemExit as ending:
        if ending.code != INTERRUPTED:
            raise
        leave(INTERRUPTED)


if __name__ == "__main__":
    main()
