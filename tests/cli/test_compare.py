"""`compare`."""

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studies.run import FinishedRun, Run
from studies.study import read_study
from studies.tasks import Task

ODD = "odd [red]name[bold] ü"

GRID = """
description = "Every learning rate with both optimizers."

[task]
name = "first-value"
records = 64

[search]
sampler = "grid"
trials = 8

[space]
layers = [1, 2, 3, 4]
optimizer = ["adam", "rmsprop"]

[training]
units = 4
epochs = 40
replicates = 6
"""


def train(runs: Iterable[Run | None], task: Task) -> Iterator[FinishedRun]:
    """What stands for the engine: a wait of 3 epochs a layer and 1 a seed, rmsprop's 2 more."""
    for run in runs:
        if run is not None:
            wait = 3 * run.configuration.layers + run.seed
            wait += 2 * (run.configuration.optimizer == "rmsprop")
            share = np.clip((np.arange(1, wait + 4) - wait) / 3, 0.0, 1.0)
            curves = np.stack([0.7 * (1 - share) + 0.01, 0.5 + 0.5 * share], axis=1)
            yield FinishedRun(run, "solved", curves.astype(np.float32))


@pytest.fixture(scope="module")
def with_grids(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a storage that holds two grids besides the studies of `original`."""
    from sweep.search import run_study

    directory = tmp_path_factory.mktemp("grids")
    for file in original.glob("sweep.db*"):
        shutil.copy(file, directory)
    one = GRID.replace('optimizer = ["adam", "rmsprop"]', "").replace("trials = 8", "trials = 4")
    for name, text in (("grid", GRID), ("one", one)):
        (directory / f"{name}.toml").write_text(text)
        study = read_study(directory / f"{name}.toml")
        run_study(study, f"sqlite:///{directory / 'sweep.db'}", train=train)
    return directory


@pytest.fixture
def grid(with_grids: Path, empty: Path) -> Path:
    """The working directory, with that storage."""
    for file in with_grids.glob("sweep.db*"):
        shutil.copy(file, empty)
    return empty


def test_a_setting_is_compared_in_text_tables_and_a_drawing(grid: Path, sweep: Any) -> None:
    result = sweep("compare", "grid", "--by", "layers")
    assert result.exit_code == 0
    text = " ".join(result.stdout.split())
    assert "grid: epochs to 100 % by layers" in result.stdout.replace("\u202f", " ")
    assert "is that of 1 layer: " in text
    assert "slower in 12 of 12 pairs of one seed and equal other settings" in text
    assert "solved (95 %)" in text
    assert "p (Holm)" in text
    drawn = [line for line in result.stdout.splitlines() if "│" in line or "┤" in line]
    assert len(drawn) == 12
    for letter in "ABCD":
        assert any(letter in line for line in drawn)


@pytest.mark.parametrize(
    "words",
    [
        "grid --by layers",
        "grid --by optimizer",
        "grid --by layers --measure flops",
        "grid --by layers --measure plateau",
        "grid --by layers --restarts",
        "small --by optimizer --restarts --measure plateau",
        "grid --trial 0 --trial 6",
        "grid --law",
        "grid --by layers --law",
        "small --by optimizer",
        "small grid",
    ],
)
def test_everything_fits_eighty_columns(grid: Path, sweep: Any, words: str) -> None:
    result = sweep("compare", *words.split())
    assert result.exit_code == 0
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    assert "\x1b" not in result.stdout
    assert "nan" not in result.stdout.lower().split()


@pytest.mark.parametrize(
    "words",
    [
        "grid --by layers",
        "small --by optimizer",
        "small grid",
        "small --trial 0 --trial 1 --measure updates",
        "grid --by layers --law",
    ],
)
def test_as_json_is_one_document_without_nan(grid: Path, sweep: Any, words: str) -> None:
    def no_constant(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    result = sweep("compare", *words.split(), "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout, parse_constant=no_constant)


def test_the_document_has_groups_contrasts_and_the_finding(grid: Path, sweep: Any) -> None:
    document = json.loads(sweep("compare", "grid", "--by", "layers", "--json").stdout)
    assert [group["value"] for group in document["groups"]] == [1, 2, 3, 4]
    assert len(document["contrasts"]) == 6
    assert document["fastest"] == "1"
    text = " ".join(sweep("compare", "grid", "--by", "layers").stdout.split())
    assert all(" ".join(sentence.split()) in text for sentence in document["finding"])


def test_runs_that_fail_may_be_drawn_as_started_again(grid: Path, sweep: Any) -> None:
    text = sweep("compare", "small", "--by", "optimizer", "--restarts").stdout
    assert "runs that failed being started again" in " ".join(text.split())
    document = json.loads(sweep("compare", "small", "--by", "optimizer", "--json").stdout)
    adam, sgd = (group["restarts"] for group in document["groups"])
    assert adam["solved"][-1] == 1
    assert sgd == {"costs": [], "solved": []}


def test_the_only_setting_needs_no_name(grid: Path, sweep: Any) -> None:
    assert "by layers" in sweep("compare", "one").stdout


def test_studies_are_compared_by_their_names_as_they_are(stored: Path, sweep: Any) -> None:
    result = sweep("compare", "small", ODD)
    assert result.exit_code == 0
    assert f"small and {ODD}" in result.stdout.replace("\n", " ")


def test_the_law_of_a_setting_is_told_with_its_values(grid: Path, sweep: Any) -> None:
    text = sweep("compare", "grid", "--by", "layers", "--law").stdout
    assert "goes with the power" in " ".join(text.split())
    assert "both logarithmic" in text
    every = sweep("compare", "grid", "--law").stdout
    assert "layers (adam)" in every
    assert "layers (rmsprop)" in every


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("smal --by layers", "did you mean small?"),
        ("small --by layer", "did you mean layers?"),
        ("small --by units", "it is 4 in all trials of small"),
        ("small", "Give --by with one of layers, optimizer"),
        ("small small", "small is named twice"),
        ("small --trial 0", "one trial alone"),
        ("small --trial 0 --trial 77", "no trial 77; its trials are 0 to 5"),
        ("small --trial 0 --trial 1 --by layers", "exclude each other"),
        ("small grid --trial 0 --trial 1", "trials of one study"),
        ("small --by layers --measure hours", "must be one of epochs, updates, flops, plateau"),
        ("small grid --law", "--law is about the settings of one study"),
        ("grid --by optimizer --law", "no law to fit"),
    ],
)
def test_what_cannot_be_compared_is_refused(grid: Path, sweep: Any, words: str, said: str) -> None:
    result = sweep("compare", *words.split())
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""


def test_without_a_storage_nothing_is_made(empty: Path, sweep: Any) -> None:
    result = sweep("compare", "small", "--by", "layers")
    assert result.exit_code == 2
    assert "no storage at sweep.db" in result.stderr
    assert [file.name for file in empty.iterdir()] == ["small.toml"]
