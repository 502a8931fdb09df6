"""What is drawn on a terminal, for runs of every kind and terminals of every size."""

from datetime import UTC, datetime

import numpy as np
import pytest

from storage.trials import TaskFacts
from studies.run import Ending, FinishedRun, Run
from studies.study import Study
from sweep.cli.findings import curves, replicates_table, trial_sentence
from sweep.cli.screens import console
from sweep.results import StudyResult, TriedConfiguration, build_results

TASK = TaskFacts("0" * 32, "task", 64, 3, 1, ("0", "1"), (32, 32))


def result(ended: Ending, loss: list[float], replicates: int = 3) -> StudyResult:
    document = {
        "task": {"name": "first-value"},
        "training": {"units": 2, "epochs": len(loss), "replicates": replicates},
    }
    study = Study.from_document(document, "name")
    configuration = study.configuration({})
    values = np.array([[value, 0.5] for value in loss], dtype=np.float32)
    runs = [
        FinishedRun(Run(configuration, seed, len(loss)), ended, values)
        for seed in range(replicates)
    ]
    now = datetime.now(UTC)
    return build_results(
        name="name",
        study=study,
        task=TASK,
        tried=[TriedConfiguration(0, {}, runs, False)],
        created=now,
        updated=now,
        storage="sqlite:///sweep.db",
    )


@pytest.mark.parametrize("width", [10, 30, 80, 250])
@pytest.mark.parametrize(
    ("ended", "loss"),
    [
        ("censored", [0.69]),
        ("censored", [0.69, 0.7, 0.68]),
        ("diverged", [0.69, 1e30, float("inf")]),
        ("diverged", [float("nan")]),
        ("censored", [0.0, 0.0]),
    ],
)
def test_curves_are_drawn_whatever_the_runs_are(
    ended: Ending, loss: list[float], width: int
) -> None:
    trial = result(ended, loss).trials[0]
    for series in ("loss", "accuracy"):
        text = curves(trial, series, width, colours=False)
        assert series in text.replace("\n", "")
        assert "\x1b" not in text


def test_curves_do_not_exceed_the_width() -> None:
    trial = result("censored", [0.69, 0.5, 0.4]).trials[0]
    text = curves(trial, "loss", 70, colours=False)
    assert max(len(line) for line in text.splitlines()) <= 70


def test_curves_have_colours_where_they_may() -> None:
    trial = result("censored", [0.69, 0.5, 0.4]).trials[0]
    assert "\x1b[" in curves(trial, "loss", 70, colours=True)


def test_of_many_replicates_some_are_drawn_and_the_rest_is_said() -> None:
    trial = result("censored", [0.69, 0.5], replicates=40).trials[0]
    assert "28 more replicates not drawn" in curves(trial, "loss", 80, colours=False).replace(
        "\n", " "
    )


def test_a_diverged_trial_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    study = result("diverged", [0.69, float("inf")])
    assert "solved by 0 of 3 replicates" in trial_sentence(study, study.trials[0])
    console().print(replicates_table(study.trials[0]))
    assert capsys.readouterr().out.count("diverged") == 3


def test_a_level_held_after_the_escape_is_told_with_its_replicates() -> None:
    study = result("censored", [0.69] * 10 + [0.4] * 30)
    (trial,) = study.trials
    assert "later plateau" not in trial_sentence(study, trial)
    values = np.array([[0.69, 0.5]] * 10 + [[0.4, 0.75]] * 30 + [[0.1, 1.0]], dtype=np.float32)
    runs = [FinishedRun(run.run, "solved", values) for run in trial.runs]
    again = build_results(
        name=study.name,
        study=study.study,
        task=study.task,
        tried=[TriedConfiguration(0, {}, runs, False)],
        created=study.created,
        updated=study.updated,
        storage=study.storage,
    )
    text = trial_sentence(again, again.trials[0])
    assert (
        "A later plateau at 75 %: held by 3 of 3 replicates, from epoch 11 for a median of "
        "30 epochs." in text
    )
