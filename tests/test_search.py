"""A study is the same however it is run: at once, in pieces, or with kills in between."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from storage.database import open_database
from storage.garbage import delete_study
from storage.trials import StoredTrial, find_study, read_trials
from studies.errors import BadInput
from studies.run import FinishedRun, Run
from studies.study import Study
from studies.tasks import Task
from sweep.results import pareto_front, ranking
from sweep.sampling import GENERATION
from sweep.search import Progress, SearchOutcome, run_study

SLOTS = 7


class Engine:
    """Stands in for the engine: a run's curve follows from its hash, and so does when it is done.

    It stops when `stop_after` runs were handed on: as Ctrl-C does, or by `stop`.
    """

    def __init__(
        self, stop_after: int | None = None, stop: Callable[[], None] | None = None
    ) -> None:
        self.stop = stop
        self.trained: list[str] = []
        self.stop_after = stop_after

    def __call__(self, runs: Iterable[Run | None], task: Task) -> Iterator[FinishedRun]:
        source, slots, more = iter(runs), list[Run](), True
        while more or slots:
            while more and len(slots) < SLOTS:
                run = next(source, "end")
                if isinstance(run, str):
                    more = False
                elif run is None:
                    assert slots, "asked to wait while nothing trains"
                    break
                else:
                    slots.append(run)
            if slots:
                slots.sort(key=lambda run: digest(run, task)[3])
                if len(self.trained) == self.stop_after:
                    if self.stop:
                        self.stop()
                    raise KeyboardInterrupt
                run = slots.pop(0)
                self.trained.append(run.key(task.fingerprint))
                yield curve(run, task)


def digest(run: Run, task: Task) -> bytes:
    return hashlib.sha256(run.key(task.fingerprint).encode()).digest()


def curve(run: Run, task: Task) -> FinishedRun:
    """Solved at an epoch in 5 … 36, and never before where that is beyond the budget."""
    ends = 5 + digest(run, task)[0] % 32
    epochs = min(ends, run.epochs)
    loss = np.linspace(0.7, 0.7 - 0.6 * epochs / ends, epochs)
    accuracy = np.linspace(0.5, 0.5 + 0.5 * epochs / ends, epochs)
    curves = np.stack([loss, accuracy], axis=1).astype(np.float32)
    return FinishedRun(run, "solved" if ends <= run.epochs else "censored", curves)


def study(**changes: Any) -> Study:
    document = {
        "task": {"name": "first-value", "records": 40},
        "search": {
            "trials": 25,
            "enqueue": [{"units": 15, "optimizer": "adam", "learning_rate": 0.001}],
        },
        "space": {
            "units": {"low": 4, "high": 32, "log": True},
            "optimizer": ["adam", "sgd"],
            "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
            "momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer": "sgd"}},
        },
        "training": {"epochs": 30, "replicates": 3},
    }
    made = Study.from_document(document, "tried")
    return made.changed({key.replace("__", "."): value for key, value in changes.items()})


SHORT = study(search__trials=22)
LONGER_SETTINGS = {"search__trials": 34, "training__replicates": 4, "training__epochs": 40}
LONGER = study(**LONGER_SETTINGS)


@pytest.fixture
def url(sqlite_storage: str) -> str:
    return sqlite_storage


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The storage of the study run at once."""
    url = f"sqlite:///{tmp_path_factory.mktemp('whole') / 'sweep.db'}"
    run(study(), url)
    return url


def run(asked_for: Study, url: str, engine: Engine | None = None, **rest: Any) -> SearchOutcome:
    return run_study(asked_for, url, train=engine or Engine(), **rest)


def kept(url: str, name: str = "tried") -> list[StoredTrial]:
    with open_database(url) as db:
        stored = find_study(db, name)
        return [] if stored is None else read_trials(db, stored.uuid)


def test_a_study_ends_with_all_its_trials_and_their_replicates(storage_url: str) -> None:
    outcome = run(study(), storage_url)
    assert [trial.number for trial in outcome.result.trials] == list(range(25))
    assert {len(trial.runs) for trial in outcome.result.trials} == {3}
    assert outcome.runs_trained == 75
    first = outcome.result.trials[0]
    assert first.enqueued
    assert first.params == {"units": 15, "optimizer": "adam", "learning_rate": 0.001}
    for trial in outcome.result.trials:
        task = study().load_task()
        assert [r.epochs for r in trial.runs] == [curve(r.run, task).epochs for r in trial.runs]


