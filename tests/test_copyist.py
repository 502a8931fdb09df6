"""Optuna's copy may stay behind, is never wrong, and is brought up by whoever opens it next."""

import runpy
import time
from pathlib import Path

import optuna
import pytest

from storage.database import open_database
from storage.trials import complete_mirror, find_study
from sweep import copyist

SEARCH = runpy.run_path(str(Path(__file__).parent / "test_search.py"))
study, run = SEARCH["study"], SEARCH["run"]


def copied(url: str) -> list[int]:
    return [trial.number for trial in optuna.load_study(study_name="tried", storage=url).trials]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'sweep.db'}"


@pytest.fixture
def lazy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A copyist who copies a trial, rests until it is stopped, and does nothing at the end."""
    monkeypatch.setattr(copyist, "REST", 1e6)
    monkeypatch.setattr(copyist, "LONGEST", 0.0)
    monkeypatch.setattr(copyist, "LARGEST_SHARE", 0.0)


@pytest.mark.usefixtures("lazy")
def test_a_study_ends_without_waiting_for_its_copy_and_says_what_that_lacks(url: str) -> None:
    outcome = run(study(), url)
    assert len(outcome.result.trials) == 25
    assert outcome.uncopied == 25 - len(copied(url))
    assert 23 <= outcome.uncopied <= 25


def test_the_next_run_brings_the_copy_up(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(copyist, "REST", 1e6)
        patch.setattr(copyist, "LONGEST", 0.0)
        patch.setattr(copyist, "LARGEST_SHARE", 0.0)
        run(study(), url)
    outcome = run(study(), url)
    assert (outcome.runs_trained, outcome.uncopied) == (0, 0)
    assert copied(url) == list(range(25))


@pytest.mark.usefixtures("lazy")
def test_a_copy_that_is_behind_can_be_completed_by_itself(url: str) -> None:
    run(study(), url)
    with open_database(url) as database:
        stored = find_study(database, "tried")
        assert stored is not None
        assert complete_mirror(database, stored) == 0
    assert copied(url) == list(range(25))


def test_trials_are_copied_while_others_train(url: str) -> None:
    seen: list[int] = []

    class Looking(SEARCH["Engine"]):
        def __call__(self, runs, task):
            for number, finished in enumerate(super().__call__(runs, task)):
                if number == 74:
                    # The copyist has had nothing else to do since.
                    limit = time.monotonic() + 60
                    while time.monotonic() < limit and not (seen and seen[-1] > 10):
                        seen.append(len(copied(url)))
                        time.sleep(0.2)
                yield finished

    run(study(), url, Looking())
    assert seen[-1] > 10
