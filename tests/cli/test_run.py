"""`run`, from options to the ending."""

import ctypes
import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

KEYS = {"study", "storage", "report", "trials", "runs", "solved_runs", "seconds", "best"}


def test_run_ends_with_the_answer_the_table_and_where_all_is(
    empty: Path, sweep: Any, untrained: None
) -> None:
    result = sweep("run", "small.toml")
    assert result.exit_code == 0
    text = result.stdout
    assert "learned the task in the fewest" in text
    assert "at place" in " ".join(text.split())
    assert "6 trials, 18 runs (" in text
    assert "Storage: sqlite:///sweep.db" in text
    assert "small.html" in text
    assert "python -m sweep show small" in text
    assert max(len(line) for line in text.splitlines()) <= 80
    assert (empty / "small.html").read_text().lstrip().lower().startswith("<!doctype html>")


def test_json_is_one_document_with_the_fixed_keys(empty: Path, sweep: Any, untrained: None) -> None:
    document = json.loads(sweep("run", "small.toml", "--json", "--no-report").stdout)
    assert set(document) >= KEYS | {"enqueued"}
    assert document["study"] == "small"
    assert document["report"] is None
    assert document["trials"] == 6
    assert document["runs"] == 18
    assert [configuration["trial"] for configuration in document["enqueued"]] == [0]
    assert document["best"]["epochs_median"] is not None
    assert not (empty / "small.html").exists()


def test_options_change_what_the_study_file_says(empty: Path, sweep: Any, untrained: None) -> None:
    words = "--trials 2 --replicates 1 --epochs 9 --seed 3 --name other --set training.units=5"
    document = json.loads(sweep("run", "small.toml", "--json", *words.split()).stdout)
    assert document["study"] == "other"
    assert document["trials"] == 2
    assert document["runs"] == 2
    assert document["report"] == "other.html"
    shown = json.loads(sweep("show", "other", "0", "--json").stdout)
    assert shown["configuration"]["units"] == 5
    assert max(run["epochs"] for run in shown["runs"]) <= 9


def test_the_same_command_again_trains_nothing_anew(
    empty: Path, sweep: Any, untrained: None
) -> None:
    first = json.loads(sweep("run", "small.toml", "--json", "--no-report").stdout)
    again = json.loads(sweep("run", "small.toml", "--json", "--no-report").stdout)
    assert again["best"] == first["best"]
    assert again["runs"] == first["runs"]


def test_fewer_than_there_were_is_said_before_anything_is_trained(
    empty: Path, sweep: Any, untrained: None
) -> None:
    sweep("run", "small.toml", "--no-report")
    result = sweep("run", "small.toml", "--no-report", "--trials", "2", "--epochs", "5")
    assert result.exit_code == 0
    said = result.stderr.splitlines()[0]
    assert said.startswith("The study goes on to its 6 trials and ")
    assert said.endswith("it can be extended, but not shortened.")
    other = sweep("run", "small.toml", "--no-report", "--trials", "2", "--seed", "5")
    assert (other.exit_code, "goes on" in other.stderr) == (2, False)


def test_watch_serves_the_report_while_the_study_runs_and_says_where(
    empty: Path, sweep: Any, untrained: None
) -> None:
    result = sweep("run", "small.toml", "--watch")
    assert result.exit_code == 0
    assert "The report, as it grows: http://127.0.0.1:" in result.stderr
    assert (empty / "small.html").is_file()


def test_a_port_is_for_watch(empty: Path, sweep: Any) -> None:
    result = sweep("run", "small.toml", "--port", "8321")
    assert result.exit_code == 2
    assert "--port: it is where --watch listens" in result.stderr
    assert not (empty / "sweep.db").exists()


def test_a_name_that_another_study_has_is_refused_with_the_difference(
    stored: Path, sweep: Any, untrained: None
) -> None:
    result = sweep("run", "small.toml", "--set", "training.batch_size=16")
    assert result.exit_code == 2
    assert "training.batch_size" in result.stderr
    assert "--name" in result.stderr


@pytest.fixture
def data(empty: Path) -> Path:
    """A CSV of 40 records in the working directory."""
    rows = [f"{n % 2},{n * 7 % 10},{n * 3 % 10},{n % 2}" for n in range(40)]
    file = empty / "my data.csv"
    file.write_text("a,b,c,target\n" + "\n".join(rows) + "\n")
    return file


