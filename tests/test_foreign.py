"""A study of plain Optuna's becomes one to look at: curves, times to a target, settings."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from typer.testing import CliRunner

from storage.database import open_database
from storage.trials import find_study
from studies.errors import BadInput
from studies.space import Choice, Range
from sweep.foreign import import_optuna, optuna_studies
from sweep.results import read_results


def objective(trial: optuna.Trial) -> float:
    """A loss that falls faster the nearer the rate is to 0.1; the slow are pruned."""
    rate = trial.suggest_float("learning-rate", 1e-3, 1.0, log=True)
    kind = trial.suggest_categorical("kind", ["plain", "deep", None])
    if kind == "deep":
        trial.suggest_int("epochs", 1, 3)
    speed = 1.0 / (1.0 + abs(np.log10(rate) + 1.0))
    for step in range(12):
        trial.report(float(2.0 * np.exp(-speed * step)), step)
        if step == 5 and speed < 0.4:
            raise optuna.TrialPruned
    if trial.number == 7:
        raise ValueError("a fault")
    return float(2.0 * np.exp(-speed * 11))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('optuna') / 'theirs.db'}"
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        storage=url, study_name="theirs", sampler=optuna.samplers.RandomSampler(seed=0)
    )
    study.optimize(objective, n_trials=12, catch=(ValueError,))
    shares = optuna.create_study(storage=url, study_name="shares", direction="maximize")
    shares.optimize(lambda trial: trial.suggest_float("x", 0.0, 1.0), n_trials=5)
    two = optuna.create_study(storage=url, study_name="two", directions=["minimize"] * 2)
    two.optimize(lambda trial: (trial.suggest_float("x", 0, 1), 1.0), n_trials=1)
    empty = optuna.create_study(storage=url, study_name="empty")
    empty.enqueue_trial({"x": 1})
    return url


def taken(url: str, path: Path, name: str = "theirs", target: float | None = 0.1) -> Any:
    with open_database(f"sqlite:///{path / 'ours.db'}") as db:
        import_optuna(url, name, db, target=target)
        return read_results(db, name)


def test_trials_become_runs_with_their_curves(url, tmp_path):
    theirs = optuna.load_study(study_name="theirs", storage=url)
    kept = [trial for trial in theirs.trials if trial.intermediate_values]
    result = taken(url, tmp_path)
    assert len(result.trials) == len(kept) == 12
    assert result.study.training.epochs == 12
    for trial, original in zip(result.trials, kept, strict=True):
        (run,) = trial.runs
        reported = list(original.intermediate_values.values())
        solved = [step for step, value in enumerate(reported, start=1) if value <= 0.1]
        assert run.ended == ("solved" if solved else "censored")
        assert run.epochs == (solved[0] if solved else 12)
        shown = reported[: run.epochs]
        np.testing.assert_allclose(run.curve("value")[: len(shown)], shown, rtol=1e-6)
        assert np.array_equal(run.curve("loss")[: len(shown)], run.curve("value")[: len(shown)])
        assert run.timed
        if not solved:
            # What it did not report any more is no value of it.
            assert np.isnan(run.curve("value")[len(reported) :]).all()
            assert run.reported == pytest.approx(reported[-1])
        assert trial.params["learning_rate"] == original.params["learning-rate"]
        assert trial.params["kind"] == str(original.params["kind"])
    assert any(trial.summary.solved for trial in result.trials)
    assert any(trial.summary.escape_median for trial in result.trials)


def test_what_was_searched_is_the_space(url, tmp_path):
    space = taken(url, tmp_path).study.space
    assert space["learning_rate"] == Range(1e-3, 1.0, log=True)
    assert space["kind"] == Choice(("plain", "deep", "None"))
    assert space["epochs_"] == Range(1, 3)


def test_a_share_to_be_large_is_an_accuracy(url, tmp_path):
    result = taken(url, tmp_path, "shares", 0.5)
    for trial in result.trials:
        (run,) = trial.runs
        assert run.reported == run.curve("accuracy")[-1]
        assert (run.ended == "solved") == (run.reported >= 0.5)


@pytest.mark.parametrize(
    ("name", "target", "message"),
    [
        ("theirs", None, r"values go from .* the smallest being the best.*--target"),
        ("thiers", 0.1, "did you mean theirs"),
        ("two", 0.1, "has several objectives"),
        ("empty", 0.1, "no trial of it reported a finite number"),
    ],
)
def test_what_cannot_be_taken_is_said(url, tmp_path, name, target, message):
    with pytest.raises(BadInput, match=message):
        taken(url, tmp_path, name, target)


def test_it_is_taken_and_looked_at_on_the_command_line(url, tmp_path, monkeypatch):
    from sweep.cli import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SWEEP_STORAGE", raising=False)

    def sweep(*words: str) -> Any:
        result = CliRunner().invoke(app, list(words))
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    assert sorted(optuna_studies(url)) == ["empty", "shares", "theirs", "two"]
    assert "say which of its studies" in sweep("import", url).stderr
    done = sweep("import", url, "theirs", "--target", "0.1", "--name", "ours")
    assert done.exit_code == 0, done.stderr
    assert done.stdout == "ours: 12 trials\n"
    again = sweep("import", url, "theirs", "--target", "0.1", "--name", "ours")
    assert again.exit_code == 2
    shown = json.loads(sweep("show", "ours", "--json").stdout)
    assert shown["trials"] == 12
    assert sweep("compare", "ours", "--by", "kind").exit_code == 0
    assert sweep("report", "ours").exit_code == 0
    assert Path("ours.html").exists()
    plain = optuna.load_study(study_name="ours", storage="sqlite:///sweep.db")
    assert len(plain.trials) == 12

    nothing = sweep("import", "sqlite:///nothing.db", "theirs")
    assert nothing.exit_code == 2
    assert "no storage at" in nothing.stderr
    assert not Path("nothing.db").exists()
    assert sweep("import", "mysql://somewhere/else", "theirs").exit_code == 2
    with open_database("sqlite:///sweep.db") as db:
        assert find_study(db, "ours") is not None


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a storage of studies whose trials told their value alone, all or some."""
    from sweep.sampling import quiet

    directory = tmp_path_factory.mktemp("bare")
    url = f"sqlite:///{directory / 'theirs.db'}"

    def objective(sign: int, curves: bool) -> Any:
        def told(trial: optuna.Trial) -> float:
            x = trial.suggest_float("x", -1.0, 1.0)
            kind = trial.suggest_categorical("kind", ["a", "b"])
            if trial.number == 3:
                raise ValueError("a fault")
            value = sign * (x * x + (kind == "b"))
            for step in range(4 if curves and trial.number % 2 else 0):
                trial.report(value * (4 - step), step)
                if trial.number == 5 and step == 1:
                    raise optuna.TrialPruned
            return float("nan") if trial.number == 4 else value

        return told

    for name, sign, curves in (("least", 1, False), ("most", -1, False), ("some", -1, True)):
        study = optuna.create_study(
            storage=url,
            study_name=name,
            direction="minimize" if sign > 0 else "maximize",
            sampler=optuna.samplers.RandomSampler(seed=1),
        )
        study.optimize(objective(sign, curves), n_trials=16, catch=(ValueError,))
        with open_database(f"sqlite:///{directory / 'sweep.db'}") as db, quiet():
            import_optuna(url, name, db, target=sign * 0.2, new_name=f"our-{name}")
    return directory


