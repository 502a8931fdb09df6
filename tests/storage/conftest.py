"""One suite for every database: each test that takes `database` or `storage_url` runs on both."""

import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import optuna
import pytest
import sqlalchemy as sa
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)
from optuna.trial import TrialState

import storage
from storage import mirror
from storage.database import Database, open_database
from storage.runs import put_runs
from storage.tables import runs
from storage.trials import StoredStudy, StoredTrial, TaskFacts, create_study, read_trials
from studies.run import Configuration, FinishedRun, Run

ROOT = Path(storage.__file__).parent.parent


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An address at which nothing is yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/sweep.db"
    return request.getfixturevalue("new_postgresql")()


@pytest.fixture
def database(storage_url: str) -> Iterator[Database]:
    with open_database(storage_url) as opened:
        yield opened


@pytest.fixture
def task() -> TaskFacts:
    return TaskFacts("0f" * 16, "first-value", 200, 3, 1, ("zero", "one"), (120, 80))


def document(epochs: int = 40, **more: object) -> dict[str, object]:
    return {"description": "a study", "training": {"epochs": epochs}, "task": {"seed": 0}, **more}


@pytest.fixture(name="document")
def _document() -> Callable[..., dict[str, object]]:
    return document


def finished(
    seed: int = 0,
    *,
    budget: int = 40,
    solved: int | None = 12,
    units: int = 8,
    ended: str | None = None,
    target: float = 1.0,
) -> FinishedRun:
    """A run whose curve belongs to (seed, units): solved at an epoch, or censored at its budget."""
    epochs = budget if solved is None else min(solved, budget)
    how = "censored" if solved is None or solved > budget else "solved"
    curves = np.random.default_rng([seed, units]).random((1000, 2), dtype=np.float32)[:epochs]
    run = Run(Configuration(units=units), seed, budget, target)
    return FinishedRun(run, ended or how, curves)  # type: ignore[arg-type]


@pytest.fixture(name="finished")
def _finished() -> Callable[..., FinishedRun]:
    return finished


def same(one: FinishedRun, other: FinishedRun) -> bool:
    return (
        one.run == other.run
        and one.ended == other.ended
        and one.series == other.series
        and np.array_equal(one.curves, other.curves, equal_nan=True)
    )


@pytest.fixture(name="same")
def _same() -> Callable[[FinishedRun, FinishedRun], bool]:
    return same


DISTRIBUTIONS = {
    "layers": distribution_to_json(IntDistribution(1, 4)),
    "learning_rate": distribution_to_json(FloatDistribution(1e-4, 1e-1, log=True)),
    "optimizer": distribution_to_json(CategoricalDistribution(("adam", "sgd"))),
}


class Bench:
    """A study on a database, and the making of trials for it."""

    def __init__(self, database: Database, task: TaskFacts) -> None:
        self.database = database
        self.task = task

    def study(self, name: str = "hello", epochs: int = 40) -> StoredStudy:
        return create_study(
            self.database,
            name,
            document(epochs),
            self.task,
            metric_names=("epochs to target",),
            user_attrs={"question": "how fast?"},
        )

    def trial(
        self,
        number: int,
        *,
        replicates: int = 2,
        value: float | None = None,
        budget: int = 40,
        trained_for: StoredStudy | None = None,
    ) -> StoredTrial:
        """A trial whose runs are stored."""
        runs = [finished(seed, units=number + 1, budget=budget) for seed in range(replicates)]
        put_runs(self.database, self.task, runs, trained_for=trained_for)
        moment = datetime(2025, 1, 2, 3, 4, number % 60, tzinfo=UTC)
        return StoredTrial(
            number=number,
            params={"layers": 1 + number % 4, "learning_rate": 0.001, "optimizer": "adam"},
            distributions=DISTRIBUTIONS,
            values=(float(number) if value is None else value,),
            user_attrs={"success rate": 0.5, "parameters": 961},
            system_attrs={"fixed_params": {"layers": 1}},
            intermediate={1: 0.7, 2: 0.25 * number},
            run_keys=tuple(run.run.key(self.task.fingerprint) for run in runs),
            started=moment,
            finished=moment,
        )

    def trial_keys(self, number: int, replicates: int = 2) -> list[str]:
        """The keys of the runs that `trial` stores."""
        made = [finished(seed, units=number + 1) for seed in range(replicates)]
        return [run.run.key(self.task.fingerprint) for run in made]

    def stored_keys(self) -> set[str]:
        """The keys of all runs that are stored."""
        query = sa.select(runs.c.key)
        return self.database.read(lambda connection: set(connection.execute(query).scalars()))

    def optuna_names(self) -> list[str]:
        """The names of Optuna's studies."""
        studies = self.database.optuna_storage().get_all_studies()
        return [study.study_name for study in studies]

    def assert_mirrored(self, stored: StoredStudy) -> None:
        """Plain Optuna, given the same URL, sees what our tables hold."""
        url = self.database.secret_url
        study = optuna.load_study(study_name=stored.name, storage=url)
        theirs, ours = study.trials, read_trials(self.database, stored.uuid)
        assert [trial.number for trial in theirs] == [trial.number for trial in ours]
        assert study.user_attrs["study_file"] == stored.document
        assert study.user_attrs["task_fingerprint"] == stored.task.fingerprint
        assert study.user_attrs["question"] == "how fast?"
        assert study.user_attrs["sweep"]["study"] == stored.uuid
        for mirrored, trial in zip(theirs, ours, strict=True):
            assert mirrored.state == TrialState.COMPLETE
            assert tuple(mirrored.values) == trial.values
            assert mirrored.params == trial.params
            assert mirrored.user_attrs == trial.user_attrs
            files = mirror.artifacts(stored.uuid, trial.number)
            own = {**files, "sweep": trial.number}
            assert mirrored.system_attrs == {**trial.system_attrs, **own}
            assert mirrored.intermediate_values == trial.intermediate
            assert mirrored.datetime_start is not None
            assert mirrored.datetime_start.astimezone(UTC) == trial.started


@pytest.fixture
def bench_on(task: TaskFacts) -> Callable[[Database], Bench]:
    return lambda database: Bench(database, task)


@pytest.fixture
def bench(database: Database, task: TaskFacts) -> Bench:
    return Bench(database, task)


@pytest.fixture
def program() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts Python on a program's text in a process of its own, killed when the test ends."""
    started: list[subprocess.Popen[str]] = []

    def start(text: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(text), *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
