"""`import` and `doctor`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.database import StorageFailure, open_database
from storage.lease import STALE, hold
from storage.tables import leases, runs
from sweep.cli.options import command


def test_import_takes_a_study_and_once_more_what_is_new(stored: Path, sweep: Callable) -> None:
    here = ("--storage", "sqlite:///here.db")
    done = sweep("import", "sqlite:///sweep.db", "small", *here)
    assert done.exit_code == 0
    assert done.stdout == "small: 6 trials (6 new), 12 runs (12 new)\n"
    assert sweep("import", "sweep.db", "small", *here).stdout == (
        "small: 6 trials (0 new), 12 runs (0 new)\n"
    )
    assert "small" in sweep("list", *here).stdout


def test_import_takes_all_studies_where_none_is_named(stored: Path, sweep: Callable) -> None:
    done = sweep("import", "sweep.db", "--storage", "sqlite:///here.db")
    assert "small: 6 trials (6 new), 12 runs (12 new)" in done.stdout
    # The other study has the same runs.
    assert "odd [red]name[bold] ü: 6 trials (6 new), 12 runs (0 new)" in done.stdout


def test_import_says_what_is_wrong(stored: Path, sweep: Callable) -> None:
    for words, said in [
        (("import", "nowhere.db"), "no storage at nowhere.db"),
        (("import", "sweep.db", "smal", "--storage", "here.db"), "did you mean small?"),
        (("import", "sweep.db", "small"), "is this storage itself"),
        (("import", "sweep.db", "--name", "new"), "it is for one study"),
        (("import", "mysql://host/x"), "storage in mysql is not known"),
    ]:
        result = sweep(*words)
        assert result.exit_code == 2
        assert said in result.stderr


def test_import_needs_another_name_where_it_is_taken(stored: Path, sweep: Callable) -> None:
    sweep("import", "sweep.db", "small", "--storage", "here.db")
    other = ("import", "here.db", "small", "--storage", "sweep.db", "--name", "again")
    result = sweep(*other)
    assert (result.exit_code, "already, as 'small'" in result.stderr) == (2, True)


def test_no_command_that_is_shown_tells_a_password() -> None:
    secret = "postgresql+psycopg://me:s/e:cret@host:5432/sweeps"
    shown = command("show", "small", secret)
    assert shown.startswith("PGPASSWORD=… ")
    assert shown.endswith("--storage postgresql+psycopg://me@host:5432/sweeps")
    plain = "postgresql+psycopg://me@host/sweeps"
    assert command("show", "small", plain).endswith(f"--storage {plain}")


def test_doctor_counts_and_finds_nothing_wrong(stored: Path, sweep: Callable) -> None:
    result = sweep("doctor")
    assert result.exit_code == 0
    assert "Nothing is wrong." in result.stdout
    assert "12  runs" in result.stdout
    document = json.loads(sweep("doctor", "--json").stdout)
    assert document["problems"] == []
    assert document["counts"]["trials"] == 12


def test_an_import_of_nothing_leaves_no_storage(stored: Path, sweep: Callable) -> None:
    result = sweep("import", "sweep.db", "none", "--storage", "new.db")
    assert (result.exit_code, "no study named 'none'" in result.stderr) == (2, True)
    assert not (stored / "new.db").exists()


def test_doctor_tells_programs_too_that_a_storage_cannot_be_read(
    stored: Path, sweep: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(database: object) -> None:
        raise StorageFailure("sweep.db is damaged")

    monkeypatch.setattr("storage.doctor.examine", unreadable)
    result = sweep("doctor", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["problems"] == ["sweep.db is damaged"]
    assert "sweep.db is damaged" in sweep("doctor").stderr


def test_doctor_counts_as_worked_on_what_somebody_works_on(stored: Path, sweep: Callable) -> None:
    def worked_on() -> int:
        return json.loads(sweep("doctor", "--json").stdout)["counts"]["studies worked on"]

    with open_database("sqlite:///sweep.db") as database, hold(database, "small"):
        assert worked_on() == 1
        silent = leases.update().values(heartbeat=leases.c.heartbeat - 2 * STALE)
        database.write(lambda connection: connection.execute(silent))
        assert worked_on() == 0


def test_doctor_names_damage_and_mends_it(stored: Path, sweep: Callable, untrained: None) -> None:
    before = sweep("show", "small").stdout
    with open_database("sqlite:///sweep.db") as database:
        keys = database.read(lambda c: list(c.execute(runs.select()).all()))
        damaged = runs.update().where(runs.c.key == keys[0].key).values(checksum=1)
        database.write(lambda connection: connection.execute(damaged))
    result = sweep("doctor")
    assert result.exit_code == 1
    assert f"wrong: run {keys[0].key}: its curves are damaged" in result.stdout
    assert "`doctor --mend`" in result.stdout
    result = sweep("doctor", "--mend")
    assert (result.exit_code, "Took out 1 runs" in result.stdout) == (1, True)
    assert sweep("doctor").exit_code == 0
    assert sweep("run", "small.toml", "--no-report").exit_code == 0
    assert sweep("show", "small").stdout == before
