"""How often the 95 % intervals hold what they are about: measured on simulated data.

    python tests/intervals.py --cases 4000

Each row draws so many samples from a distribution whose truth is known (by formula, or from a
million draws), computes the interval that the product shows, and prints the share of samples whose
interval holds the truth. Times are log-normal or exponential, rounded up to whole epochs and
censored at a budget, as runs are. With 4,000 cases a share of 95 % is known to ± 0.7 %.
"""

import argparse
import math
from collections.abc import Callable, Iterator

import numpy as np
import scipy.stats

from sweep.analysis.bootstrap import unpaired_ratio_interval
from sweep.analysis.estimate import Estimate
from sweep.analysis.group import Sample, summarise_group
from sweep.analysis.kaplan_meier import kaplan_meier
from sweep.analysis.laws import Times, fit_law, times_to
from sweep.analysis.paired import compare_pairs
from sweep.analysis.progress import growth
from sweep.analysis.running_time import ert, ert_interval
from sweep.analysis.survival import mean_within, median_time, success_rate

MANY = 1_000_000
"""Draws from which a truth without a formula is taken."""

Random = np.random.Generator
Row = tuple[str, str, float]
"""What is estimated, from how much, and the share of intervals that hold it."""


def holds(found: Estimate, truth: float) -> bool:
    """Whether an interval, open where it has no end, has the truth in it."""
    low = -math.inf if found.low is None else found.low
    high = math.inf if found.high is None else found.high
    return low - 1e-9 <= truth <= high + 1e-9


def success(random: Random, cases: int) -> Iterator[Row]:
    rates = np.linspace(0.05, 0.95, 91)[:, None]
    for replicates in (5, 30, 100):
        counts = np.arange(replicates + 1)
        ends = np.array([success_rate(int(n), replicates)[1:] for n in counts])
        covers = (ends[:, 0] <= rates) & (rates <= ends[:, 1])
        share = (scipy.stats.binom.pmf(counts, replicates, rates) * covers).sum(axis=1).mean()
        yield "success rate (mean over rates of 5 to 95 %)", f"{replicates} replicates", share


def median(random: Random, cases: int) -> Iterator[Row]:
    for replicates in (6, 12, 30, 100):
        held = 0
        for times in random.exponential(60, (cases, replicates)):
            found = median_time(np.minimum(times, 100), times < 100)
            held += holds(found, 60 * math.log(2))
        yield "median epochs to target", f"{replicates} replicates", held / cases


def restricted_mean(random: Random, cases: int) -> Iterator[Row]:
    truth = np.minimum(log_normal(random, MANY, 0.5), 50).mean()
    for replicates in (5, 30):
        held = 0
        for _ in range(cases):
            times = log_normal(random, replicates, 0.5)
            held += holds(mean_within(np.minimum(times, 50), times <= 50, 50), truth)
        yield "mean within the budget", f"{replicates} replicates", held / cases


def running_time(random: Random, cases: int) -> Iterator[Row]:
    def drawn(runs: int) -> tuple[np.ndarray, np.ndarray]:
        solved = random.random(runs) < 0.6
        return np.where(solved, np.minimum(log_normal(random, runs, 0.4), 100), 100.0), solved

    truth = ert(*drawn(MANY)) or 0.0
    for replicates in (5, 30):
        held = seen = 0
        while seen < cases:
            spent, solved = drawn(replicates)
            if solved.any():
                held += holds(ert_interval(spent, solved, 100), truth)
                seen += 1
        yield "expected running time, 60 % solved", f"{replicates} replicates", held / cases


def survival(random: Random, cases: int) -> Iterator[Row]:
    at = -50 * math.log(0.5)
    for replicates in (10, 30):
        held = 0
        for _ in range(cases):
            times, budgets = random.exponential(50, replicates), random.uniform(40, 150, replicates)
            curve = kaplan_meier(np.minimum(times, budgets), times <= budgets)
            place = np.searchsorted(curve.times, at, side="right") - 1
            low, high = (
                (curve.low[place], curve.high[place])
                if place >= 0
                else success_rate(replicates, replicates)[1:]
            )
            held += low <= 0.5 <= high
        yield "Kaplan–Meier at one half, unequal budgets", f"{replicates} replicates", held / cases


