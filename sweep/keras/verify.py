"""Runs of a study trained again in stock Keras, and whether they agree with what is stored.

Two questions are asked of each trial. From the same weights and with the same batches, is the curve
the same, up to how floats round? And from weights and batches that Keras draws itself, are the
epochs to the target distributed alike?
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from studies.run import FinishedRun, Run
from studies.tasks import Task
from sweep.analysis.estimate import Estimate
from sweep.analysis.paired import holm
from sweep.analysis.survival import logrank, median_time, outcomes
from sweep.keras.training import Trainer
from sweep.results import TrialResult

LEVEL = 0.01
"""Below this p-value, adjusted for the number of trials, distributions are said to differ: of a
hundred verifications of something that is right, at most one says so."""

FIRST_FRESH_SEED = 1_000_000
"""Keras's own seeds are counted from here, so that no replicate has had them."""


@dataclass(frozen=True)
class Repeated:
    """A stored run, and the same run in stock Keras.

    The differences are by epoch, over the epochs that both trained: `loss` relative to the stored
    one's, `accuracy` absolute, float64 [epochs]. Where both losses are not finite they do not
    differ.
    """

    stored: FinishedRun
    keras: FinishedRun

    @property
    def loss(self) -> np.ndarray:
        ours, theirs = self._both("loss")
        finite = np.isfinite(ours) & np.isfinite(theirs)
        with np.errstate(invalid="ignore"):
            relative = np.abs(theirs - ours) / np.maximum(np.abs(ours), np.finfo(np.float32).tiny)
        same = np.isfinite(ours) == np.isfinite(theirs)
        return np.where(finite, relative, np.where(same, 0.0, np.inf))

    @property
    def accuracy(self) -> np.ndarray:
        ours, theirs = self._both("accuracy")
        return np.abs(theirs - ours)

    @property
    def agrees(self) -> bool:
        """Whether both ended for the same reason in the same epoch."""
        return (self.stored.ended, self.stored.epochs) == (self.keras.ended, self.keras.epochs)

    @property
    def together(self) -> int:
        """Epochs from the first on in which the loss differs by less than 1e-4 of its value."""
        apart = np.flatnonzero(self.loss >= 1e-4)
        return int(apart[0]) if len(apart) else len(self.loss)

    def _both(self, series: str) -> tuple[np.ndarray, np.ndarray]:
        epochs = min(self.stored.epochs, self.keras.epochs)
        ours, theirs = (
            run.curve(series)[:epochs].astype(np.float64) for run in (self.stored, self.keras)
        )
        return ours, theirs


@dataclass(frozen=True)
class VerifiedTrial:
    """A trial trained again: its replicates one by one, and `fresh` runs from Keras's own seeds.

    `p_value` is that of the log-rank test between the stored replicates and the fresh runs,
    `adjusted` the same for the number of trials (Holm); both are None where there are none.
    """

    trial: TrialResult
    repeated: tuple[Repeated, ...]
    fresh: tuple[FinishedRun, ...]
    p_value: float | None = None
    adjusted: float | None = None

    @property
    def same(self) -> int:
        """Replicates whose epochs to the target agree."""
        return sum(run.agrees for run in self.repeated)

    @property
    def agrees(self) -> bool:
        alike = self.adjusted is None or self.adjusted >= LEVEL
        return alike and self.same == len(self.repeated)

    @property
    def stored_median(self) -> Estimate:
        return _median([run.stored for run in self.repeated])

    @property
    def fresh_median(self) -> Estimate:
        return _median(self.fresh)


def verify(
    trials: Sequence[TrialResult],
    task: Task,
    *,
    fresh: int | None = None,
    on_run: Callable[[int], None] | None = None,
) -> list[VerifiedTrial]:
    """Trains all replicates of trials again in stock Keras, and `fresh` runs of each beside them.

    Without `fresh` there are as many as replicates. `on_run` is called after each training with how
    many are done. Raises BadInput where Keras is on another backend than TensorFlow.
    """
    done = 0
    verified: list[VerifiedTrial] = []

    def counted(run: FinishedRun) -> FinishedRun:
        nonlocal done
        done += 1
        if on_run is not None:
            on_run(done)
        return run

    for trial in trials:
        trainer = Trainer(trial.configuration, task)
        repeated = [Repeated(run, counted(trainer.train(run.run))) for run in trial.runs]
        asked = trial.runs[0].run
        new = [
            Run(asked.configuration, FIRST_FRESH_SEED + n, asked.epochs, asked.target)
            for n in range(len(repeated) if fresh is None else fresh)
        ]
        trained = [counted(trainer.train_afresh(run)) for run in new]
        verified.append(VerifiedTrial(trial, tuple(repeated), tuple(trained)))
    return _judged(verified)


def document(verified: Sequence[VerifiedTrial]) -> list[dict[str, Any]]:
    """What was found in plain values, a dictionary a trial; null for what does not exist."""
    return [
        {
            "trial": one.trial.number,
            "agrees": one.agrees,
            "same_epochs": one.same,
            "runs": [_run_document(replicate, run) for replicate, run in enumerate(one.repeated)],
            "epochs_median": one.stored_median.value,
            "fresh_epochs_median": one.fresh_median.value,
            "fresh_epochs": [run.epochs if run.ended == "solved" else None for run in one.fresh],
            "p_value": one.p_value,
            "p_adjusted": one.adjusted,
        }
        for one in verified
    ]


def _judged(verified: Sequence[VerifiedTrial]) -> list[VerifiedTrial]:
    p_values: list[float] = []
    for one in verified:
        if not one.fresh:
            return list(verified)
        groups = [outcomes([run.stored for run in one.repeated]), outcomes(one.fresh)]
        p_values.append(logrank([(group.epochs, group.solved) for group in groups]).p_value)
    return [
        VerifiedTrial(one.trial, one.repeated, one.fresh, p_value, adjusted)
        for one, p_value, adjusted in zip(verified, p_values, holm(p_values), strict=True)
    ]


def _median(runs: Sequence[FinishedRun]) -> Estimate:
    ends = outcomes(runs)
    return median_time(ends.epochs, ends.solved)


def _run_document(replicate: int, run: Repeated) -> dict[str, Any]:
    return {
        "replicate": replicate,
        "agrees": run.agrees,
        "ended": run.stored.ended,
        "epochs": run.stored.epochs,
        "keras_ended": run.keras.ended,
        "keras_epochs": run.keras.epochs,
        "loss_difference": [float(d) if np.isfinite(d) else None for d in run.loss],
        "accuracy_difference": [float(d) for d in run.accuracy],
    }
