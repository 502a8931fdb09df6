"""A study whose runs are made up at once, and engines that the processes of the tests find."""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from studies.run import FinishedRun, Run
from studies.study import Study
from studies.tasks import Task
from sweep.bench.simulated import made_up

STUDY = Study.from_document(
    {
        "task": {"name": "first-value", "records": 40},
        "search": {"trials": 12, "sampler": "random"},
        "space": {"units": {"low": 4, "high": 40}},
        "training": {"epochs": 30, "replicates": 3, "learning_rate": 0.01},
    },
    "tried",
)


@pytest.fixture
def study() -> Study:
    return STUDY


@pytest.fixture(scope="session")
def task() -> Task:
    return STUDY.load_task()


@pytest.fixture
def runs() -> list[Run]:
    """Runs of two shapes."""
    return [
        Run(STUDY.configuration({"units": units}), seed, 30, 1.0)
        for units in range(4, 24)
        for seed in range(3)
    ]


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of made-up engines, as processes import it."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    import made_up_engines  # type: ignore[import-not-found]

    return made_up_engines


@pytest.fixture
def gate(engines: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that the engine `gated` waits for before it trains many runs."""
    monkeypatch.setenv(engines.GATE, str(tmp_path / "gate"))
    return tmp_path / "gate"


@pytest.fixture(autouse=True)
def _forget_engines() -> Iterator[None]:
    yield
    sys.modules.pop("made_up_engines", None)


def assert_trained(finished: Sequence[FinishedRun], runs: Sequence[Run]) -> None:
    """That these are finished, each once, as they are wherever they are trained."""
    assert len(finished) == len(runs)
    found = {id(one.run): one for one in finished}
    for run in runs:
        due = made_up(run)
        assert found[id(run)].ended == due.ended
        np.testing.assert_array_equal(found[id(run)].curves, due.curves)


@pytest.fixture
def trained() -> object:
    return assert_trained
