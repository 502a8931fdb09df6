"""How commands that train stop when they are asked to."""

import os
import sys
from contextlib import AbstractContextManager, suppress
from typing import NoReturn

GO_ON = "interrupted; the finished runs are kept, and the same command goes on from there"
"""What is said after an interruption."""


def interruptible() -> AbstractContextManager[None]:
    """Within this Ctrl-C stops in good order, and is not heard again until all is saved."""
    from sweep.session import interruptible_once

    return interruptible_once(_say_so)


def leave(status: int) -> NoReturn:
    """Ends the process at once, with all that it has said: a thread may be compiling still, which
    nothing can stop, and to leave in any other way would wait for it."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # whoever read it may have gone
            stream.flush()
    runtime = sys.modules.get("sweep.engine.runtime")
    if runtime is not None and hasattr(runtime, "let_speak"):
        runtime.let_speak()
    os._exit(status)


def _say_so() -> None:
    print("\nStopping; what is finished is saved first.", file=sys.stderr, flush=True)
