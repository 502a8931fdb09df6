"""Own models are trained in processes of their own, and what goes wrong there stays there."""

from collections.abc import Iterator
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from studies.errors import BadInput
from studies.run import FinishedRun, Run
from studies.study import Study, read_study
from sweep.execution import check_own_model, train_own_models
from sweep.search import run_study

MODELS = """
import os
import sys
import time

import keras


def build(input_shape, outputs, width, kind="dense"):
    print("this must not reach the user")
    print("nor this", file=sys.stderr)
    if kind == "raise":
        raise ValueError("a fault of theirs")
    if kind == "pid":
        raise ValueError(f"in process {os.getpid()}")
    if kind == "killed":
        os.kill(os.getpid(), 9)
    if kind == "hang":
        time.sleep(600)
    if kind == "die":
        print("I leave")
        sys.stdout.flush()
        os._exit(7)
    inputs = keras.Input(input_shape)
    x = keras.layers.Dense(width, activation="relu")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, keras.layers.Dense(outputs, activation="softmax")(x))
    model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy",
                  metrics=["accuracy"])
    return model
"""

STUDY = """
[task]
name = "first-value"
records = 40

[search]
sampler = "grid"
trials = 5

[space]
kind = ["raise", "dense", "die", "hang"]

[training]
model = "mymodels:build"
width = 8
epochs = 50
replicates = 1
time_limit = 6
"""


@pytest.fixture
def study(tmp_path: Path) -> Study:
    (tmp_path / "mymodels.py").write_text(MODELS)
    path = tmp_path / "mine.toml"
    path.write_text(STUDY)
    return read_study(path)


def asked(study: Study, *kinds: str) -> list[Run]:
    return [Run(study.configuration({"kind": kind}), 0, 50, 1.0) for kind in kinds]


def test_code_is_run_only_where_it_is_allowed_and_is_what_was_read(study, tmp_path):
    (tmp_path / "mymodels.py").write_text("raise RuntimeError\n" + MODELS)
    with pytest.raises(BadInput, match=r"mymodels:build is Python code.*--allow-code"):
        check_own_model(study, allow_code=False)
    with pytest.raises(BadInput, match=r"--allow-code"):
        run_study(study, f"sqlite:///{tmp_path / 's.db'}")
    assert not (tmp_path / "s.db").exists()
    with pytest.raises(BadInput, match=r"mymodels.py is not the file that the study was read with"):
        check_own_model(study, allow_code=True)
    check_own_model(
        study.changed({"training.model": f"{tmp_path}/mymodels.py:build"}), allow_code=True
    )


def test_a_study_goes_on_whatever_its_models_do(study, tmp_path, capfd):
    url = f"sqlite:///{tmp_path / 's.db'}"
    outcome = run_study(study, url, allow_code=True)
    assert outcome.grid_exhausted
    trials = {trial.params["kind"]: trial for trial in outcome.result.trials}
    assert [trial.runs[0].ended for trial in outcome.result.trials] == [
        "failed", "solved", "failed", "failed",
    ]  # fmt: skip
    assert trials["dense"].error is None
    assert trials["dense"].summary.parameters == 3 * 8 + 8 + 8 * 2 + 2
    assert trials["dense"].summary.flops is None
    assert "ValueError: a fault of theirs" in (trials["raise"].error or "")
    assert "its process ended with status 7" in (trials["die"].error or "")
    assert "I leave" in (trials["die"].error or "")
    assert "took longer than time_limit = 6 seconds" in (trials["hang"].error or "")
    assert "mymodels.py" in (trials["hang"].error or "")
    for trial in outcome.result.trials:
        assert np.isfinite(trial.values).all()
        assert trial.summary.diverged == (trial.params["kind"] != "dense")
    printed = capfd.readouterr()
    assert "must not reach" not in printed.out + printed.err
    assert "nor this" not in printed.out + printed.err

    again = run_study(study, url, allow_code=True)
    assert again.runs_trained == 0
    assert [trial.error for trial in again.result.trials] == [
        trial.error for trial in outcome.result.trials
    ]


def test_what_fails_is_tried_again_when_another_study_asks_for_it(study, tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 's.db'}"
    kinds: list[str] = []

    def train(runs: Any, task: Any) -> Iterator[FinishedRun]:
        for run in runs:
            if run is not None:
                kind = run.configuration.kind
                kinds.append(kind)
                failed = kind == "raise"
                curves = np.array([[np.nan if failed else 0.1, 1.0]], np.float32)
                ended = "failed" if failed else "solved"
                yield FinishedRun(run, ended, curves, error="it broke" if failed else None)

    run_study(study, url, allow_code=True, train=train)
    assert kinds == ["raise", "dense", "die", "hang"]
    run_study(study, url, name="again", allow_code=True, train=train)
    assert kinds[4:] == ["raise"]


def test_processes_end_with_the_one_who_asked(study):
    task = study.load_task()
    training = train_own_models(iter(asked(study, "dense", "hang")), task, study=study, workers=2)
    first = next(training)
    assert first.ended == "solved"
    assert len(active_children()) == 2
    training.close()
    assert active_children() == []


def test_nothing_to_train_is_no_reason_to_wait(study):
    task = study.load_task()
    assert list(train_own_models([], task, study=study)) == []
    with pytest.raises(RuntimeError, match="no run is in training"):
        next(train_own_models([None], task, study=study))


def test_a_file_that_changes_meanwhile_is_not_run_under_the_old_name(study, tmp_path):
    task = study.load_task()
    training = train_own_models(iter(asked(study, "die", "dense")), task, study=study, workers=1)
    assert next(training).ended == "failed"
    (tmp_path / "mymodels.py").write_text("raise RuntimeError\n" + MODELS)
    with pytest.raises(BadInput, match="it changed since"):
        next(training)
    assert active_children() == []


def test_memory_that_a_function_leaks_comes_back(study, monkeypatch):
    import sweep.execution

    monkeypatch.setattr(sweep.execution, "RUNS_OF_A_PROCESS", 2)
    runs = asked(study, "pid", "pid", "pid", "killed")
    ended = list(train_own_models(iter(runs), study.load_task(), study=study, workers=1))
    first, second, third, killed = (run.error or "" for run in ended)
    assert "in process" in first
    assert first == second != third
    # As the system does where there is no memory left.
    assert "was killed (SIGKILL): by hand, or by the system for want of memory" in killed
