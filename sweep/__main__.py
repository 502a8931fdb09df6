"""The command line: `python -m sweep`, and the console script `sweep`."""


def main() -> None:
    """Runs the command that `sys.argv` names, and exits with its status."""
    from sweep.cli import app

    app(prog_name="sweep")


if __name__ == "__main__":
    main()
