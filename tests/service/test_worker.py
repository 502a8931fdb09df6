"""A worker runs what is in the queue, goes on after a failure, and leaves a study when told."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from storage import queue
from storage.database import Database, open_database
from storage.failures import Lost
from storage.queue import Entry, entries
from storage.trials import find_study, read_trials
from studies.errors import BadInput
from sweep.service.submission import content_of, put
from sweep.service.worker import Worker


def only(database: Database, name: str) -> Entry:
    return entries(database, name=name)[-1]


def trials(database: Database, name: str) -> list[Any]:
    stored = find_study(database, name)
    return [] if stored is None else read_trials(database, stored.uuid)


@contextmanager
def working(worker: Worker) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=worker.work, daemon=True)
    thread.start()
    try:
        yield thread
    finally:
        worker.stop.set()
        thread.join()


def wait(what: Any) -> Any:
    """Returns what it gives, as soon as that is true."""
    pause = threading.Event()
    while not (found := what()):
        pause.wait(0.02)
    return found


def test_studies_are_run_and_extended_by_submitting_them_again(
    url: str, database: Database, study: Any, quick: Any
) -> None:
    put(database, study())
    put(database, study("other"), priority=1)
    Worker(url, train=quick).work(once=True)
    assert [entry.state for entry in entries(database)] == ["done", "done"]
    assert len(trials(database, "small")) == len(trials(database, "other")) == 4
    put(database, study().changed({"search.trials": 6, "training.replicates": 3}))
    Worker(url, train=quick).work(once=True)
    assert [len(trial.run_keys) for trial in trials(database, "small")] == [3] * 6
    progress = entries(database)[0].progress
    assert (progress["trials"], progress["runs"], progress["stage"]) == (6, 18, "done")
    assert progress["runs_trained"] > 0


def test_a_study_learns_from_the_data_that_came_with_it_and_from_no_file(
    url: str, database: Database, study: Any, quick: Any, csv: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "mine.csv"
    file.write_bytes(csv)
    asked = study(task={"csv": str(file)})
    expected = asked.load_task()
    put(database, asked, data=content_of(asked))
    file.unlink()
    Worker(url, train=quick).work(once=True)
    assert only(database, "small").state == "done"
    assert {task.fingerprint for task in quick.tasks} == {expected.fingerprint}
    assert quick.tasks[0].name == "mine"


def test_what_cannot_be_trained_is_refused_when_it_is_submitted(
    database: Database, study: Any, quick: Any, csv: bytes, url: str
) -> None:
    asked = study(task={"csv": "/elsewhere/mine.csv"})
    with pytest.raises(BadInput, match=r'^mine.csv, line 42, column 2 \(b\): "x" is no number'):
        put(database, asked, data=csv + b"1,x,3,1\n")
    with pytest.raises(BadInput, match="the content of the file is missing"):
        put(database, asked)
    put(database, study())
    with pytest.raises(BadInput, match="another study named 'small' is waiting"):
        put(database, study().changed({"search.seed": 1}))
    Worker(url, train=quick).work(once=True)
    with pytest.raises(BadInput, match="exists and is another one"):
        put(database, study().changed({"search.seed": 1}))
    with pytest.raises(BadInput, match="Only search"):
        put(database, study().changed({"search.trials": 2}))


def test_a_person_s_code_does_not_go_through_the_queue(
    database: Database, study: Any, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text("def make():\n    pass\n")
    for tables in (
        {"task": {"function": f"{tmp_path}/own.py:make"}},
        {"training": {"model": f"{tmp_path}/own.py:make"}, "space": {"units": [1, 2]}},
    ):
        with pytest.raises(BadInput, match="is Python code of yours"):
            put(database, study(**tables))
    assert entries(database) == []


def test_a_worker_goes_on_after_a_study_that_fails_and_after_a_fault(
    url: str, database: Database, study: Any, quick: Any
) -> None:
    document = study().document() | {"task": {"name": "no-such-task"}}
    queue.submit(database, "bad", document, priority=2)
    put(database, study("faulty"), priority=1)
    put(database, study())

    def train(runs: Any, task: Any) -> Any:
        if only(database, "faulty").state == "running":
            raise ZeroDivisionError("made up")
        return quick(runs, task)

    worker = Worker(url, train=train)
    worker.work(once=True)
    assert worker.failed == 2
    bad, faulty = only(database, "bad"), only(database, "faulty")
    assert (bad.state, faulty.state) == ("failed", "failed")
    assert "task.name" in str(bad.message)
    assert "ZeroDivisionError: made up" in str(faulty.message)
    assert only(database, "small").state == "done"


def test_a_cancelled_study_stops_and_keeps_what_is_finished(
    url: str, database: Database, study: Any, engine: Any
) -> None:
    put(database, study())
    with working(Worker(url, train=engine)):
        engine.allow(5)
        wait(lambda: len(trials(database, "small")) >= 2)
        queue.cancel(database, "small")
        wait(lambda: only(database, "small").state == "cancelled")
    assert 2 <= len(trials(database, "small")) < 4
    assert "finished runs are kept" in str(only(database, "small").message)


@pytest.fixture
def given_back(url: str, database: Database, study: Any, engine: Any) -> None:
    """A study whose worker was stopped when it had two of four trials at least."""
    put(database, study())
    with working(Worker(url, train=engine)):
        engine.allow(5)
        wait(lambda: len(trials(database, "small")) >= 2)


@pytest.mark.usefixtures("given_back")
def test_a_worker_that_is_stopped_gives_its_study_to_the_next(
    url: str, database: Database, engine: Any
) -> None:
    left = only(database, "small")
    assert (left.state, left.attempts) == ("waiting", 0)
    engine.allow(100)
    Worker(url, train=engine).work(once=True)
    done = only(database, "small")
    assert (done.state, len(trials(database, "small"))) == ("done", 4)
    # Both workers' runs are counted, none of them twice.
    assert done.progress["runs_trained"] == 8


@pytest.mark.parametrize("failures", [0, 2])
def test_a_study_in_whose_midst_the_storage_is_lost_waits_for_the_next_worker(
    url: str,
    database: Database,
    study: Any,
    quick: Any,
    failures: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(database, study())
    left: list[str] = []
    give_back = queue.give_back

    def train(runs: Any, task: Any) -> Any:
        raise Lost("the server is gone")
        yield

    def giving_back(*words: Any) -> None:
        left.append("once more")
        if len(left) <= failures:
            raise Lost("it is gone still")
        give_back(*words)
        worker.stop.set()

    monkeypatch.setattr(queue, "give_back", giving_back)
    monkeypatch.setattr("sweep.service.worker.RECOVERY", 0.01)
    worker = Worker(url, train=train)
    worker.work()
    assert len(left) == failures + 1
    entry = only(database, "small")
    assert (entry.state, entry.attempts, worker.failed) == ("waiting", 0, 0)
    Worker(url, train=quick).work(once=True)
    assert only(database, "small").state == "done"


@pytest.mark.usefixtures("given_back")
def test_a_study_that_was_given_back_and_is_cancelled_says_what_is_kept(
    database: Database,
) -> None:
    queue.cancel(database, "small")
    assert "finished runs are kept" in str(only(database, "small").message)


WORKER = """
import runpy, sys
from sweep.service.worker import Worker
engine = runpy.run_path(sys.argv[1])["Engine"](5)
Worker(sys.argv[2], train=engine).work()
"""


def test_the_study_of_a_worker_that_is_killed_is_run_to_its_end_by_another(
    url: str, database: Database, study: Any, quick: Any
) -> None:
    put(database, study())
    conftest = str(Path(__file__).parent / "conftest.py")
    killed = subprocess.Popen([sys.executable, "-c", WORKER, conftest, url])
    wait(lambda: len(trials(database, "small")) >= 2)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    Worker(url, train=quick).work(once=True)
    done = only(database, "small")
    assert (done.state, done.attempts, len(trials(database, "small"))) == ("done", 2, 4)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_the_command_ends_when_it_is_told_and_logs_lines_of_json(
    sqlite_url: str, number: signal.Signals, status: int
) -> None:
    words = ["worker", "--log-format", "json", "--storage", sqlite_url]
    process = subprocess.Popen(
        [sys.executable, "-m", "sweep", *words],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert process.stderr is not None
    first = json.loads(process.stderr.readline())
    assert (first["event"], first["level"]) == ("worker begins", "info")
    process.send_signal(number)
    events = [json.loads(line)["event"] for line in process.stderr]
    assert process.wait() == status
    assert events == ["stopping; what is finished is saved first", "worker ends"]


def test_submit_status_and_cancel_on_the_command_line(
    sqlite_url: str, csv: bytes, tmp_path: Path
) -> None:
    from typer.testing import CliRunner

    from sweep.cli import app

    def sweep(*words: str) -> Any:
        return CliRunner().invoke(app, [*words, "--storage", sqlite_url])

    (tmp_path / "mine.csv").write_bytes(csv)
    first = sweep("submit", "hello-lstm", "--trials", "3")
    assert (first.exit_code, first.stdout.splitlines()[0]) == (
        0,
        "hello-lstm waits in the queue at place 1.",
    )
    second = sweep("submit", "--csv", str(tmp_path / "mine.csv"), "--priority", "2", "--json")
    document = json.loads(second.stdout)
    assert (document["study"], document["position"], document["priority"]) == ("mine", 1, 2)
    assert "hello-lstm waits in the queue at place 2" in " ".join(sweep("status").stdout.split())
    assert "In the queue: mine, hello-lstm;" in " ".join(sweep("list").stdout.split())
    asked = json.loads(sweep("status", "mine", "--json").stdout)
    assert [entry["state"] for entry in asked["queue"]] == ["waiting"]
    assert "mine is cancelled" in sweep("cancel", "mine").stdout
    again = sweep("cancel", "mine")
    assert (again.exit_code, "there are: hello-lstm" in again.stderr) == (2, True)
    assert sweep("submit", "hello-lstm", "--set", "task.records=-1").exit_code == 2
    with open_database(sqlite_url) as database:
        assert [entry.state for entry in entries(database)] == ["waiting", "cancelled"]