def test_plain_optuna_reads_values_parameters_and_attributes(storage_url: str) -> None:
    import optuna

    outcome = run(study(search__trials=4), storage_url)
    there = optuna.load_study(study_name="tried", storage=storage_url).trials
    assert [trial.params for trial in there] == [trial.params for trial in outcome.result.trials]
    for trial, result in zip(there, outcome.result.trials, strict=True):
        assert trial.values == [result.summary.objective]
        assert trial.user_attrs["solved"] == f"{result.summary.solved} of 3"
        assert trial.user_attrs["success_rate"] == result.summary.success_rate
        assert trial.user_attrs.get("ert") == result.summary.ert
        assert max(trial.intermediate_values) == max(r.epochs for r in result.runs)


@pytest.mark.parametrize("finished", [0, 1, 29, 31, 74])
def test_an_interrupted_study_goes_on_to_the_very_same_trials(
    url: str, whole: str, finished: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(study(), url, Engine(stop_after=finished))
    rest = Engine()
    run(study(), url, rest)
    assert len(rest.trained) == 75 - finished
    assert_same(kept(url), kept(whole))


def test_a_study_interrupted_again_and_again_is_the_same(storage_url: str, whole: str) -> None:
    for _ in range(6):
        with pytest.raises(KeyboardInterrupt):
            run(study(), storage_url, Engine(stop_after=11))
    run(study(), storage_url)
    assert_same(kept(storage_url), kept(whole))


def killed_after(runs: int, url: str, settings: dict[str, Any]) -> int:
    """How a process ends that runs the study and is gone after so many finished runs."""
    code = (
        "import json, os, runpy, sys\n"
        "here = runpy.run_path(sys.argv[1])\n"
        "engine = here['Engine'](stop_after=int(sys.argv[4]), stop=lambda: os._exit(9))\n"
        "here['run'](here['study'](**json.loads(sys.argv[3])), sys.argv[2], engine)\n"
    )
    words = [sys.executable, "-c", code, __file__, url, json.dumps(settings), str(runs)]
    return subprocess.run(words, check=False).returncode


def test_a_killed_process_loses_no_finished_run(storage_url: str, whole: str) -> None:
    assert killed_after(40, storage_url, {}) == 9
    rest = Engine()
    run(study(), storage_url, rest)
    assert len(rest.trained) == 75 - 40
    assert_same(kept(storage_url), kept(whole))


def test_more_trials_equal_having_asked_for_them_at_once(url: str, whole: str) -> None:
    run(study(search__trials=12), url)
    engine = Engine()
    run(study(), url, engine)
    assert len(engine.trained) == 13 * 3
    assert_same(kept(url), kept(whole))


def test_asking_for_fewer_trials_keeps_those_that_there_are(url: str) -> None:
    run(study(), url)
    before = kept(url)
    engine = Engine()
    outcome = run(study(search__trials=12), url, engine)
    assert not engine.trained
    assert len(outcome.result.trials) == outcome.result.study.search.trials == len(before)
    assert not outcome.grid_exhausted
    assert_same(kept(url), before)


def test_more_replicates_and_epochs_train_only_what_is_missing(url: str) -> None:
    run(study(search__trials=12), url)
    before = kept(url)
    longer = study(search__trials=12, training__replicates=5, training__epochs=40)
    engine = Engine()
    outcome = run(longer, url, engine)
    task = longer.load_task()
    censored = sum(
        curve(r.run, task).ended == "solved" and curve(r.run, task).epochs > 30
        for trial in outcome.result.trials
        for r in trial.runs[:3]
    )
    assert censored > 0
    assert len(engine.trained) == 12 * 2 + censored
    after = kept(url)
    assert [trial.params for trial in after] == [trial.params for trial in before]
    assert {len(trial.run_keys) for trial in after} == {5}
    assert outcome.runs_found == 12 * 3 - censored
    assert [t.values[0] for t in after] == [t.summary.objective for t in outcome.result.trials]


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The storage of a study that was extended in its midst, without an interruption."""
    url = f"sqlite:///{tmp_path_factory.mktemp('extended') / 'sweep.db'}"
    run(SHORT, url)
    run(LONGER, url)
    return url


@pytest.mark.parametrize("finished", [0, 45])
def test_an_interrupted_extension_ends_as_one_that_was_not_interrupted(
    url: str, extended: str, finished: int
) -> None:
    run(SHORT, url)
    first = Engine(stop_after=finished)
    with pytest.raises(KeyboardInterrupt):
        run(LONGER, url, first)
    rest = Engine()
    run(LONGER, url, rest)
    assert not set(first.trained) & set(rest.trained)
    assert_same(kept(url), kept(extended))


def test_an_extension_killed_again_and_again_ends_as_one_that_was_not(
    storage_url: str, extended: str
) -> None:
    run(SHORT, storage_url)
    for runs in (3, 34, 21):
        assert killed_after(runs, storage_url, LONGER_SETTINGS) == 9
    run(LONGER, storage_url)
    assert_same(kept(storage_url), kept(extended))


def test_an_extension_in_midst_of_the_search_shows_later_trials_other_values(
    url: str, extended: str
) -> None:
    run(LONGER, url)
    at_once, later = kept(url), kept(extended)
    asked_alike = 2 * GENERATION
    assert [t.params for t in at_once[:asked_alike]] == [t.params for t in later[:asked_alike]]
    assert all(
        one.params != other.params
        for one, other in zip(at_once[asked_alike:22], later[asked_alike:22], strict=True)
    )


def test_a_complete_study_trains_nothing(url: str) -> None:
    first = run(study(search__trials=5), url)

    def never(runs: Iterable[Run | None], task: Task) -> Iterator[FinishedRun]:
        raise AssertionError("nothing is left to train")

    seen: list[Progress] = []
    again = run_study(study(search__trials=5), url, train=never, on_progress=seen.append)
    assert (seen[-1].stage, seen[-1].trials_done, seen[-1].runs_done) == ("done", 5, 15)
    assert again.runs_trained == 0
    assert [t.params for t in again.result.trials] == [t.params for t in first.result.trials]


def test_equal_configurations_are_trained_once(url: str) -> None:
    first = {"units": 15, "optimizer": "adam", "learning_rate": 0.001}
    engine = Engine()
    run(study(search__trials=2, search__enqueue=[first, first]), url, engine)
    assert len(engine.trained) == 3
    one, other = kept(url)
    assert one.run_keys == other.run_keys


def test_another_study_finds_the_runs_that_are_there(url: str) -> None:
    run(study(search__trials=10), url)
    outcome = run(study(search__trials=10), url, name="second")
    assert (outcome.runs_trained, outcome.runs_found) == (0, 30)


def test_another_study_under_the_same_name_is_refused_and_the_difference_shown(url: str) -> None:
    run(study(search__trials=3), url)
    with pytest.raises(BadInput, match=r"(?s)search\.seed: 0 .*1.*--name"):
        run(study(search__trials=3, search__seed=1), url)
    assert len(kept(url)) == 3


def test_a_name_that_cannot_be_one_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="name"):
        run(study(search__trials=2), f"sqlite:///{tmp_path / 'new.db'}", name="../there")
    assert list(tmp_path.iterdir()) == []


def test_data_that_changed_under_their_path_are_refused(url: str, tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    data.write_text("a,b,target\n" + "0,1,0\n1,0,1\n" * 10)
    on_data = study(search__trials=2, task__csv=str(data))
    run(on_data, url)
    data.write_text("a,b,target\n" + "0,1,0\n1,1,1\n" * 10)
    with pytest.raises(BadInput, match="data of the study 'tried' changed"):
        run(on_data, url)


def test_a_file_that_is_elsewhere_now_or_read_otherwise_is_the_same_task_if_its_data_are(
    url: str, tmp_path: Path
) -> None:
    data = tmp_path / "data.csv"
    data.write_text("a,b,target\n" + "0,1,0\n1,0,1\n" * 10)
    run(study(search__trials=2, task__csv=str(data)), url)
    moved = tmp_path / "elsewhere" / "same.csv"
    moved.parent.mkdir()
    moved.write_text("x;y;target\n" + "0;1;0\n1;0;1\n" * 10)
    data.unlink()
    again = study(
        search__trials=3, task__csv=str(moved), task__delimiter='";"', task__label="target"
    )
    outcome = run(again, url)
    assert outcome.runs_trained == 3
    assert outcome.result.task.name == "same"
    assert outcome.result.study.task.csv == str(moved)
    moved.write_text("x;y;target\n" + "0;1;no\n1;0;yes\n" * 10)
    with pytest.raises(BadInput, match="classes 0, 1 then, no, yes now"):
        run(again, url)


def test_a_description_is_carried_over_when_the_study_goes_on(storage_url: str) -> None:
    import optuna

    run(study(search__trials=3), storage_url)
    again = study(search__trials=3, description="What it says now.")
    engine = Engine()
    assert run(again, storage_url, engine).result.study.description == "What it says now."
    assert engine.trained == []
    there = optuna.load_study(study_name="tried", storage=storage_url)
    assert there.user_attrs["study_file"]["description"] == "What it says now."


def test_trials_of_others_in_the_copy_are_refused_before_anything_is_trained(
    storage_url: str,
) -> None:
    import optuna

    run(study(search__trials=3), storage_url)
    optuna.load_study(study_name="tried", storage=storage_url).ask()
    engine = Engine()
    with pytest.raises(BadInput, match="has trials that sweep did not make"):
        run(study(search__trials=6), storage_url, engine)
    assert engine.trained == []
    assert len(kept(storage_url)) == 3


def test_runs_found_in_a_study_that_is_deleted_meanwhile_are_kept_all_the_same(
    storage_url: str,
) -> None:
    run(study(search__trials=4), storage_url, name="first")

    def train(runs: Iterable[Run | None], task: Task) -> Iterator[FinishedRun]:
        found = True
        for finished in Engine()(runs, task):
            if found:
                with open_database(storage_url) as db:
                    delete_study(db, "first")
                found = False
            yield finished

    outcome = run_study(study(search__trials=12), storage_url, train=train)
    assert outcome.runs_found == 12
    assert {len(trial.runs) for trial in outcome.result.trials} == {3}


def test_a_grid_ends_when_it_is_exhausted(url: str) -> None:
    grid = study(
        search__sampler="grid",
        search__enqueue=[],
        training__learning_rate=0.01,
        training__momentum=0.0,
        space__units=[4, 8],
    )
    outcome = run(grid, url)
    assert outcome.grid_exhausted
    assert [tuple(t.params.values()) for t in outcome.result.trials] == [
        (4, "adam"),
        (4, "sgd"),
        (8, "adam"),
        (8, "sgd"),
    ]
    assert run(grid, url).runs_trained == 0


@pytest.mark.parametrize("objective", [["flops"], ["parameters"], ["epochs", "parameters"]])
def test_what_never_learned_is_not_optuna_s_best_however_cheap(url: str, objective: list[str]):
    import optuna

    def train(runs: Iterable[Run | None], task: Task) -> Iterator[FinishedRun]:
        for run in runs:
            if run is not None:
                # Only what is large learns, and late.
                solves = run.configuration.units > 12
                epochs = 30 if solves else run.epochs
                loss = np.full((epochs, 2), 0.5, np.float32)
                yield FinishedRun(run, "solved" if solves else "censored", loss)

    changes: dict[str, Any] = {"search__objective": objective, "search__sampler": "random"}
    outcome = run_study(study(search__trials=20, **changes), url, train=train)
    (best, *_), trials = ranking(outcome.result), outcome.result.trials
    assert best.summary.solved
    cheapest = min(trials, key=lambda trial: trial.values[-1])
    assert not cheapest.summary.solved
    theirs = optuna.load_study(study_name=outcome.result.name, storage=url)
    if len(objective) == 1:
        assert theirs.best_trial.values == list(best.values)
    front = {trial.number for trial in theirs.best_trials}
    assert front == (pareto_front(outcome.result) or front)
    assert all(trials[number].summary.solved for number in front)

    # More of it is what it would have been at once.
    longer = run_study(study(search__trials=26, **changes), url, train=train)
    at_once = run_study(study(search__trials=26, **changes), url, name="at-once", train=train)
    assert [t.params for t in longer.result.trials] == [t.params for t in at_once.result.trials]


def test_a_front_has_a_named_value_for_each_objective(url: str) -> None:
    import optuna

    front = study(search__trials=12, search__objective=["epochs", "updates", "parameters"])
    outcome = run(front, url)
    there = optuna.load_study(study_name="tried", storage=url)
    assert there.metric_names == ["par2", "updates", "parameters"]
    for trial, result in zip(there.trials, outcome.result.trials, strict=True):
        epochs, updates, parameters = trial.values
        assert epochs == result.summary.objective
        assert updates == 2 * epochs
        assert parameters == result.summary.parameters
        assert not trial.intermediate_values


def test_progress_counts_up_to_the_whole_study(url: str) -> None:
    seen: list[Progress] = []
    outcome = run(study(search__trials=12), url, on_progress=seen.append)
    last = seen[-1]
    assert (last.trials_done, last.trials_total) == (12, 12)
    assert (last.runs_done, last.runs_total, last.runs_training) == (36, 36, 0)
    assert last.solved == sum(t.summary.solved for t in outcome.result.trials)
    assert last.best is not None
    best = min(t.summary.objective for t in outcome.result.trials)
    assert last.best.summary.objective == best
    assert all(a.runs_done <= b.runs_done for a, b in pairwise(seen))


def assert_same(one: list[StoredTrial], other: list[StoredTrial]) -> None:
    assert [(t.number, t.params, t.values, t.user_attrs, t.run_keys) for t in one] == [
        (t.number, t.params, t.values, t.user_attrs, t.run_keys) for t in other
    ]
