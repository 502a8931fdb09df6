"""The lines that make a script's data: read from any file, split and changed as the study says."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from studies.run import Configuration, FinishedRun, Run
from studies.study import CsvTask
from studies.task_tables import parse_task
from sweep.bench.scripts import run_scripts
from sweep.engine import train
from sweep.keras.script import data_lines, file_lines, keras_script, write_data

FILES = {
    "csv": {"csv": "data.csv", "group": "who"},
    "csv with numbers only": {"csv": "numbers.csv", "timesteps": 3},
    "npz": {"npz": "data.npz", "group": "who"},
    "npz, one-hot": {"npz": "data.npz", "y": "one_hot"},
    "npz, values": {"npz": "data.npz", "y": "values"},
    "parquet": {"parquet": "data.parquet", "group": "who"},
    "series": {"series": "series.csv", "label": "up", "window": 6, "stride": 2},
    "series ahead": {"series": "series.parquet", "label": "temp", "window": 6, "horizon": 2},
    "built in": {"name": "first-value", "records": 60},
}

CHANGES = {
    "as they came": {},
    "a part held back": {"validation": 0.25, "validation_seed": 3},
    "without regard to classes": {"validation": 0.25, "stratify": False},
    "standardised": {"validation": 0.2, "standardise": True},
    "scaled": {"scale": 0.3},
    "both": {"validation": 0.2, "standardise": True, "scale": 3.0},
    "embedded": {"validation": 0.2, "embed": True},
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data")
    random = np.random.default_rng(0)
    x = random.integers(0, 10, (60, 3))
    y = np.arange(60) % 2
    x[:, 0] = y
    who = np.arange(60) // 5
    np.savez(
        path / "data.npz", x=x, y=y, who=who, one_hot=np.eye(2)[y], values=x[:, 0] + x[:, 1] / 7
    )
    numbers = pd.DataFrame(x, columns=["a", "b", "c"]).assign(target=y)
    numbers.to_csv(path / "numbers.csv", index=False)
    named = numbers.assign(who=[f"p{n}" for n in who], target=np.where(y == 1, "yes, sir", "no"))
    named.to_csv(path / "data.csv", index=False)
    named.to_parquet(path / "data.parquet")
    moments = np.arange(200)
    series = pd.DataFrame(
        {
            "temp": random.integers(-3, 4, 200),
            "still": 5,
            "up": np.where(moments % 20 < 10, "u", "d"),
        }
    )
    series.to_csv(path / "series.csv", index=False)
    series.drop(columns="up").to_parquet(path / "series.parquet")
    return path


def asked(directory: Path, table: dict[str, Any]) -> tuple[Any, Any, str | None]:
    """A [task] table, its data, and the lines that make them."""
    problems: list[str] = []
    made: Any = parse_task(table, directory, problems, {})
    assert problems == []
    if isinstance(made, CsvTask):
        task, reading = made.read()
        return made, task, data_lines(made, task, reading)
    task = made.load()
    return made, task, data_lines(made, task)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("file", FILES)
def test_lines_make_the_very_data(directory, file, change):
    _, task, lines = asked(directory, {**FILES[file], **CHANGES[change]})
    assert lines is not None
    assert max(map(len, lines.replace(str(directory), "").splitlines())) <= 88
    names: dict[str, Any] = {"np": np, "pd": pd}
    exec(lines, names)
    assert names["x"].dtype == np.float32
    assert np.array_equal(names["x"], task.x)
    assert np.array_equal(names["y"], task.y)
    assert ("val_x" in names) == (task.validation is not None)
    if task.validation is not None:
        assert np.array_equal(names["val_x"], task.validation.x)
        assert np.array_equal(names["val_y"], task.validation.y)


def test_data_that_changed_have_no_lines(directory, tmp_path):
    for file in ("data.csv", "data.npz"):
        (tmp_path / file).write_bytes((directory / file).read_bytes())
    task, reading = CsvTask(csv=str(tmp_path / "data.csv"), group="who").read()
    text = (tmp_path / "data.csv").read_text().replace("yes, sir", "yes")
    (tmp_path / "data.csv").write_text(text.replace("1,", "2,", 1))
    assert data_lines(CsvTask(csv=str(tmp_path / "data.csv"), group="who"), task, reading) is None


@pytest.mark.parametrize("file", FILES)
def test_a_script_stays_short_whatever_is_done_to_the_data(directory, file):
    for change in CHANGES.values():
        _, task, lines = asked(directory, {**FILES[file], **change})
        assert lines is not None
        for configuration in (
            Configuration(units=6, layers=1),
            Configuration(units=6, layers=5, optimizer="sgd", momentum=0.9, nesterov=True),
        ):
            run = Run(configuration, 1, 20, 0.9)
            finished = FinishedRun(run, "censored", np.zeros((20, 2), np.float32))
            text = keras_script(finished, task, lines, title="a study", picture="a.png")
            assert len(text.splitlines()) < 80
            assert "sweep" not in text
            compile(text, "script.py", "exec")


def test_scripts_validate_and_read_what_lies_beside_them(directory, tmp_path):
    tables = [
        {"csv": "data.csv", "group": "who", "validation": 0.2, "standardise": True},
        {"series": "series.parquet", "label": "temp", "window": 6, "validation": 0.25},
        {"npz": "data.npz", "validation": 0.25, "embed": True},
    ]
    run = Run(Configuration(cell="rnn", units=6, layers=1, learning_rate=0.02), 2, 6)
    texts: list[str] = []
    curves: list[FinishedRun] = []
    for table in tables:
        _, task, lines = asked(directory, table)
        (finished,) = train([run], task)
        curves.append(finished)
        if lines is None or "npz" in table:
            write_data(task, tmp_path / "beside.npz")
            lines = file_lines(str(tmp_path / "beside.npz"), validated=True)
        texts.append(keras_script(finished, task, lines, title="t", picture="t.png"))
    for finished, printed in zip(curves, run_scripts(texts), strict=True):
        assert len(printed) == finished.epochs + 1
        for epoch, line in enumerate(printed[:-1]):
            told = dict(part.split() for part in line.partition(": ")[2].split(", "))
            assert set(told) == {"loss", "accuracy", "val_loss", "val_accuracy"}
            for name, value in told.items():
                assert float(value) == pytest.approx(
                    finished.curve(name)[epoch], rel=1e-3, abs=1e-4
                )