def test_a_csv_needs_no_study_file_and_says_what_was_read(
    data: Path, sweep: Any, untrained: None
) -> None:
    result = sweep("run", "--csv", "my data.csv", "--trials", "2", "--replicates", "2")
    assert result.exit_code == 0
    assert (
        "my data.csv: 40 records; features a, b, c as 3 timesteps of 1 feature; label target: "
        "0 (20), 1 (20).\nThe study is called my data.\n" in result.stderr
    )
    assert (data.parent / "my-data.html").exists()
    assert "my data" in sweep("list").stdout


def test_a_csv_with_a_study_file_leaves_the_study_its_name(
    data: Path, sweep: Any, untrained: None
) -> None:
    result = sweep("run", "small.toml", "--csv", "my data.csv", "--trials", "2", "--json")
    assert json.loads(result.stdout)["study"] == "small"
    assert "The study is called small.\n" in result.stderr
    named = sweep("run", "--csv", "my data.csv", "--name", "mine", "--trials", "2", "--json")
    assert json.loads(named.stdout)["study"] == "mine"


def test_a_csv_is_read_once(
    data: Path, sweep: Any, untrained: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from studies import task_tables

    read: list[str] = []
    original = task_tables.read_csv_task

    def counting(path: str, **more: Any) -> Any:
        read.append(path)
        return original(path, **more)

    monkeypatch.setattr(task_tables, "read_csv_task", counting)
    assert sweep("run", "--csv", "my data.csv", "--trials", "2").exit_code == 0
    assert read == [str(data)]


def test_a_csv_whose_name_cannot_be_a_study_s_is_refused_with_the_way_out(
    data: Path, sweep: Any, untrained: None
) -> None:
    data.rename(data.parent / ".x.csv")
    result = sweep("run", "--csv", ".x.csv", "--trials", "2")
    assert result.exit_code == 2
    assert '.x.csv: its study would be called ".x"' in result.stderr
    assert "--name NAME" in result.stderr
    assert sweep("run", "--csv", ".x.csv", "--trials", "2", "--name", "x").exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("run hello-lstn", "did you mean hello-lstm?"),
        ("run nowhere.toml", "nowhere.toml"),
        ("run small.toml --trials 0", "search.trials"),
        ("run small.toml --trials many", "--trials"),
        ("run small.toml --set training.unit=3", "did you mean units?"),
        ("run small.toml --set training.units", "expected KEY=VALUE"),
        ("run small.toml --set training.units=many", "training.units"),
        ("run --csv nowhere.csv", "nowhere.csv"),
        ("run small.toml --report a.html --no-report", "give one of them"),
        ("run small.toml --report nowhere/a.html", "there is no directory nowhere"),
        ("run small.toml --report .", "is a directory"),
        ("run small.toml --report /dev/null", "is no ordinary file"),
        ("run small.toml --storage sqlite:///nowhere/a.db", "nowhere"),
        ("run small.toml --storage mongo://a", "mongo"),
        ("run small.toml --name a/b", "name"),
        ("run small.toml --label x", "label"),
        ("run --nonsense", "--nonsense"),
    ],
)
def test_bad_input_is_refused_before_anything_is_made(
    empty: Path, sweep: Any, untrained: None, words: str, said: str
) -> None:
    result = sweep(*words.split())
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert [file.name for file in empty.iterdir()] == ["small.toml"]


