"""The machine that trained: what it says of itself, and that a study keeps it."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import sweep.search
from storage.database import open_database
from studies.run import FinishedRun, Run
from studies.study import Study
from studies.tasks import Task
from sweep.machine import here
from sweep.results import StudyResult, read_results

STUDY = Study.from_document(
    {
        "task": {"name": "first-value", "records": 40},
        "search": {"sampler": "random", "trials": 2},
        "space": {"units": {"low": 4, "high": 8}},
        "training": {"epochs": 5, "replicates": 2},
    },
    "hello",
)


def train(runs: Iterable[Run | None], task: Task) -> Iterator[FinishedRun]:
    for run in runs:
        if run is not None:
            yield FinishedRun(run, "solved", np.array([[0.1, 1.0]], dtype=np.float32))


def results(url: str) -> StudyResult:
    with open_database(url) as database:
        return read_results(database, "hello")


def test_a_machine_names_its_processor_its_system_and_the_versions_that_train():
    found = here()
    assert found["cores"] >= 1
    assert found["processor"]
    assert found["versions"]["tensorflow"] == version("tensorflow")
    assert set(found["versions"]) >= {"Python", "sweep", "keras", "numpy", "optuna"}
    assert json.loads(json.dumps(found)) == found


def test_a_study_keeps_each_machine_that_trained_for_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    url = f"sqlite:///{tmp_path}/sweep.db"
    first, second = here(), here() | {"processor": "Another"}
    sweep.search.run_study(STUDY, url, train=train)
    assert results(url).trained_on == (first,)
    sweep.search.run_study(STUDY.changed({"search.trials": 3}), url, train=train)
    assert results(url).trained_on == (first,)
    monkeypatch.setattr(sweep.search, "here", lambda: second)
    more = STUDY.changed({"search.trials": 3, "training.replicates": 3})
    sweep.search.run_study(more, url, train=train)
    assert results(url).trained_on == (first, second)


def test_a_study_keeps_the_machines_of_its_workers_not_that_which_hands_out_the_runs(
    tmp_path: Path,
):
    url = f"sqlite:///{tmp_path}/sweep.db"
    workers = [here() | {"processor": name} for name in ("First", "Second")]

    def elsewhere(runs: Iterable[Run | None], task: Task) -> Iterator[FinishedRun]:
        for number, finished in enumerate(train(runs, task)):
            yield replace(finished, machine=workers[number % 2])

    sweep.search.run_study(STUDY, url, train=elsewhere)
    assert results(url).trained_on == tuple(workers)


def test_a_machine_that_only_reads_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    url = f"sqlite:///{tmp_path}/sweep.db"
    sweep.search.run_study(STUDY, url, train=train)
    before = results(url).trained_on
    monkeypatch.setattr(sweep.search, "here", lambda: {"processor": "Another"})
    sweep.search.run_study(STUDY, url, train=train)
    assert results(url).trained_on == before


def test_optunas_study_tells_the_machine_too(tmp_path: Path):
    import optuna

    url = f"sqlite:///{tmp_path}/sweep.db"
    sweep.search.run_study(STUDY, url, train=train)
    there = optuna.load_study(study_name="hello", storage=url)
    assert there.user_attrs["trained_on"] == [here()]
