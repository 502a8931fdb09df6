"""A comparison between groups of a study's trials, or between studies."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from studies.errors import BadInput
from studies.run import CELL_SETTINGS, OPTIMIZER_SETTINGS, updates_per_epoch
from sweep.analysis.compare import Comparison, compare
from sweep.analysis.estimate import Estimate
from sweep.analysis.group import MANY, GroupSummary, Sample
from sweep.analysis.survival import outcomes
from sweep.comparing.groups import (
    Group,
    Member,
    by_setting,
    by_study,
    by_trial,
    known_setting,
    value_of,
)
from sweep.report.drawing import percent
from sweep.report.rows import count
from sweep.results import StudyResult, TrialResult


@dataclass(frozen=True)
class Measure:
    """What is compared: `one` and `many` name its unit, `title` the whole.

    `ranks` is the number by which groups are ordered: their expected running time ("ert"), or, of
    plateaus, which cost nothing that is not counted elsewhere, their mean ("mean_within_budget").
    """

    name: str
    one: str
    many: str
    title: str
    ranks: str = "ert"


MEASURES = {
    measure.name: measure
    for measure in (
        Measure("epochs", "epoch", "epochs", "epochs to {target}"),
        Measure("updates", "update", "updates", "optimizer updates to {target}"),
        Measure("flops", "FLOP", "FLOPs", "training FLOPs to {target}"),
        Measure(
            "plateau", "epoch", "epochs", "length of the plateau in epochs", "mean_within_budget"
        ),
    )
}


@dataclass(frozen=True)
class StudyComparison:
    """Groups of trials, and what their runs say about them.

    `by` is what the groups differ in: a setting, "trial" or "study". `result` has a summary for
    each of `groups`, in their order, which is that of `rank`; `notes` say how the groups were made
    and what the comparison does not show.
    """

    studies: tuple[StudyResult, ...]
    by: str
    measure: Measure
    groups: tuple[Group, ...]
    result: Comparison
    notes: tuple[str, ...]

    @property
    def timed(self) -> bool:
        """Whether the epochs of the runs are known; else only which of them were solved."""
        return _is_timed(self.groups[0].members[0][1])

    @property
    def first(self) -> GroupSummary:
        """The group that comes first by `rank`."""
        return self.result.groups[0]

    def rank(self, group: GroupSummary) -> Estimate:
        """The number by which the measure orders its groups, the smallest first."""
        return group.ert if self.measure.ranks == "ert" else group.mean

    @property
    def target(self) -> str:
        """What is to be reached, in words, as the first study has it: "100 %"."""
        training = self.studies[0].study.training
        return training.bound or percent(training.target)


def compare_setting(
    results: Sequence[StudyResult], key: str, measure: str = "epochs"
) -> StudyComparison:
    """The values of a setting against one another, over the trials of one study or of several.

    Raises BadInput for a key that is no setting of them or has one value only, and for a measure
    that there is not.
    """
    results, left_out = _timed(results, measure)
    known_setting(results, key)
    members = [(result, trial) for result in results for trial in result.trials]
    kept = _partnered(members, key, _designed(results))
    groups, notes = by_setting(results, key, kept)
    left = len(members) - len(kept)
    if left:
        have = "trial has" if left == 1 else "trials have"
        notes.append(f"{left} {have} no partner of equal other settings in every group: left out.")
    return _comparison(results, key, groups, [*notes, *left_out], measure)


def compare_trials(
    result: StudyResult, numbers: Sequence[int], measure: str = "epochs"
) -> StudyComparison:
    """Single trials of a study against one another, paired by seed.

    Raises BadInput for fewer than two numbers, one that the study does not have, or a measure that
    there is not.
    """
    groups = by_trial(result, numbers)
    chosen = replace(result, trials=tuple(trial for group in groups for _, trial in group.members))
    if _timed([chosen], measure)[1]:
        raise BadInput(
            f"{result.name}: some of these trials reported their last value only and others a "
            "curve; compare either by themselves"
        )
    return _comparison([result], "trial", groups, [], measure)


def compare_studies(results: Sequence[StudyResult], measure: str = "epochs") -> StudyComparison:
    """Studies against one another, all their trials taken together.

    Raises BadInput for fewer than two studies, one named twice or without a finished trial, or a
    measure that there is not.
    """
    if len(results) < 2:
        raise BadInput("one study alone is nothing to compare")
    results, left_out = _timed(results, measure)
    return _comparison(results, "study", by_study(results), left_out, measure)


def _is_timed(trial: TrialResult) -> bool:
    return all(run.timed for run in trial.runs)


def _timed(results: Sequence[StudyResult], measure: str) -> tuple[Sequence[StudyResult], list[str]]:
    """The studies, with those trials of which the epochs are known, and a remark on the others;
    the studies as they are where there is no such trial."""
    bare = sum(not _is_timed(trial) for result in results for trial in result.trials)
    if not bare:
        return results, []
    if not any(_is_timed(trial) for result in results for trial in result.trials):
        if measure not in ("epochs", *({measure} - set(MEASURES))):
            raise BadInput(f"--measure {measure}: these trials reported their last value only")
        return results, []
    kept = [
        replace(result, trials=tuple(trial for trial in result.trials if _is_timed(trial)))
        for result in results
    ]
    trials = "1 trial" if bare == 1 else f"{bare} trials"
    return kept, [f"{trials} reported nothing but the last value, so no epochs: left out."]


def _comparison(
    results: Sequence[StudyResult],
    by: str,
    groups: Sequence[Group],
    notes: Sequence[str],
    measure: str,
) -> StudyComparison:
    if measure not in MEASURES:
        raise BadInput(f"--measure {measure}: must be one of {', '.join(MEASURES)}")
    samples = [_sample(group, by, measure) for group in groups]
    least, most = zip(*(_budgets(group, measure) for group in groups), strict=True)
    compared = compare(samples, min(least))
    remarks = [*notes, *_remarks(results, by, compared, MEASURES[measure], max(most))]
    places = sorted(range(len(groups)), key=lambda i: _order(compared.groups[i], measure))
    return StudyComparison(
        tuple(results),
        by,
        MEASURES[measure],
        tuple(groups[i] for i in places),
        replace(compared, groups=tuple(compared.groups[i] for i in places)),
        tuple(remarks),
    )


def _order(group: GroupSummary, measure: str) -> tuple[float, float]:
    """What groups are sorted by; those of which nothing was solved come last, by their means."""
    mean = group.mean.value or 0.0
    if MEASURES[measure].ranks != "ert":
        return mean, 0.0
    return (np.inf if group.ert.value is None else group.ert.value), mean


def _designed(results: Sequence[StudyResult]) -> bool:
    """Whether all trials were laid out in advance: by a grid, or one by one in the study file."""
    return all(
        result.study.search.sampler == "grid" or all(trial.enqueued for trial in result.trials)
        for result in results
    )


def _partnered(members: Sequence[Member], key: str, designed: bool) -> list[Member]:
    """The trials that differ in a setting alone, so that nothing else is compared with it.

    Trials that agree in all but the setting make a line. Of trials that were laid out in advance,
    those lines are kept that have all values of the longest one; all trials, where no line has two.
    Of trials that a search chose, a few agree by chance: they are kept only if lines with every
    value hold at least half of the trials, else all are.
    """
    lines: dict[Hashable, set[Any]] = {}
    for member in members:
        lines.setdefault(partner(member, key), set()).add(value_of(member, key))
    longest = max(lines.values(), key=len, default=set[Any]())
    if not designed:
        longest = {value for values in lines.values() for value in values}
    kept = [
        member
        for member in members
        if longest <= lines[partner(member, key)] and value_of(member, key) in longest
    ]
    enough = len(longest) > 1 and bool(kept) and (designed or 2 * len(kept) >= len(members))
    return kept if enough else list(members)


def _budgets(group: Group, measure: str) -> tuple[float, float]:
    """The smallest and the largest budget of the group's runs."""
    allowed = [
        member[0].study.training.epochs * unit_of(member, measure) for member in group.members
    ]
    return min(allowed), max(allowed)


