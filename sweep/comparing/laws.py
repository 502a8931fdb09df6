"""By which law the plateau, or the time to target, goes with a setting of a study.

A *line* is a set of trials that differ in one setting only, of which they have three values or
more. Each line has a law of its own (`sweep.analysis.laws`). Beyond its fastest value a setting
often has another regime (a learning rate so large that training turns unstable), so a line is
fitted from its slow end to its fastest value, and what lies beyond is left out.

Times are known to the epoch, and an epoch's accuracy is the mean over its batches, so a run that is
there within `FLOOR` epochs may have been there in any part of them. A value whose median run is
that fast is at the floor of what can be measured: that it is fast is known, how fast is not. Such
values are left out as well. A value of which most runs never got there within their budget stays
in the fit, as the half-lines that its runs are, but has no median. Of fewer than `FEWEST` values
with a median above the floor nothing is said.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from studies.errors import BadInput
from sweep.analysis.laws import Form, Law, Times, fit_law, times_to
from sweep.comparing.comparison import MEASURES, Measure, partner, unit_of
from sweep.comparing.groups import Member, known_setting, searched_settings, value_of
from sweep.comparing.sentences import LEVEL, p_text
from sweep.report.rows import describe, number, words
from sweep.report.sentences import listed, plural
from sweep.results import StudyResult

FEWEST = 3
"""Values that a line needs."""

FLOOR = 2.0
"""Epochs within which an escape, or a target reached, cannot be told from an earlier one."""

DECISIVE = 10.0
"""A difference of Akaike's criterion from which on one form counts as better than another."""


@dataclass(frozen=True)
class Theory:
    """What theory says of a setting: an `exponent` of the time in epochs, or a `form`."""

    exponent: float | None
    form: Form | None
    source: str


THEORY = {
    "learning_rate": Theory(-1.0, None, "Saxe, McClelland and Ganguli 2013, for gradient descent"),
    "output_scale": Theory(None, "logarithmic", "Saxe, McClelland and Ganguli 2013"),
    "batch_size": Theory(1.0, None, "were the number of updates the same for every batch size"),
}


@dataclass(frozen=True)
class StudyLaw:
    """The law of a line: how `measure` goes with the setting `key`.

    `others` are the settings of the line that other lines of the study have otherwise, in words,
    and empty where there are none.
    `law` is None where the runs do not tell it: fewer than `FEWEST` values have a median that could
    be measured. `left_out` are the values beyond the fastest, `at_floor` those before it whose
    median run was there within `FLOOR` epochs, `beyond_budget` those of which most runs never were.
    """

    study: str
    key: str
    others: str
    measure: Measure
    law: Law | None
    left_out: tuple[float, ...]
    at_floor: tuple[float, ...]
    beyond_budget: tuple[float, ...]

    @property
    def theory(self) -> Theory | None:
        """What theory says of it, in epochs."""
        return None if self.measure.name == "updates" else THEORY.get(self.key)


def laws_of(
    result: StudyResult, key: str | None = None, measure: str = "plateau"
) -> list[StudyLaw]:
    """The laws of all lines of a study: along one setting, or along every one that has a line.

    `measure` is "plateau" (the escape from it), "epochs" or "updates" (to target). Raises BadInput
    for a key that is no setting or has no line, a study without any, or another measure.
    """
    if measure not in ("plateau", "epochs", "updates"):
        raise BadInput(f"--measure {measure}: a law is of plateau, epochs or updates")
    if not all(run.timed for trial in result.trials for run in trial.runs):
        raise BadInput(
            f"{result.name} has no law to fit: trials of it reported their last value only, so "
            "their epochs are unknown"
        )
    if key is not None:
        known_setting([result], key)
    keys = searched_settings([result]) if key is None else [key]
    found = [law for name in keys for law in _along(result, name, MEASURES[measure])]
    if not found:
        along = f"in {words(key)}" if key else "in one setting"
        raise BadInput(
            f"{result.name} has no law to fit: no {FEWEST} of its trials differ {along} only, with "
            f"{FEWEST} different numbers above 0"
        )
    return found


