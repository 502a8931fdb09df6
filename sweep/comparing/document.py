"""A comparison as a JSON document has it: plain values, null for a number that does not exist."""

from dataclasses import asdict
from typing import Any

from sweep.analysis.compare import Contrast
from sweep.analysis.estimate import Estimate
from sweep.analysis.group import GroupSummary
from sweep.comparing.comparison import StudyComparison
from sweep.comparing.groups import Group
from sweep.comparing.laws import StudyLaw, law_finding
from sweep.comparing.sentences import finding


def as_json(comparison: StudyComparison) -> dict[str, Any]:
    """All of a comparison, the groups in the order of `ranked_by`; every ratio has its interval,
    and every p-value its ratios."""
    found = comparison.result
    document: dict[str, Any] = {
        "studies": [result.name for result in comparison.studies],
        "storage": comparison.studies[0].storage,
        "by": comparison.by,
        "measure": comparison.measure.name,
        "target": comparison.studies[0].study.training.target,
        "budget": found.budget,
        "groups": [
            _group(group, summary)
            for group, summary in zip(comparison.groups, found.groups, strict=True)
        ],
        "ranked_by": comparison.measure.ranks,
        "fastest": comparison.first.label,
        "log_rank": {
            "statistic": found.test.statistic,
            "degrees": found.test.degrees,
            "observed": [int(count) for count in found.test.observed],
            "expected": [float(count) for count in found.test.expected],
            "p_value": found.p_value,
            "p_value_independent": found.test.p_value,
            "matched": found.matched,
        },
        "contrasts": [_contrast(contrast) for contrast in found.contrasts],
        "finding": finding(comparison),
        "notes": list(comparison.notes),
    }
    if not comparison.timed:
        # What is in epochs does not exist.
        shares = ("group", "value", "trials", "replicates", "solved", "diverged", "success")
        document |= {"budget": None, "fastest": None, "contrasts": []}
        document["groups"] = [
            {key: value if key.startswith(shares) else None for key, value in group.items()}
            for group in document["groups"]
        ]
    return document


def law_as_json(found: StudyLaw) -> dict[str, Any]:
    """A law with its levels, its forms and what theory says."""
    theory = found.theory
    document: dict[str, Any] = {
        "study": found.study,
        "key": found.key,
        "others": found.others,
        "measure": found.measure.name,
        "left_out": list(found.left_out),
        "at_floor": list(found.at_floor),
        "beyond_budget": list(found.beyond_budget),
        "theory": None if theory is None else asdict(theory),
        "finding": law_finding(found),
    }
    if found.law is None:
        return document | {"exponent": None}
    law = asdict(found.law)
    law["levels"] = list(law["levels"])
    exponent = law.pop("exponent")
    return document | {
        "exponent": exponent["value"],
        "exponent_low": exponent["low"],
        "exponent_high": exponent["high"],
        "local_exponents": found.law.local_exponents,
        "best": found.law.best,
        **law,
    }


def _group(group: Group, summary: GroupSummary) -> dict[str, Any]:
    return {
        "group": group.label,
        "value": group.value,
        "trials": summary.trials,
        "replicates": summary.runs,
        "solved": summary.solved,
        "diverged": summary.diverged,
        "best_trial": group.best.number,
        **_estimate("success_rate", "success", summary.success),
        **_estimate("median", "median", summary.median),
        **_estimate("mean_within_budget", "mean", summary.mean),
        **_estimate("ert", "ert", summary.ert),
        **_estimate("plateau_median", "plateau", summary.plateau),
        "survival": {
            "times": summary.curve.times.tolist(),
            "unsolved": summary.curve.survival.tolist(),
            "low": summary.curve.low.tolist(),
            "high": summary.curve.high.tolist(),
        },
        "restarts": {
            "costs": summary.restarts.costs.tolist(),
            "solved": summary.restarts.share.tolist(),
        },
    }


def _contrast(contrast: Contrast) -> dict[str, Any]:
    return {
        "baseline": contrast.baseline,
        "other": contrast.other,
        **_estimate("ratio", "ratio", contrast.ratio),
        **_estimate("mean_ratio", "mean_ratio", contrast.mean_ratio),
        "paired": contrast.paired,
        "pairs": contrast.pairs,
        "configurations": contrast.configurations,
        "faster": contrast.faster,
        "slower": contrast.slower,
        "level": contrast.level,
        "independent": contrast.units,
        "p_value": contrast.p_value,
        "p_least": contrast.p_least,
        "p_adjusted": contrast.p_adjusted,
    }


def _estimate(name: str, ends: str, found: Estimate) -> dict[str, float | None]:
    return {name: found.value, f"{ends}_low": found.low, f"{ends}_high": found.high}
