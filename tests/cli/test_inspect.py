"""`list`, `status`, `show`."""

import json
from pathlib import Path
from typing import Any, Literal

import pytest

from storage import queue
from storage.database import open_database
from studies.study import read_study
from sweep.service.submission import put

ODD = "odd [red]name[bold] ü"


def test_list_names_every_study_with_its_trials_and_runs(stored: Path, sweep: Any) -> None:
    result = sweep("list")
    assert result.exit_code == 0
    line = next(line for line in result.stdout.splitlines() if line.lstrip().startswith("small"))
    assert line.split()[:4] == ["small", "first-value", "6", "18"]


def test_names_with_markup_are_shown_as_they_are(stored: Path, sweep: Any) -> None:
    assert ODD in sweep("list").stdout
    assert ODD in sweep("status", ODD).stdout
    assert ODD in sweep("show", ODD, "0").stdout


def test_list_as_json_is_one_document(stored: Path, sweep: Any) -> None:
    document = json.loads(sweep("list", "--json").stdout)
    assert [study["study"] for study in document["studies"]] == ["small", ODD]
    assert document["studies"][0]["runs"] == 18


def test_status_says_how_much_of_what_was_asked_is_done(stored: Path, sweep: Any) -> None:
    assert "small: complete, 6 of 6 trials, 18 runs" in sweep("status", "small").stdout
    document = json.loads(sweep("status", "--json").stdout)
    assert [study["complete"] for study in document["studies"]] == [True, True]


def test_status_names_what_waits_and_what_did_not_end_well(stored: Path, sweep: Any) -> None:
    def says(state: Literal["done", "failed"]) -> None:
        with open_database("sqlite:///sweep.db") as database:
            put(database, read_study("hello-lstm"))
            claimed = queue.claim(database, "a worker")
            assert claimed is not None
            with queue.working(database, claimed) as held:
                queue.finish(database, claimed, held, state, "for a reason")

    says("failed")
    assert "Queue: hello-lstm failed: for a reason" in sweep("status").stdout
    says("done")
    assert "Queue" not in sweep("status").stdout


def test_show_ranks_the_configurations(stored: Path, sweep: Any) -> None:
    document = json.loads(sweep("show", "small", "--json").stdout)
    assert len(document["configurations"]) == 6
    pars = [configuration["par2"] for configuration in document["configurations"]]
    assert pars == sorted(pars)
    text = sweep("show", "small").stdout
    best = document["configurations"][0]
    assert f"trial {best['trial']}" in text
    assert "* given to be tried first" in text


def test_the_table_fits_eighty_columns(stored: Path, sweep: Any) -> None:
    for words in (("list",), ("show", "small"), ("show", "small", "0")):
        assert max(len(line) for line in sweep(*words).stdout.splitlines()) <= 80


def test_show_a_trial_lists_its_replicates_and_draws_its_curves(stored: Path, sweep: Any) -> None:
    text = sweep("show", "small", "0").stdout
    assert text.count("solved") >= 3
    assert "loss by epoch" in text
    assert "accuracy by epoch" in text
    assert "escape in epoch" in text
    assert "\x1b" not in text


def test_a_trial_as_json_has_its_curves(stored: Path, sweep: Any) -> None:
    document = json.loads(sweep("show", "small", "0", "--json").stdout)
    assert document["params"] == {"layers": 3, "optimizer": "adam"}
    run = document["runs"][1]
    assert run["seed"] == 1
    assert run["epochs"] == 3 * 3 + 1 + 4
    assert len(run["curves"]["loss"]) == run["epochs"]
    assert run["later_plateaus"] == []


def test_an_unknown_study_is_refused_with_the_nearest_name(stored: Path, sweep: Any) -> None:
    for words in (("show", "smal"), ("status", "smal"), ("report", "smal"), ("delete", "smal")):
        result = sweep(*words)
        assert result.exit_code == 2
        assert "did you mean small?" in result.stderr


def test_an_unknown_trial_is_refused_with_those_that_there_are(stored: Path, sweep: Any) -> None:
    result = sweep("show", "small", "99")
    assert result.exit_code == 2
    assert "no trial 99; its trials are 0 to 5" in result.stderr


@pytest.mark.parametrize("command", ["list", "status", "show small", "delete small --yes"])
def test_without_a_storage_nothing_is_made(empty: Path, sweep: Any, command: str) -> None:
    result = sweep(*command.split())
    assert result.exit_code == 2
    assert "no storage at sweep.db" in result.stderr
    assert [file.name for file in empty.iterdir()] == ["small.toml"]


def test_a_file_that_is_no_database_is_refused_and_kept(empty: Path, sweep: Any) -> None:
    (empty / "sweep.db").write_text("This is no database, but a text that someone needs. " * 20)
    before = (empty / "sweep.db").read_bytes()
    for words in (("list",), ("run", "small.toml")):
        result = sweep(*words)
        assert result.exit_code == 2
        assert "is not a SQLite database" in result.stderr
    assert (empty / "sweep.db").read_bytes() == before


def test_the_storage_may_be_named_in_the_environment(stored: Path, sweep: Any) -> None:
    (stored / "sweep.db").rename(stored / "other.db")
    assert sweep("list").exit_code == 2
    assert "small" in sweep("list", env={"SWEEP_STORAGE": "sqlite:///other.db"}).stdout
    assert "small" in sweep("list", "--storage", "sqlite:///other.db").stdout


def test_the_document_and_the_table_name_the_same_order(stored: Path, sweep: Any) -> None:
    document = json.loads(sweep("show", "small", "--json").stdout)
    rows = [line.split() for line in sweep("show", "small").stdout.splitlines()]
    listed = [
        int(row[1].rstrip("*"))
        for row in rows
        if len(row) > 5 and row[0].isdigit() and row[1].rstrip("*").isdigit()
    ]
    assert listed == [configuration["trial"] for configuration in document["configurations"]]