def _along(result: StudyResult, key: str, measure: Measure) -> list[StudyLaw]:
    """The laws of the lines along a setting, the longest first."""
    lines: dict[Hashable, dict[float, Member]] = {}
    for trial in result.trials:
        member = (result, trial)
        value = value_of(member, key)
        if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
            continue
        lines.setdefault(partner(member, key), {}).setdefault(float(value), member)
    chosen = [line for line in lines.values() if len(line) >= FEWEST]
    chosen.sort(key=lambda line: -len(line))
    named = _distinguished([next(iter(line.values()))[1].params for line in chosen], key)
    return [_law(line, key, others, measure) for line, others in zip(chosen, named, strict=True)]


def _distinguished(lines: Sequence[dict[str, Any]], key: str) -> list[str]:
    """What tells lines apart, each in words: one setting where that is enough, else all of them."""
    names = [
        name
        for name in dict.fromkeys(name for params in lines for name in params)
        if name != key and len({params.get(name) for params in lines}) > 1
    ]
    alone = [name for name in names if len({params.get(name) for params in lines}) == len(lines)]
    shown = alone[:1] or names
    return [describe({name: p[name] for name in shown if name in p}) for p in lines]


def _law(line: dict[float, Member], key: str, others: str, measure: Measure) -> StudyLaw:
    values = sorted(line)
    kept = _to_the_fastest(values, [_median(line[value], measure) for value in values])
    left_out = tuple(value for value in values if value not in kept)
    at_floor = tuple(value for value in kept if _median_epochs(line[value], measure) <= FLOOR)
    kept = [value for value in kept if value not in at_floor]
    study = next(iter(line.values()))[0].name
    beyond = tuple(value for value in kept if np.isinf(_median(line[value], measure)))
    law = None
    if len(kept) - len(beyond) >= FEWEST:
        law = fit_law(_times({value: line[value] for value in kept}, measure))
    return StudyLaw(study, key, others, measure, law, left_out, at_floor, beyond)


def _median(member: Member, measure: Measure) -> float:
    return _median_epochs(member, measure) * _unit(member, measure)


def _median_epochs(member: Member, measure: Measure) -> float:
    summary = member[1].summary
    epochs = summary.escape_median if measure.name == "plateau" else summary.epochs_median
    return np.inf if epochs is None else epochs


def _to_the_fastest(values: Sequence[float], medians: Sequence[float]) -> list[float]:
    """The values from the farther end to the fastest one, this included."""
    least = min(medians)
    places = [place for place, median in enumerate(medians) if median == least]
    if least == np.inf:
        return list(values)
    before, after = values[: places[-1] + 1], values[places[0] :]
    return list(before if len(before) >= len(after) else after)


def _times(line: dict[float, Member], measure: Measure) -> Times:
    x: list[float] = []
    after: list[np.ndarray] = []
    until: list[np.ndarray] = []
    seeds: list[int] = []
    for value, member in line.items():
        result, trial = member
        budget = result.study.training.epochs
        if measure.name == "plateau":
            reached = ~trial.plateaus.plateau_censored
            epochs = np.where(reached, trial.plateaus.escape, budget)
        else:
            reached = np.array([run.ended == "solved" for run in trial.runs])
            epochs = np.where(reached, [run.epochs for run in trial.runs], budget)
        bounds = times_to(epochs, reached)
        unit = _unit(member, measure)
        after.append(bounds[0] * unit)
        until.append(bounds[1] * unit)
        x += [value] * len(trial.runs)
        seeds += [run.run.seed for run in trial.runs]
    return Times(np.array(x), np.concatenate(after), np.concatenate(until), np.array(seeds))


def _unit(member: Member, measure: Measure) -> float:
    return 1.0 if measure.name == "plateau" else unit_of(member, measure.name)


_FORMS: dict[Form, str] = {
    "power": "a power law",
    "exponential": "an exponential",
    "logarithmic": "a logarithm",
    "linear": "a straight line",
    "inverse": "an inverse with a constant wait added",
}


