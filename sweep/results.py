"""A study's results, read from the storage: what every table, figure and report is made from."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage.trials import TaskFacts
from studies.run import Configuration, FinishedRun
from studies.study import Study
from sweep.analysis.plateau import Plateaus
from sweep.analysis.survival import Summary


@dataclass(frozen=True)
class TrialResult:
    """One configuration tried: its replicates in the order of their seeds, and what they say."""

    number: int
    params: dict[str, Any]
    configuration: Configuration
    runs: tuple[FinishedRun, ...]
    plateaus: Plateaus
    summary: Summary
    enqueued: bool


@dataclass(frozen=True)
class StudyResult:
    """A study with its finished trials, in the order of their numbers."""

    name: str
    study: Study
    task: TaskFacts
    trials: tuple[TrialResult, ...]
    created: datetime
    updated: datetime
    storage: str
