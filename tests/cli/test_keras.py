"""`code` and `verify`: runs of a stored study in plain Keras."""

import ast
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest


def test_a_run_becomes_a_script_on_standard_output(stored: Path, sweep: Any) -> None:
    done = sweep("code", "small", "--trial", 0, "--replicate", 2)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == "# small, trial 0, replicate 2"
    assert lines[1] == "# Measured: 100 % of the training records in epoch 15."
    assert "SEED = 2" in lines
    assert "    optimizer=optimizers.Adam(learning_rate=0.001)," in lines
    assert 'plt.savefig("small-trial-0-replicate-2.png")' in lines
    assert done.stdout.count("layers.LSTM(") == 3
    ast.parse(done.stdout)


def test_a_script_goes_into_the_file_that_is_named(stored: Path, sweep: Any) -> None:
    done = sweep("code", "odd [red]name[bold] ü", "--trial", 1, "-o", "a script.py")
    assert done.exit_code == 0
    assert done.stdout == "a script.py\n"
    text = Path("a script.py").read_text(encoding="utf-8")
    assert text.startswith("# odd [red]name[bold] ü, trial 1, replicate 0\n")
    ast.parse(text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["smal", "--trial", "0"], "did you mean small?"),
        (["small", "--trial", "6"], "small has no trial 6; its trials are 0 to 5"),
        (
            ["small", "--trial", "0", "--replicate", "3"],
            "trial 0 of small has no replicate 3; it has 0 to 2",
        ),
        (["small", "--trial", "0", "-o", "."], "--output .: is a directory"),
        (["small", "--trial", "0", "-o", "no/where.py"], "there is no directory no"),
    ],
)
def test_what_there_is_not_is_refused(
    stored: Path, sweep: Any, words: list[str], message: str
) -> None:
    done = sweep("code", *words)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stdout == ""


CSV = 'x,y,"class"\n' + "".join(f"{n % 2},{n},{'ab'[n % 2]}\n" for n in range(20))


@pytest.fixture
def with_csv(empty: Path, untrained: None, sweep: Any) -> Path:
    """The working directory, with a storage that holds a study of the file data.csv."""
    Path("data.csv").write_text(CSV)
    done = sweep("run", "small.toml", "--csv", "data.csv", "--name", "data", "--no-report")
    assert done.exit_code == 0, done.stderr
    return empty


def test_a_script_reads_a_csv_where_it_lies(with_csv: Path, sweep: Any) -> None:
    done = sweep("code", "data", "--trial", 0)
    assert done.exit_code == 0
    assert "np.loadtxt(" in done.stdout
    assert f'"{with_csv}/data.csv"' in done.stdout


def test_data_that_no_line_reads_go_beside_the_script(with_csv: Path, sweep: Any) -> None:
    text = '"x\nin two lines",y,class\n' + CSV.partition("\n")[2]
    Path("data.csv").write_text(text)

    done = sweep("code", "data", "--trial", 0)
    assert done.exit_code == 2
    assert "say where the script goes, with -o FILE" in done.stderr
    done = sweep("code", "data", "--trial", 0, "-o", "script.py")
    assert done.exit_code == 0
    assert "The data are in script.npz" in done.stderr
    assert 'np.load("script.npz")' in Path("script.py").read_text()
    with np.load("script.npz") as data:
        assert data["x"].shape == (20, 2, 1)
        assert data["y"].tolist() == [0, 1] * 10


def test_data_that_changed_are_refused(with_csv: Path, sweep: Any) -> None:
    Path("data.csv").write_text(CSV + "0,20,a\n")
    done = sweep("code", "data", "--trial", 0)
    assert done.exit_code == 2
    assert "the data of data are not those that it was trained on: 20 records then, 21 now" in (
        done.stderr
    )
    Path("data.csv").unlink()
    done = sweep("code", "data", "--trial", 0)
    assert done.exit_code == 2
    assert "data.csv" in done.stderr


@pytest.fixture
def as_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras trains every run to the very curve that is stored."""
    import sweep.keras.verify
    from sweep.keras.verify import Repeated, VerifiedTrial
    from sweep.results import TrialResult

    def again(
        trials: Sequence[TrialResult],
        _task: Any,
        *,
        fresh: int | None,
        on_run: Callable[[int], None],
    ) -> list[VerifiedTrial]:
        on_run(1)
        return [
            VerifiedTrial(
                trial,
                tuple(Repeated(run, run) for run in trial.runs),
                () if fresh == 0 else trial.runs,
                *((None, None) if fresh == 0 else (0.5, 1.0)),
            )
            for trial in trials
        ]

    monkeypatch.setattr(sweep.keras.verify, "verify", again)


def test_runs_that_keras_does_not_repeat_end_with_status_1(stored: Path, sweep: Any) -> None:
    done = sweep("verify", "small", "--trial", 0, "--fresh", 0, "--json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert told["study"] == "small"
    assert told["agrees"] is False
    (trial,) = told["trials"]
    assert trial["trial"] == 0
    assert [run["replicate"] for run in trial["runs"]] == [0, 1, 2]
    assert [run["epochs"] for run in trial["runs"]] == [13, 14, 15]
    # The loss that the made-up runs begin with is that of no model.
    assert all(run["loss_difference"][0] > 1e-3 for run in trial["runs"])
    assert trial["p_adjusted"] is None


def test_runs_that_keras_repeats_end_with_status_0(
    stored: Path, as_stored: None, sweep: Any
) -> None:
    done = sweep("verify", "small", "--trial", 3, "--trial", 0, "--trial", 3)
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert max(len(line) for line in lines) <= 80
    assert [line.split()[:2] for line in lines[2:4]] == [["3", "3/3"], ["0", "3/3"]]
    text = " ".join(done.stdout.split())
    assert "6 of 6 runs end in the same epoch in stock Keras" in text
    assert "The epochs of 6 runs from Keras's own seeds are distributed as the stored ones" in text


def test_without_fresh_seeds_nothing_is_said_of_distributions(
    stored: Path, as_stored: None, sweep: Any
) -> None:
    done = sweep("verify", "small", "--fresh", 0)
    assert done.exit_code == 0
    assert "fresh" not in done.stdout
    assert "log-rank" not in done.stdout


def test_the_best_trials_are_verified_or_some_from_the_best_to_the_worst(
    stored: Path, as_stored: None, sweep: Any
) -> None:
    def verified(*words: Any) -> list[int]:
        return [
            one["trial"] for one in json.loads(sweep("verify", "small", *words).stdout)["trials"]
        ]

    places = [
        one["trial"]
        for one in json.loads(sweep("show", "small", "--json").stdout)["configurations"]
    ]
    assert verified("--json") == places
    assert verified("--json", "--sample", 1) == places[:1]
    assert verified("--json", "--sample", 3) == [places[0], places[2], places[5]]
    assert verified("--json", "--sample", 50) == places


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--trial", "9"], "small has no trial 9; its trials are 0 to 5"),
        (["--trial", "1", "--sample", "2"], "--trial and --sample: give one of them"),
    ],
)
def test_trials_that_cannot_be_verified_are_refused(
    stored: Path, sweep: Any, words: list[str], message: str
) -> None:
    done = sweep("verify", "small", *words)
    assert done.exit_code == 2
    assert message in done.stderr
