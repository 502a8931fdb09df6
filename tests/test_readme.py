"""What the README says exists, and what exists is said there."""

import re
from pathlib import Path

import numpy as np
import pytest
from typer.main import get_command

from studies.study import read_study, shipped_studies
from sweep.cli import app

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_every_command_is_in_the_table_and_no_other() -> None:
    rows = re.findall(r"^\| (`.*?) \| ", README, flags=re.MULTILINE)
    told = {name for row in rows for name in re.findall(r"`([a-z]+)[^`]*`", row)}
    assert told == set(get_command(app).commands)  # type: ignore[attr-defined]


def test_every_command_line_is_one_that_the_program_has() -> None:
    lines = re.findall(r"python -m sweep ([a-z]+)", README)
    assert set(lines) <= set(get_command(app).commands)  # type: ignore[attr-defined]
    assert "run" in lines


def _block(after: str) -> str:
    """The first TOML that the README shows after a text."""
    block = re.search(r"```toml\n(.*?)```", README[README.index(after) :], flags=re.DOTALL)
    assert block is not None
    return block[1]


def test_the_study_file_shown_can_be_run(tmp_path: Path) -> None:
    file = tmp_path / "shown.toml"
    file.write_text(_block("## A study file"), encoding="utf-8")
    study = read_study(str(file))
    assert study.search.trials == 100
    assert study.configuration(study.search.enqueue[0]).units == 15


def test_the_task_of_one_s_own_that_is_shown_can_be_read(tmp_path: Path) -> None:
    rows = [f"{number / 7:.3f},{number % 5},{number % 2},p{number // 4}" for number in range(40)]
    (tmp_path / "visits.csv").write_text("a,b,label,who\n" + "\n".join(rows), encoding="utf-8")
    file = tmp_path / "shown.toml"
    model = "[training]\nlayers = 1\nunits = 4\n"
    file.write_text(_block("**Your own data.**") + model, encoding="utf-8")
    task = read_study(str(file)).load_task()
    assert task.validation is not None
    assert len(task.validation.x) == 8


@pytest.mark.parametrize("name", [name for name, _ in shipped_studies()])
def test_every_shipped_study_is_named(name: str) -> None:
    assert re.search(rf"(?<![\w-]){name}(?![\w-])", README)


@pytest.mark.parametrize("path", re.findall(r"\]\((studies/[^)]+)\)", README))
def test_every_picture_is_there(path: str) -> None:
    assert (Path(__file__).parents[1] / path).is_file()


def test_the_csv_that_it_runs_is_the_question_s_data() -> None:
    path = re.search(r"--csv (studies/\S+)", README)
    assert path is not None
    task = read_study("hello-lstm").load_task()
    own = read_study("hello-lstm").changed({"task.csv": Path(__file__).parents[1] / path[1]})
    read = own.load_task()
    np.testing.assert_array_equal(read.x, task.x)
    np.testing.assert_array_equal(read.y, task.y)
