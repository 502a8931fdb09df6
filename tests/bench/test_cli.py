"""The command `bench`."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from sweep import bench
from sweep.bench.ratios import compared
from sweep.bench.rows import Result
from sweep.cli import app


def call(*words: str) -> Any:
    result = CliRunner().invoke(app, ["bench", *words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Rows are made up instead of measured; what was asked for is in the list."""
    asked: list[Any] = []

    def measure(rows: Any, options: Any, say: Any) -> Any:
        asked.append(options)
        for row in rows:
            say(f"{row.name}: round 1 of {options.rounds}")
            skipped = "jax is not installed" if row.name.startswith("jax") else None
            yield Result(row, None if skipped else compared([4.0], [2.0]), skipped=skipped)

    monkeypatch.setattr(bench, "measure", measure)
    return asked


def test_the_usual_rows_are_measured_and_shown(made_up: list[Any]):
    result = call()
    assert result.exit_code == 0
    assert "keras-3x15-64" in result.stdout
    assert "jax-3x15-64: skipped: jax is not installed" in result.stdout
    assert max(len(line) for line in result.stdout.splitlines()) <= 80
    assert "round 1 of 5" in result.stderr
    assert made_up[0].rounds == 5


def test_json_is_one_document_with_machine_and_rows(made_up: list[Any]):
    document = json.loads(call("start-*", "jax-3x15-64", "--json", "--quick").stdout)
    assert document["machine"]["cores"] >= 1
    by_name = {row["name"]: row for row in document["rows"]}
    assert by_name["start-help"]["ratio"] == 2.0
    assert by_name["jax-3x15-64"]["ratio"] is None
    for row in document["rows"]:
        assert {"name", "value", "unit", "peer_value", "ratio", "low", "high"} <= row.keys()
    start, jax = (by_name[name]["goal"] for name in ("start-help", "jax-3x15-64"))
    assert start == {"of": "value", "kind": "most", "bound": 0.5, "met": False}
    assert jax == {"of": "ratio", "kind": "least", "bound": 2.0, "met": None}
    assert "the median of the rounds’ own ratios" in document["measured"]


@pytest.mark.parametrize(("load", "busy"), [(0.0, False), (900.0, True), (None, None)])
def test_the_document_says_whether_the_machine_was_busy(
    made_up: list[Any], monkeypatch: pytest.MonkeyPatch, load: float | None, busy: bool | None
):
    monkeypatch.setattr(bench.machine, "_load", lambda: load)
    assert json.loads(call("start-help", "--json").stdout)["busy"] is busy


def test_rounds_are_as_many_as_are_asked_for(made_up: list[Any]):
    call("start-help", "--rounds", "7")
    call("start-help", "--quick")
    assert [options.rounds for options in made_up] == [7, 3]
    assert [options.quick for options in made_up] == [False, True]


def test_an_unknown_row_is_refused_with_the_nearest(made_up: list[Any]):
    result = call("keras-3x51-64")
    assert result.exit_code == 2
    assert result.stderr.startswith("sweep: bench keras-3x51-64: no row")
    assert "did you mean" in result.stderr
    assert result.stdout == ""
    assert made_up == []


def test_no_rounds_are_refused(made_up: list[Any]):
    assert call("--rounds", "0").exit_code == 2


def test_rows_are_listed_without_measuring(made_up: list[Any]):
    assert "growth-100000" in call("--list").stdout
    assert "growth-100000" not in call("start", "--list").stdout
    assert made_up == []


def test_what_was_measured_before_a_failure_is_shown(monkeypatch: pytest.MonkeyPatch):
    def measure(rows: Any, options: Any, say: Any) -> Any:
        yield Result(rows[0], compared([4.0], [2.0]))
        raise ChildProcessError("sweep ended with status 1:\nout of memory")

    monkeypatch.setattr(bench, "measure", measure)
    result = call("start-help", "start-list")
    assert result.exit_code == 1
    assert "start-help" in result.stdout
    assert result.stderr == "sweep: sweep ended with status 1:\nout of memory\n"
