"""Two processes never work on one study: the second waits, takes over, or finds out in time."""

import json
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from storage.database import open_database
from storage.lease import LeaseHeld
from storage.tables import leases, runs
from storage.trials import find_study, read_trials
from sweep.search import Progress

HERE = Path(__file__).parent
SEARCH = runpy.run_path(str(HERE / "test_search.py"))
Engine, study, run, kept, assert_same = (
    SEARCH[name] for name in ("Engine", "study", "run", "kept", "assert_same")
)

COORDINATOR = """
import json, runpy, sys
here = runpy.run_path(sys.argv[1])

def stop():
    print("there", flush=True)
    sys.stdin.readline()

class Slow(here["Engine"]):
    # Hands on so many runs, waits for a word, and goes on.
    def __call__(self, runs, task):
        for number, finished in enumerate(super().__call__(runs, task)):
            if number == int(sys.argv[3]):
                stop()
            yield finished

try:
    outcome = here["run"](here["study"](), sys.argv[2], Slow())
    print("trained", outcome.runs_trained, flush=True)
except Exception as error:
    print(type(error).__name__, str(error).replace(chr(10), " "), flush=True)
"""


@pytest.fixture
def url(storage_url: str) -> str:
    return storage_url


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The trials of the study run by one process to its end."""
    url = f"sqlite:///{tmp_path_factory.mktemp('whole') / 'sweep.db'}"
    run(study(), url)
    return kept(url)


@pytest.fixture
def coordinator(url: str) -> Iterator[Callable[[int], subprocess.Popen[str]]]:
    """Starts a process on the study that stands still after so many runs; it does when this ends.

    It goes on when it is told a line.
    """
    started: list[subprocess.Popen[str]] = []

    def start(runs: int) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", COORDINATOR, str(HERE / "test_search.py"), url, str(runs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "there\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_second_coordinator_is_told_who_works_on_the_study(
    url: str, coordinator: Callable[[int], subprocess.Popen[str]], whole: list[Any]
) -> None:
    first = coordinator(20)
    with pytest.raises(LeaseHeld, match=f"being worked on by process {first.pid} on"):
        run(study(), url)
    assert first.communicate("\n")[0] == "trained 75\n"
    assert_same(kept(url), whole)


def test_a_second_coordinator_that_waits_watches_the_first_and_then_goes_on(
    url: str, coordinator: Callable[[int], subprocess.Popen[str]], whole: list[Any]
) -> None:
    first = coordinator(40)
    seen: list[Progress] = []

    def watch(progress: Progress) -> None:
        seen.append(progress)
        if progress.stage.startswith("waiting") and first.poll() is None:
            first.communicate("\n")

    engine = Engine()
    outcome = run(study(), url, engine, on_progress=watch, wait=True)
    waiting = [progress for progress in seen if progress.stage.startswith("waiting")]
    assert waiting[0].stage.startswith(f"waiting for process {first.pid} on")
    assert 0 < waiting[0].trials_done < 25
    assert engine.trained == []
    assert len(outcome.result.trials) == 25
    assert_same(kept(url), whole)


def test_the_study_of_a_coordinator_that_is_killed_goes_on_at_once(
    url: str, coordinator: Callable[[int], subprocess.Popen[str]], whole: list[Any]
) -> None:
    first = coordinator(40)
    first.send_signal(signal.SIGKILL)
    first.wait()
    engine = Engine()
    run(study(), url, engine, wait=True)
    assert len(engine.trained) < 75
    assert_same(kept(url), whole)


def test_a_coordinator_that_was_suspended_finds_out_before_it_writes(
    url: str, coordinator: Callable[[int], subprocess.Popen[str]], whole: list[Any]
) -> None:
    first = coordinator(30)
    first.send_signal(signal.SIGSTOP)
    with open_database(url) as database:
        # It stands still for as long as this says.
        database.write(
            lambda c: c.execute(leases.update().values(heartbeat=leases.c.heartbeat - 60))
        )
    run(study(), url)
    with open_database(url) as database:
        before = database.read(lambda c: c.execute(runs.select().order_by(runs.c.key)).all())
    first.send_signal(signal.SIGCONT)
    said = first.communicate("\n")[0]
    assert said.startswith("StorageFailure the study 'tried' was taken over by ")
    assert_same(kept(url), whole)
    with open_database(url) as database:
        after = database.read(lambda c: c.execute(runs.select().order_by(runs.c.key)).all())
    assert after == before
    assert_mended(url)


def test_a_coordinator_that_wakes_while_another_works_disturbs_nothing(
    url: str, coordinator: Callable[[int], subprocess.Popen[str]], whole: list[Any]
) -> None:
    first = coordinator(20)
    first.send_signal(signal.SIGSTOP)
    with open_database(url) as database:
        database.write(
            lambda c: c.execute(leases.update().values(heartbeat=leases.c.heartbeat - 60))
        )
    second = coordinator(20)
    first.send_signal(signal.SIGCONT)
    assert first.communicate("\n")[0].startswith("StorageFailure the study 'tried' was taken over")
    assert second.communicate("\n")[0].startswith("trained ")
    assert_same(kept(url), whole)
    assert_mended(url)


def test_a_study_goes_on_over_restarts_of_its_server(
    start_postgresql: Callable[[], Any], whole: list[Any]
) -> None:
    server = start_postgresql()
    url = server.get_uri(driver="psycopg")

    class Restarting(Engine):
        def __call__(self, runs: Any, task: Any) -> Iterator[Any]:
            for number, finished in enumerate(super().__call__(runs, task)):
                if number in (5, 30, 31, 60):
                    server.stop()
                    threading.Timer(0.5, server.ensure_postgres_running).start()
                yield finished

    outcome = run(study(), url, Restarting())
    assert outcome.runs_trained == 75
    assert_same(kept(url), whole)
    assert_mirrored(url)


def assert_mended(url: str) -> None:
    """Optuna's copy is right once it was looked at: who was suspended while adding a trial to it
    ends that when he wakes."""
    engine = Engine()
    run(study(), url, engine)
    assert engine.trained == []
    assert_mirrored(url)


def assert_mirrored(url: str) -> None:
    there = optuna.load_study(study_name="tried", storage=url).trials
    with open_database(url) as database:
        stored = find_study(database, "tried")
        assert stored is not None
        ours = read_trials(database, stored.uuid)
    assert [(t.number, t.params, tuple(t.values)) for t in there] == [
        (t.number, t.params, t.values) for t in ours
    ]
    assert [json.loads(json.dumps(t.user_attrs)) for t in there] == [t.user_attrs for t in ours]