def _sample(group: Group, by: str, measure: str) -> Sample:
    """The group's runs in a measure."""
    parts = [_runs(member, by, measure) for member in group.members]
    arrays = {
        name: np.concatenate([np.asarray(part[name]) for part in parts])
        for name in ("times", "solved", "spent", "plateau", "waiting", "diverged", "seeds")
    }
    counts = [len(part["times"]) for part in parts]
    return Sample(
        label=group.label,
        **arrays,
        trials=np.repeat(np.arange(len(counts)), counts),
        partners=[partner for part in parts for partner in part["partners"]],
        rounding=float(np.mean([unit_of(member, measure) for member in group.members])),
    )


def _runs(member: Member, by: str, measure: str) -> dict[str, Any]:
    """The runs of a trial, as the fields of a sample."""
    result, trial = member
    ends, unit = outcomes(trial.runs), unit_of(member, measure)
    waiting = trial.plateaus.plateau_censored
    # A run that diverged at chance failed to leave it, however early that was.
    plateau = np.where(waiting, result.study.training.epochs, trial.plateaus.plateau_length)
    runs: dict[str, Any] = {
        "times": ends.epochs * unit,
        "solved": ends.solved,
        "spent": ends.spent * unit,
        "plateau": plateau,
        "waiting": waiting,
        "diverged": ends.diverged,
        "seeds": [run.run.seed for run in trial.runs],
        "partners": [partner(member, by)] * len(trial.runs),
    }
    if measure == "plateau":
        runs |= {"times": plateau, "solved": ~waiting, "spent": plateau}
    return runs


