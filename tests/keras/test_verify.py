"""Verifying says whether stored runs are those of stock Keras, and in what they differ."""

from collections.abc import Sequence

import numpy as np
import pytest

from studies.run import Ending, FinishedRun, Run
from studies.study import Study
from studies.tasks import Task
from sweep.engine import train
from sweep.keras.verify import LEVEL, Repeated, document, verify
from sweep.results import TrialResult, TriedConfiguration, trial_results


@pytest.fixture(scope="module")
def study() -> Study:
    return Study.from_document(
        {
            "task": {"name": "first-value"},
            "space": {"optimizer": ["adam", "rmsprop"]},
            "training": {"units": 6, "learning_rate": 0.05, "epochs": 30, "replicates": 2},
        },
        "small",
    )


@pytest.fixture(scope="module")
def task(study: Study) -> Task:
    return study.load_task()


def result_of(study: Study, task: Task, runs: Sequence[FinishedRun]) -> TrialResult:
    params = {"optimizer": runs[0].run.configuration.optimizer}
    tried = TriedConfiguration(number=0, params=params, runs=runs, enqueued=False)
    return trial_results(study, task, [tried])[0]


def asked(study: Study, optimizer: str, seeds: int = 2) -> list[Run]:
    configuration = study.configuration({"optimizer": optimizer})
    return [Run(configuration, seed, 30) for seed in range(seeds)]


def test_runs_of_the_engine_are_those_of_keras(study, task):
    counted: list[int] = []
    trials: list[TrialResult] = []
    for optimizer in ("adam", "rmsprop"):
        finished = {f.run.seed: f for f in train(asked(study, optimizer), task)}
        trials.append(result_of(study, task, [finished[0], finished[1]]))
    verified = verify(trials, task, fresh=3, on_run=counted.append)
    assert counted == list(range(1, 11))
    assert [one.agrees for one in verified] == [True, True]
    for one, told in zip(verified, document(verified), strict=True):
        assert len(one.fresh) == 3
        assert len({run.run.seed for run in one.fresh} | {0, 1}) == 5
        assert one.same == told["same_epochs"] == 2
        assert one.adjusted is not None
        assert one.adjusted >= LEVEL
        for run, said in zip(one.repeated, told["runs"], strict=True):
            assert run.stored.ended == "solved"
            assert len(run.loss) == run.stored.epochs == said["keras_epochs"]
            assert run.loss.max() < 1e-4
            assert run.accuracy.max() < 1e-6
            assert np.allclose(said["loss_difference"], run.loss)


def test_a_run_that_never_was_is_found(study, task):
    (true,) = train(asked(study, "adam", seeds=1), task)
    longer = np.concatenate([true.curves[:1], true.curves])
    (verified,) = verify(
        [result_of(study, task, [FinishedRun(true.run, true.ended, longer)])], task, fresh=0
    )
    assert not verified.agrees
    assert verified.same == 0
    assert verified.p_value is None
    assert verified.fresh_median.value is None
    (said,) = document([verified])
    assert not said["agrees"]
    assert said["runs"][0]["epochs"] == true.epochs + 1
    assert said["runs"][0]["keras_epochs"] == true.epochs
    assert said["runs"][0]["loss_difference"][0] < 1e-4
    assert max(said["runs"][0]["loss_difference"]) > 1e-3


def test_epochs_that_keras_s_own_seeds_do_not_show_are_found(study, task):
    curves = np.array([[0.1, 1.0]], np.float32)
    runs = [FinishedRun(run, "solved", curves) for run in asked(study, "adam", seeds=6)]
    (verified,) = verify([result_of(study, task, runs)], task, fresh=6)
    assert verified.adjusted is not None
    assert verified.adjusted < LEVEL
    assert verified.stored_median.value == 1.0
    assert (verified.fresh_median.value or 0.0) > 1.0
    assert not verified.agrees


def run_of(losses: Sequence[float], ended: Ending = "censored") -> FinishedRun:
    from studies.run import Configuration

    curves = np.array([losses, [0.5] * len(losses)], np.float32).T
    return FinishedRun(Run(Configuration(units=1), 0, 10), ended, curves)


def test_differences_are_relative_and_over_the_epochs_that_both_have():
    pair = Repeated(run_of([1.0, 2.0, 4.0]), run_of([1.0, 2.5]))
    assert pair.loss == pytest.approx([0.0, 0.25])
    assert pair.accuracy.tolist() == [0.0, 0.0]
    assert not pair.agrees


def test_losses_that_are_not_finite_differ_only_from_those_that_are():
    nan, inf = float("nan"), float("inf")
    both = Repeated(run_of([1.0, nan], "diverged"), run_of([1.0, inf], "diverged"))
    assert both.loss.tolist() == [0.0, 0.0]
    assert both.agrees
    one = Repeated(run_of([1.0, nan], "diverged"), run_of([1.0, 1e30, 2.0]))
    assert one.loss.tolist() == [0.0, inf]
    assert not one.agrees
