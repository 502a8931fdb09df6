"""A study is trained by as many processes as were asked for, and finds the same."""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from storage.database import open_database
from storage.tables import runs
from storage.trials import find_study, read_trials
from studies.errors import BadInput
from studies.study import Study
from sweep.cli import app
from sweep.machine import cores
from sweep.workers import MOST_PER_CORE, check_workers, trained_by

TINY = """
[task]
name = "first-value"
records = 40

[search]
trials = 6
seed = 1

[space]
units = [4, 8, 15]
optimizer = ["adam", "sgd"]

[training]
layers = 1
epochs = 12
replicates = 2
learning_rate = 0.02
"""


def sweep(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def kept(url: str) -> list[Any]:
    """What the study found, to the bit."""
    columns = [runs.c[name] for name in ("key", "ended", "epochs", "series", "curves")]
    with open_database(url) as db:
        stored = find_study(db, "tiny")
        assert stored is not None
        trials = read_trials(db, stored.uuid)
        rows = db.read(lambda c: c.execute(sa.select(*columns).order_by(runs.c.key)).all())
    return [[(t.number, t.params, t.values, t.run_keys) for t in trials], [tuple(r) for r in rows]]


def test_a_study_finds_the_same_to_the_bit_with_no_one_and_two_workers(tmp_path: Path) -> None:
    file = tmp_path / "tiny.toml"
    file.write_text(TINY)
    found: list[Any] = []
    for number, workers in enumerate([[], ["--workers", "1"], ["--workers", "2"]]):
        url = f"sqlite:///{tmp_path}/{number}.db"
        result = sweep("run", str(file), "--storage", url, "--no-report", "--json", *workers)
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["runs"] == 12
        found.append(kept(url))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--workers", "0"], "workers: 0 is no number of processes; give 1 or more"),
        (["--workers", "-1"], "workers: -1 is no number of processes; give 1 or more"),
        (["--workers", "two"], "Invalid value for '--workers'"),
        (["--workers", "1000000"], f"give at most {MOST_PER_CORE * cores()} here"),
        (["--workers", "2", "--cluster", "tcp://h:8786"], "workers and cluster: give one of them"),
        (["--cluster", "h:8786"], '"h:8786" is no address of a Dask scheduler; expected one such'),
        (["--cluster", "http://h:8786"], "expected one such as tcp://HOST:8786"),
        (["--cluster", "tcp://h:99999"], "expected one such as tcp://HOST:8786"),
        (["--cluster", ""], "expected one such as tcp://HOST:8786"),
    ],
)
def test_workers_that_cannot_be_are_refused_before_anything_is_made(
    options: list[str], says: str, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    result = sweep("run", "--trials", "1", "--storage", url, "--no-report", *options)
    assert result.exit_code == 2
    assert says in " ".join(result.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_dask_that_is_not_installed_is_said_with_the_extra(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BadInput, match="needs Dask, which is not installed; `uv sync --extra clu"):
        check_workers(study, workers=None, cluster="tcp://h:8786")


def test_own_models_have_workers_here_and_none_in_a_cluster(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def build(width):\n    pass\n")
    study = Study.from_document(
        {
            "task": {"name": "first-value", "records": 40},
            "search": {"trials": 1},
            "space": {"width": [4, 8]},
            "training": {"model": f"{tmp_path}/mine.py:build"},
        },
        "mine",
    )
    with trained_by(study, workers=2) as train:
        assert train is not None
    with pytest.raises(BadInput, match="own models are trained on this machine only"):
        check_workers(study, workers=None, cluster="tcp://h:8786")


def test_without_either_training_stays_in_this_process(study: Study) -> None:
    with trained_by(study) as train:
        assert train is None