def unit_of(member: Member, measure: str) -> float:
    """An epoch of a trial in a measure.

    Raises BadInput for the FLOPs of an own model, which nobody counts.
    """
    result, trial = member
    if measure == "updates":
        return float(updates_per_epoch(trial.configuration, result.task.records))
    if measure != "flops":
        return 1.0
    if not trial.epoch_flops:
        raise BadInput(f"--measure flops: the FLOPs of {result.name}'s own model are not known")
    return float(trial.epoch_flops)


def partner(member: Member, by: str) -> Hashable:
    """What the trials of different groups share whose runs are partners."""
    result, trial = member
    if by == "trial":
        return ()
    if by == "study":
        return frozenset(trial.params.items())
    settings = trial.configuration.model_dump()
    follow = {by, *(name for name, where in result.study.space.items() if by in where.when)}
    if by == "optimizer":
        follow |= {name for names in OPTIMIZER_SETTINGS.values() for name in names}
        if "learning_rate" not in {**result.study.training.settings, **trial.params}:
            follow.add("learning_rate")
    if by == "cell":
        follow |= {name for names in CELL_SETTINGS.values() for name in names}
    kept = {name: value for name, value in settings.items() if name not in follow}
    return result.task.fingerprint, frozenset(kept.items())


def _remarks(
    results: Sequence[StudyResult],
    by: str,
    compared: Comparison,
    measure: Measure,
    largest: float,
) -> list[str]:
    """How far the comparison carries, in sentences."""
    remarks: list[str] = []
    if largest > compared.budget:
        remarks.append(
            f"The budgets differ. All is looked at within the smallest, {count(compared.budget)} "
            f"{measure.many}; what took longer counts as not solved."
        )
    paired = [contrast.paired for contrast in compared.contrasts]
    trials = [group.trials for group in compared.groups]
    if not any(paired):
        remarks.append(_unpaired_remark(results, by))
    elif not all(paired):
        remarks.append("Some of the groups have no partners of equal settings, and are not paired.")
    if max(trials) >= MANY:
        remarks.append(
            "A trial with all its replicates counts as one piece of evidence in intervals and "
            "tests, since replicates of one configuration are much alike."
        )
    if 1 < min(trials) < MANY:
        remarks.append(
            f"With fewer than {MANY} trials, what is said of a group holds for these, over other "
            "seeds."
        )
    tasks = {result.task.fingerprint for result in results}
    targets = {result.study.training.target for result in results}
    if len(tasks) > 1:
        remarks.append("The studies have different tasks.")
    if len(targets) > 1:
        remarks.append("Their targets differ, and a run counts as solved by its own study's.")
    return remarks


def _unpaired_remark(results: Sequence[StudyResult], by: str) -> str:
    if by == "trial":
        return "The trials have no seeds in common, so their runs are not paired."
    what = "The studies" if by == "study" else "The groups"
    samplers = {result.study.search.sampler for result in results}
    given = any(trial.enqueued for result in results for trial in result.trials)
    if by != "study" and samplers <= {"random", "qmc"} and not given:
        return f"{what} are not paired: their other settings were drawn at random."
    lead = f"{what} are not paired: they differ in other settings too, "
    chosen = sorted(samplers - {"random", "qmc", "grid"})
    if chosen:
        lead += f"which the search ({', '.join(chosen)}) chose by what it saw, "
    return f"{lead}so this describes the runs made and proves no cause."
