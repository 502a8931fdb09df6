"""An interrupted study keeps what was finished, leaves soon, and goes on from there."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studies.run import FinishedRun, Run
from studies.study import Study
from studies.tasks import Task
from sweep import progress, search
from sweep.progress import Progress
from sweep.search import run_study
from sweep.session import INSISTING, interruptible_once, uninterrupted

STUDY = """
[task]
name = "first-value"
records = 64

[search]
sampler = "random"
trials = 60

[space]
learning_rate = { low = 1e-7, high = 1e-6, log = true }

[training]
units = 8
optimizer = "sgd"
epochs = 60
replicates = 4
"""
"""240 runs that learn nothing in their 60 epochs: seconds of training on any machine."""


def study(trials: int = 10, epochs: int = 3, rate: float = 1e-3) -> Study:
    document = {
        "task": {"name": "first-value", "records": 40},
        "search": {"sampler": "random", "trials": trials},
        "space": {"learning_rate": {"low": rate / 2, "high": rate, "log": True}},
        "training": {"units": 4, "epochs": epochs, "replicates": 3},
    }
    return Study.from_document(document, "tried")


def censored(run: Run) -> FinishedRun:
    return FinishedRun(run, "censored", np.full((run.epochs, 2), 0.5, np.float32))


class Hoarder:
    """An engine that trains what it gets at once, and yields the first only; the others are handed
    over when it is stopped. `twice`: the first as well.
    """

    def __init__(self, twice: bool = False) -> None:
        self.twice = twice
        self.trained = 0

    def __call__(self, runs: Iterable[Run | None], task: Task) -> Iterator[FinishedRun]:
        hoard: list[FinishedRun] = []
        for run in runs:
            if run is None:
                break
            hoard.append(censored(run))
        self.trained = len(hoard)
        try:
            yield hoard[0]
            raise AssertionError("asked for more before the interruption")
        except KeyboardInterrupt:
            yield from hoard if self.twice else hoard[1:]
            raise


def interrupt_when_trained(progress: Progress) -> None:
    if progress.runs_done:
        raise KeyboardInterrupt


def kept_runs(url: str) -> int:
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        return connection.execute("SELECT count(*) FROM sweep_runs").fetchone()[0]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'sweep.db'}"


@pytest.fixture
def shown_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SHOW_SECONDS", 0.0)


@pytest.mark.usefixtures("shown_at_once")
@pytest.mark.parametrize("twice", [False, True])
def test_what_the_engine_has_finished_is_saved_when_it_is_interrupted(
    url: str, twice: bool
) -> None:
    engine = Hoarder(twice)
    with pytest.raises(KeyboardInterrupt):
        run_study(study(), url, train=engine, on_progress=interrupt_when_trained)
    assert engine.trained > 3
    assert kept_runs(url) == engine.trained


@pytest.mark.usefixtures("shown_at_once")
def test_another_ctrl_c_does_not_interrupt_the_saving(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Hoarder()
    whole = search.put_runs

    def pressed(*arguments: Any, **rest: Any) -> int:
        signal.raise_signal(signal.SIGINT)
        return whole(*arguments, **rest)

    def interrupt(progress: Progress) -> None:
        if progress.runs_done == 1:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(search, "put_runs", pressed)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run_study(study(), url, train=engine, on_progress=interrupt)
    assert kept_runs(url) == engine.trained
    assert signal.getsignal(signal.SIGINT) is before


def test_who_insists_ends_the_process_at_once() -> None:
    presses = f"[signal.raise_signal(signal.SIGINT) for _ in range({INSISTING})]"
    code = (
        "import signal\n"
        "from sweep.session import interruptible_once\n"
        "with interruptible_once(lambda: print('told', flush=True)):\n"
        "    try:\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "    except KeyboardInterrupt:\n"
        "        print('interrupted', flush=True)\n"
        f"    {presses}\n"
        "    print('too late', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGINT
    assert done.stdout == "told\ninterrupted\n"


def test_an_interruption_is_told_before_it_interrupts() -> None:
    told: list[str] = []
    with pytest.raises(KeyboardInterrupt), interruptible_once(lambda: told.append("told")):
        signal.raise_signal(signal.SIGINT)
    assert told == ["told"]


def test_progress_says_training_as_soon_as_the_first_program_trains(url: str) -> None:
    seen: list[Progress] = []
    run_study(study(trials=2, epochs=2000, rate=1e-9), url, on_progress=seen.append)
    stages = [progress.stage for progress in seen]
    assert stages.index("compiling") < stages.index("training")
    first = seen[stages.index("training")]
    assert first.runs_done == 0
    assert 0 < first.epochs_trained < seen[-1].epochs_trained == 2 * 3 * 2000


def started(directory: Path) -> "subprocess.Popen[str]":
    environment = {name: value for name, value in os.environ.items() if name != "SWEEP_STORAGE"}
    return subprocess.Popen(
        [sys.executable, "-m", "sweep", "run", "long.toml", "--no-report"],
        cwd=directory,
        env={**environment, "PYTHONPATH": str(Path(__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_waits_for_what_must_not_be_interrupted() -> None:
    done: list[str] = []

    def save() -> None:
        with interruptible_once(), uninterrupted():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append("saved")

    with pytest.raises(KeyboardInterrupt):
        save()
    assert done == ["saved"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_keeps_the_finished_runs_and_the_same_command_goes_on(tmp_path: Path) -> None:
    (tmp_path / "long.toml").write_text(STUDY)
    url = f"sqlite:///{tmp_path / 'sweep.db'}"
    kept = 0
    for presses in (2, 1):
        process = started(tmp_path)
        try:
            while process.poll() is None and stored(url) == kept:
                time.sleep(0.05)
            assert process.poll() is None, process.communicate()[1]
            for _ in range(presses):
                process.send_signal(signal.SIGINT)
            output, errors = process.communicate()
        finally:
            process.kill()
        assert process.returncode == 130, errors
        assert output == ""
        assert "the same command goes on from there" in errors.splitlines()[-1]
        assert "Traceback" not in errors
        assert kept < kept_runs(url) < 240
        kept = kept_runs(url)

    process = started(tmp_path)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert f"60 trials, 240 runs ({240 - kept} of them trained now)" in output
    assert kept_runs(url) == 240


def stored(url: str) -> int:
    try:
        return kept_runs(url)
    except sqlite3.OperationalError:
        return 0  # the file or its tables are not there yet
