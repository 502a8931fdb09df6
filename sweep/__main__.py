"""The command line: `python -m sweep`, and the console script `sweep`."""

import io
import sys


def main() -> None:
    """Runs the command that `sys.argv` names, and exits with its status."""
    from sweep.cli import app

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A sign that the terminal's encoding does not have is no reason to fail.
            stream.reconfigure(errors="replace")
    app(prog_name="sweep")


if __name__ == "__main__":
    main()
