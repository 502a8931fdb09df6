"""Worker processes say how they ended, and never outlive who started them, however that ends."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import active_children
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sqlalchemy as sa

from storage.database import open_database
from storage.doctor import examine
from storage.tables import runs as runs_table
from storage.trials import find_study, read_trials
from studies.study import Study
from sweep.bench.simulated import train
from sweep.search import run_study
from sweep.workers.processes import SpawnedProcess

HERE = Path(__file__).parent

COORDINATOR = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, sys.argv[1])
from functools import partial
from multiprocessing import active_children
import made_up_engines
from conftest import STUDY
from sweep.search import run_study
from sweep.workers.distribution import train_at
from sweep.workers.processes import Processes

def show(progress):
    print(progress.runs_done, *(child.pid for child in active_children()), flush=True)

def main():
    with Processes(2) as places:
        train = partial(train_at, places, engine=made_up_engines.gated)
        run_study(STUDY, sys.argv[2], train=train, on_progress=show)

if __name__ == "__main__":
    main()
"""
"""Runs the study with two processes and says, again and again, how far it is and who they are."""


@pytest.fixture
def coordinator(tmp_path: Path, gate: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts a coordinator in a process group of its own, as a terminal would."""
    script = tmp_path / "coordinator.py"
    script.write_text(COORDINATOR)
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(script), str(HERE), url(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def url(directory: Path) -> str:
    return f"sqlite:///{directory / 'tried.db'}"


def at_the_gate(process: subprocess.Popen[str], engines: ModuleType, there: int = 0) -> list[int]:
    """Waits until both workers hold runs that they may not train; says who they are.

    So many runs were `there` before.
    """
    assert process.stdout is not None
    for line in process.stdout:
        done, *workers = (int(word) for word in line.split())
        if done >= there + 2 * engines.BEFORE_THE_GATE:
            assert len(workers) == 2
            return workers
    raise AssertionError(process.communicate()[1])


def wait_until_gone(workers: list[int]) -> None:
    for worker in workers:
        while Path(f"/proc/{worker}").exists():
            time.sleep(0.01)


def kept(directory: Path) -> tuple[list[Any], set[str]]:
    """The trials that are stored, and the keys of the runs."""
    with open_database(url(directory)) as db:
        stored = find_study(db, "tried")
        assert stored is not None
        assert examine(db).problems == ()
        keys = db.read(lambda c: list(c.execute(sa.select(runs_table.c.key)).scalars()))
        assert len(keys) == len(set(keys))
        trials = read_trials(db, stored.uuid)
        return [(t.number, t.params, t.values, t.run_keys) for t in trials], set(keys)


@pytest.fixture
def whole(study: Study, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The trials of the study where it is trained in one process and nothing happens."""
    directory = tmp_path_factory.mktemp("whole")
    run_study(study, url(directory), train=train)
    return kept(directory)[0]


def test_a_killed_coordinator_leaves_no_process_and_loses_no_finished_run(
    coordinator: Callable[[], subprocess.Popen[str]],
    engines: ModuleType,
    gate: Path,
    tmp_path: Path,
    whole: list[Any],
) -> None:
    before = set[str]()
    for _ in range(2):
        process = coordinator()
        workers = at_the_gate(process, engines, len(before))
        process.kill()
        process.wait()
        wait_until_gone(workers)
        assert before <= kept(tmp_path)[1]
        before = kept(tmp_path)[1]
    gate.touch()
    process = coordinator()
    assert process.communicate()[1] == ""
    assert process.returncode == 0
    trials, keys = kept(tmp_path)
    assert trials == whole
    assert before <= keys


def test_ctrl_c_saves_what_is_finished_and_ends_every_process_without_a_word_of_theirs(
    coordinator: Callable[[], subprocess.Popen[str]],
    engines: ModuleType,
    gate: Path,
    tmp_path: Path,
    whole: list[Any],
) -> None:
    process = coordinator()
    workers = at_the_gate(process, engines)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate()
    assert said.count("Traceback") == 1
    assert said.rstrip().endswith("KeyboardInterrupt")
    wait_until_gone(workers)
    assert len(kept(tmp_path)[1]) == 2 * engines.BEFORE_THE_GATE
    gate.touch()
    process = coordinator()
    assert process.communicate()[1] == ""
    assert kept(tmp_path)[0] == whole


def test_killed_workers_cost_nothing_that_is_finished_and_change_no_trial(
    coordinator: Callable[[], subprocess.Popen[str]],
    engines: ModuleType,
    gate: Path,
    tmp_path: Path,
    whole: list[Any],
) -> None:
    process = coordinator()
    for worker in at_the_gate(process, engines):
        os.kill(worker, signal.SIGKILL)
    gate.touch()
    assert process.communicate()[1] == ""
    assert process.returncode == 0
    assert kept(tmp_path)[0] == whole


def test_a_process_says_how_it_ended_and_what_it_printed_last(tmp_path: Path) -> None:
    process = SpawnedProcess(tmp_path / "log")
    assert process.submit(os.getpid).result() == active_children()[0].pid
    with pytest.raises(BrokenProcessPool):
        process.submit(os._exit, 7).result()
    process.shutdown()
    assert process.ending() == "ended with status 7"
    other = SpawnedProcess(tmp_path / "other", os.write, 1, b"I begin\n")
    other.submit(os.getpid).result()
    other.kill()
    with contextlib.suppress(BrokenProcessPool):
        other.submit(os.getpid).result()
    other.shutdown()
    how, _, printed = other.ending().partition("; ")
    assert how == "was killed (SIGKILL): by hand, or by the system for want of memory"
    assert printed == "the last that it printed:\nI begin"
    assert active_children() == []
