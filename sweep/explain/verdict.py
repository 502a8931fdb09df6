"""The verdict: an explanation's findings in plain sentences, made from its figures by rules.

The rules, in the order of the sentences:

- *The wait.* The baseline's median plateau, and its share of the median epochs to the target.
- *Under the flat curve.* What the outputs told half-way through the plateau (see
  `sweep.explain.hidden`). The growth is called exponential if that shape fits most runs best, with
  the interval of their share above one half.
- *What shortens it most.* Interventions on the model and its training whose finding is "shortens":
  of each group the one with the smallest ratio, at most `NAMED` of them. Changes of the data are
  named apart: they make the task another.
- *What lengthens it, and what hardly matters.* Findings "lengthens", likewise, and "level".
- *Epochs or updates.* Batch size and the number of records change how many updates an epoch has. If
  none of them changes the plateau by half as much in updates as in epochs (on the scale of
  logarithms), what counts are updates.
- *The published hypothesis*, for baselines with Adam: that the plateau ends when Adam's step size,
  which changes with the updates, passes a sweet spot, so that SGD with a lower learning rate is the
  remedy. It says two things that can be tested. If what is needed is to reach the step size of the
  plateau's end, holding that one flat from the first update does away with most of the plateau: the
  hypothesis fails if the ratio's interval lies above `MOST`, and holds if it lies below. (Whether
  runs whose step size is frozen at its lowest, and so never gets there, escape all the same is told
  beside it.) And some SGD at a lower rate (its default, Adam's default, or below its own best)
  escapes sooner: it fails if none has the finding "shortens".
- *What remains unknown.* Findings "open", by name; and what no intervention of one change each on
  one data set can tell.
"""

import math
from collections.abc import Callable, Sequence

from sweep.analysis.estimate import Estimate
from sweep.explain.effects import LEVEL, Arm, Effect
from sweep.explain.hidden import HiddenProgress, step_size_at
from sweep.explain.interventions import LOWEST

MOST = 0.5
"""A step size that was all that the plateau waited for would leave less than this share of it."""

NAMED = 5
"""Interventions named in a sentence on the largest effects, at most."""

LISTED = 12
"""Names in a list without figures, at most."""

PER_EPOCH = ("batch size", "records")
"""The groups of interventions that change the number of updates in an epoch."""

CONFIDENT = "95 % interval "

OF_DATA = ("inputs", "records")
"""The groups of interventions that change the data."""


def verdict(
    baseline: Arm, effects: Sequence[Effect], hidden: HiddenProgress | None
) -> tuple[str, ...]:
    """The sentences, in the order of the module's rules; those that do not apply are left out."""
    if baseline.plateau.value == 0:
        return (
            "The baseline has no plateau to explain: by the median it is outside the chance band "
            "from epoch 1.",
        )
    sentences = [
        _wait(baseline),
        *_under(hidden, baseline),
        *_shortening(effects),
        *_others(effects),
        *_updates(effects),
        *_hypothesis(baseline, effects),
        *_unknown(effects),
    ]
    return tuple(sentence for sentence in sentences if sentence)


def percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def number(value: float) -> str:
    """Three digits of a number, or all of those before the point."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def ratio_number(value: float) -> str:
    """A ratio with two decimals, or as many digits as a large one has."""
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def interval(estimate: Estimate, before: str = "", write: Callable[[float], str] = number) -> str:
    """The interval, "0.31–0.42"; an open end is "or more" or "or less", no interval is ""."""
    low, high = estimate.low, estimate.high
    if low is None:
        return "" if high is None else f"{before}{write(high)} or less"
    return (
        f"{before}{write(low)} or more" if high is None else f"{before}{write(low)}–{write(high)}"
    )


def bracketed(text: str) -> str:
    return f" ({text})" if text else ""


def ratio_text(ratio: Estimate) -> str:
    """A ratio as the texts have it: "0.36", or ">6.00" or "<0.36" where only a bound is known."""
    if ratio.value is not None:
        return ratio_number(ratio.value)
    if ratio.low is not None:
        return f">{ratio_number(ratio.low)}"
    return f"<{ratio_number(ratio.high)}" if ratio.high is not None else "unknown"


def _wait(baseline: Arm) -> str:
    summary, plateau, runs = baseline.summary, baseline.plateau, len(baseline.runs)
    budget = baseline.runs[0].run.epochs
    if plateau.value is None:
        return (
            f"Within {budget} epochs fewer than half of the {runs} runs escaped the plateau: it is "
            "longer than the budget, and only what shortens it can be told."
        )
    text = (
        f"The baseline sits at chance for a median of {number(plateau.value)} epochs"
        f"{bracketed(interval(plateau, CONFIDENT))}, over {runs} runs"
    )
    if summary.epochs_median:
        text += (
            f"; that is {percent(plateau.value / summary.epochs_median)} of the "
            f"{number(summary.epochs_median)} epochs to its target"
        )
    return f"{text}."


def _under(hidden: HiddenProgress | None, baseline: Arm) -> list[str]:
    if hidden is None:
        return []
    sentences = [
        f"Under the flat curve it learns: half-way, in epoch {hidden.halfway}, accuracy is "
        f"{percent(hidden.accuracy)}, but d′ is {number(hidden.separation)}, so that with the best "
        f"threshold about {percent(hidden.could_tell)} of the labels could be told from the same "
        "outputs."
    ]
    grown = hidden.growth
    if not grown.fitted:
        return sentences
    share = f"{round(grown.share('exponential')[0] * grown.fitted)} of {grown.fitted} runs"
    start, last, rate = (grown.median(name) for name in ("start", "last", "rate"))
    if not (hidden.exponential and start.value and last.value and rate.value):
        sentences.append(
            "What keeps accuracy at chance is how little the outputs differ; that difference does "
            f"not grow by one law: an exponential fits best in {share}."
        )
        return sentences
    factor = Estimate(*(None if r is None else math.exp(r) for r in _ends(rate)))
    sentences.append(
        "What is missing is not knowledge but size: between the classes the outputs differ, on the "
        f"fitted curve, by {number(start.value)} nats in epoch 1 and {number(last.value)} when the "
        "plateau ends. "
        f"The difference grows exponentially (the best of four shapes in {share}), "
        f"{number(factor.value or 0.0)}-fold an epoch{bracketed(interval(factor))}: the plateau is "
        "the time that a small beginning takes to grow."
    )
    p = hidden.exponent
    if p.value is not None and len(hidden.rates) > 1:
        rates = list(hidden.rates)
        sentences.append(
            f"The growth rate follows the learning rate, from {number(rates[0])} to "
            f"{number(rates[-1])}, to the power {number(p.value)}{bracketed(interval(p))}; at a "
            "saddle, gradient descent would have 1."
        )
    return sentences


def _ends(estimate: Estimate) -> tuple[float | None, float | None, float | None]:
    return estimate.value, estimate.low, estimate.high


def _named(effects: Sequence[Effect]) -> str:
    """Names with their ratios: "learning rate × 4 (0.36; 0.33–0.40)"."""
    parts = [f"{e.intervention.name} ({ratio_text(e.ratio)}{_bounds(e.ratio)})" for e in effects]
    return ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]


def _bounds(ratio: Estimate) -> str:
    return "" if ratio.value is None else interval(ratio, "; ", ratio_number)


def by_size(effect: Effect) -> float:
    """What orders effects: the ratio, or where it is not known what it is at least or at most."""
    ratio = effect.ratio
    known = [end for end in (ratio.value, ratio.low, ratio.high) if end is not None]
    return known[0] if known else 0.0


def _most(effects: Sequence[Effect], *, largest: bool = False) -> list[Effect]:
    """The strongest of each group, the strongest first."""
    groups: dict[str, Effect] = {}
    for effect in sorted(effects, key=by_size, reverse=largest):
        groups.setdefault(effect.intervention.group, effect)
    return list(groups.values())[:NAMED]


def _shortening(effects: Sequence[Effect]) -> list[str]:
    shorter = [e for e in effects if e.finding == "shortens"]
    own = [e for e in shorter if e.intervention.group not in OF_DATA]
    data = [e for e in shorter if e.intervention.group in OF_DATA]
    sentences = ["No change of the model or its training is shown to shorten the plateau."]
    if own:
        sentences = [
            "Of the model and its training, these shorten the plateau most (ratio to the "
            f"baseline’s, 95 % interval; the strongest of its kind each): {_named(_most(own))}."
        ]
    if data:
        sentences.append(f"Of the data, these shorten it: {_named(sorted(data, key=by_size))}.")
    return sentences


def _others(effects: Sequence[Effect]) -> list[str]:
    sentences: list[str] = []
    longer = [e for e in effects if e.finding == "lengthens"]
    if longer:
        sentences.append(f"These lengthen it most: {_named(_most(longer, largest=True))}.")
    level = [e.intervention.name for e in effects if e.finding == "level"]
    if level:
        more = f" and {len(level) - LISTED} others" if len(level) > LISTED + 1 else ""
        names = level[:LISTED] if more else level
        sentences.append(
            "These hardly matter (the interval of the ratio lies within "
            f"{LEVEL[0]:g}–{LEVEL[1]:g}): {', '.join(names)}{more}."
        )
    return sentences


def _updates(effects: Sequence[Effect]) -> list[str]:
    both = [
        (e.ratio.value, e.in_updates)
        for e in effects
        if e.intervention.group in PER_EPOCH and e.ratio.value and e.in_updates
    ]
    if len(both) < 2:
        return []
    in_epochs, in_updates = zip(*both, strict=True)
    if max(map(_size, in_updates)) > max(map(_size, in_epochs)) / 2:
        return []
    spans = [
        f"{ratio_number(min(ratios))} to {ratio_number(max(ratios))} times"
        for ratios in (in_updates, in_epochs)
    ]
    return [
        "What counts are updates, not epochs or records seen: over all batch sizes and numbers of "
        f"records the plateau is {spans[0]} the baseline’s in updates, but {spans[1]} in epochs."
    ]


def _size(ratio: float) -> float:
    return abs(math.log(ratio))


def _hypothesis(baseline: Arm, effects: Sequence[Effect]) -> list[str]:
    end = baseline.updates.value
    if baseline.configuration.optimizer != "adam" or not end:
        return []
    sentences: list[str] = []
    at_end = [
        e
        for e in effects
        if e.intervention.settings.get("bias_correction") == "flat"
        and e.intervention.settings.get("bias_correction_update") == round(end)
    ]
    for effect in at_end:
        low, high = effect.ratio.low, effect.ratio.high
        size = number(step_size_at(baseline, round(end)))
        held = (
            f"held flat from the first update on at {size}, its value when the plateau ends, the "
            f"plateau is {ratio_text(effect.ratio)}"
            f"{bracketed(interval(effect.ratio, CONFIDENT, ratio_number))} of the baseline’s"
        )
        held += _frozen(effects)
        if low is not None and low > MOST:
            sentences.append(
                "The published hypothesis, that the plateau ends when Adam’s step size over time "
                f"passes a sweet spot, does not hold here: {held}. The waiting is in the network, "
                "not in the schedule."
            )
        elif high is not None and high < MOST:
            sentences.append(
                "The published hypothesis, that the plateau ends when Adam’s step size over time "
                f"passes a sweet spot, holds here: {held}."
            )
        else:
            sentences.append(
                "Whether the plateau ends because Adam’s step size over time passes a sweet spot "
                f"is not decided: {held}."
            )
    lower = [e for e in effects if _is_lower_sgd(e)]
    if lower:
        sooner = [e for e in lower if e.finding == "shortens"]
        if sooner:
            sentences.append(
                f"SGD with a lower learning rate does escape sooner: {_named(sooner)}."
            )
        else:
            none = sum(not e.arm.summary.solved for e in lower)
            text = "SGD with a lower learning rate is no remedy: at none of "
            text += f"{len(lower)} lower rates it escapes sooner"
            if none:
                text += f", and at {none} of them no run learned the task within the budget"
            sentences.append(f"{text}.")
    return sentences


def _frozen(effects: Sequence[Effect]) -> str:
    """How many escape whose step size is frozen at its lowest."""
    for effect in effects:
        settings = effect.intervention.settings
        if settings.get("bias_correction") != "frozen":
            continue
        if settings.get("bias_correction_update") == LOWEST:
            escaped = int((~effect.arm.plateaus.plateau_censored).sum())
            return (
                f"; frozen at its lowest, from update {LOWEST} on, so that it never gets there, "
                f"{escaped} of {len(effect.arm.runs)} runs escape, after "
                f"{ratio_text(effect.ratio)} times as long"
            )
    return ""


def _is_lower_sgd(effect: Effect) -> bool:
    one = effect.intervention
    plain = effect.arm.configuration.optimizer == "sgd" and not effect.arm.configuration.momentum
    return plain and (one.group == "sgd, lower rates" or "best/" in one.name)


def _unknown(effects: Sequence[Effect]) -> list[str]:
    undecided = [e.intervention.name for e in effects if e.finding == "open"]
    sentences: list[str] = []
    if undecided:
        sentences.append(
            "Not decided, neither as a difference nor as none: "
            f"{', '.join(undecided[:LISTED])}{' and others' * (len(undecided) > LISTED)}."
        )
    sentences.append(
        "Not asked: whether these effects add up, and whether other data have the same, since each "
        "intervention changes one thing on one data set."
    )
    return sentences
