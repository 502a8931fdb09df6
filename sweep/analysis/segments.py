"""Later plateaus: levels that a curve holds for a time after it has left chance.

Some tasks are learnt in steps. A network that knows one bit of a parity of two answers half of the
records right by knowledge and half by chance, and may sit at 75 % for long. `later_plateaus` finds
such levels in the accuracy from the escape on (`sweep.analysis.plateau`), without being told how
many there are.

**Noise.** The number of right answers of an epoch spreads by at most as much as that of as many
independent guesses. On the scale arcsin √accuracy that spread is the same at every level: σ = 1 /
(2 √records), at 200 records 3.5 % in the middle and less towards 0 and 1.

**Pieces.** The curve from its escape to its end is cut into pieces, each of which is constant or a
straight slope, so that the squared residuals in units of σ plus a penalty of 2 ln T for a constant
piece and 3 ln T for a slope are as small as any cut makes them (Schwarz's criterion: ln T for each
level, slope and end, T being the epochs at hand). A slow rise is thus one slope, not a staircase of
levels. The best of all cuts is found by dynamic programming (Jackson et al. 2005, "optimal
partitioning", doi:10.1109/LSP.2001.838216), over all curves at a time.

**A level is held** where a piece drifts by no more than 2 σ from its start to its end. Pieces
next to each other, or parted by fewer than `DIP` epochs, whose levels differ by no more than 2 σ
are one. A later plateau is a level held for `SHORTEST` epochs or more, and for so long that its
slope is known, by two standard errors, to be less than the curve's average: all ups and downs from
piece to piece, from chance on, over all epochs. (A few epochs of any slow rise look flat.) The
target is no plateau: the last epoch of a run that solved the task is left out.

**Against a library.** `ruptures` (1.1.10) cuts curves into constant pieces (`KernelCPD`) or joined
slopes (`Pelt`, "clinear"). At the noise of 200 records and Schwarz's penalty, the first finds six
levels in a rise of 60 epochs and the second one in every other such rise, where this module finds
one in ten to twenty; both place a level held for 20 epochs less exactly. It does some 10,000 and
1,000 curves a second, this module 10,000 to 50,000 of 50 to 15 epochs. So it is not used.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from studies.run import FinishedRun
from sweep.analysis.plateau import Plateaus

SHORTEST = 5
"""Epochs that a level has to be held for to be called a plateau."""

DIP = 3
"""Epochs away from a level that end it; fewer are forgiven."""

FINEST = 160
"""Points of a curve that are told apart; longer curves are averaged over that many stretches."""

BLOCK = 1024
"""Curves cut up at a time, so that memory stays bounded."""


@dataclass(frozen=True, slots=True, eq=False)
class LaterPlateaus:
    """The levels held after the escape, one row each, in the order of runs and epochs.

    Arrays [plateaus]: `run` is the index of the run, `level` the mean accuracy over the plateau,
    `start` its first epoch (from 1), `length` its epochs. Where `censored`, the run ended on it
    (or fewer than `DIP` epochs after it), unsolved, and the plateau is longer than that.
    """

    run: np.ndarray
    level: np.ndarray
    start: np.ndarray
    length: np.ndarray
    censored: np.ndarray

    def __len__(self) -> int:
        return len(self.run)


@dataclass(frozen=True, slots=True)
class HeldLevel:
    """A level that some of the runs hold: its median, by how many, from when and for how long.

    `start_median` and `length_median` are over the runs that hold it; a run that ended on it counts
    as having held it for longer than any number, so `length_median` is None where most did.
    """

    level: float
    runs: int
    start_median: float
    length_median: float | None


def later_plateaus_of(
    runs: Sequence[FinishedRun], plateaus: Plateaus, *, records: int
) -> LaterPlateaus:
    """`later_plateaus` for finished runs, whose first plateaus are `plateaus`."""
    longest = max((run.epochs for run in runs), default=1)
    accuracy = np.full((len(runs), longest), np.nan, dtype=np.float32)
    for row, run in enumerate(runs):
        accuracy[row, : run.epochs] = run.curve("accuracy")
    lengths = np.array([run.epochs for run in runs], dtype=np.int64)
    solved = np.array([run.ended == "solved" for run in runs], dtype=bool)
    return later_plateaus(
        accuracy, lengths, solved, plateaus.escape, records=records, chance=plateaus.band.accuracy
    )


def later_plateaus(
    accuracy: np.ndarray,
    lengths: np.ndarray,
    solved: np.ndarray,
    escape: np.ndarray,
    *,
    records: int,
    chance: float,
) -> LaterPlateaus:
    """The levels that every run holds after its escape.

    `accuracy` (0 … 1) is float [runs, epochs], column 0 being epoch 1; what it holds beyond a run's
    `lengths` (int [runs]) is ignored. `solved` (bool [runs]) says that the last epoch reached the
    target. `escape` (float [runs]) is the epoch of the escape, NaN for a run that has none and so
    no later plateau. `records` is the number of records of an epoch, `chance` the accuracy at
    chance.

    A curve of up to `FINEST` epochs after its escape is cut to the epoch; starts and lengths in a
    longer one are multiples of a `FINEST`th of it. Raises ValueError when the shapes do not agree.
    """
    accuracy, lengths = np.asarray(accuracy), np.asarray(lengths, dtype=np.int64)
    solved, escape = np.asarray(solved, dtype=bool), np.asarray(escape, dtype=np.float64)
    runs = len(accuracy)
    if not (lengths.shape == solved.shape == escape.shape == (runs,)):
        raise ValueError(
            f"accuracy {accuracy.shape}, lengths {lengths.shape}, solved {solved.shape} and escape "
            f"{escape.shape} are not of the same runs"
        )
    first = np.nan_to_num(escape, nan=1.0).astype(np.int64) - 1
    ends = _finite_length(accuracy, lengths) - solved
    points = np.where(np.isnan(escape), 0, ends - first)
    wanted = np.flatnonzero(points >= SHORTEST)
    # Curves of like length are cut together, so that little time goes into padding.
    wanted = wanted[np.argsort(points[wanted], kind="stable")]
    stretches = -(-points // FINEST)
    found: list[np.ndarray] = []
    for stretch in np.unique(stretches[wanted]):
        same = wanted[stretches[wanted] == stretch]
        for i in range(0, len(same), BLOCK):
            block = same[i : i + BLOCK]
            found.append(_of_block(accuracy, first, ends, block, int(stretch), records, chance))
    run, start, length = np.concatenate([np.empty((3, 0), dtype=np.int64), *found], axis=1)
    order = np.lexsort((start, run))
    run, start, length = run[order], start[order], length[order]
    sums = np.concatenate([np.zeros((runs, 1)), np.cumsum(np.nan_to_num(accuracy), axis=1)], axis=1)
    level = (sums[run, start + length] - sums[run, start]) / np.maximum(length, 1)
    return LaterPlateaus(
        run=run,
        level=level,
        start=start + 1,
        length=length,
        censored=~solved[run] & (ends[run] - start - length < np.maximum(DIP, stretches[run])),
    )


def held_levels(found: LaterPlateaus, *, records: int) -> list[HeldLevel]:
    """The levels that runs have in common, those held by most runs first.

    A level takes in as many plateaus as a window of 2 σ can; then the next, of those that are left.
    """
    order = np.argsort(found.level, kind="stable")
    angles = _angle(found.level[order])
    levels: list[HeldLevel] = []
    while len(order):
        last = np.searchsorted(angles, angles + 2.0 * _sigma(records), side="right")
        first = int(np.argmax(last - np.arange(len(angles))))
        window = slice(first, last[first])
        rows = order[window]
        lengths = np.where(found.censored[rows], np.inf, found.length[rows])
        levels.append(
            HeldLevel(
                level=float(np.median(found.level[rows])),
                runs=len(np.unique(found.run[rows])),
                start_median=_middle(found.start[rows]) or 0.0,
                length_median=_middle(lengths),
            )
        )
        order, angles = np.delete(order, window), np.delete(angles, window)
    return sorted(levels, key=lambda level: (-level.runs, level.level))


def _middle(values: np.ndarray) -> float | None:
    middle = float(np.sort(values)[(len(values) - 1) // 2])
    return middle if np.isfinite(middle) else None


def _sigma(records: int) -> float:
    return 0.5 / np.sqrt(records)


def _angle(accuracy: np.ndarray) -> np.ndarray:
    return np.arcsin(np.sqrt(np.clip(accuracy, 0.0, 1.0)))


def _finite_length(accuracy: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The epochs before the first whose accuracy is no number, at most `lengths`."""
    gone = ~np.isfinite(accuracy)
    gone |= np.arange(accuracy.shape[1]) >= lengths[:, None]
    return np.where(gone.any(axis=1), gone.argmax(axis=1), accuracy.shape[1])


