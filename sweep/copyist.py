"""Optuna's copy of a study, written beside the training.

Writing a trial through Optuna takes it some ten milliseconds of Python, during which nobody else's
Python runs in this process. So the copy is written in a thread that rests most of the time, and
is brought up at the end. Where trials come much faster than they can be copied, which trained ones
do not, it stays behind for the time being rather than keep the study from its end.
"""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

from storage.database import Database
from storage.lease import Lease
from storage.trials import StoredStudy, complete_mirror

REST = 4.0
"""How often as long as it works the copyist rests."""

LONGEST = 30.0
"""Seconds for which the end of a study may wait for its copy, …"""

LARGEST_SHARE = 0.1
"""… or this share of the session's time, where that is more."""


class Copyist:
    """Copies finished trials to Optuna's study. `stop` it before the storage is closed."""

    def __init__(self, db: Database, held: Lease) -> None:
        self._db, self._held = db, held
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="copyist")
        self._copying: Future[int] | None = None
        self._stopped = threading.Event()

    def begin(self, stored: StoredStudy) -> None:
        """Copies what there is to copy, beside the rest."""
        # One at work knows only the trials that there were when it began; one that waits, all.
        if self._copying is None or self._copying.running() or self._copying.done():
            self._copying = self._executor.submit(
                complete_mirror, self._db, stored, lease=self._held, enough=self._rest
            )

    def stop(self) -> None:
        """Ends with the trial at hand. What failed is not said: it fails again in `finish`."""
        self._stopped.set()
        self._executor.shutdown(cancel_futures=True)

    def finish(self, stored: StoredStudy, seconds: float) -> int:
        """Brings the copy up after a session of so many seconds; returns how many trials it lacks.

        Raises BadInput where others have added trials to it.
        """
        self.stop()
        end = time.monotonic() + max(LONGEST, LARGEST_SHARE * seconds)
        return complete_mirror(
            self._db, stored, lease=self._held, enough=lambda took: time.monotonic() > end
        )

    def _rest(self, took: float) -> bool:
        return self._stopped.wait(REST * took)
