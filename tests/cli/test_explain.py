"""`explain` on the command line: the verdict, the interventions, a document, a file."""

import json
from collections.abc import Iterator
from functools import partial

import pytest

from studies.run import FinishedRun, Run
from studies.tasks import Task

from .conftest import made_up


def untrained_runs(runs: Iterator[Run], task: Task, hidden: bool) -> Iterator[FinishedRun]:
    return map(made_up, runs)


@pytest.fixture(autouse=True)
def without_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    import sweep.explain

    monkeypatch.setattr(
        sweep.explain, "explain", partial(sweep.explain.explain, train=untrained_runs)
    )


def test_the_verdict_comes_first_and_then_every_intervention(stored, sweep):
    done = sweep("explain", "small", "--seeds", "12")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Why does it wait? small, trial 0: 3 layers of 4 LSTM units, adam,")
    assert lines[3].startswith("- The baseline sits at chance for a median of ")
    assert any(line.startswith("Shortens the plateau") for line in lines)
    assert any(line.startswith("1 layer ") and " 12/12 " in line for line in lines)
    assert any(line.startswith("2 layers ") and line.endswith(" 0.024") for line in lines)
    assert any(line.startswith("sgd at 0.01 ") and " 0/12 " in line for line in lines)
    assert max(map(len, lines[:-2])) <= 80
    assert lines[-2] == "Storage: sqlite:///sweep.db"
    assert lines[-1] == "Next:    python -m sweep explain small --trial 0 --json"


def test_a_trial_may_be_named(stored, sweep):
    done = sweep("explain", "small", "--trial", "2", "--seeds", "12", "--json")
    document = json.loads(done.stdout)
    assert document["baseline"]["trial"] == 2
    assert document["study"] == "small"
    assert len(document["interventions"]) > 30


def test_the_document_is_the_same_in_a_file(stored, sweep):
    words = ("explain", "small", "--seeds", "12", "--json")
    sweep(*words)
    shown = json.loads(sweep(*words).stdout)
    done = sweep(*words, "-o", "why.json")
    assert done.stdout == ""
    written = json.loads((stored / "why.json").read_text())
    assert written["verdict"] == shown["verdict"]
    sweep("explain", "small", "--seeds", "12", "-o", "why.txt")
    assert "Shortens the plateau" in (stored / "why.txt").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing",), "no study named 'nothing'"),
        (("small", "--trial", "77"), "small has no finished trial 77"),
        (("--trial", "0"), "--trial 0: name the study that the trial is of"),
        (("small", "--seeds", "3"), "--seeds 3: takes 12 or more"),
        (("small", "-o", "nowhere/why.txt"), "-o nowhere/why.txt: there is no directory nowhere"),
    ],
)
def test_what_cannot_be_explained_is_said_in_one_line(stored, sweep, words, said):
    done = sweep("explain", *words)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr.startswith("sweep: ")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interruption_says_how_to_go_on(stored, sweep, monkeypatch):
    import sweep.explain as package

    def interrupted(runs: Iterator[Run], task: Task, hidden: bool) -> Iterator[FinishedRun]:
        yield made_up(next(runs))
        raise KeyboardInterrupt

    original = package.explain.func
    monkeypatch.setattr(package, "explain", partial(original, train=interrupted))
    done = sweep("explain", "small", "--seeds", "12")
    assert done.exit_code == 130
    assert "the finished runs are kept, and the same command goes on from there" in done.stderr
