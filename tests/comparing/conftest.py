"""Studies' results made up from runs that escape and solve their task when a test says so."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from storage.trials import TaskFacts
from studies.run import Configuration, FinishedRun, Run
from studies.study import Study
from sweep.results import StudyResult, TriedConfiguration, build_results

TASK = TaskFacts("0" * 32, "first-value", 200, 3, 1, ("0", "1"), (100, 100))
OTHER_TASK = TaskFacts("1" * 32, "parity", 200, 3, 1, ("0", "1"), (100, 100))

Wait = Callable[[Configuration, int], float]
"""The epoch of the escape of a configuration from a seed; infinite where it never escapes."""


def run_of(configuration: Configuration, seed: int, budget: int, wait: float) -> FinishedRun:
    """A run at chance until it escapes, that solves its task two epochs later."""
    escape = min(wait, 10 * budget)
    length = int(min(budget, np.ceil(escape) + 2))
    epoch = np.arange(1, length + 1)
    share = np.clip((epoch - np.ceil(escape) + 1) / 3, 0.0, 1.0)
    curves = np.stack([0.693 * (1 - share) + 0.001, 0.5 + 0.5 * share], axis=1)
    ended = "solved" if share[-1] == 1.0 else "censored"
    return FinishedRun(Run(configuration, seed, budget), ended, curves.astype(np.float32))


def result_of(
    params: Sequence[dict[str, Any]],
    wait: Wait,
    *,
    name: str = "name",
    space: dict[str, Any] | None = None,
    sampler: str = "grid",
    training: dict[str, Any] | None = None,
    budget: int = 100,
    seeds: Sequence[int] = range(6),
    task: TaskFacts = TASK,
) -> StudyResult:
    """The result of a study that tried these parameters, from these seeds."""
    names = dict.fromkeys(key for own in params for key in own)
    if space is None:
        space = {key: sorted({own[key] for own in params if key in own}) for key in names}
    document = {
        "task": {"name": "first-value"},
        "search": {"sampler": sampler},
        "space": space,
        "training": {"epochs": budget, "replicates": len(seeds), **(training or {})},
    }
    if "units" not in names:
        document["training"].setdefault("units", 4)
    study = Study.from_document(document, name)
    tried = [
        TriedConfiguration(
            number,
            own,
            [
                run_of(configuration, seed, budget, wait(configuration, seed))
                for seed in seeds
                for configuration in [study.configuration(own)]
            ],
            enqueued=False,
        )
        for number, own in enumerate(params)
    ]
    now = datetime(2026, 1, 2, tzinfo=UTC)
    return build_results(
        name=name,
        study=study,
        task=task,
        tried=tried,
        created=now,
        updated=now,
        storage="sqlite:///sweep.db",
    )


def grid_of(**choices: Sequence[Any]) -> list[dict[str, Any]]:
    """All combinations, the last key changing fastest."""
    points: list[dict[str, Any]] = [{}]
    for key, values in choices.items():
        points = [{**point, key: value} for point in points for value in values]
    return points


def jitter(seed: int) -> float:
    """A factor of a seed's own, the same in every configuration."""
    return float(np.exp(0.2 * np.random.default_rng(seed).normal()))


def by_optimizer(configuration: Configuration, seed: int) -> float:
    """Adam waits 3 epochs a layer, rmsprop as long, sgd three times as long."""
    slow = {"adam": 1.0, "rmsprop": 1.0, "sgd": 3.0}[configuration.optimizer]
    return 3 * slow * configuration.layers * jitter(seed)


class Make:
    """What tests make their studies from."""

    result = staticmethod(result_of)
    points = staticmethod(grid_of)
    jitter = staticmethod(jitter)
    by_optimizer = staticmethod(by_optimizer)
    other_task = OTHER_TASK


@pytest.fixture(scope="session")
def make() -> type[Make]:
    """Functions that make results: `result`, `points` of a grid, `jitter` of a seed."""
    return Make


@pytest.fixture
def grid() -> StudyResult:
    """Two optimizers, one three times as slow, with 1 to 6 layers."""
    return result_of(grid_of(optimizer=["adam", "sgd"], layers=[1, 2, 3, 4, 5, 6]), by_optimizer)
