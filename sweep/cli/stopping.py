"""How commands that train stop when they are asked to."""

import sys
from contextlib import AbstractContextManager

GO_ON = "interrupted; the finished runs are kept, and the same command goes on from there"
"""What is said after an interruption."""


def interruptible() -> AbstractContextManager[None]:
    """Within this Ctrl-C stops in good order, and is not heard again until all is saved."""
    from sweep.session import interruptible_once

    return interruptible_once(_say_so)


def _say_so() -> None:
    print("\nStopping; what is finished is saved first.", file=sys.stderr, flush=True)
