"""A storage of either kind, studies for its queue, and an engine that makes runs up."""

import queue
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from storage.database import Database, open_database
from studies.run import FinishedRun, Run
from studies.study import Study
from studies.tasks import Task
from sweep.service.guard import Token
from sweep.service.submission import put
from sweep.service.worker import Worker
from tests.service.served import ODD, SECRET, running

DOCUMENT: dict[str, Any] = {
    "description": "A small study for tests.",
    "task": {"name": "first-value", "records": 40},
    "search": {"sampler": "random", "trials": 4},
    "space": {"units": {"low": 4, "high": 32}, "optimizer": ["adam", "sgd"]},
    "training": {"epochs": 30, "replicates": 2},
}
CSV = b"a,b,c,target\n" + b"".join(b"%d,5,%d,%d\n" % (n % 2, n, n % 2) for n in range(40))


def study(name: str = "small", **tables: Any) -> Study:
    return Study.from_document(DOCUMENT | tables, name)


@pytest.fixture(name="study")
def _study() -> Any:
    return study


def made_up(run: Run) -> FinishedRun:
    end = min(run.epochs, 3 + run.configuration.units // 4)
    accuracy = np.where(np.arange(end) < end - 1, 0.5, 1.0)
    curves = np.column_stack([np.linspace(0.7, 0.1, end), accuracy]).astype(np.float32)
    return FinishedRun(run, "solved", curves)


class Engine:
    """Hands on runs that are made up, each when it is allowed; the data that it was given."""

    def __init__(self, allowed: int = 0) -> None:
        self.permits: queue.Queue[None] = queue.Queue()
        self.tasks: list[Task] = []
        self.allow(allowed)

    def allow(self, runs: int) -> None:
        for _ in range(runs):
            self.permits.put(None)

    def __call__(self, runs: Iterable[Run | None], task: Task) -> Iterator[FinishedRun]:
        self.tasks.append(task)
        slots: list[Run] = []
        source = iter(runs)
        more = True
        while more or slots:
            run = next(source, "end")
            if isinstance(run, Run):
                slots.append(run)
            more = run != "end"
            if slots:
                try:
                    self.permits.get(timeout=0.02)
                except queue.Empty:
                    continue
                yield made_up(slots.pop(0))


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def quick() -> Engine:
    return Engine(10_000)


@pytest.fixture
def url(storage_url: str) -> str:
    return storage_url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'sweep.db'}"


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    with open_database(url) as opened:
        yield opened


@pytest.fixture
def csv() -> bytes:
    return CSV


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A storage whose study `<b>small & odd` was run by a worker."""
    url = f"sqlite:///{tmp_path_factory.mktemp('served') / 'sweep.db'}"
    with open_database(url) as database:
        put(database, study(ODD))
        Worker(url, train=Engine(1000)).work(once=True)
        yield database


@pytest.fixture(scope="module")
def client(place: Database) -> Iterator[httpx.Client]:
    with running(place) as client:
        yield client


@pytest.fixture(scope="module")
def locked(place: Database) -> Iterator[httpx.Client]:
    """A server that asks for a token."""
    with running(place, Token(SECRET)) as client:
        yield client
