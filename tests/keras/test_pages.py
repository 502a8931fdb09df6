"""The pages for who comes from another tool: the same search written there and here."""

import os
import re
import subprocess
import sys
from ast import literal_eval
from pathlib import Path
from typing import Any

import pytest

import sweep.keras
from studies.study import read_study
from sweep.search import run_study

PAGES = Path(sweep.keras.__file__).parent

HALVES = {
    "[0.03, 0.1]": "[0.1]",
    "n_trials=4": "n_trials=2",
    "max_trials=4": "max_trials=2",
    "\ntrials = 4\n": "\ntrials = 2\n",
}

Settings = tuple[tuple[str, Any], ...]


def files_of(page: str) -> dict[str, str]:
    """The files that a page shows, each in a block that begins with its name."""
    text = (PAGES / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:python|toml)\n# (\S+)\n(.*?)```", text, flags=re.DOTALL)
    return dict(blocks)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the files of both pages."""
    optunas, tuners = files_of("from_optuna.md"), files_of("from_keras_tuner.md")
    assert set(optunas) == {"hello.py", "with_optuna.py", "hello.toml"}
    assert set(tuners) == {"hello.py", "with_keras_tuner.py", "hello.toml"}
    # The model, the data and the study are the same on both, so our side of them runs once.
    assert optunas["hello.py"] == tuners["hello.py"]
    assert optunas["hello.toml"] == tuners["hello.toml"]
    directory = tmp_path_factory.mktemp("pages")
    for name, text in {**optunas, **tuners}.items():
        (directory / name).write_text(halved(text))
    return directory


def halved(text: str) -> str:
    """A page's program, or its study, with half of its grid, which takes half as long."""
    for whole, half in HALVES.items():
        text = text.replace(whole, half)
    assert "0.03" not in text
    return text


@pytest.fixture(scope="module")
def ours(here: Path) -> dict[Settings, float]:
    """What sweep finds: the value of each configuration."""
    url = f"sqlite:///{here / 'sweep.db'}"
    result = run_study(read_study(here / "hello.toml"), url, allow_code=True).result
    assert [run.error for trial in result.trials for run in trial.runs] == [None] * 4
    found = {tuple(sorted(trial.params.items())): trial.values[0] for trial in result.trials}
    assert len(found) == 2
    return found


def printed(program: str, directory: Path) -> str:
    """What a page's program prints."""
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"}
    done = subprocess.run(
        [sys.executable, program],
        cwd=directory,
        env=os.environ | quiet,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_optuna_and_sweep_find_the_same(here: Path, ours: dict[Settings, float]) -> None:
    import optuna

    printed("with_optuna.py", here)
    theirs = optuna.load_study(study_name="hello", storage=f"sqlite:///{here / 'optuna.db'}")
    assert ours == {tuple(sorted(trial.params.items())): trial.value for trial in theirs.trials}


def test_keras_tuner_and_sweep_find_the_same(here: Path, ours: dict[Settings, float]) -> None:
    lines = re.findall(
        r"^(\{.*\}) (\S+)$", printed("with_keras_tuner.py", here), flags=re.MULTILINE
    )
    values = {tuple(sorted(literal_eval(one).items())): float(score) for one, score in lines}
    assert ours == values