def pairs(random: Random, cases: int) -> Iterator[Row]:
    def drawn(runs: int, number: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        seed, own = random.normal(size=(runs, number)), random.normal(size=(2, runs, number))
        first, second = np.exp(0.3 * np.sqrt(0.5) * (seed + own))
        return zip(np.ceil(20 * first), np.ceil(30 * second), strict=True)

    ((first, second),) = drawn(1, MANY)
    truth = np.minimum(second, 100).mean() / np.minimum(first, 100).mean()
    middle = float(np.median(second) / np.median(first))
    for number in (5, 30):
        held = held_by_median = 0
        for a, b in drawn(cases, number):
            found = compare_pairs(
                (np.minimum(a, 100), a <= 100), (np.minimum(b, 100), b <= 100), 100
            )
            held += holds(found.mean_ratio, truth)
            held_by_median += holds(found.ratio, middle)
        yield "ratio of means, paired by seed", f"{number} pairs", held / cases
        yield "ratio of medians, paired by seed", f"{number} pairs", held_by_median / cases


def apart(random: Random, cases: int) -> Iterator[Row]:
    truth = 1.5 * math.exp((0.5**2 - 0.3**2) / 2)
    for first, second in ((5, 5), (30, 30)):
        held = 0
        for _ in range(cases):
            top = 30 * np.exp(0.5 * random.normal(size=first))
            bottom = 20 * np.exp(0.3 * random.normal(size=second))
            low, high = unpaired_ratio_interval(top, bottom, (0.0, 0.0), 0.95) or (0.0, 0.0)
            held += low <= truth <= high
        yield "ratio of means, not paired", f"{first} and {second} trials", held / cases


def groups(random: Random, cases: int) -> Iterator[Row]:
    def drawn(trials: int) -> np.ndarray:
        own = 0.8 * random.normal(size=(trials, 1))
        return np.ceil(30 * np.exp(own + 0.3 * random.normal(size=(trials, 5))))

    many = drawn(MANY // 5)
    within, solved = np.minimum(many, 100), many <= 100
    truths = {
        "success": ("success rate of a group", solved.mean()),
        "median": ("median of a group", float(np.median(many))),
        "mean": ("mean of a group", within.mean()),
        "ert": ("expected running time of a group", within.mean() / solved.mean()),
    }
    for trials in (9, 30):
        held = dict.fromkeys(truths, 0)
        for _ in range(cases):
            found = summarise_group(_sample(drawn(trials)), 100)
            for name, (_, truth) in truths.items():
                held[name] += holds(getattr(found, name), truth)
        for name, (said, _) in truths.items():
            yield said, f"{trials} trials × 5", held[name] / cases


def rate(random: Random, cases: int) -> Iterator[Row]:
    epochs = np.arange(1, 16)
    for runs in (12, 30):
        held = 0
        for _ in range(cases):
            rates = 0.5 + 0.05 * random.normal(size=runs)
            noise = np.exp(0.02 * random.normal(size=(runs, len(epochs))))
            series = list(np.exp(rates[:, None] * epochs) * noise)
            held += holds(growth(series, np.full(runs, len(epochs))).median("rate"), 0.5)
        yield "growth rate on the plateau", f"{runs} runs", held / cases


def law(random: Random, cases: int) -> Iterator[Row]:
    values = np.array([2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3])
    for seeds, budget in ((5, 300), (20, 60)):
        held = 0
        for _ in range(cases):
            own = random.normal(size=seeds)
            x, which = np.repeat(values, seeds), np.tile(np.arange(seeds), len(values))
            noise = math.sqrt(0.5) * (own[which] + random.normal(size=len(x)))
            times = 0.015 / x * np.exp(0.25 * noise)
            epochs = np.minimum(np.ceil(times), budget)
            found = fit_law(Times(x, *times_to(epochs, times <= budget), which))
            held += holds(found.exponent, -1.0)
        yield f"exponent of a law, budget {budget}", f"5 values × {seeds} seeds", held / cases


SLOW = {groups: 4, rate: 4, law: 10}
"""How many times fewer cases some rows take, each of which is as slow."""

ROWS = (
    success,
    median,
    restricted_mean,
    running_time,
    survival,
    pairs,
    apart,
    groups,
    rate,
    law,
)


def log_normal(random: Random, size: int, spread: float) -> np.ndarray:
    return np.ceil(20 * np.exp(spread * random.normal(size=size)))


def _sample(times: np.ndarray) -> Sample:
    trials, seeds = times.shape
    flat = times.reshape(-1)
    return Sample(
        label="group",
        times=np.minimum(flat, 100),
        solved=flat <= 100,
        spent=np.minimum(flat, 100),
        plateau=np.minimum(flat, 100) // 2,
        waiting=flat > 200,
        diverged=np.zeros(len(flat), dtype=bool),
        trials=np.repeat(np.arange(trials), seeds),
        seeds=np.tile(np.arange(seeds), trials),
        partners=[()] * len(flat),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="How often 95 %% intervals hold the truth.")
    parser.add_argument("--cases", type=int, default=4000, help="samples a row")
    asked = parser.parse_args()
    print("| estimate | from | cases | holds the truth |")
    print("|---|---|---|---|")
    for place, row in enumerate(ROWS):
        work: Callable[[Random, int], Iterator[Row]] = row
        cases = max(1, asked.cases // SLOW.get(row, 1))
        for estimate, size, share in work(np.random.default_rng(place), cases):
            number = "exact" if row is success else f"{cases:,}"
            print(f"| {estimate} | {size} | {number} | {100 * share:.1f} % |", flush=True)


if __name__ == "__main__":
    main()
