"""Whether groups differ when their runs are not independent of one another: exchanging labels.

The χ² distribution of a log-rank test takes every run for a separate piece of evidence. The
replicates of one configuration are not: where the search draws configurations, five replicates of
one say little more than one does. So the unit that was drawn, a configuration with all its
replicates or a run, keeps its runs together, and the test asks how often the log-rank statistic is
as large as it is when the group labels are dealt out to the units anew. Where units are matched
(the same other settings, or the same seed, in every group), labels are only exchanged among those
that belong together.
"""

import numpy as np

DRAWS = 1_999
"""Exchanges of labels, besides what was observed; the smallest p-value is 1 in 2,000."""


def exchange_p(
    times: np.ndarray,
    solved: np.ndarray,
    groups: np.ndarray,
    units: np.ndarray,
    strata: np.ndarray | None = None,
) -> float:
    """The p-value of the k-sample log-rank statistic by exchanging the group labels of units.

    Arrays [runs]: `times` and `solved` (bool), `groups` (int, 0 … k − 1, each used), `units` (int,
    0 … n − 1, each used; the runs of a unit are of one group), `strata` (any labels, the same for
    the runs of a unit) within which labels are exchanged; left out, among all.

    (1 + exchanges that are as extreme) / (1 + exchanges), which never claims too much (Phipson and
    Smyth 2010, doi:10.2202/1544-6115.1585). 1 where nothing was solved.
    """
    at, counts = np.unique(np.asarray(times)[np.asarray(solved, dtype=bool)], return_counts=True)
    if not len(at):
        return 1.0
    number = int(units.max()) + 1
    at_risk, events = np.zeros((2, number, len(at) + 1))
    # The number of a unit's runs still under way at each time, by what ends between the times.
    np.add.at(at_risk, (units, np.searchsorted(at, times, side="right")), 1.0)
    at_risk = np.cumsum(at_risk[:, ::-1], axis=1)[:, ::-1][:, 1:]
    done = np.asarray(solved, dtype=bool)
    np.add.at(events, (units[done], np.searchsorted(at, np.asarray(times)[done])), 1.0)
    total = at_risk.sum(axis=0)
    spread = counts * np.divide(total - counts, total - 1, out=np.zeros(len(at)), where=total > 1)

    label = np.zeros(number, dtype=np.int64)
    label[units] = groups
    stratum = np.zeros(number)
    if strata is not None:
        stratum[units] = np.unique(strata, return_inverse=True)[1].reshape(-1)
    # What a unit adds to the events beyond those to expect.
    surplus = events.sum(axis=1) - at_risk @ (counts / total)
    statistics = _statistics(
        _exchanged(label, stratum), int(groups.max()) + 1, surplus, at_risk / total, spread
    )
    return float(np.mean(statistics >= statistics[0] * (1.0 - 1e-9)))


def _exchanged(label: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    """The labels as they are, and dealt out anew within strata: int [1 + DRAWS, units]."""
    random = np.random.default_rng([len(label), DRAWS])
    order = np.argsort(stratum, kind="stable")
    shuffled = np.argsort(stratum + random.random((DRAWS, len(label))), axis=1, kind="stable")
    dealt = np.empty((1 + DRAWS, len(label)), dtype=np.int64)
    dealt[0] = label
    dealt[1:, order] = label[shuffled]
    return dealt


def _statistics(
    labels: np.ndarray, groups: int, surplus: np.ndarray, share: np.ndarray, spread: np.ndarray
) -> np.ndarray:
    """The log-rank statistic under every row of labels.

    `share` [units, times] is a unit's share of all runs at risk, `spread` [times] the variance that
    a time adds for shares of one half and one half, times four.
    """
    result = np.empty(len(labels))
    step = max(1, 2_000_000 // (groups * max(share.shape)))
    for start in range(0, len(labels), step):
        # One group follows from the others.
        member = labels[start : start + step, None] == np.arange(groups - 1)[:, None]
        member = member.astype(np.float64)
        own = member @ share
        difference = member @ surplus
        covariance = -np.einsum("dgt,t,dht->dgh", own, spread, own, optimize=True)
        diagonal = np.arange(groups - 1)
        covariance[:, diagonal, diagonal] += own @ spread
        inverse = np.linalg.pinv(covariance, hermitian=True)
        result[start : start + step] = np.einsum("dg,dgh,dh->d", difference, inverse, difference)
    return result
