"""Plateaus: how long a run stays at chance, when it escapes, how fast it then gets to its target.

**The chance band.** A network that has learnt nothing about its inputs answers with one class, or
flips between classes from batch to batch while its output bias drifts, or guesses record by record.
Always saying one class gives exactly that class's frequency. Flipping and guessing add
fluctuations, at most those of as many independent guesses as there are records: batches are drawn
without replacement, which only narrows the spread. So the number of right answers of an epoch at
chance is at most Binomial(records, frequency of the most frequent class), and the band's upper edge
is where this is exceeded with a probability of at most `TAIL` = 1/10,000: a run at chance has an
epoch above it with a probability below 1 % within 100 epochs, below 10 % within 1,000. With 200
records in two equal classes the edge lies between 126 and 127 right answers, 63 %. That leaves room
for a model that fits a little of the noise in so few records: three LSTM layers of 15 units,
trained on shuffled labels with adam at 0.001, drift to 57–60 % within 100 epochs. (A network that
memorises more than that has left chance on its training data, which is what accuracy is measured
on.) The lower edge is the same bound for a network that says the rarest class; leaving the band
downwards is no escape.

**Why the loss is asked too.** Accuracy asks only on which side of one half an output lies. While
all outputs are nearly the same, it hangs by a hair: three stacked LSTM layers with a loss of 0.691
(chance: 0.693) were seen to reach an accuracy of 91 %, fall back to 61 % within five epochs, and
only then learn. Judged by accuracy alone, four runs that differ in their seeds escape in epochs 16,
13, 5 and 17; with the loss, in 16, 17, 16 and 17.

An epoch counts as outside the band when

- its accuracy is above the upper edge, and its loss is not that of a network at chance: not within
  `loss_low` … `loss_high` around the cross-entropy H of the class frequencies. `loss_low` is the
  largest cross-entropy that a calibrated network can have that is right as often as the upper edge
  says (Fano's inequality, scaled so that it is H at chance; 0.658 in the example), and `loss_high`
  lies as far above H. Beyond that, as with a learning rate so large that wrong answers are given
  with confidence, the loss says nothing about chance, and accuracy decides alone;
- or its loss is below H / 2. Half of what there is to know about the labels is then known, whatever
  the accuracy says; this decides where the band leaves accuracy no room, as with a class of 97 % of
  the records, or with ten records;
- or it solved the task.

**Tasks with numbers to predict.** There accuracy is the share of records whose prediction is near
enough, the loss the mean squared error, and a network at chance predicts the targets' mean. The
band is made from the share of records that one number gets right and from the targets' variance, by
the same rules (`regression_band`): H is the variance, and `loss_low` what a prediction that is
independent of the targets explains by chance, with a probability of `TAIL`.

An epoch whose loss or accuracy is not finite is not outside. The loss alone does not end a plateau:
it starts to fall several epochs before accuracy moves, and that is progress hidden under the
plateau, not its end.

**The escape.** The first epoch from which the curve is outside the band for good. A single noisy
epoch must neither make an escape nor undo one, so "for good" is a majority: the escape is the epoch
from which on, to the end of the curve, the epochs outside exceed those inside by the most (of
several such epochs, the last). Short dips after it are forgiven; a curve that falls back for longer
than it had been outside has not escaped, and an excursion in the middle of a curve at chance counts
for nothing, however long the budget is. At pure chance an escape is reported with a probability
near `TAIL`, whatever the budget.

**What follows from it.** The plateau is the epochs before the escape: 0 of them for a run outside
the band from epoch 1, and all that were trained for a run that never escaped; its plateau is then
censored, as longer than that. The transition goes from the escape to the target. So, where the task
was solved, epochs to target = plateau length + 1 + transition length. Its sharpness is the largest
rise of accuracy from one epoch to the next, from the last epoch of the plateau on; at 200 records,
one of less than 0.1 is not told from noise. Levels that a curve holds after its escape are the
matter of `sweep.analysis.segments`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from studies.run import FinishedRun
from sweep.analysis.binomial import quantile_above

TAIL = 1e-4
"""Probability that one epoch at chance has an accuracy above the band."""

BLOCK = 8192
"""Runs whose curves are padded to one array at a time, so that memory stays bounded."""


@dataclass(frozen=True, slots=True)
class ChanceBand:
    """Where a run at chance stays: accuracies in `low` … `high`, losses about `loss`.

    `accuracy` is the share of the most frequent class and `loss` the cross-entropy of the class
    frequencies in nats; of a task with numbers to predict, they are what one number for all records
    reaches. `loss_low` … `loss_high` is where the loss of a network at chance is looked for.
    """

    accuracy: float
    low: float
    high: float
    loss: float
    loss_low: float
    loss_high: float


@dataclass(frozen=True, slots=True, eq=False)
class Plateaus:
    """What was found in each of some runs; every array is [runs]. The module defines the terms.

    `escape` (float) is an epoch counted from 1, NaN where the run never escaped. `plateau_length`
    (int) is in epochs; where `plateau_censored` (bool) it is the number of epochs trained, and the
    plateau is longer than that. `transition_length` (float, epochs) is NaN where the task was not
    solved, `sharpness` (float, accuracy per epoch) where the run never escaped or has no epoch
    after its first.
    """

    band: ChanceBand
    escape: np.ndarray
    plateau_length: np.ndarray
    plateau_censored: np.ndarray
    transition_length: np.ndarray
    sharpness: np.ndarray

    def __len__(self) -> int:
        return len(self.escape)

    def __getitem__(self, which: slice) -> "Plateaus":
        """The same for a slice of the runs."""
        return Plateaus(self.band, *(getattr(self, name)[which] for name in _ARRAYS))


_ARRAYS = tuple(field.name for field in fields(Plateaus) if field.name != "band")


def find_plateaus(
    loss: np.ndarray,
    accuracy: np.ndarray,
    lengths: np.ndarray,
    solved: np.ndarray,
    *,
    chance: ChanceBand | Sequence[int],
) -> Plateaus:
    """The plateau, escape and transition of every run.

    `loss` (nats, or a mean squared error) and `accuracy` (0 … 1) are float [runs, epochs], column 0
    being epoch 1; what they hold beyond a run's `lengths` (int [runs], at least 1) is ignored.
    `solved` (bool [runs]) says that a run's last epoch reached its target. `chance` is the task's
    chance band, or the records of each class, from which `chance_band` makes it.

    Raises ValueError when the shapes do not agree or fewer than two classes have records.
    """
    loss, accuracy = np.asarray(loss), np.asarray(accuracy)
    lengths, solved = np.asarray(lengths, dtype=np.int64), np.asarray(solved, dtype=bool)
    runs, epochs = accuracy.shape
    if loss.shape != accuracy.shape or lengths.shape != (runs,) or solved.shape != (runs,):
        raise ValueError(
            f"loss {loss.shape}, accuracy {accuracy.shape}, lengths {lengths.shape} and "
            f"solved {solved.shape} are not of the same runs"
        )
    if runs and not (lengths.min() >= 1 and lengths.max() <= epochs):
        raise ValueError(f"lengths have to be in 1 … {epochs}")
    band = chance if isinstance(chance, ChanceBand) else chance_band(tuple(chance))
    trained = np.arange(epochs) < lengths[:, None]

    outside = _outside(loss, accuracy, band) & trained
    outside[solved, lengths[solved] - 1] = True
    escape = _start_of_majority(outside, trained)
    escaped = escape > 0

    none = np.full(runs, np.nan)
    return Plateaus(
        band=band,
        escape=np.where(escaped, escape, np.nan),
        plateau_length=np.where(escaped, escape - 1, lengths),
        plateau_censored=~escaped,
        transition_length=np.where(solved, lengths - escape, none),
        sharpness=_largest_rise(accuracy, np.where(escaped, escape, epochs + 1), lengths),
    )


def plateaus_of(runs: Sequence[FinishedRun], chance: ChanceBand | Sequence[int]) -> Plateaus:
    """`find_plateaus` for finished runs, in their order, with bounded memory."""
    parts = [_of_block(runs[i : i + BLOCK], chance) for i in range(0, len(runs), BLOCK)]
    if not parts:
        nothing = np.empty((0, 1))
        none = np.empty(0)
        return find_plateaus(nothing, nothing, none, none, chance=chance)
    arrays = (np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS)
    return Plateaus(parts[0].band, *arrays)


@lru_cache(maxsize=256)
def chance_band(class_counts: tuple[int, ...]) -> ChanceBand:
    """The chance band of a task from the number of records of each class.

    Raises ValueError when fewer than two classes have records.
    """
    counts = np.array([count for count in class_counts if count > 0])
    if len(counts) < 2:
        raise ValueError("chance needs two classes with records, or more")
    records = int(counts.sum())
    share = counts / records
    top, rarest = float(share.max()), float(share.min())
    # Halfway between two possible counts of right answers, so that rounding decides nothing.
    high = min(1.0, (quantile_above(records, top, TAIL) + 0.5) / records)
    low = max(0.0, 1.0 - (quantile_above(records, 1.0 - rarest, TAIL) + 0.5) / records)
    entropy = float(-(share * np.log(share)).sum())
    known = _most_uncertain(high, len(counts)) / _most_uncertain(top, len(counts))
    return ChanceBand(
        accuracy=top,
        low=low,
        high=high,
        loss=entropy,
        loss_low=entropy * known,
        loss_high=entropy * (2.0 - known),
    )


def regression_band(accuracy: float, variance: float, records: int) -> ChanceBand:
    """The chance band of a task whose targets are numbers.

    `accuracy` (0 … 1, below 1) is the largest share of records that one and the same prediction
    gets near enough, `variance` that of the targets (the mean squared error of predicting their
    mean). A prediction far off all targets has an accuracy of 0, so the band has no lower edge.

    Raises ValueError where one number is near enough to every target, or there is no variance.
    """
    if not 0.0 <= accuracy < 1.0 or not 0.0 < variance < math.inf or records < 1:
        raise ValueError(
            f"an accuracy of {accuracy:g} and a variance of {variance:g} of {records} records "
            "leave nothing to learn"
        )
    # The squared correlation of independent numbers, times their count, is χ² with one degree.
    explained = min(0.5, NormalDist().inv_cdf(1.0 - TAIL / 2.0) ** 2 / records)
    return ChanceBand(
        accuracy=accuracy,
        low=0.0,
        high=min(1.0, (quantile_above(records, accuracy, TAIL) + 0.5) / records),
        loss=variance,
        loss_low=variance * (1.0 - explained),
        loss_high=variance * (1.0 + explained),
    )


def _most_uncertain(accuracy: float, classes: int) -> float:
    """Fano's bound: the most that is unknown of a label guessed right this often, in nats."""
    wrong = 1.0 - accuracy
    if wrong == 0.0:
        return 0.0
    return float(-accuracy * np.log(accuracy) - wrong * np.log(wrong) + wrong * np.log(classes - 1))


