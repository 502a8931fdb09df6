"""Runs of many configurations on several data sets: found in the storage, else trained and kept.

The runs that are missing are divided into jobs, each of one compiled program. A thread per core
takes the jobs one after another, so that one program compiles while another trains. What is
finished is saved as it comes, so an interrupted call goes on where it stopped.
"""

import queue
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from storage.database import Database
from storage.runs import find_runs, put_runs
from storage.values import TaskFacts
from studies.run import FinishedRun, Run
from studies.tasks import Task
from sweep.engine import CHUNK, MEMORY
from sweep.machine import cores
from sweep.progress import SHOW_SECONDS
from sweep.session import SAVE_SECONDS

JOB_RUNS = 128
"""Runs of a job. Small enough that no core is left without work for long at the end, large enough
that a job's last runs, which leave slots empty, are few of them."""

TrainJob = Callable[[Iterator[Run], Task, bool], Iterator[FinishedRun]]
"""(runs, task, hidden progress) to finished runs, on one thread."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """Runs of a task; `hidden` says that their hidden progress is needed."""

    task: Task
    runs: tuple[Run, ...]
    hidden: bool = False


Found = dict[tuple[str, Run], FinishedRun]
"""Finished runs by the fingerprint of their task and what was asked."""


def find(db: Database, wanted: Sequence[Wanted]) -> Found:
    """Those of the wanted runs that are stored, for as long and with the series that are needed."""
    found: Found = {}
    asked: dict[str, dict[Run, bool]] = defaultdict(dict)
    for some in wanted:
        for run in some.runs:
            needs = asked[some.task.fingerprint]
            needs[run] = needs.get(run, False) or some.hidden
    for fingerprint, needs in asked.items():
        for run, finished in find_runs(db, fingerprint, list(needs)).items():
            if len(finished.series) > 2 or not needs[run]:
                found[fingerprint, run] = finished
    return found


def train_missing(
    db: Database,
    wanted: Sequence[Wanted],
    found: Found,
    *,
    on_finished: Callable[[str, FinishedRun], None],
    on_wait: Callable[[int], None],
    train: TrainJob | None = None,
) -> Found:
    """All the wanted runs: `found`, and the others trained now and stored.

    `on_finished` gets every run that was trained, after its task's fingerprint; `on_wait`, some ten
    times a second, the number that are still missing. Both are called in this thread. On
    KeyboardInterrupt what is finished is saved.
    """
    have = dict(found)
    jobs = deque(_jobs(wanted, found))
    tasks = {some.task.fingerprint: TaskFacts.of(some.task) for some in wanted}
    results: queue.SimpleQueue[tuple[str, FinishedRun] | BaseException | None] = queue.SimpleQueue()
    stop = threading.Event()

    def work() -> None:
        try:
            while not stop.is_set():
                try:
                    job = jobs.popleft()
                except IndexError:
                    break
                _work(job, results, stop, train or _train)
        except BaseException as error:  # a thread's error belongs to who waits for it
            results.put(error)
        finally:
            results.put(None)

    workers = [
        threading.Thread(target=work, daemon=True, name="sweep-explain")
        for _ in range(min(cores(), len(jobs)))
    ]
    missing = sum(len(job.runs) for job in jobs)
    unsaved: dict[str, list[FinishedRun]] = defaultdict(list)
    for worker in workers:
        worker.start()
    active, saved_at = len(workers), time.monotonic()
    try:
        while active:
            on_wait(missing)
            with suppress(queue.Empty):
                result = results.get(timeout=SHOW_SECONDS)
                if isinstance(result, BaseException):
                    raise result
                if result is None:
                    active -= 1
                    continue
                fingerprint, finished = result
                have[fingerprint, finished.run] = finished
                unsaved[fingerprint].append(finished)
                missing -= 1
                on_finished(fingerprint, finished)
            if time.monotonic() - saved_at >= SAVE_SECONDS:
                _save(db, tasks, unsaved)
                saved_at = time.monotonic()
    finally:
        stop.set()
        _save(db, tasks, unsaved)
        for worker in workers:
            worker.join()
    return have


def _jobs(wanted: Sequence[Wanted], found: Found) -> list[Wanted]:
    """What has to be trained, in parts of one program each, those of rare programs first.

    Two parts of one program are never neighbours at the start, where both would be compiled.
    """
    from sweep.engine.shapes import shape_of

    by_program: dict[tuple[str, object], dict[Run, None]] = defaultdict(dict)
    tasks: dict[str, Task] = {}
    hidden = {(some.task.fingerprint, run) for some in wanted if some.hidden for run in some.runs}
    for some in wanted:
        fingerprint = some.task.fingerprint
        tasks[fingerprint] = some.task
        for run in some.runs:
            if (fingerprint, run) in found:
                continue
            shape = shape_of(
                run.configuration,
                some.task,
                chunk=CHUNK,
                memory=MEMORY,
                hidden_progress=(fingerprint, run) in hidden,
            )
            by_program[fingerprint, shape][run] = None
    parts: list[list[Wanted]] = []
    for (fingerprint, _), some in by_program.items():
        runs = list(some)
        measured = (fingerprint, runs[0]) in hidden
        parts.append(
            [
                Wanted(tasks[fingerprint], tuple(runs[i : i + JOB_RUNS]), measured)
                for i in range(0, len(runs), JOB_RUNS)
            ]
        )
    # One part of the largest program, then one of each other, then what is left of the largest.
    parts.sort(key=len, reverse=True)
    rounds = max((len(part) for part in parts), default=0)
    return [part[i] for i in range(rounds) for part in parts if i < len(part)]


def _work(
    job: Wanted,
    results: "queue.SimpleQueue[tuple[str, FinishedRun] | BaseException | None]",
    stop: threading.Event,
    train: TrainJob,
) -> None:
    def runs() -> Iterator[Run]:
        for run in job.runs:
            if stop.is_set():
                return
            yield run

    fingerprint = job.task.fingerprint
    for finished in train(runs(), job.task, job.hidden):
        results.put((fingerprint, finished))
        if stop.is_set():
            return


def _train(runs: Iterator[Run], task: Task, hidden: bool) -> Iterator[FinishedRun]:
    from sweep.engine import train

    return train(runs, task, threads=1, hidden_progress=hidden)


def _save(db: Database, tasks: dict[str, TaskFacts], unsaved: dict[str, list[FinishedRun]]) -> None:
    for fingerprint, finished in unsaved.items():
        put_runs(db, tasks[fingerprint], finished)
    unsaved.clear()
