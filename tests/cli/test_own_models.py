"""Studies of a person's own model on the command line."""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studies.run import FinishedRun, Run

MODELS = """
import pathlib
import beside
pathlib.Path("imported").touch()
print("printed by a module")


def build(input_shape, outputs, width, kind):
    print("printed by a function")
    raise ValueError("a fault of theirs")
"""

STUDY = """
[task]
name = "first-value"
records = 40

[search]
sampler = "grid"
trials = 4

[space]
width = [4, 8]
kind = ["dense", "broken"]

[training]
model = "mymodels:build"
epochs = 20
replicates = 2
target = "val_loss <= 0.1"
"""


@pytest.fixture
def own(empty: Path) -> Path:
    Path("mymodels.py").write_text(MODELS)
    Path("beside.py").touch()
    Path("mine.toml").write_text(STUDY)
    return empty


def made_up(runs: Iterable[Run | None], _task: Any) -> Iterator[FinishedRun]:
    """Wide models reach the target in epoch 5, the narrow ones never, broken ones fail."""
    series = ("loss", "accuracy", "val_loss", "parameters")
    for run in runs:
        if run is None:
            continue
        own: Any = run.configuration
        if own.kind == "broken":
            curves = np.full((1, 4), np.nan, np.float32)
            yield FinishedRun(run, "failed", curves, series, "ValueError: a fault of theirs")
            continue
        epochs = 5 if own.width == 8 else run.epochs
        loss = np.linspace(1.0, 0.05, epochs)
        columns = [loss, np.full(epochs, np.nan), loss, np.full(epochs, 70.0)]
        ended = "solved" if own.width == 8 else "censored"
        yield FinishedRun(run, ended, np.array(columns, np.float32).T, series)


@pytest.fixture
def found(own: Path, monkeypatch: pytest.MonkeyPatch, sweep: Any) -> Path:
    """The working directory, with a storage that holds a study of an own model."""
    from sweep import workers

    monkeypatch.setattr(workers, "trained_by", lambda *_, **__: nullcontext(made_up))
    done = sweep("run", "mine.toml", "--allow-code")
    assert done.exit_code == 0, done.stderr
    return own


def test_without_allow_code_nothing_is_imported(own: Path, sweep: Any) -> None:
    done = sweep("run", "mine.toml")
    assert done.exit_code == 2
    assert "training.model = mymodels:build is Python code" in done.stderr
    assert "--allow-code" in done.stderr
    assert not Path("imported").exists()
    assert not Path("sweep.db").exists()


