"""Comparisons drawn on a terminal, for runs of every kind and terminals of every size."""

from datetime import UTC, datetime

import numpy as np
import pytest

from storage.trials import TaskFacts
from studies.run import Ending, FinishedRun, Run
from studies.study import Study
from sweep.cli.comparison import (
    contrasts_table,
    groups_table,
    heading,
    restart_curves,
    survival_curves,
)
from sweep.cli.screens import console
from sweep.comparing import StudyComparison, compare_setting, finding
from sweep.results import TriedConfiguration, build_results

TASK = TaskFacts("0" * 32, "task", 64, 3, 1, ("0", "1"), (32, 32))


def comparison(ended: Ending, epochs: int, values: int, measure: str) -> StudyComparison:
    """Groups of 1, 2 … layers, all runs of which end alike after some epochs of ten."""
    document = {
        "task": {"name": "first-value"},
        "search": {"sampler": "grid"},
        "space": {"layers": list(range(1, values + 1))},
        "training": {"units": 2, "epochs": 10, "replicates": 3},
    }
    study = Study.from_document(document, "name")
    loss = float("nan") if ended == "diverged" else 0.1
    rows = [[0.69, 0.5]] * (epochs - 1) + [[loss, 1.0 if ended == "solved" else 0.5]]
    curves = np.array(rows, dtype=np.float32)
    tried = [
        TriedConfiguration(
            number,
            {"layers": number + 1},
            [
                FinishedRun(Run(study.configuration({"layers": number + 1}), s, 10), ended, curves)
                for s in range(3)
            ],
            False,
        )
        for number in range(values)
    ]
    now = datetime.now(UTC)
    result = build_results(
        name="name",
        study=study,
        task=TASK,
        tried=tried,
        created=now,
        updated=now,
        storage="sqlite:///sweep.db",
    )
    return compare_setting([result], "layers", measure)


@pytest.mark.parametrize("measure", ["epochs", "updates", "flops", "plateau"])
@pytest.mark.parametrize(
    ("ended", "epochs"),
    [("solved", 1), ("solved", 7), ("censored", 10), ("diverged", 1), ("diverged", 4)],
)
def test_whatever_the_runs_are_they_are_shown(
    ended: Ending, epochs: int, measure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = comparison(ended, epochs, 2, measure)
    out = console()
    for part in (heading(found), *finding(found), groups_table(found), contrasts_table(found)):
        out.print(part)
    for drawing in (survival_curves, restart_curves):
        for width in (10, 80, 200):
            text = drawing(found, width, False)
            assert max(len(line) for line in text.splitlines()[-14:]) <= max(width, 16)
    assert "nan" not in capsys.readouterr().out


def test_of_many_groups_some_are_drawn_and_the_rest_is_said() -> None:
    found = comparison("solved", 7, 9, "epochs")
    assert "(3 more groups not drawn)" in survival_curves(found, 120, False)


def test_curves_have_colours_where_they_may() -> None:
    found = comparison("solved", 7, 2, "epochs")
    assert "\x1b[" in survival_curves(found, 80, True)
    assert "\x1b[" not in survival_curves(found, 80, False)
