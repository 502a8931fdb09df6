"""How commands that train stop when they are asked to."""

import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

GO_ON = "interrupted; the finished runs are kept, and the same command goes on from there"
"""What is said after an interruption."""


@contextmanager
def twice_interruptible() -> Generator[None]:
    """Within this, Ctrl-C stops in good order, and a second one at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_signal: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        print("\nStopping; Ctrl-C again ends at once.", file=sys.stderr, flush=True)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
