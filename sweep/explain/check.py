"""The largest effects once more, in stock Keras.

`keras.Model.fit` trains the baseline and the interventions as a person would who knows nothing of
this package: weights and the order of records are drawn by Keras itself, after
`keras.utils.set_random_seed`. So the runs are others than the engine's, and what both find agrees
if the two intervals of a ratio have a value in common.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from studies.run import FinishedRun, Run
from sweep.analysis.estimate import Estimate
from sweep.analysis.paired import compare_pairs
from sweep.explain.effects import Arm, Effect, make_arm
from sweep.explain.explanation import Explanation

EFFECTS = 3
"""How many of the largest effects are repeated."""

SEEDS = 10
"""Runs of each in Keras."""


@dataclass(frozen=True, eq=False)
class Repeated:
    """An effect and its repetition: the baseline's and the intervention's runs in stock Keras."""

    effect: Effect
    baseline: Arm
    arm: Arm
    ratio: Estimate

    @property
    def agrees(self) -> bool:
        """Whether the intervals of both ratios have a value in common."""
        ours, theirs = self.effect.ratio, self.ratio
        return (ours.low or 0.0) <= (theirs.high or math.inf) and (theirs.low or 0.0) <= (
            ours.high or math.inf
        )


def largest(effects: tuple[Effect, ...]) -> list[Effect]:
    """The effects that are repeated: of the model and its training, with a known ratio, the one
    farthest from 1 of its group, the farthest first."""
    groups: dict[str, Effect] = {}
    shown = [
        e
        for e in effects
        if e.finding in ("shortens", "lengthens") and e.ratio.value and not e.intervention.data
    ]
    for effect in sorted(shown, key=lambda e: -abs(math.log(e.ratio.value or 1.0))):
        groups.setdefault(effect.intervention.group, effect)
    return list(groups.values())[:EFFECTS]


def check_in_keras(
    found: Explanation,
    on_done: Callable[[str, int, int], None] | None = None,
    *,
    seeds: int = SEEDS,
) -> list[Repeated]:
    """Trains the baseline and the largest effects in stock Keras, from seeds 0 … `seeds` − 1.

    `on_done` gets the name of what is trained, and how many of its runs are done and to do.
    """

    def trained(name: str, arm: Arm) -> Arm:
        from sweep.keras.training import Trainer

        trainer = Trainer(arm.configuration, found.task)
        runs: list[FinishedRun] = []
        for seed in range(seeds):
            if on_done is not None:
                on_done(name, seed, seeds)
            run = Run(arm.configuration, seed, found.budget, found.target)
            runs.append(trainer.train_afresh(run))
        return make_arm(arm.configuration, found.baseline.task, runs)

    chosen = largest(found.effects)
    if not chosen:
        return []
    baseline = trained("the baseline", found.baseline)
    repeated: list[Repeated] = []
    for effect in chosen:
        arm = trained(effect.intervention.name, effect.arm)
        paired = compare_pairs(baseline.times(), arm.times(), found.budget)
        repeated.append(Repeated(effect, baseline, arm, paired.ratio))
    return repeated


def check_json(repeated: Repeated) -> dict[str, Any]:
    """A repetition under the keys that programs read."""
    ours, theirs = repeated.effect.ratio, repeated.ratio
    return {
        "name": repeated.effect.intervention.name,
        "replicates": len(repeated.arm.runs),
        "plateau_median": repeated.arm.plateau.value,
        "baseline_plateau_median": repeated.baseline.plateau.value,
        "success_rate": repeated.arm.summary.success_rate,
        "ratio": theirs.value,
        "ratio_low": theirs.low,
        "ratio_high": theirs.high,
        "engine_ratio": ours.value,
        "engine_ratio_low": ours.low,
        "engine_ratio_high": ours.high,
        "agrees": repeated.agrees,
    }
