"""What `run` shows while it runs: one live line on a terminal, a plain line now and then elsewhere.

All of it goes to standard error.
"""

import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sweep.cli.screens import console

if TYPE_CHECKING:
    from sweep.progress import Progress

EVERY = 5.0
"""Seconds between two plain lines."""


@contextmanager
def shown_progress() -> Generator[Callable[["Progress"], None]]:
    """Within this, the function that it gives shows how far the search is."""
    if sys.stderr.isatty():
        with _live() as show:
            yield show
    else:
        yield _plain()


@contextmanager
def _live() -> Generator[Callable[["Progress"], None]]:
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    from sweep.progress import described

    # A descriptor of its own: the engine turns that of standard error away while it is loaded.
    terminal = os.fdopen(
        os.dup(sys.stderr.fileno()), "w", encoding=sys.stderr.encoding, errors="replace"
    )
    bar = Bar(
        BarColumn(bar_width=10),
        TextColumn("{task.description}", markup=False),
        console=console(terminal),
        transient=True,
        refresh_per_second=5,
    )
    with terminal, bar:
        task = bar.add_task("starting", total=None)

        def show(progress: "Progress") -> None:
            bar.update(
                task,
                description=described(progress),
                total=progress.runs_total or None,
                completed=progress.runs_done,
            )

        yield show


def _plain() -> Callable[["Progress"], None]:
    from sweep.progress import described

    last_time, last_stage, last_text = -EVERY, "", ""

    def show(progress: "Progress") -> None:
        nonlocal last_time, last_stage, last_text
        if progress.stage == last_stage and progress.seconds < last_time + EVERY:
            return
        text = described(progress)
        if text != last_text:
            print(f"[{progress.seconds:.0f} s] {text}", file=sys.stderr, flush=True)
        last_time, last_stage, last_text = progress.seconds, progress.stage, text

    return show
