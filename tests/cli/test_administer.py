"""`delete` and `dashboard`."""

import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any


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
        assert url in process.stderr.readline()
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
