"""How far a study is, shown where Python runs: under a notebook's cell, or on standard error."""

import importlib
import sys
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sweep.progress import Progress

Shown = bool | Callable[["Progress"], None]
"""Whether progress is shown, or the function that is told of it about ten times a second."""

INTERRUPTED = "interrupted; the finished runs are kept, and the same call goes on from there"


@contextmanager
def shown(progress: Shown) -> "Generator[Callable[[Progress], None] | None]":
    """Within this, the function that it gives shows how far the work is, and Ctrl-C stops in good
    order."""
    from sweep.session import interruptible_once

    try:
        with interruptible_once():
            if callable(progress):
                yield progress
            elif not progress:
                yield None
            elif _in_notebook():
                yield _under_the_cell()
            else:
                from sweep.cli.progress import shown_progress

                with shown_progress() as show:
                    yield show
    except KeyboardInterrupt:
        raise KeyboardInterrupt(INTERRUPTED) from None


def _in_notebook() -> bool:
    """Whether this runs in a Jupyter kernel; without IPython imported it does not."""
    module = sys.modules.get("IPython")
    shell = module.get_ipython() if module is not None else None
    return getattr(shell, "kernel", None) is not None


def _under_the_cell() -> "Callable[[Progress], None]":
    """Shows progress as a line of the cell's output, which it rewrites."""
    from IPython.display import display

    # Optuna's progress bar, which is not used, asks for ipywidgets as soon as it is imported.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        importlib.import_module("tqdm.auto")

    from sweep.progress import described

    handle: Any = None
    said = ""

    def show(progress: "Progress") -> None:
        nonlocal handle, said
        text = described(progress)
        if text == said:
            return
        said, bundle = text, {"text/plain": text}
        if handle is None:
            handle = display(bundle, raw=True, display_id=True)
        else:
            handle.update(bundle, raw=True)

    return show
