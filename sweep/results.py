"""A study's results: what every table, figure and report is made from.

`read_results` reads them from a storage, `build_results` makes them from runs at hand. Either way
the plateaus of all runs are found in one pass over their curves.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from studies.own import is_own
from studies.run import Configuration, FinishedRun, flops_per_record, parameters
from studies.study import Study
from sweep.analysis.plateau import (
    ChanceBand,
    Plateaus,
    chance_band,
    plateaus_of,
    regression_band,
)
from sweep.analysis.survival import Summary, as_json, summarise
from sweep.values import objective_values

if TYPE_CHECKING:
    from storage.database import Database
    from storage.trials import StoredStudy, StoredTrial, TaskFacts
    from studies.tasks import Task


TRAINED_ON = "trained_on"
"""The study's attribute with the machines on which runs of it were trained, in the order in which
they came: each as `sweep.machine.here` describes itself."""

ERROR = "error"
"""The trial's attribute with what went wrong in its first run that failed."""


@dataclass(frozen=True, slots=True)
class TriedConfiguration:
    """A trial whose replicates are finished: `params` is what was searched, `runs` one a seed.

    `enqueued` says that the study file asked for it, not the sampler; `error` why its first run
    that failed did so.
    """

    number: int
    params: Mapping[str, Any]
    runs: Sequence[FinishedRun]
    enqueued: bool
    error: str | None = None


@dataclass(frozen=True)
class TrialResult:
    """One configuration tried: its replicates in the order of their seeds, and what they say.

    `values` are what the search minimises, in the order of the study's objectives; `epoch_flops`
    the training FLOPs of an epoch, 0 where nobody counts them; `error` why a run of it failed.
    """

    number: int
    params: dict[str, Any]
    configuration: Configuration
    runs: tuple[FinishedRun, ...]
    plateaus: Plateaus
    summary: Summary
    values: tuple[float, ...]
    epoch_flops: int
    enqueued: bool
    error: str | None = None


@dataclass(frozen=True)
class StudyResult:
    """A study with its finished trials, in the order of their numbers.

    `storage` is the database as it may be shown, without a password; `trained_on` are the machines
    (see `TRAINED_ON`), none for a study that was made before they were noted.
    """

    name: str
    study: Study
    task: "TaskFacts"
    trials: tuple[TrialResult, ...]
    created: datetime
    updated: datetime
    storage: str
    trained_on: tuple[dict[str, Any], ...] = ()


def read_results(db: "Database", name: str) -> StudyResult:
    """The results of a stored study, each run as the study's present budget shows it.

    Raises BadInput when there is no study of that name, and StorageFailure when a run that a trial
    refers to is not in the storage.
    """
    from storage.runs import StudyChanged
    from storage.trials import find_study, no_study, read_trials

    stored = find_study(db, name)
    while True:
        if stored is None:
            raise no_study(db, name)
        study = Study.from_document(stored.document, stored.name)
        # The trials of a study that is being extended are rewritten, possibly between two reads.
        tried: list[TriedConfiguration] | None = None
        with suppress(StudyChanged):
            tried = _with_runs(db, stored, study, read_trials(db, stored.uuid))
        again = find_study(db, name)
        state = (stored.uuid, stored.revision)
        if tried is not None and again is not None and (again.uuid, again.revision) == state:
            break
        stored = again
    return build_results(
        name=stored.name,
        study=study,
        task=stored.task,
        tried=tried,
        created=stored.created,
        updated=stored.updated,
        storage=db.url,
        trained_on=stored.user_attrs.get(TRAINED_ON, ()),
    )


def build_results(
    *,
    name: str,
    study: Study,
    task: "TaskFacts",
    tried: Sequence[TriedConfiguration],
    created: datetime,
    updated: datetime,
    storage: str,
    trained_on: Sequence[dict[str, Any]] = (),
) -> StudyResult:
    """The results of a study from its finished trials, which may come in any order."""
    ordered = sorted(tried, key=lambda trial: trial.number)
    return StudyResult(
        name=name,
        study=study,
        task=task,
        trials=tuple(trial_results(study, task, ordered)),
        created=created,
        updated=updated,
        storage=storage,
        trained_on=tuple(trained_on),
    )


def chance_of(task: "Task | TaskFacts") -> ChanceBand:
    """The chance band of a task, whatever is told in it."""
    if task.target == "class" or task.chance is None:
        return chance_band(tuple(task.class_counts))
    return regression_band(*task.chance, task.records)


def epoch_flops(configuration: Configuration, task: "Task | TaskFacts") -> int:
    """Training FLOPs of an epoch; padding is computed like all else, so it counts.

    0 for an own model, whose FLOPs nobody counts.
    """
    if is_own(configuration):
        return 0
    outputs = len(task.classes) * (task.timesteps if task.target == "sets" else 1)
    record = flops_per_record(configuration, task.timesteps, task.features, outputs)
    return task.records * record


