"""What a comparison found, in sentences made from its numbers by stated rules.

Every group is set against the first: the one with the lowest expected running time (ERT: what all
of its runs spent, divided by how many of them were solved), or, of plateaus, the lowest mean within
the budget. Where another's interval of that number overlaps the first's and their difference is not
found, or another has the lower median, the first sentences say so.

A difference is claimed where its p-value, after Holm's correction for all pairs of groups, is below
`LEVEL`; where so few seeds or trials could not have given one below it, this is said instead. The
size of a difference and its interval are given either way: the ratio of the medians where both are
within the budget or one bounds the other, else that of the means within the budget.
"""

from sweep.analysis.compare import Contrast
from sweep.analysis.estimate import Estimate
from sweep.analysis.group import GroupSummary
from sweep.comparing.comparison import StudyComparison
from sweep.report.drawing import percent
from sweep.report.rows import count, number, quantity, words
from sweep.report.sentences import listed, plural, sentence

LEVEL = 0.05
"""Below this p-value, a difference counts as found."""

MOST_CONTRASTS = 3
"""Groups that are compared with the first in a sentence of their own."""

MOST_BEST = 4
"""Groups whose best trials are named."""


def finding(comparison: StudyComparison) -> list[str]:
    """What was found: which group comes first, by what, how surely, and by how much."""
    found = comparison.result
    if not comparison.timed:
        return _shares(comparison)
    if not any(group.solved for group in found.groups):
        runs = sum(group.runs for group in found.groups)
        return [
            f"None of the {plural(runs, 'run')} {_got_there(comparison)} within "
            f"{amount(comparison, found.budget)}, so there is nothing to tell apart."
        ]
    first = comparison.first
    against = sorted(found.against(first.label), key=lambda pair: -(pair.mean_ratio.value or 0.0))
    shown = against
    if len(against) > MOST_CONTRASTS:
        # Those furthest behind, and the nearest one.
        shown = [*against[: MOST_CONTRASTS - 1], against[-1]]
    lead = [_of_the_first(comparison, first), *_how_surely(comparison)]
    sentences = [" ".join(lead)]
    sentences += [_contrast(comparison, pair) for pair in shown]
    if len(against) > len(shown):
        apart = sum(pair.p_adjusted < LEVEL for pair in against)
        sentences.append(f"Of all {len(against)} other groups, {apart} can be told from the first.")
    sentences += _best(comparison)
    sentences.append(_overall(comparison))
    return sentences


def _shares(comparison: StudyComparison) -> list[str]:
    """What was found where only is known which runs were solved, and of none in which epoch."""
    parts: list[str] = []
    for group in comparison.result.groups:
        share = percent(round(group.success.value or 0.0, 3))
        parts.append(f"{share} of the {plural(group.runs, 'run')} of "
                     f"{_words(comparison, group.label)}")  # fmt: skip
    said = [sentence(f"{listed(parts)} {_got_there(comparison)}")]
    said.append("In which epoch is unknown, since these trials reported their last value only.")
    if any(group.solved for group in comparison.result.groups):
        said.append(_overall(comparison))
    return said


def p_text(p_value: float) -> str:
    """A p-value in a sentence: "p = 0.012", "p < 0.001"."""
    return "p < 0.001" if p_value < 0.001 else f"p = {number(p_value, 2)}"


def between(found: Estimate) -> str:
    """The interval: "1.2 to 3.4", "1.2 or more", "up to 3.4"; empty where there is none."""
    if found.low is None and found.high is None:
        return ""
    if found.high is None:
        return f"{number(found.low)} or more"
    if found.low is None:
        return f"up to {number(found.high)}"
    return f"{number(found.low)} to {number(found.high)}"


def amount(comparison: StudyComparison, value: float) -> str:
    """So much of the measure that is compared: "12 epochs", "6.72 MFLOPs"."""
    measure = comparison.measure
    if measure.name == "flops":
        return f"{quantity(value)}FLOPs" if value >= 1000 else plural(value, measure.one)
    return plural(value, measure.one)


