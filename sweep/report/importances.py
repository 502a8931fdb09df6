"""How much each setting tells the best configurations from the others.

The importances are Optuna's (PED-ANOVA, Watanabe et al. 2023, arXiv:2304.10255).
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sweep.report.drawing import PALETTE, Figure, percent, plain
from sweep.report.rows import Row, words
from sweep.report.sentences import sentence
from sweep.report.story import Story
from sweep.results import StudyResult

FEWEST = 20
"""Configurations below which importances say nothing: the best tenth would be one of them."""

MOST_WEIGHED = 3_000
"""Configurations that importances are computed from, evenly spaced by rank."""

PLATEAUS = "the shortest plateaus"
"""The second thing that importances are asked for."""

Importances = dict[str, float]


def importances(story: Story) -> dict[str, Importances]:
    """By what is asked for, the importance of each setting; they add up to 1.

    Asked is for the best tenth by the study's first objective, and for the shortest tenth of the
    plateaus. What all configurations share equally has no importances, and is left out.
    """
    rows = story.rows
    if len(rows) > MOST_WEIGHED:
        at = np.linspace(0, len(rows) - 1, MOST_WEIGHED).astype(int)
        rows = tuple(rows[i] for i in at)
    questions: dict[str, Callable[[Row], float | None]] = {
        story.measure.best: lambda row: row.objectives[0] if row.solved else math.inf,
        PLATEAUS: lambda row: row.plateau,
    }
    found: dict[str, Importances] = {}
    for name, value in questions.items():
        asked = [(row, at) for row in rows if (at := value(row)) is not None]
        if len(asked) >= FEWEST and len({at for _, at in asked}) > 1:
            found[name] = _weigh(story.result, asked)
    return {name: shares for name, shares in found.items() if shares}


def _weigh(result: StudyResult, asked: Sequence[tuple[Row, float]]) -> Importances:
    import optuna

    from sweep.sampling import distribution, quiet

    space = {name: distribution(span) for name, span in result.study.space.items()}
    # What never got there is worse than all that did, by no matter how much.
    worst = 2.0 * max((value for _, value in asked if math.isfinite(value)), default=1.0)
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = optuna.create_study()
        study.add_trials(
            [
                optuna.trial.create_trial(
                    params=(own := {k: v for k, v in row.settings.items() if k in space}),
                    distributions={name: space[name] for name in own},
                    value=min(value, worst),
                )
                for row, value in asked
            ]
        )
        shares = optuna.importance.get_param_importances(study)
    return {name: float(share) for name, share in shares.items() if math.isfinite(share)}


def importance_bars(weighed: Mapping[str, Importances]) -> Figure:
    """A bar for each setting and each thing asked for, the most important setting on top."""
    first = next(iter(weighed.values()))
    names = sorted(first, key=lambda name: first[name])
    data: list[Figure] = [
        {
            "type": "bar",
            "orientation": "h",
            "name": f"for {question}",
            "x": [round(shares.get(name, 0.0), 4) for name in names],
            "y": [plain(words(name)) for name in names],
            "marker": {"color": PALETTE[(0, 1)[slot % 2]][0]},
            "hovertemplate": "%{y}: %{x:.0%}<extra></extra>",
        }
        for slot, (question, shares) in enumerate(weighed.items())
    ]
    return {
        "data": data[::-1],
        "layout": {
            "height": 110 + 34 * len(names) * len(data),
            "margin": {"l": 110, "r": 12, "t": 40, "b": 48},
            "barmode": "group",
            "bargap": 0.35,
            "xaxis": {
                "title": {"text": "importance"},
                "tickformat": ".0%",
                "rangemode": "tozero",
            },
            "yaxis": {"ticks": "", "showgrid": False},
            "legend": {
                "orientation": "h",
                "y": 1.0,
                "yanchor": "bottom",
                "x": 0,
                "traceorder": "reversed",
            },
            "showlegend": True,
        },
    }


def importance_finding(weighed: Mapping[str, Importances], trials: int) -> str:
    """The settings that matter most for each thing asked for."""
    parts: list[str] = []
    for question, shares in weighed.items():
        order = sorted(shares, key=lambda name: -shares[name])
        text = (
            f"for {question} the {words(order[0])} matters most "
            f"({percent(round(shares[order[0]], 2))})"
        )
        if len(order) > 1:
            text += f", then {words(order[1])} ({percent(round(shares[order[1]], 2))})"
        parts.append(text)
    few = "" if trials >= 50 else " With so few configurations this is a hint."
    return sentence("; ".join(parts)) + few
