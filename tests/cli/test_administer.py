"""`delete` and `dashboard`."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from storage.database import open_database
from storage.lease import hold
from storage.runs import put_runs
from storage.trials import find_study
from studies.run import Configuration, FinishedRun, Run
from sweep.cli import app


def test_delete_takes_a_study_and_leaves_the_others(stored: Path, sweep: Any) -> None:
    result = sweep("delete", "small", "--yes")
    assert result.exit_code == 0
    assert "Deleted small (6 trials, 18 runs)" in result.stderr
    listed = sweep("list").stdout
    assert "small" not in listed
    assert "odd [red]name[bold] ü" in listed


def test_delete_asks_for_yes_where_nobody_can_be_asked(stored: Path, sweep: Any) -> None:
    result = sweep("delete", "small")
    assert result.exit_code == 2
    assert "--yes" in result.stderr
    assert "small" in sweep("list").stdout


def test_delete_leaves_a_study_that_is_worked_on_and_says_by_whom(stored: Path, sweep: Any) -> None:
    with open_database("sqlite:///sweep.db") as database, hold(database, "small"):
        result = sweep("delete", "small", "--yes")
    assert result.exit_code == 1
    assert f"'small' is being worked on by process {os.getpid()} on " in result.stderr
    assert "small" in sweep("list").stdout
    assert sweep("delete", "small", "--yes").exit_code == 0
    assert "small" not in sweep("list").stdout


def test_delete_unused_takes_what_no_study_uses(stored: Path, sweep: Any) -> None:
    assert "No unused runs in sqlite:///sweep.db" in sweep("delete", "--unused").stderr
    with open_database("sqlite:///sweep.db") as database:
        study = find_study(database, "small")
        assert study is not None
        left = FinishedRun(
            Run(Configuration(units=9), 0, 40), "solved", np.ones((3, 2), dtype=np.float32)
        )
        gone = replace(study, uuid="0" * 36)
        put_runs(database, study.task, [left], trained_for=gone)
    result = sweep("delete", "--unused")
    assert (result.exit_code, "1 unused run from" in result.stderr) == (2, True)
    assert "Deleted 1 unused run from" in sweep("delete", "--unused", "--yes").stderr
    assert "No unused runs" in sweep("delete", "--unused").stderr


def test_delete_takes_a_name_or_unused(stored: Path, sweep: Any) -> None:
    for words in ((), ("small", "--unused")):
        result = sweep("delete", *words, "--yes")
        assert result.exit_code == 2
        assert "NAME of a study, or --unused" in result.stderr


def test_the_dashboard_completes_copies_that_were_left_behind(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_database("sqlite:///sweep.db") as database:
        study = find_study(database, "small")
        assert study is not None
        database.optuna_storage().delete_study(
            database.optuna_storage().get_study_id_from_name("small")
        )
    served: list[int] = []

    class Served:
        def __init__(self, storage: Any, **more: Any) -> None:
            served.append(counted(storage))

        def run(self, **more: Any) -> None:
            assert more["quiet"]

    monkeypatch.setattr("optuna_dashboard.wsgi", Served)
    result = CliRunner().invoke(app, ["dashboard", "--port", str(free_port())])
    assert result.exit_code == 0
    assert "Copying 6 trials of small to Optuna …" in result.stderr
    assert served == [6]


def counted(storage: Any) -> int:
    return len(storage.get_all_trials(storage.get_study_id_from_name("small")))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_the_dashboard_says_where_it_is_and_serves_the_study(stored: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "sweep", "dashboard", "--port", str(port)],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        url = f"http://127.0.0.1:{port}/"
        said = [process.stderr.readline() for _ in range(3)]
        assert "figures of small are new" in said[0]
        assert url in said[2]
        for _ in range(100):
            try:
                with urllib.request.urlopen(f"{url}api/studies", timeout=5) as answer:
                    assert "small" in answer.read().decode()
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise AssertionError("the dashboard did not answer")
    finally:
        process.kill()
        process.communicate()


def test_a_port_that_is_taken_is_said(stored: Path, sweep: Any) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = sweep("dashboard", "--port", port)
    assert result.exit_code == 1
    assert f"cannot listen on port {port}" in result.stderr


def test_the_dashboard_is_for_this_machine_only(stored: Path, sweep: Any) -> None:
    for host in ("0.0.0.0", "no.such.host.invalid"):
        result = sweep("dashboard", "--host", host)
        assert result.exit_code == 2
        assert host in result.stderr