def looked_at(directory: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> str:
    from sweep.cli import app

    monkeypatch.chdir(directory)
    monkeypatch.delenv("SWEEP_STORAGE", raising=False)
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == 0, done.output
    return " ".join(done.stdout.split())


@pytest.mark.parametrize("name", ["least", "most"])
def test_of_what_told_its_value_alone_no_epoch_is_claimed(bare, monkeypatch, name):
    theirs = optuna.load_study(study_name=name, storage=f"sqlite:///{bare / 'theirs.db'}")
    with open_database(f"sqlite:///{bare / 'sweep.db'}") as db:
        result = read_results(db, f"our-{name}")
    from sweep.results import ranking

    best, *_ = ranking(result)
    assert len(result.trials) == 14
    assert best.params == theirs.best_params
    assert best.runs[0].reported == pytest.approx(theirs.best_value)
    values = [trial.runs[0].reported for trial in ranking(result)]
    assert values == sorted(values, reverse=name == "most")
    for trial in result.trials:
        said = trial.summary
        assert said.solved == (abs(trial.runs[0].reported) <= 0.2)
        unknown = (said.epochs_median, said.par2, said.ert, said.plateau_median, said.parameters)
        assert unknown == (None,) * 5

    def look(*words: str) -> str:
        return looked_at(bare, monkeypatch, *words)

    assert f"unknown (Optuna’s {name})" in " ".join(look("list").split())
    shown = look("show", f"our-{name}")
    assert "a median of" not in shown
    assert "plateau" not in shown
    assert "params" not in shown
    assert "in which epoch they reached it, and how they came there, is unknown" in shown
    trial = look("show", f"our-{name}", "0")
    assert "the number of parameters is unknown" in trial
    assert "its epochs and its curve are unknown" in trial
    assert "by epoch" not in trial
    assert "batch_size" not in trial
    compared = look("compare", f"our-{name}", "--by", "kind")
    assert "In which epoch is unknown" in compared
    assert "median" not in compared
    document = json.loads(looked_at(bare, monkeypatch, "compare", f"our-{name}", "--by", "kind",
                                    "--json"))  # fmt: skip
    assert document["contrasts"] == []
    assert {group["median"] for group in document["groups"]} == {None}
    page = (bare / look("report", f"our-{name}", "-o", "page.html")).read_text()
    assert "budget 1 epoch" not in page
    assert 'id="curves"' not in page
    assert "is unknown" in page


def test_what_was_exported_has_no_epochs_and_no_loss(bare, monkeypatch):
    import pandas as pd

    looked_at(bare, monkeypatch, "export", "our-some", "-o", "some.parquet")
    runs, curves = (pd.read_parquet(bare / f) for f in ("some.parquet", "some.curves.parquet"))
    with_curve = set(curves["trial"])
    bare_runs = runs[~runs["trial"].isin(with_curve)]
    assert 0 < len(bare_runs) < len(runs)
    unknown = ["epochs", "budget", "escape", "plateau", "transition", "loss", "parameters"]
    assert bare_runs[unknown].isna().all(axis=None)
    assert runs["value"].notna().all()
    assert runs["parameters"].isna().all()
    assert runs[["x", "kind"]].notna().all(axis=None)
    assert curves["loss"].isna().all()
    assert curves["value"].notna().any()


def test_those_with_curves_are_told_from_those_without(bare, monkeypatch):
    shown = looked_at(bare, monkeypatch, "show", "our-some")
    assert "others" in shown
    assert "They reported their last value only" in shown
    pruned = next(
        text
        for number in range(14)
        if "censored 2 " in (text := looked_at(bare, monkeypatch, "show", "our-some", str(number)))
    )
    assert "value by epoch, each a step that it reported" in pruned
    compared = looked_at(bare, monkeypatch, "compare", "our-some", "--by", "kind")
    assert "reported nothing but the last value, so no epochs: left out" in compared
    looked_at(bare, monkeypatch, "report", "our-some", "-o", "some.html")