def _of_block(
    accuracy: np.ndarray,
    first: np.ndarray,
    ends: np.ndarray,
    rows: np.ndarray,
    stretch: int,
    records: int,
    chance: float,
) -> np.ndarray:
    """The later plateaus of some runs: int [3, plateaus] of run, start (from 0) and length.

    A point of a curve is the mean of `stretch` epochs.
    """
    points = (ends[rows] - first[rows]) // stretch
    bounds = first[rows] + stretch * np.arange(int(points.max()) + 1)[:, None]
    # Beyond its end a curve stays as it is; nothing there is looked at.
    bounds = np.minimum(bounds, accuracy.shape[1])
    values = np.nan_to_num(_angle(accuracy[rows].astype(np.float64)))
    upto = np.concatenate([np.zeros((len(rows), 1)), np.cumsum(values, axis=1)], axis=1)
    sigma = _sigma(records) / np.sqrt(stretch)
    curves = np.diff(upto[np.arange(len(rows)), bounds], axis=0) / (stretch * sigma)
    starts = _best_cut(curves, points)
    drift = 2.0 * np.sqrt(stretch)
    sums = _Sums(curves)
    lowest = float(_angle(np.array(chance))) / sigma
    (run, start, end), travelled = _held(sums, points, starts, lowest, drift, -(-DIP // stretch))
    length = end - start
    error = np.sqrt(12.0 / np.maximum(length * (length * length - 1.0), 1e-9))
    slower = sums.slope(run, start, end) + 2.0 * error <= (travelled / points)[run]
    kept = slower & (length * stretch >= SHORTEST)
    run, start, length = run[kept], start[kept], length[kept]
    return np.stack([rows[run], first[rows][run] + start * stretch, length * stretch])


def _best_cut(values: np.ndarray, points: np.ndarray) -> np.ndarray:
    """For every point, where the piece that ends with it starts in the best cut up to it.

    `values` is float [points, runs] in units of its noise; int [points + 1, runs], row t being for
    the piece that ends before point t.
    """
    longest, runs = values.shape
    number = np.arange(longest)[:, None]
    penalty = np.log(np.maximum(points, 2)).astype(np.float64)
    zero = np.zeros((1, runs))
    ones = np.concatenate([zero, np.cumsum(values, axis=0)])
    squares = np.concatenate([zero, np.cumsum(values * values, axis=0)])
    moments = np.concatenate([zero, np.cumsum(values * number, axis=0)])
    cost = np.zeros((longest + 1, runs))
    starts = np.zeros((longest + 1, runs), dtype=np.int64)
    for end in range(1, longest + 1):
        count = np.arange(end, 0, -1)[:, None].astype(np.float64)
        middle = end - 1 - (count - 1) / 2
        total = ones[end] - ones[:end]
        flat = squares[end] - squares[:end] - total * total / count
        slope = moments[end] - moments[:end] - middle * total
        gain = slope * slope / np.maximum(count * (count * count - 1) / 12.0, 1e-9)
        # A slope through two points has no residual, nor has it told anything.
        gain[count[:, 0] < 3] = 0.0
        best = cost[:end] + flat - np.maximum(gain - penalty, 0.0)
        chosen = best.argmin(axis=0)
        starts[end] = chosen
        cost[end] = best[chosen, np.arange(runs)] + 2.0 * penalty
    return starts


class _Sums:
    """Means and slopes of any stretches of curves [points, runs]."""

    def __init__(self, curves: np.ndarray) -> None:
        zero = np.zeros((1, curves.shape[1]))
        number = np.arange(len(curves))[:, None]
        self._ones = np.concatenate([zero, np.cumsum(curves, axis=0)])
        self._moments = np.concatenate([zero, np.cumsum(curves * number, axis=0)])

    def mean(self, run: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """The mean of each run's points from `start` to before `end`."""
        return (self._ones[end, run] - self._ones[start, run]) / np.maximum(end - start, 1)

    def slope(self, run: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """The size of their least-squares slope a point; 0 for a single one."""
        count = end - start
        total = self._ones[end, run] - self._ones[start, run]
        moment = self._moments[end, run] - self._moments[start, run]
        about = np.abs(moment - (start + end - 1) / 2.0 * total)
        return about / np.maximum(count * (count * count - 1.0) / 12.0, 0.5)


def _held(
    sums: _Sums, points: np.ndarray, starts: np.ndarray, lowest: float, drift: float, dip: int
) -> tuple[np.ndarray, np.ndarray]:
    """The held levels of the best cuts, like ones joined, and how far each curve went.

    int [3, levels] of run, start and end; float [runs], all ups and downs from `lowest` on.
    """
    runs = np.arange(len(points))
    found: list[np.ndarray] = []
    end = points.copy()
    # The level being gathered in each run, from the last piece to the first.
    low, high = np.full((2, len(runs)), -1)
    travelled = np.zeros(len(runs))
    after = np.zeros(len(runs))
    while (end > 0).any():
        start = starts[end, runs]
        mean = sums.mean(runs, start, end)
        flat = (end > 0) & (sums.slope(runs, start, end) * (end - start - 1) <= drift)
        near = np.abs(mean - sums.mean(runs, low, high)) <= drift
        joined = flat & (low >= 0) & near & (low - end < dip)
        # A single point is no level by itself, though it may be part of one.
        fresh = flat & ~joined & (end - start > 1)
        found.append(np.stack([runs, low, high])[:, fresh & (low >= 0)])
        high[fresh] = end[fresh]
        low[fresh | joined] = start[fresh | joined]
        step = np.where(end == points, 0.0, np.abs(after - mean))
        step += np.where(start == 0, np.abs(mean - lowest), 0.0)
        travelled += np.where(end > 0, step, 0.0)
        after = mean
        end = np.where(end > 0, start, 0)
    found.append(np.stack([runs, low, high])[:, low >= 0])
    return np.concatenate(found, axis=1), travelled
