"""Which trials are compared: those of each value of a setting, single ones, or whole studies."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from studies.errors import BadInput
from studies.problems import nearest, plain
from studies.run import Configuration
from sweep.report.rows import number, searched, value_text, words
from sweep.report.sentences import listed, setting
from sweep.results import StudyResult, TrialResult

MOST_VALUES = 12
"""Values of a setting that are groups of their own."""

RANGES = 4
"""Ranges into which the numbers of a setting are divided that has more values than that."""

Member = tuple[StudyResult, TrialResult]


@dataclass(frozen=True)
class Group:
    """Trials that are taken together.

    `label` is what they share as a table has it, `words` as a sentence does, and `value` as a
    document does: the value of a setting, [least, most] of a range, a study's name, a trial's
    number.
    """

    label: str
    words: str
    value: Any
    members: tuple[Member, ...]

    @property
    def best(self) -> TrialResult:
        """The trial that learns in the fewest epochs (PAR2)."""
        return min((trial for _, trial in self.members), key=lambda trial: trial.summary.objective)


def by_setting(
    results: Sequence[StudyResult], key: str, members: Sequence[Member]
) -> tuple[list[Group], list[str]]:
    """Trials of the studies by the value of a setting, and remarks on how they were divided.

    Up to `MOST_VALUES` values are groups of their own, in their order; numbers of more values are
    divided into `RANGES` ranges with about as many trials each, words of more into the most
    frequent ones and the others. Trials that do not have the setting are left out.

    Raises BadInput where all trials have the same value.
    """
    having = [(member, value_of(member, key)) for member in members]
    having = [(member, value) for member, value in having if value is not None]
    notes: list[str] = []
    left = len(members) - len(having)
    if left:
        have = "trial does" if left == 1 else "trials do"
        notes.append(f"{left} {have} not have the setting {words(key)}: left out.")
    values = list(dict.fromkeys(value for _, value in having))
    if len(values) < 2:
        raise BadInput(_nothing_to_compare(results, key, values))
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    if len(values) <= MOST_VALUES:
        ordered = sorted(values) if numeric else sorted(values, key=str)
        return _distinct([_single(key, value, having) for value in ordered]), notes
    if numeric:
        notes.append(
            f"The {len(values)} values of {words(key)} are divided into ranges with about as many "
            "trials each."
        )
        return _distinct(_ranges(key, having)), notes
    return _distinct(_frequent(key, values, having)), notes


def by_trial(result: StudyResult, numbers: Sequence[int]) -> list[Group]:
    """Single trials of a study.

    Raises BadInput for fewer than two, a number that the study does not have, or one twice.
    """
    own = {trial.number: trial for trial in result.trials}
    groups: list[Group] = []
    for place, wanted in enumerate(numbers):
        if wanted not in own:
            there = f"its trials are {min(own)} to {max(own)}" if own else "it has no finished one"
            raise BadInput(f"{result.name} has no trial {wanted}; {there}")
        if wanted in numbers[:place]:
            raise BadInput(f"trial {wanted} is named twice; a comparison needs different ones")
        label = f"trial {wanted}"
        groups.append(Group(label, label, wanted, ((result, own[wanted]),)))
    if len(groups) < 2:
        raise BadInput("one trial alone is nothing to compare; name another with --trial")
    return groups


def by_study(results: Sequence[StudyResult]) -> list[Group]:
    """The studies as they are.

    Raises BadInput where one is there twice or has no finished trial.
    """
    names = [result.name for result in results]
    for result in results:
        if names.count(result.name) > 1:
            raise BadInput(f"{result.name} is named twice; a comparison needs different studies")
        if not result.trials:
            raise BadInput(
                f"{result.name} has no finished trial yet, so there is nothing to compare"
            )
    return [
        Group(
            plain(result.name, 24),
            plain(result.name),
            result.name,
            tuple((result, trial) for trial in result.trials),
        )
        for result in results
    ]


def searched_settings(results: Sequence[StudyResult]) -> list[str]:
    """The settings that differ between the trials of the studies, in the order of tables."""
    trials = [trial for result in results for trial in result.trials]
    names = searched(trials)
    if len(results) > 1:
        settings = [trial.configuration.model_dump() for trial in trials]
        fixed = dict.fromkeys(name for own in settings for name in own if name not in names)
        names += [name for name in fixed if len({str(own.get(name)) for own in settings}) > 1]
    return names


def _distinct(groups: Sequence[Group]) -> list[Group]:
    """The groups with labels that tell them apart: those alike, cut or rounded, get a number."""
    labels = [group.label for group in groups]
    return [
        replace(group, label=f"{group.label} ({place})", words=f"{group.words} ({place})")
        if labels.count(group.label) > 1
        else group
        for place, group in enumerate(groups, start=1)
    ]


def known_setting(results: Sequence[StudyResult], key: str) -> None:
    """Raises BadInput, naming the nearest, where no configuration has a setting of that name."""
    there = searched_settings(results)
    known = dict.fromkeys(
        name
        for result in results
        for trial in result.trials[:1]
        for name in trial.configuration.model_dump()
    )
    if key in there or key in known or (not known and key in Configuration.model_fields):
        return
    near = nearest(key, [*there, *known])
    hint = f"did you mean {near}?" if near else f"searched are {', '.join(there) or 'none'}"
    raise BadInput(f"--by {plain(key)}: there is no such setting; {hint}")


def value_of(member: Member, key: str) -> Any:
    """The value of a setting in a trial, None where it does not have the setting."""
    result, trial = member
    if key in trial.params:
        return trial.params[key]
    return None if key in result.study.space else trial.configuration.model_dump().get(key)


def _nothing_to_compare(results: Sequence[StudyResult], key: str, values: Sequence[Any]) -> str:
    names = listed([result.name for result in results])
    if not any(result.trials for result in results):
        return f"{names}: no trial has finished yet, so there is nothing to compare"
    there = [name for name in searched_settings(results) if name != key]
    others = f"; what differs is {', '.join(there)}" if there else "; nothing else differs either"
    if not values:
        return f"--by {key}: no trial of {names} has that setting{others}"
    return f"--by {key}: it is {value_text(values[0])} in all trials of {names}{others}"


def _single(key: str, value: Any, having: Sequence[tuple[Member, Any]]) -> Group:
    # True equals 1 in Python, but is no number of layers.
    own = tuple(member for member, other in having if other == value)
    return Group(plain(value_text(value), 24), plain(setting(key, value)), value, own)


def _ranges(key: str, having: Sequence[tuple[Member, Any]]) -> list[Group]:
    values = np.array([value for _, value in having], dtype=float)
    edges = np.unique(np.quantile(values, np.linspace(0, 1, RANGES + 1)))
    # A value on an edge belongs to the range below it.
    place = np.maximum(np.searchsorted(edges, values, side="left") - 1, 0)
    groups: list[Group] = []
    for at in np.unique(place).tolist():
        own = [(member, value) for (member, value), p in zip(having, place, strict=True) if p == at]
        least, most = min(value for _, value in own), max(value for _, value in own)
        label = number(least) if least == most else f"{number(least)}–{number(most)}"
        named = f"{label.replace('–', ' to ')} {words(key)}" if key in ("layers", "units") else ""
        named = named or f"{words(key)} {label.replace('–', ' to ')}"
        groups.append(Group(label, named, [least, most], tuple(member for member, _ in own)))
    return groups


def _frequent(key: str, values: Sequence[Any], having: Sequence[tuple[Member, Any]]) -> list[Group]:
    counts = {value: sum(other == value for _, other in having) for value in values}
    ordered = sorted(values, key=lambda value: (-counts[value], str(value)))
    alone, others = ordered[: MOST_VALUES - 1], ordered[MOST_VALUES - 1 :]
    rest = tuple(member for member, value in having if value in others)
    label = f"{len(others)} others"
    return [
        *(_single(key, value, having) for value in alone),
        Group(label, f"{label} of {words(key)}", list(others), rest),
    ]