def _of_the_first(comparison: StudyComparison, group: GroupSummary) -> str:
    measure = comparison.measure
    if measure.ranks == "ert":
        by = f"lowest expected running time (ERT, the {measure.many} spent for every run solved)"
    else:
        by = "shortest mean plateau (one that never ended counted as the budget)"
    share = percent(round(group.success.value or 0.0, 3))
    text = (
        f"the {by}, {_ranked(comparison, group, named=True)}, is that of "
        f"{_words(comparison, group.label)}: {share} of its {plural(group.runs, 'run')} "
        f"{_got_there(comparison)} within {amount(comparison, comparison.result.budget)}"
    )
    if group.success.low is not None and group.success.high is not None:
        low, high = (round(end, 2) for end in (group.success.low, group.success.high))
        text += f" (95 % interval {percent(low).rstrip(' %').rstrip()} to {percent(high)})"
    if group.median.value is not None:
        text += f", with a median of {amount(comparison, group.median.value)}"
        ends = between(group.median)
        text += f" ({ends})" if ends and comparison.measure.name != "flops" else ""
    if comparison.measure.name != "plateau" and group.plateau.value is not None:
        text += f"; its median plateau is {plural(group.plateau.value, 'epoch')}"
    return sentence(text)


def _ranked(comparison: StudyComparison, group: GroupSummary, *, named: bool = False) -> str:
    """The number by which groups are ordered, with its interval."""
    found = comparison.rank(group)
    text = amount(comparison, found.value or 0.0)
    if found.low is None or found.high is None or found.low == found.high:
        return text
    ends = [number(end, 3 if end >= 100 else 2) for end in (found.low, found.high)]
    if comparison.measure.name == "flops":
        ends = [amount(comparison, end) for end in (found.low, found.high)]
    return f"{text} ({'95 % interval ' if named else ''}{ends[0]} to {ends[1]})"


def _how_surely(comparison: StudyComparison) -> list[str]:
    """Which groups may be first as well, and which one is by the median."""
    found, first = comparison.result, comparison.first
    own, p_values = comparison.rank(first), _p_values(comparison)
    level: list[str] = []
    near: list[str] = []
    for group in found.groups[1:]:
        other = comparison.rank(group)
        name = _words(comparison, group.label)
        if other.value == own.value:
            level.append(name)
        elif _overlap(own, other) and p_values[group.label] >= LEVEL:
            near.append(f"{name} with {_ranked(comparison, group)}")
    sentences: list[str] = []
    if level:
        sentences.append(f"Level with it: {listed(level)}.")
    if len(near) > MOST_CONTRASTS:
        near = [*near[: MOST_CONTRASTS - 1], f"{len(near) - MOST_CONTRASTS + 1} more"]
    if near:
        whose = "whose interval overlaps" if len(near) == 1 else "whose intervals overlap"
        sentences.append(
            f"That is no sure order: near it {'comes' if len(near) == 1 else 'come'} "
            f"{listed(near)}, {whose} its own."
        )
    medians = [group for group in found.groups if group.median.value is not None]
    quick = min(medians, key=lambda group: group.median.value or 0.0, default=first)
    ahead = first.median.value is None or (quick.median.value or 0.0) < first.median.value
    if ahead and quick.median.value is not None:
        name = _words(comparison, quick.label)
        sentences.append(
            f"The lowest median, {amount(comparison, quick.median.value)}, is that of {name}."
        )
    return sentences


def _p_values(comparison: StudyComparison) -> dict[str, float]:
    against = comparison.result.against(comparison.first.label)
    return {pair.other: pair.p_adjusted for pair in against}


def _overlap(one: Estimate, other: Estimate) -> bool:
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return one.low <= other.high and other.low <= one.high


