"""A study as a user has it in a storage, its runs made up instead of trained."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from studies.run import FinishedRun, Run
from studies.study import read_study
from studies.tasks import Task

STUDY = """
description = "A small study for tests."

[task]
name = "first-value"
records = 64

[search]
sampler = "random"
trials = 6
enqueue = [ { layers = 3, optimizer = "adam" } ]

[space]
layers = { low = 1, high = 4 }
optimizer = ["adam", "sgd"]

[training]
units = 4
epochs = 40
replicates = 3
"""


def made_up(run: Run) -> FinishedRun:
    """A run with a plateau of 3 epochs a layer, then 4 to its target; sgd stays on its plateau."""
    escape = run.epochs if run.configuration.optimizer == "sgd" else 3 * run.configuration.layers
    escape += run.seed
    length = min(run.epochs, escape + 4)
    epochs = np.arange(1, length + 1)
    share = np.clip((epochs - escape) / 4, 0.0, 1.0)
    curves = np.stack([0.7 * (1 - share) + 0.01, 0.5 + 0.5 * share], axis=1)
    ended = "solved" if share[-1] == 1.0 else "censored"
    return FinishedRun(run, ended, curves.astype(np.float32))


def train(runs: Iterable[Run | None], task: Task) -> Iterator[FinishedRun]:
    """What stands for the engine."""
    for run in runs:
        if run is not None:
            yield made_up(run)


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `small.toml` and a storage that holds its study."""
    from sweep.search import run_study

    directory = tmp_path_factory.mktemp("original")
    (directory / "small.toml").write_text(STUDY)
    study = read_study(directory / "small.toml")
    url = f"sqlite:///{directory / 'sweep.db'}"
    run_study(study, url, train=train)
    run_study(study, url, name="odd [red]name[bold] ü", train=train)
    return directory


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a study file and no storage."""
    (tmp_path / "small.toml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEP_STORAGE", raising=False)
    return tmp_path


@pytest.fixture
def stored(original: Path, empty: Path) -> Path:
    """The working directory, with a storage that holds the studies of `original`."""
    for file in original.glob("sweep.db*"):
        shutil.copy(file, empty)
    return empty


@pytest.fixture
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    """`run` makes its runs up instead of training them."""
    import sweep.workers

    monkeypatch.setattr(sweep.workers, "trained_by", lambda *_, **__: nullcontext(train))


@pytest.fixture
def in_the_way(empty: Path) -> list[str]:
    """A file in the working directory for each module that Python or an installed library has,
    which raises an error when it is imported; their names. Left out are those that `python -m`
    itself imports, before there is anything of ours."""
    (empty / "probe.py").write_text("import sys; print(*sys.modules)\n")
    probed = [sys.executable, "-m", "probe"]
    before = subprocess.run(probed, capture_output=True, text=True, check=True).stdout.split()
    names = {*sys.stdlib_module_names, *packages_distributions(), "storage"} - {"sweep", *before}
    found = sorted(name for name in names if name.isidentifier())
    for name in found:
        (empty / f"{name}.py").write_text("raise RuntimeError('theirs')\n")
    return found


@pytest.fixture
def sweep() -> Callable[..., Any]:
    """Calls the command line with these words."""
    from sweep.cli import app

    runner = CliRunner()

    def call(*words: str, **more: Any) -> Any:
        result = runner.invoke(app, [str(word) for word in words], **more)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call
