"""Study results made up from curves with a plateau, of the real types and summed up by the real
analysis: what a report is made from, without training anything."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from storage.trials import TaskFacts
from studies.run import FinishedRun, Run
from studies.study import Study
from sweep.results import StudyResult, TriedConfiguration, build_results
from tests.conftest import CHROMIUM, FLAGS

FIRST_VALUE = TaskFacts("0" * 32, "first-value", 200, 3, 1, ("0", "1"), (98, 102))

MACHINE: dict[str, Any] = {
    "processor": "Example processor",
    "cores": 2,
    "system": "Linux x86_64",
    "versions": {"Python": "3.11.2", "sweep": "0.1.0", "tensorflow": "2.21.0", "keras": "3.15.0"},
}

SPACE: dict[str, Any] = {
    "layers": {"low": 1, "high": 4},
    "units": {"low": 4, "high": 32, "log": True},
    "optimizer": ["adam", "sgd", "rmsprop"],
    "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
}
OWN = {"layers": 3, "units": 15, "optimizer": "adam", "learning_rate": 0.001}


def curve_of(
    rng: np.random.Generator,
    plateau: float,
    length: float,
    epochs: int,
    target: float,
    chance: float,
) -> tuple[str, np.ndarray]:
    """A curve that waits at chance, then rises; how it ended and float32 [epochs, 2]."""
    epoch = np.arange(1, epochs + 1)
    done = 1 / (1 + np.exp(-(epoch - plateau - length / 2) / max(0.15, length / 8)))
    noise = rng.normal(0, 0.02, epochs) * (1 - done)
    accuracy = np.clip(chance + (1.004 - chance) * done + noise, 0, 1)
    accuracy = np.round(accuracy * 200) / 200
    loss = -np.log(chance) * (1 - done) ** 0.8 + 0.02 * done / (1 + epoch / 20)
    loss *= 1 + rng.normal(0, 0.01, epochs)
    reached = np.flatnonzero(accuracy >= target)
    end = int(reached[0]) + 1 if len(reached) else epochs
    curves = np.column_stack([loss, accuracy]).astype(np.float32)[:end]
    return ("solved" if len(reached) else "censored"), curves


def diverged_curve(rng: np.random.Generator, epochs: int, chance: float) -> np.ndarray:
    """A curve whose loss grows, and is no number at its end."""
    end = int(rng.integers(1, max(2, epochs // 3)))
    loss = np.exp(np.linspace(0, 8, end + 1))[1:]
    loss[-1] = np.nan
    return np.column_stack([loss, np.full(end, chance)]).astype(np.float32)


def study_of(name: str = "hello-lstm", **tables: Any) -> Study:
    document: dict[str, Any] = {
        "description": "Hello World of LSTMs: the label is the first of three timesteps.",
        "task": {"name": "first-value"},
        "search": {"enqueue": [OWN]},
        "space": SPACE,
        "training": {"epochs": 100, "replicates": 5},
    }
    return Study.from_document(document | tables, name)


def params_of(study: Study, count: int, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Parameters as a search would try them: those enqueued, then drawn from the space."""
    drawn = [dict(entry) for entry in study.search.enqueue][:count]
    while len(drawn) < count:
        params: dict[str, Any] = {}
        for name, dimension in study.space.items():
            if hasattr(dimension, "choices"):
                params[name] = dimension.choices[int(rng.integers(len(dimension.choices)))]
            elif isinstance(dimension.low, int):
                params[name] = int(rng.integers(dimension.low, dimension.high + 1))
            else:
                low, high = np.log(dimension.low), np.log(dimension.high)
                params[name] = float(np.exp(rng.uniform(low, high)))
        drawn.append(params)
    return drawn


