"""`export` and `report`."""

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyarrow.csv
import pyarrow.parquet as parquet
import pytest

from sweep.tables import CURVE_COLUMNS, RUN_COLUMNS


def test_an_export_has_a_row_a_run_and_a_row_an_epoch(stored: Path, sweep: Any) -> None:
    result = sweep("export", "small", "-o", "small.parquet")
    assert result.stdout.split() == ["small.parquet", "small.curves.parquet"]
    runs = parquet.read_table("small.parquet")
    curves = parquet.read_table("small.curves.parquet")
    assert runs.num_rows == 18
    assert curves.num_rows == sum(runs["epochs"].to_pylist())
    assert set(RUN_COLUMNS) | {"layers", "units", "optimizer"} <= set(runs.column_names)
    assert curves.column_names == list(CURVE_COLUMNS)
    assert b"description" in runs.schema.field("escape").metadata


def test_an_export_says_what_show_says(stored: Path, sweep: Any) -> None:
    sweep("export", "small", "-o", "small.parquet")
    trial = json.loads(sweep("show", "small", "0", "--json").stdout)
    rows = [r for r in parquet.read_table("small.parquet").to_pylist() if r["trial"] == 0]
    points = [
        p
        for p in parquet.read_table("small.curves.parquet").to_pylist()
        if (p["trial"], p["replicate"]) == (0, 1)
    ]
    for row, run in zip(rows, trial["runs"], strict=True):
        for key in ("replicate", "seed", "ended", "epochs", "escape", "plateau", "transition"):
            assert row[key] == run[key]
        assert row["layers"] == trial["params"]["layers"]
        assert row["enqueued"]
    assert [p["epoch"] for p in points] == list(range(1, len(points) + 1))
    assert np.allclose([p["loss"] for p in points], trial["runs"][1]["curves"]["loss"])


def test_csv_holds_what_parquet_holds(stored: Path, sweep: Any) -> None:
    sweep("export", "small", "-o", "a.parquet")
    sweep("export", "small", "-o", "a.csv")
    for name in ("a", "a.curves"):
        table = parquet.read_table(f"{name}.parquet")
        text = pyarrow.csv.read_csv(f"{name}.csv")
        assert text.column_names == table.column_names
        for column in ("trial", "replicate"):
            assert text[column].to_pylist() == table[column].to_pylist()


def test_a_large_study_is_written_piece_by_piece(
    stored: Path, sweep: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sweep.cli.export as module

    monkeypatch.setattr(module, "TRIALS_AT_ONCE", 2)
    sweep("export", "small", "-o", "a.parquet")
    assert parquet.ParquetFile("a.parquet").num_row_groups == 3
    assert parquet.read_table("a.parquet")["trial"].to_pylist() == sorted([*range(6)] * 3)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("a.xlsx", "has to end in .parquet or .csv"),
        ("nowhere/a.csv", "there is no directory nowhere"),
    ],
)
def test_a_file_that_cannot_be_is_refused(stored: Path, sweep: Any, output: str, said: str) -> None:
    result = sweep("export", "small", "-o", output)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_disk_that_fails_leaves_nothing_half_written(
    stored: Path, sweep: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    import sweep.tables as module

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (stored / "a.parquet").write_text("older")
    monkeypatch.setattr(module, "curve_table", full)
    before = sorted(file.name for file in stored.iterdir())
    result = sweep("export", "small", "-o", "a.parquet")
    assert result.exit_code == 1
    assert "a.parquet: No space left on device" in result.stderr
    assert (stored / "a.parquet").read_text() == "older"
    assert sorted(file.name for file in stored.iterdir()) == before


def test_report_writes_one_file_where_it_is_told(stored: Path, sweep: Any) -> None:
    result = sweep("report", "small", "-o", "page.html")
    assert result.exit_code == 0
    assert result.stdout.strip() == "page.html"
    assert "small" in (stored / "page.html").read_text()


def test_an_odd_name_makes_a_safe_file_name(stored: Path, sweep: Any) -> None:
    result = sweep("report", "odd [red]name[bold] ü")
    assert result.exit_code == 0
    assert result.stdout.strip() == "odd-red-name-bold-ü.html"
    assert (stored / "odd-red-name-bold-ü.html").is_file()


def test_a_report_named_svg_is_the_picture_of_the_answer(stored: Path, sweep: Any) -> None:
    result = sweep("report", "small", "-o", "answer.svg")
    assert result.stdout.split() == ["answer.svg"]
    picture = ElementTree.parse("answer.svg").getroot()
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"
    said = "".join(picture.itertext())
    assert "trial 0, as given" in said or "the best" in said
