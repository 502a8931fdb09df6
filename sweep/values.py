"""What Optuna is told of a trial: values to minimise, a mean loss curve, attributes to read."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from studies.run import Configuration, FinishedRun, updates_per_epoch
from sweep.analysis.survival import Summary

MOST_STEPS = 10
"""Intermediate values of a trial. Each costs Optuna half a millisecond, as each attribute does, and
the dashboard reads all."""

MOST_TRIALS = 1_000
"""Trials of a study up to which Optuna has intermediate values and more than a few attributes."""

MOST_PARAMETERS = 1e12
"""What counts for the size of a model that failed before it was known: more than any has."""

CONSTRAINTS = "constraints"
"""The system attribute by which Optuna knows what a trial has to fulfil: numbers, none above 0."""

_FEW = ("epochs_median", "parameters")
_MORE = ("epochs_low", "epochs_high", "plateau_median", "ert", "flops")


def objective_values(
    objectives: Sequence[str],
    summary: Summary,
    configuration: Configuration,
    *,
    records: int,
    flops: float,
) -> tuple[float, ...]:
    """A trial's values, in the order of `objectives`; all of them are minimised.

    "epochs" is PAR2 with its addition where no replicate solved the task; "updates" and "flops"
    are the same time in optimizer steps and training FLOPs (`flops` being those of an epoch);
    "parameters" is the size of the model.
    """
    value = {
        "epochs": summary.objective,
        "updates": summary.objective * updates_per_epoch(configuration, records),
        "flops": summary.objective * flops,
        "parameters": MOST_PARAMETERS if summary.parameters is None else float(summary.parameters),
    }
    return tuple(float(value[name]) for name in objectives)


def attributes(summary: Summary, *, few: bool = False) -> dict[str, Any]:
    """What a person wants to read beside a trial, under the names that tables use.

    With `few` the most telling of it, for studies of many trials.
    """
    read: dict[str, Any] = {"solved": f"{summary.solved} of {summary.replicates}"}
    if not few:
        read["success_rate"] = summary.success_rate
    named = {name: getattr(summary, name) for name in (_FEW if few else _FEW + _MORE)}
    return read | {name: value for name, value in named.items() if value is not None}


def constraints(objectives: Sequence[str], summary: Summary) -> dict[str, list[float]]:
    """The system attribute that keeps what never learned from being Optuna's best trial.

    A tiny model that solves nothing is cheap in FLOPs, updates and parameters. Epochs say by
    themselves that it is no good, so a study of these alone goes without.
    """
    if tuple(objectives) == ("epochs",):
        return {}
    return {CONSTRAINTS: [0.0 if summary.solved else 1.0]}


def mean_loss(runs: Sequence[FinishedRun], steps: int = MOST_STEPS) -> dict[int, float]:
    """The mean over the runs of the loss by epoch, counted from 1, at `steps` epochs at most.

    A run that ended keeps its last loss. Epochs at which the mean is not finite are left out.
    """
    last = max(run.epochs for run in runs)
    total = np.zeros(last)
    for run in runs:
        loss = np.asarray(run.curve("loss"), dtype=np.float64)
        total[: run.epochs] += loss
        total[run.epochs :] += loss[-1]
    mean = total / len(runs)
    epochs = np.unique(np.linspace(1, last, min(last, steps)).round().astype(int))
    return {int(e): float(mean[e - 1]) for e in epochs if np.isfinite(mean[e - 1])}
