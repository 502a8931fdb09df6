"""Random configurations, trained here and by their own scripts: what is counted and told.

That scripts agree is tested with the scripts, for a few; the bench does it for fifty.
"""

import numpy as np
import pytest

from studies.run import Configuration, FinishedRun, Run
from sweep.bench import scripts
from sweep.bench.rows import Options


def made_up(printed: str) -> scripts.ScriptRow:
    run = Run(Configuration(cell="gru", layers=2, units=3, optimizer="sgd"), 0, 40)
    finished = FinishedRun(run, "solved", np.zeros((7, 2), np.float32))
    return scripts.ScriptRow(finished, "epochs to 100 %: 7", printed)


def test_scripts_that_part_from_the_engine_are_counted_and_named():
    rows = [made_up("epochs to 100 %: 7")] * 3 + [made_up("epochs to 100 %: 8")]
    result = scripts.result(scripts.ROWS[0], rows)
    assert result.ratio is not None
    assert (result.ratio.value, result.ratio.peer_value, result.ratio.ratio) == (3.0, 4.0, 0.75)
    assert result.note == (
        "gru of 2 layers, sgd: engine “epochs to 100 %: 7”, script “epochs to 100 %: 8”."
    )
    assert scripts.result(scripts.ROWS[0], rows[:3]).note is None
    assert scripts.result(scripts.ROWS[0], rows[3:]).ratio is not None


def test_without_what_scripts_draw_with_the_row_says_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (result,) = scripts.measure(scripts.ROWS, Options(rounds=1, quick=True), print)
    assert result.ratio is None
    assert result.skipped == "matplotlib, with which scripts draw, is not installed"