def _outside(loss: np.ndarray, accuracy: np.ndarray, band: ChanceBand) -> np.ndarray:
    """Which epochs are outside the chance band, by loss and accuracy: bool [runs, epochs].

    A comparison with NaN is false, so an epoch without a number falls out of both conditions.
    """
    above = accuracy > band.high
    above &= (loss < band.loss_low) | ((loss > band.loss_high) & (loss < np.inf))
    above |= (loss < band.loss / 2) & np.isfinite(accuracy)
    return above


def _start_of_majority(outside: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """The epoch from which those outside exceed the others by the most: int [runs], 0 for none."""
    surplus = outside.astype(np.int32)
    surplus *= 2
    surplus -= trained
    # Summed from the end, so that the first maximum met is the latest epoch among equals.
    from_end = np.cumsum(surplus[:, ::-1], axis=1, dtype=np.int32)
    steps_back = from_end.argmax(axis=1)
    most = np.take_along_axis(from_end, steps_back[:, None], axis=1)[:, 0]
    return np.where(most > 0, outside.shape[1] - steps_back, 0)


def _largest_rise(accuracy: np.ndarray, escape: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The largest rise from one epoch to the next, into the escape epoch or a later one.

    float [runs]; NaN where there are no two such epochs.
    """
    runs, epochs = accuracy.shape
    if epochs < 2:
        return np.full(runs, np.nan)
    into = np.arange(2, epochs + 1)
    counted = (into >= escape[:, None]) & (into <= lengths[:, None])
    # A rise from or to an epoch without a number is none; fmax passes over it.
    rises = np.where(counted, np.diff(accuracy, axis=1), np.nan)
    return np.fmax.reduce(rises, axis=1).astype(np.float64)


def _of_block(runs: Sequence[FinishedRun], chance: ChanceBand | Sequence[int]) -> Plateaus:
    lengths = np.array([run.epochs for run in runs])
    loss = np.full((len(runs), int(lengths.max())), np.nan, dtype=np.float32)
    accuracy = loss.copy()
    for row, run in enumerate(runs):
        loss[row, : run.epochs] = run.curve("loss")
        accuracy[row, : run.epochs] = run.curve("accuracy")
    solved = np.array([run.ended == "solved" for run in runs])
    return find_plateaus(loss, accuracy, lengths, solved, chance=chance)