def test_with_allow_code_it_is_run_and_standard_output_stays_ours(
    own: Path, in_the_way: list[str]
) -> None:
    words = ("run", "mine.toml", "--allow-code", "--no-report", "--json", "--trials", "1")
    done = subprocess.run(
        [sys.executable, "-m", "sweep", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["trials"], told["runs"], told["solved_runs"]) == (1, 2, 0)
    assert "printed by" not in done.stderr
    assert Path("imported").exists()
    shown = subprocess.run(
        [sys.executable, "-m", "sweep", "show", "mine", "0"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert 'mymodels.py", line 10, in build' in shown.stdout
    assert "ValueError: a fault of theirs" in shown.stdout


def test_how_many_runs_failed_and_why_is_said_at_the_end(
    own: Path, sweep: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sweep import workers

    monkeypatch.setattr(workers, "trained_by", lambda *_, **__: nullcontext(made_up))
    text = " ".join(sweep("run", "mine.toml", "--allow-code", "--no-report").stdout.split())
    assert "4 runs failed, the first in trial 1: ValueError: a fault of theirs" in text
    assert "All that it said: python -m sweep show mine 1" in text
    row = next(
        line.split()
        for line in sweep("show", "mine", 1).stdout.splitlines()
        if line.split()[1:2] == ["failed"]
    )
    assert row == ["0", "failed", "0", "–", "–", "–", "–", "–"]
    assert "the number of parameters is unknown" in sweep("show", "mine", 1).stdout


def test_what_was_found_is_shown_in_its_own_words(found: Path, sweep: Any) -> None:
    shown = sweep("show", "mine")
    assert shown.exit_code == 0
    text = " ".join(shown.stdout.split())
    assert "a median of 5 epochs" in text
    assert "to val_loss ≤ 0.1" in text
    trial = json.loads(sweep("show", "mine", 2, "--json").stdout)
    assert trial["configuration"]["function"] == "mymodels:build"
    assert trial["parameters"] == 70
    assert trial["flops"] is None
    assert trial["error"] is None
    assert trial["runs"][0]["curves"]["val_loss"][-1] == pytest.approx(0.05)
    assert trial["runs"][0]["curves"]["accuracy"] == [None] * 5
    assert "validation loss by epoch" in sweep("show", "mine", 2).stdout
    broken = sweep("show", "mine", 3)
    assert broken.exit_code == 0
    assert "What failed first: ValueError: a fault of theirs" in broken.stdout
    assert "failed" in broken.stdout


def test_its_arguments_and_all_its_metrics_are_exported(found: Path, sweep: Any) -> None:
    import pandas as pd

    assert sweep("export", "mine", "-o", "runs.csv").exit_code == 0
    runs, curves = pd.read_csv("runs.csv"), pd.read_csv("runs.curves.csv")
    assert set(runs["function"]) == {"mymodels:build"}
    assert sorted(set(runs["width"])) == [4, 8]
    assert set(runs["kind"]) == {"dense", "broken"}
    assert set(runs["goal"]) == {"val_loss <= 0.1"}
    solved = curves[curves["trial"] == 2]
    assert solved["val_loss"].iloc[-1] == pytest.approx(0.05)
    assert runs[runs["kind"] == "broken"]["parameters"].isna().all()
    assert "layers" not in runs.columns


@pytest.mark.parametrize("words", [("report", "mine"), ("export", "mine", "-o", "runs.csv")])
def test_files_are_written_of_it(found: Path, sweep: Any, words: Any) -> None:
    done = sweep(*words)
    assert done.exit_code == 0, done.stderr


def test_its_settings_are_compared(found: Path, sweep: Any) -> None:
    done = sweep("compare", "mine", "--by", "width")
    assert done.exit_code == 0, done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("code", "mine", "--trial", "2"),
        ("verify", "mine"),
        ("model", "mine", "--trial", "2", "-o", "m.keras"),
        ("explain", "mine"),
    ],
)
def test_what_knows_our_models_only_says_so(found: Path, sweep: Any, words: Any) -> None:
    done = sweep(*words)
    assert done.exit_code == 2
    assert "mine is of an own model" in done.stderr


def test_a_function_that_changed_is_another_study(found: Path, sweep: Any) -> None:
    Path("mymodels.py").write_text(MODELS + "\n# changed\n")
    done = sweep("run", "mine.toml", "--allow-code")
    assert done.exit_code == 2
    assert "training.code" in done.stderr


DATA = """
import pathlib
import numpy as np

pathlib.Path("imported").touch()


def make(records):
    print("printed by a function")
    x = np.random.default_rng(0).normal(size=(records, 3))
    return x, (x[:, 0] > 0).astype(int)


def failing(records):
    raise ValueError("no data today")
"""


def test_a_function_that_makes_the_data_is_code_too(
    empty: Path, untrained: None, sweep: Any
) -> None:
    Path("mydata.py").write_text(DATA)
    text = Path("small.toml").read_text()
    text = text.replace('name = "first-value"', 'function = "mydata:make"\nvalidation = 0.25')
    Path("mine.toml").write_text(text)
    done = sweep("run", "mine.toml", "--no-report")
    assert done.exit_code == 2
    assert "task.function = mydata:make is Python code" in done.stderr
    assert not Path("imported").exists()
    assert not Path("sweep.db").exists()

    done = sweep("run", "mine.toml", "--no-report", "--allow-code", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["trials"] == 6
    assert "printed by a function" in done.stderr
    done = sweep("code", "mine", "--trial", 0)
    assert done.exit_code == 2
    assert "--allow-code" in done.stderr

    Path("mine.toml").write_text(text.replace("mydata:make", "mydata:failing"))
    done = sweep("run", "mine.toml", "--no-report", "--allow-code", "--name", "other")
    assert done.exit_code == 2
    assert "in failing" in done.stderr
    assert "ValueError: no data today" in done.stderr
