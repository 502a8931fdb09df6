"""What is drawn on a terminal, for runs of every kind and terminals of every size."""

from datetime import UTC, datetime

import numpy as np
import pytest

from storage.trials import TaskFacts
from studies.run import Ending, FinishedRun, Run
from studies.study import Study
from sweep.cli.findings import (
    answer_sentences,
    curves,
    print_answer,
    print_ranking,
    replicates_table,
    trial_sentence,
)
from sweep.cli.screens import console
from sweep.report.rows import quantity, ranked
from sweep.results import StudyResult, TriedConfiguration, build_results

TASK = TaskFacts("0" * 32, "task", 64, 3, 1, ("0", "1"), (32, 32))


def result(ended: Ending, loss: list[float], replicates: int = 3, trials: int = 1) -> StudyResult:
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
        tried=[TriedConfiguration(number, {}, runs, False) for number in range(trials)],
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
        "A later plateau at 75\N{NARROW NO-BREAK SPACE}%: held by 3 of 3 replicates, from epoch 11 "
        "for a median of 30 epochs." in text
    )


def two_goals() -> StudyResult:
    """Three configurations, the last worse than the first in epochs and FLOPs."""
    document = {
        "search": {"objective": ["epochs", "flops"], "trials": 3},
        "task": {"name": "first-value"},
        "space": {"units": [2, 4, 8]},
        "training": {"epochs": 50, "replicates": 2},
    }
    study = Study.from_document(document, "two")
    tried: list[TriedConfiguration] = []
    for number, (units, epochs) in enumerate([(2, 20), (8, 10), (4, 40)]):
        configuration = study.configuration({"units": units})
        values = np.full((epochs, 2), [0.1, 1.0], np.float32)
        runs = [FinishedRun(Run(configuration, seed, 50), "solved", values) for seed in range(2)]
        tried.append(TriedConfiguration(number, {"units": units}, runs, False))
    now = datetime.now(UTC)
    return build_results(
        name="two",
        study=study,
        task=TASK,
        tried=tried,
        created=now,
        updated=now,
        storage="sqlite:///sweep.db",
    )


def test_of_two_objectives_the_pareto_front_is_marked_and_both_are_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = two_goals()
    rows = ranked(found)
    print_ranking(console(), rows, found.study.search.objectives)
    said = capsys.readouterr().out
    lines = {line.split()[1]: line for line in said.splitlines() if "units" in line}
    assert "FLOPs" in said
    assert {number for number, line in lines.items() if line.endswith("●")} == {"0", "1"}
    assert set(lines) == {"0", "1", "2"}
    for row in rows:
        assert quantity(row.objectives[1]) in lines[str(row.number)]
    assert "● on the Pareto front of epochs and FLOPs" in said
    assert max(map(len, said.splitlines())) <= 80


def test_of_one_objective_there_is_no_front(capsys: pytest.CaptureFixture[str]) -> None:
    found = result("solved", [0.5, 0.1])
    print_ranking(console(), ranked(found), found.study.search.objectives)
    said = capsys.readouterr().out
    assert "params" in said
    assert "front" not in said


@pytest.mark.parametrize(
    ("ended", "trials", "said"), [("solved", 2, True), ("solved", 1, False), ("censored", 2, False)]
)
def test_where_the_first_have_equals_it_is_said_what_their_places_go_by(
    capsys: pytest.CaptureFixture[str], ended: Ending, trials: int, said: bool
) -> None:
    found = result(ended, [0.5, 0.1], trials=trials)
    print_ranking(console(), ranked(found), found.study.search.objectives)
    by = "Places go by mean epochs (PAR2), among equals by the number of parameters."
    assert (by in capsys.readouterr().out) == said


def test_the_answer_is_in_paragraphs_that_fit_the_width(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = two_goals()
    rows = ranked(found)
    print_answer(console(), found, rows)
    said = capsys.readouterr().out
    paragraphs = [" ".join(part.split("\n")).strip() for part in said.split("\n\n")]
    assert paragraphs == answer_sentences(found, rows)
    assert all(len(line) <= 80 and line == line.rstrip() for line in said.splitlines())