def law_finding(found: StudyLaw) -> list[str]:
    """What a law says, in sentences; each figure with its runs and its interval."""
    what = {"plateau": "the escape", "epochs": "the time to target"}.get(found.measure.name)
    what = what or "the updates to target"
    line = words(found.key) + (f" ({found.others})" if found.others else "")
    if found.law is None:
        reasons: list[str] = []
        if found.at_floor:
            reasons.append(
                f"at {_values(found.at_floor)} the median run is there within {FLOOR:.0f} epochs, "
                "sooner than can be measured"
            )
        if found.beyond_budget:
            reasons.append(f"at {_values(found.beyond_budget)} most runs were not within budget")
        if found.left_out:
            reasons.append(f"{_values(found.left_out)} beyond the fastest value are left out")
        why = f": {listed(reasons)}" if reasons else ""
        return [
            f"By {line}, nothing can be said of a law of {what}, which needs {FEWEST} values with "
            f"a median that can be measured{why}."
        ]
    law = found.law
    censored = law.runs - law.reached
    runs = f"{plural(law.runs, 'run')} at {len(law.levels)} values"
    runs += f", {censored} of them censored" if censored else ""
    measured = [level for level in law.levels if level.x not in found.beyond_budget]
    medians = sorted(level.median for level in measured)
    sentences = [
        f"By {line}, {what} goes with the power {exponent_text(law)} ({runs}; medians from "
        f"{number(medians[0])} to {number(medians[-1])} {found.measure.many})."
    ]
    sentences += _theory(found, law)
    slow, fast = law.local_exponents[0], law.local_exponents[-1]
    if law.levels[0].median < law.levels[-1].median:
        slow, fast = fast, slow
    factor = "1 %" if law.misfit < 1.01 else f"a factor of {number(law.misfit)}"
    fit = f"The law is within {factor} of every median"
    if law.p_value < LEVEL:
        fit += (
            f", but they depart from it by more than chance ({p_text(law.p_value)}): the power is "
            f"{signed(slow)} at the slow end and {signed(fast)} at the fast end"
        )
    sentences.append(f"{fit}.")
    if law.akaike["power"] >= DECISIVE:
        better = f"{_FORMS[law.best][:1].upper()}{_FORMS[law.best][1:]}"
        sentences.append(
            f"{better} fits better (Akaike's criterion smaller by {number(law.akaike['power'])})."
        )
    if found.beyond_budget:
        sentences.append(
            f"At {_values(found.beyond_budget)} most runs were not there within the budget, which "
            "is all that the fit knows of them."
        )
    if found.at_floor:
        sentences.append(
            f"Left out are {_values(found.at_floor)}, where the median run is there within "
            f"{FLOOR:.0f} epochs, sooner than can be measured."
        )
    if found.left_out:
        values = _values(found.left_out)
        sentences.append(f"Beyond the fastest value lies another regime: {values} left out.")
    return sentences


def _values(values: Sequence[float]) -> str:
    return listed([number(value) for value in values])


def exponent_text(law: Law) -> str:
    """The exponent with its interval: "−0.75 ± 0.01"."""
    text = signed(law.exponent.value)
    if law.exponent.low is None or law.exponent.high is None:
        return text
    return f"{text} ± {max(0.01, (law.exponent.high - law.exponent.low) / 2):.2f}"


def signed(value: float | None) -> str:
    """A number with its sign, two digits after the point."""
    if value is None:
        return "–"
    text = f"{value:+.2f}"
    return "0.00" if float(text) == 0.0 else text.replace("-", "\N{MINUS SIGN}")


def _theory(found: StudyLaw, law: Law) -> list[str]:
    theory = found.theory
    if theory is None:
        return []
    if theory.exponent is None:
        return [f"Theory has {_FORMS[theory.form or 'power']} ({theory.source})."]
    low, high = law.exponent.low, law.exponent.high
    where = "beside it"
    if low is not None and high is not None:
        where = "inside" if low <= theory.exponent <= high else "outside"
        where += " the 95 % interval"
    return [f"Theory has {signed(theory.exponent)} ({theory.source}), {where}."]