def result_of(
    trials: int | list[dict[str, Any]] = 20,
    *,
    study: Study | None = None,
    task: TaskFacts = FIRST_VALUE,
    outcome: str = "mixed",
    seed: int = 0,
) -> StudyResult:
    """A study's result. `outcome` is "mixed", "solved", "censored" or "diverged" (every run)."""
    study = study or study_of()
    rng = np.random.default_rng(seed)
    chance = max(task.class_counts) / task.records
    budget, target = study.training.epochs, study.training.target
    params = params_of(study, trials, rng) if isinstance(trials, int) else trials
    enqueued = [dict(entry) for entry in study.search.enqueue]
    tried: list[TriedConfiguration] = []
    for number, settings in enumerate(params):
        configuration = study.configuration(settings)
        rate = configuration.learning_rate * {"sgd": 0.02, "rmsprop": 1.2}.get(
            configuration.optimizer, 1.0
        )
        wait = 0.0013 * configuration.layers**2.0 / rate * (15 / configuration.units) ** 0.5
        runs: list[FinishedRun] = []
        for replicate in range(study.training.replicates):
            run = Run(configuration, replicate, budget, target)
            spread = float(rng.lognormal(0, 0.25))
            plateau = {"censored": 10.0 * budget, "solved": 0.2 * budget}.get(
                outcome, wait * spread
            )
            unstable = rate * configuration.layers > 0.25 and rng.random() < 0.6
            if outcome == "diverged" or (outcome == "mixed" and unstable):
                runs.append(FinishedRun(run, "diverged", diverged_curve(rng, budget, chance)))
                continue
            ended, curves = curve_of(rng, plateau, 2 + 0.4 * plateau, budget, target, chance)
            runs.append(FinishedRun(run, ended, curves))  # type: ignore[arg-type]
        tried.append(TriedConfiguration(number, settings, runs, settings in enqueued))
    return build_results(
        name=study.name,
        study=study,
        task=task,
        tried=tried,
        created=datetime(2026, 3, 5, 14, 2, tzinfo=UTC),
        updated=datetime(2026, 3, 5, 14, 4, tzinfo=UTC),
        storage="sqlite:///sweep.db",
        trained_on=[MACHINE],
    )


@pytest.fixture(scope="session")
def make_study() -> Callable[..., Study]:
    """`study_of`: a study, by default hello-lstm with one configuration enqueued."""
    return study_of


@pytest.fixture(scope="session")
def make_result() -> Callable[..., StudyResult]:
    """`result_of`: the result of so many trials."""
    return result_of


@pytest.fixture(scope="session")
def result() -> StudyResult:
    """Forty configurations of the default space, five replicates each."""
    return result_of(40)


@pytest.fixture(scope="session")
def grid() -> StudyResult:
    """A full grid of optimizer × learning rate, in part never solved; nothing enqueued."""
    rates = [0.0003, 0.001, 0.003, 0.01, 0.03, 0.1]
    names = ["adam", "sgd", "rmsprop"]
    study = study_of(
        "adam-or-sgd",
        search={"sampler": "grid", "trials": 18},
        space={"optimizer": names, "learning_rate": rates},
        training={"epochs": 100, "replicates": 5, "layers": 3, "units": 15},
    )
    return result_of(
        [{"optimizer": o, "learning_rate": r} for o in names for r in rates], study=study
    )


DRAWN = """() => [...document.querySelectorAll('.plot')].every((plot) => plot.data &&
    plot.querySelectorAll('.trace, .heatmaplayer image, .points path').length > 0)"""


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield browser
        browser.close()


class Reader:
    """A page opened without a network, and what it complained of or asked for."""

    def __init__(self, browser: Browser, path: Path, **context):
        self.context = browser.new_context(**context)
        self.context.set_offline(True)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())
        self.page.wait_for_function(DRAWN)

    def _heard(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@pytest.fixture(scope="module")
def open_report(browser):
    opened: list[Reader] = []

    def open_(path: Path, **context) -> Reader:
        opened.append(Reader(browser, path, **context))
        return opened[-1]

    yield open_
    for reader in opened:
        reader.context.close()