def trial_results(
    study: Study, task: "Task | TaskFacts", tried: Sequence[TriedConfiguration]
) -> list[TrialResult]:
    """What the replicates of each trial say, in the order given.

    Raises BadInput for parameters that make no configuration of the study, and ValueError for a
    trial without runs or with runs of different budgets.
    """
    plateaus = plateaus_of([run for trial in tried for run in trial.runs], chance_of(task))
    outputs = len(task.classes)
    results: list[TrialResult] = []
    start = 0
    for trial in tried:
        configuration = study.configuration(trial.params)
        own = plateaus[start : start + len(trial.runs)]
        start += len(trial.runs)
        flops = epoch_flops(configuration, task)
        summary = summarise(
            trial.runs,
            own,
            parameters=_parameters(configuration, task.features, outputs, trial.runs),
            epoch_flops=flops,
        )
        results.append(
            TrialResult(
                number=trial.number,
                params=dict(trial.params),
                configuration=configuration,
                runs=tuple(trial.runs),
                plateaus=own,
                summary=summary,
                values=objective_values(
                    study.search.objectives,
                    summary,
                    configuration,
                    records=task.records,
                    flops=flops,
                ),
                epoch_flops=flops,
                enqueued=trial.enqueued,
                error=trial.error,
            )
        )
    return results


def _parameters(
    configuration: Configuration, features: int, outputs: int, runs: Sequence[FinishedRun]
) -> int | None:
    """Trainable parameters; those of an own model are a series of its runs, None if all failed."""
    if not is_own(configuration):
        return parameters(configuration, features, outputs)
    counted = [run.curve("parameters")[0] for run in runs if "parameters" in run.series]
    known = [value for value in counted if np.isfinite(value)]
    return int(max(known)) if known else None


def ranking(result: StudyResult, front: Collection[int] | None = None) -> list[TrialResult]:
    """The trials of a study, the most efficient by its first objective first (see `efficiency`).

    Of several objectives, the trials on their Pareto front come before all others; `front` is that
    front where it is known already.
    """
    front = pareto_front(result) if front is None else front
    return sorted(result.trials, key=lambda trial: (trial.number not in front, efficiency(trial)))


def efficiency(trial: TrialResult) -> tuple[float, ...]:
    """What orders the trials of a study; the smallest is the most efficient.

    By the study's first objective. What no replicate solved comes last, however small or cheap it
    is, and is ordered by its final loss. Among equals the one of fewer epochs (PAR2), then the one
    with fewer parameters comes first, then the earlier one.
    """
    summary = trial.summary
    size = math.inf if summary.parameters is None else summary.parameters
    first = trial.values[0] if summary.solved else summary.objective
    return (not summary.solved, first, summary.objective, size, trial.number)


def pareto_front(result: StudyResult) -> frozenset[int]:
    """The numbers of the trials that no other dominates: at most as large in all objectives and
    smaller in one.

    Only of trials that a replicate solved: what never learns is no bargain at any price. Empty for
    a study of a single objective.
    """
    solved = [trial for trial in result.trials if trial.summary.solved]
    if not solved or len(solved[0].values) < 2:
        return frozenset()
    values = np.array([trial.values for trial in solved])
    front: list[int] = []
    for place in np.lexsort(values.T[::-1]):
        here = values[front]
        beaten = np.all(here <= values[place], axis=1) & np.any(here < values[place], axis=1)
        if not beaten.any():
            front.append(int(place))
    return frozenset(solved[place].number for place in front)


def configuration_json(trial: TrialResult) -> dict[str, Any]:
    """A configuration as JSON documents have it; null for a number that does not exist."""
    return {"trial": trial.number, "params": dict(trial.params), **as_json(trial.summary)}


def _with_runs(
    db: "Database", stored: "StoredStudy", study: Study, trials: Sequence["StoredTrial"]
) -> list[TriedConfiguration]:
    """The trials with their runs, read in one go; raises StorageFailure where one is missing."""
    from storage.database import StorageFailure
    from storage.runs import iter_runs

    runs: dict[int, dict[str, FinishedRun]] = {trial.number: {} for trial in trials}
    for run in iter_runs(db, stored.uuid):
        # A trial that came in after the trials were read has none of them here.
        if run.number in runs:
            runs[run.number][run.key] = run.finished
    tried: list[TriedConfiguration] = []
    for trial in trials:
        own = runs[trial.number]
        missing = [key for key in trial.run_keys if key not in own]
        if missing:
            raise StorageFailure(
                f"trial {trial.number} of {stored.name!r} refers to the run {missing[0]}, which is "
                f"not in {db.url}"
            )
        tried.append(
            TriedConfiguration(
                number=trial.number,
                params=trial.params,
                runs=[own[key] for key in trial.run_keys],
                enqueued=study.is_enqueued(trial.number),
                error=trial.user_attrs.get(ERROR),
            )
        )
    return tried
