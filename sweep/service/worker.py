"""A worker takes studies from the queue and runs them, one after the other.

It goes on after a study that fails. Told to stop, or that its study is cancelled, it saves what is
finished first; a study that it leaves in its midst waits for the next worker.
"""

import os
import socket
import threading
import time
from contextlib import suppress
from typing import Any

from storage import queue
from storage.database import Database, StorageFailure, open_database
from storage.failures import Lost, Passing
from storage.lease import Lease, LeaseHeld
from storage.queue import TOTALS, Claimed
from studies.errors import BadInput
from studies.study import Study
from sweep.progress import Progress, described
from sweep.service.logs import log
from sweep.service.submission import load
from sweep.session import Train

LOOK = 1.0
"""Seconds between two looks at the queue: for work, and for a word to stop."""

SAY = 5.0
"""Seconds between two lines of progress in the log."""

RECOVERY = 5.0
"""Seconds to wait before a storage that failed is asked again."""


class _Stopped(KeyboardInterrupt):
    """Raised within a study to leave it, as Ctrl-C does: what is finished is saved."""


class Worker:
    """Works on the queue of the storage at `url` until `stop` is set.

    `train` takes the place of the engine's. `failed` counts the studies that failed.
    """

    def __init__(self, url: str, *, train: Train | None = None) -> None:
        self.url = url
        self.train = train
        self.name = f"process {os.getpid()} on {socket.gethostname()}"
        self.stop = threading.Event()
        self.failed = 0

    def work(self, *, once: bool = False) -> None:
        """Takes studies until it is told to stop, or with `once` until nothing is to be had.

        A storage that fails is asked again, unless `once` is given: then StorageFailure is raised.
        A study in whose midst the storage was lost waits for the next worker, as one that is left.
        """
        with open_database(self.url) as db:
            log("worker begins", worker=self.name, storage=db.url)
            failing = False
            while not self.stop.is_set():
                try:
                    claimed = queue.claim(db, self.name)
                    failing = False
                    if claimed is not None:
                        self._run(db, claimed, once)
                    elif once:
                        break
                    else:
                        self.stop.wait(LOOK)
                except StorageFailure as error:
                    if once:
                        raise
                    if not failing:
                        log("storage failed", message=str(error))
                    failing = True
                    self.stop.wait(RECOVERY)
            log("worker ends", worker=self.name)

    def _run(self, db: Database, claimed: Claimed, once: bool) -> None:
        entry = claimed.entry
        log("study begins", study=entry.name, entry=entry.id, attempt=entry.attempts)
        with queue.working(db, claimed) as held:
            link = _Link(db, claimed, held, self.stop)
            try:
                with link:
                    trials = self._study(db, claimed, link)
            except _Stopped:
                if link.cancelled.is_set():
                    queue.finish(db, claimed, held, "cancelled", link.kept())
                    log("study cancelled", study=entry.name, entry=entry.id)
                else:
                    self._give_back(db, claimed, held)
            except (Lost, Passing) as error:
                log("storage lost", study=entry.name, entry=entry.id, message=str(error))
                while not self._is_given_back(db, claimed, held, once):
                    self.stop.wait(RECOVERY)
            except LeaseHeld as other:
                queue.give_back(db, claimed, held)
                log("study is run elsewhere", study=entry.name, holder=other.holder)
                self.stop.wait(LOOK)
            except (BadInput, StorageFailure) as error:
                self._fail(db, claimed, held, str(error))
            except Exception as error:
                log("fault", fault=True, study=entry.name, entry=entry.id)
                what = f"{type(error).__name__}: {error}"
                self._fail(db, claimed, held, f"a fault in sweep, see the worker's log: {what}")
            else:
                queue.finish(db, claimed, held, "done")
                log("study done", study=entry.name, entry=entry.id, trials=trials)

    def _study(self, db: Database, claimed: Claimed, link: "_Link") -> int:
        """Runs the study of an entry to its end, and returns how many trials it has."""
        from sweep.search import run_study

        entry = claimed.entry
        study = Study.from_document(entry.document, entry.name)
        data = None if entry.upload is None else queue.uploaded(db, entry.upload)
        outcome = run_study(
            study, self.url, task=load(study, data), on_progress=link.take, train=self.train
        )
        return len(outcome.result.trials)

    def _give_back(self, db: Database, claimed: Claimed, held: Lease) -> None:
        queue.give_back(db, claimed, held)
        log("study given back", study=claimed.entry.name, entry=claimed.entry.id)

    def _is_given_back(self, db: Database, claimed: Claimed, held: Lease, once: bool) -> bool:
        """Gives an entry back if the storage is there again; raises Lost if nobody waits longer."""
        try:
            self._give_back(db, claimed, held)
        except (Lost, Passing):
            if once or self.stop.is_set():
                raise
            return False
        return True

    def _fail(self, db: Database, claimed: Claimed, held: Lease, message: str) -> None:
        self.failed += 1
        log("study failed", study=claimed.entry.name, entry=claimed.entry.id, message=message)
        queue.finish(db, claimed, held, "failed", message)


class _Link:
    """Between a running study and its entry: tells how far it is, and hears that it is to stop."""

    def __init__(self, db: Database, claimed: Claimed, held: Lease, stop: threading.Event) -> None:
        self.cancelled = threading.Event()
        self._db, self._claimed, self._held, self._stop = db, claimed, held, stop
        self._before = {key: claimed.entry.progress.get(key, 0) for key in TOTALS}
        self._latest = dict(claimed.entry.progress)
        self._said, self._stage = float("-inf"), ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._exchange, daemon=True)

    def __enter__(self) -> "_Link":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        with suppress(StorageFailure):
            self._tell()

    def take(self, progress: Progress) -> None:
        """Takes note of how far the study is; leaves the study if it is to stop."""
        self._latest = document(progress, described(progress), self._before)
        now = time.monotonic()
        if progress.stage != self._stage or now >= self._said + SAY:
            self._said, self._stage = now, progress.stage
            log("progress", study=self._claimed.entry.name, state=self._latest["text"])
        if self._stop.is_set() or self.cancelled.is_set():
            raise _Stopped

    def kept(self) -> str:
        """What becomes of the runs that were finished when it is stopped."""
        return queue.kept(self._latest)

    def _exchange(self) -> None:
        failing = False
        while True:
            try:
                self._tell()
                failing = False
            except StorageFailure as error:
                if not failing:
                    log("storage failed", study=self._claimed.entry.name, message=str(error))
                failing = True
            if self._over.wait(LOOK):
                return

    def _tell(self) -> None:
        if queue.tell(self._db, self._claimed, self._held, self._latest):
            self.cancelled.set()


def document(progress: Progress, text: str, before: dict[str, Any]) -> dict[str, Any]:
    """Progress as the queue keeps it; `before` is what earlier workers had counted of `TOTALS`."""
    return {
        "text": text,
        "stage": progress.stage,
        "trials": progress.trials_done,
        "trials_asked": progress.trials_total,
        "runs": progress.runs_done,
        "runs_asked": progress.runs_total,
        "solved_runs": progress.solved,
        "models_per_second": progress.runs_per_second,
        "seconds": round(progress.seconds, 1),
        "seconds_left": progress.seconds_left,
        **{key: before[key] + getattr(progress, key) for key in TOTALS},
    }