def test_ctrl_c_says_how_to_go_on(empty: Path, sweep: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from sweep import search

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(search, "run_study", interrupted)
    result = sweep("run", "small.toml")
    assert result.exit_code == 130
    assert "the same command goes on" in result.stderr


def test_a_real_run_from_the_command_to_the_report(empty: Path) -> None:
    """Trains, in a process of its own; nothing but the product's own words is on the screen."""
    words = "run small.toml --trials 3 --replicates 2 --epochs 5 --json"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    done = subprocess.run(
        [sys.executable, "-m", "sweep", *words.split()],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["trials"] == 3
    assert document["runs"] == 6
    assert (empty / document["report"]).stat().st_size > 10_000
    for line in done.stderr.splitlines():
        assert line.startswith("["), f"not a line of progress: {line}"


def test_a_report_that_cannot_be_written_keeps_the_answer(
    empty: Path, sweep: Any, untrained: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sweep import report

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(report, "write_report", full)
    result = sweep("run", "small.toml", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["report"] is None
    assert result.stderr.endswith("sweep: small.html: No space left on device\n")


def test_a_report_without_permission_is_refused_before_training(
    empty: Path, sweep: Any, untrained: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    result = sweep("run", "small.toml", "--report", "a.html")
    assert result.exit_code == 2
    assert "no permission to write there" in result.stderr
    assert not (empty / "sweep.db").exists()


def test_handwritten_digits_are_learned_from_a_csv(empty: Path, sweep: Any) -> None:
    """Trains: eight steps of eight features, ten classes, a sixth of scikit-learn's records."""
    from sklearn.datasets import load_digits

    pixels, digits = load_digits(return_X_y=True)
    lines = [
        ",".join(f"{value:g}" for value in (*row, digit))
        for row, digit in zip(pixels[:300], digits[:300], strict=True)
    ]
    names = ",".join(f"row{row} column{column}" for row in range(8) for column in range(8))
    (empty / "digits.csv").write_text("\n".join([f"{names},digit", *lines]) + "\n")
    words = "run --csv digits.csv --timesteps 8 --trials 1 --replicates 2 --epochs 60 --json"
    given = {"target": 0.95, "layers": 1, "units": 16, "optimizer": "adam", "learning_rate": 0.01}
    settings = [
        word for key, value in given.items() for word in ("--set", f"training.{key}={value}")
    ]
    result = sweep(*words.split(), "--no-report", *settings)
    assert "as 8 timesteps of 8 features; label digit: 0 (31), 1 (30)" in result.stderr
    document = json.loads(result.stdout)
    assert document["solved_runs"] == 2
    assert document["best"]["escape_median"] <= 5
    assert 5 < document["best"]["epochs_median"] < 40


def test_a_storage_that_is_no_database_is_refused_and_left_as_it_is(
    empty: Path, sweep: Any, untrained: None
) -> None:
    before = (empty / "small.toml").read_bytes()
    result = sweep("run", "small.toml", "--storage", "sqlite:///small.toml")
    assert result.exit_code == 2
    assert "sqlite:///small.toml is not a SQLite database" in result.stderr
    assert (empty / "small.toml").read_bytes() == before
    assert [file.name for file in empty.iterdir()] == ["small.toml"]


def program(directory: Path, code: str, *words: str, **more: Any) -> Any:
    """The command line in a process of its own, after `code`; runs are made up, not trained."""
    prepared = (
        f"import contextlib, sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import conftest, sweep.workers\n"
        f"train = conftest.train\n{code}\n"
        "sweep.workers.trained_by = lambda *_, **__: contextlib.nullcontext(train)\n"
        "from sweep.__main__ import main; main()"
    )
    return subprocess.run(
        [sys.executable, "-c", prepared, *words],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **more,
    )


def without_the_rights_of_root() -> None:
    """What this process starts keeps to permissions, whoever it runs as."""
    if os.geteuid() == 0:
        drop_bound, may_ignore_permissions = 24, 1  # of prctl(2) and capabilities(7)
        ctypes.CDLL(None).prctl(drop_bound, may_ignore_permissions, 0, 0, 0)


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("run small.toml", 2, "small.html: no permission to write there"),
        ("run small.toml --no-report", 1, "sweep.db cannot be opened: no permission"),
    ],
)
def test_a_directory_that_cannot_be_written_is_said_and_left_as_it_is(
    empty: Path, words: str, status: int, said: str
) -> None:
    empty.chmod(0o555)
    try:
        done = program(empty, "", *words.split(), preexec_fn=without_the_rights_of_root)
    finally:
        empty.chmod(0o755)
    assert done.returncode == status, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert [file.name for file in empty.iterdir()] == ["small.toml"]


def test_a_disk_that_fills_up_keeps_what_was_finished_and_a_later_run_goes_on(
    empty: Path, sweep: Any, untrained: None
) -> None:
    # Files may grow no more once eight runs are finished: all writing fails from there.
    code = """
import os, resource
def train(runs, task):
    for number, finished in enumerate(conftest.train(runs, task), start=1):
        yield finished
        if number == 8:
            largest = os.path.getsize("sweep.db-wal")
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
"""
    done = program(empty, code, "run", "small.toml", "--no-report")
    assert done.returncode == 1
    assert "sweep.db: the disk failed, or is full" in done.stderr
    assert "Traceback" not in done.stderr
    state = json.loads(sweep("status", "small", "--json").stdout)["studies"][0]
    assert 1 <= state["trials"] < 6
    assert state["runs"] == 3 * state["trials"]
    continued = json.loads(sweep("run", "small.toml", "--json", "--no-report").stdout)
    assert continued["trials"] == 6
    uninterrupted = sweep("run", "small.toml", "--json", "--no-report", "--storage", "other.db")
    assert continued["best"] == json.loads(uninterrupted.stdout)["best"]