def _contrast(comparison: StudyComparison, pair: Contrast) -> str:
    other, base = _words(comparison, pair.other), _words(comparison, pair.baseline)
    ratio, by = pair.ratio, "median"
    if ratio.value is None and ratio.low is None:
        ratio, by = pair.mean_ratio, "mean within the budget"
    size = f"{_times(ratio, comparison.measure.many)} by the {by}"
    evidence = f"{_pairs(pair)}{p_text(pair.p_adjusted)}"
    if pair.p_adjusted < LEVEL:
        return f"Against {base}, {other} took {size}; {evidence}."
    number_of = len(comparison.result.contrasts)
    if pair.p_least * number_of < LEVEL:
        return f"Chance may explain how {other} differs from {base}: {size}; {evidence}."
    units = "trials" if pair.units == pair.configurations else "seeds"
    few = f"{pair.units} {units} cannot give a p-value below {number(LEVEL)}"
    few += f" in {number_of} comparisons" if number_of > 1 else ""
    return f"Against {base}, {other} took {size}; {evidence} ({few})."


def _times(ratio: Estimate, unit: str) -> str:
    """ "2.1 times as many epochs (95 % interval 1.8 to 2.5)"."""
    if ratio.value is None:
        return f"at least {number(ratio.low)} times as many {unit}"
    ends = between(ratio)
    note = f" (95 % interval {ends})" if ends else ""
    factor = "" if number(ratio.value) == "1" else f"{number(ratio.value)} times "
    return f"{factor}as many {unit}{note}"


def _pairs(pair: Contrast) -> str:
    if not pair.paired:
        return ""
    over = "of one seed" if pair.configurations == 1 else "of one seed and equal other settings"
    return (
        f"slower in {count(pair.slower)} of {plural(pair.pairs, 'pair')} {over}, faster in "
        f"{count(pair.faster)}; "
    )


def _best(comparison: StudyComparison) -> list[str]:
    """The best trial of each group, where groups are few and hold several."""
    if comparison.measure.name != "epochs" or comparison.by in ("trial", "study"):
        return []
    if len(comparison.groups) > MOST_BEST or any(len(g.members) == 1 for g in comparison.groups):
        return []
    parts: list[str] = []
    for group in comparison.groups:
        median = group.best.summary.epochs_median
        took = "more than half censored" if median is None else plural(median, "epoch")
        parts.append(f"{group.words} {took} (trial {group.best.number})")
    sentences = [
        f"The best trial of each by PAR2, and its median: {listed(parts)}. The best of several "
        "looks a little better than it is."
    ]
    first, *others = comparison.groups
    best = min(others, key=lambda group: group.best.summary.objective, default=first)
    if best.best.summary.objective < first.best.summary.objective:
        sentences.append(
            f"The best trial of all is one of {best.words}, not of {first.words}: a group is "
            "judged by all of its trials, the bad ones too."
        )
    return sentences


def _overall(comparison: StudyComparison) -> str:
    found = comparison.result
    one_trial = all(group.trials == 1 for group in found.groups)
    if found.matched:
        what = "runs of one seed" if one_trial else "runs of equal settings"
    else:
        what = "runs" if one_trial else "trials"
    test = (
        f"log-rank χ² {number(found.test.statistic)} with "
        f"{plural(found.test.degrees, 'degree')} of freedom, {p_text(found.p_value)} by exchanging "
        f"labels among {what}"
    )
    if len(found.groups) == 2:
        return f"{sentence(test)}"
    of = {"trial": "trials", "study": "studies"}.get(comparison.by)
    of = of or f"values of {words(comparison.by)}"
    explains = "more than chance explains" if found.p_value < LEVEL else "no more than chance may"
    return sentence(f"over all, the {of} differ by {explains}: {test}")


def _words(comparison: StudyComparison, label: str) -> str:
    return next(group.words for group in comparison.groups if group.label == label)


def _got_there(comparison: StudyComparison) -> str:
    if comparison.measure.name == "plateau":
        return "left their plateau"
    return f"reached {comparison.target}"
