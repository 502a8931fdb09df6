"""Studies that plain Optuna made, taken over to be looked at.

A trial of such a study becomes one run: its intermediate values are the curve, a step an epoch.
What counts as solved nobody but its owner knows, so a target is asked for. The
study reads like one of an own model, whose function is not here: it cannot be continued.

- `value` is what the study reports. `loss` is that where it is minimised and never negative, else
  how far it is from the best that was seen; `accuracy` is that where it is maximised and a share.
- Chance is where trials begin: the median of the first values. A run has escaped once its loss is
  less than half of that.
- A trial with fewer steps than others (pruned, stopped) keeps its last loss up to the longest.
- A trial that reported nothing but its value has no curve, and nobody knows its epochs: `final` is
  that value (see `FinishedRun.timed`).
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from storage.database import Database
from storage.runs import put_runs
from storage.trials import StoredTrial, TaskFacts, complete_mirror, create_study, put_trials
from studies.errors import BadInput
from studies.own import IMPORTED, RESERVED, Goal
from studies.problems import nearest, plain
from studies.run import VALUE, VALUE_ALONE, FinishedRun, Run
from studies.study import Study
from sweep.results import TriedConfiguration, trial_results
from sweep.values import MOST_TRIALS, attributes, mean_loss

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

SERIES = ("loss", "accuracy", VALUE)


@dataclass(frozen=True)
class Taken:
    """What was taken over: the study's name here, its trials, and those that were left out since
    they failed, or never reported a number."""

    name: str
    trials: int
    left_out: int


def optuna_studies(url: str) -> list[str]:
    """The names of the studies in a database that plain Optuna made; empty where it made none.

    Nothing is written. Raises BadInput where another version of Optuna made them.
    """
    import optuna
    import sqlalchemy as sa
    from sqlalchemy.exc import SQLAlchemyError

    try:
        address = sa.make_url(_sqlalchemy_url(url))
        # Looking into a SQLite file that is not there would make one.
        if address.drivername.startswith("sqlite") and not Path(address.database or "").is_file():
            return []
        engine = sa.create_engine(address)
        try:
            tables = set(sa.inspect(engine).get_table_names())
        finally:
            engine.dispose()
    except (SQLAlchemyError, ModuleNotFoundError):
        return []
    if not {"studies", "trials", "trial_params"} <= tables:
        return []
    return optuna.study.get_all_study_names(_storage(url))


def import_optuna(
    url: str, name: str, db: Database, *, target: float | None, new_name: str | None = None
) -> Taken:
    """Takes a study of plain Optuna's into `db`. `target` is the value that counts as solved.

    Raises BadInput for a study that is not there, has several objectives, or no trial that reported
    a number; without a target, saying what values there are; and where the name is taken.
    """
    theirs = _load(url, name)
    usable = [trial for trial in theirs.get_trials(deepcopy=False) if _values(trial).size]
    left_out = len(theirs.trials) - len(usable)
    if not usable:
        raise BadInput(f"{name}: no trial of it reported a finite number")
    maximised = theirs.direction.name == "MAXIMIZE"
    finals = [float(_values(trial)[-1]) for trial in usable]
    if target is None:
        best = "largest" if maximised else "smallest"
        raise BadInput(
            f"{name} is a study of Optuna's, whose values go from {min(finals):.6g} to "
            f"{max(finals):.6g}, the {best} being the best: say from where on a trial is solved, "
            f"with --target"
        )
    goal = Goal("value", maximised, target)
    study = _study(theirs, usable, goal, new_name or name)
    facts, runs = _runs(theirs, study, usable, goal, maximised)
    tried = [
        TriedConfiguration(number, _params(trial), [run], enqueued=False)
        for number, (trial, run) in enumerate(zip(usable, runs, strict=True))
    ]
    results = trial_results(study, facts, tried)
    stored = create_study(
        db, study.name, study.document(), facts, user_attrs={"imported_from": "Optuna"}
    )
    put_runs(db, facts, runs, trained_for=stored)
    many = len(usable) > MOST_TRIALS
    put_trials(
        db,
        stored,
        [
            StoredTrial(
                number=result.number,
                params=result.params,
                distributions=_distributions(trial),
                values=result.values,
                user_attrs={
                    **_plain(trial.user_attrs),
                    "optuna_trial": trial.number,
                    "optuna_state": trial.state.name,
                    "optuna_value": trial.value,
                    **attributes(result.summary, few=many),
                },
                system_attrs={},
                intermediate={} if many or not result.runs[0].timed else mean_loss(result.runs),
                run_keys=(result.runs[0].run.key(facts.fingerprint),),
                started=_aware(trial.datetime_start),
                finished=_aware(trial.datetime_complete),
            )
            for result, trial in zip(results, usable, strict=True)
        ],
        mirrored=False,
    )
    complete_mirror(db, stored)
    return Taken(study.name, len(usable), left_out)


def _load(url: str, name: str) -> "optuna.Study":
    import optuna

    names = optuna.study.get_all_study_names(_storage(url))
    if name not in names:
        near = nearest(name, names)
        hint = f"; did you mean {near}?" if near else f"; there are: {', '.join(names) or 'none'}"
        raise BadInput(f"no study named {name!r} in {url}{hint}")
    theirs = optuna.load_study(study_name=name, storage=_storage(url))
    if len(theirs.directions) > 1:
        raise BadInput(f"{name} has several objectives; only studies of one can be taken over")
    return theirs


def _storage(url: str) -> "optuna.storages.RDBStorage":
    import optuna

    try:
        return optuna.storages.RDBStorage(_sqlalchemy_url(url), skip_table_creation=True)
    except RuntimeError as error:
        raise BadInput(f"{url}: Optuna cannot read it: {error}") from None


def _sqlalchemy_url(url: str) -> str:
    return url if "://" in url else f"sqlite:///{url}"


def _values(trial: "FrozenTrial") -> np.ndarray:
    """What a trial reported, in the order of its steps; without that its value. float64."""
    values = [trial.intermediate_values[step] for step in sorted(trial.intermediate_values)]
    if not values and trial.value is not None:
        values = [trial.value]
    found = np.array(values, np.float64)
    return found if found.size and np.isfinite(found).any() else np.empty(0)


def _study(theirs: "optuna.Study", usable: Sequence["FrozenTrial"], goal: Goal, name: str) -> Study:
    space: dict[str, Any] = {}
    for trial in usable:
        for parameter, distribution in trial.distributions.items():
            _widen(space, _called(parameter), distribution)
    document = {
        "description": f"Trials of Optuna's study {theirs.study_name}, to be looked at.",
        "task": {"function": "optuna:study", "code": IMPORTED},
        "search": {"trials": len(usable), "sampler": "random"},
        "space": space,
        "training": {
            "model": "optuna:study",
            "code": IMPORTED,
            "target": str(goal),
            "epochs": max(len(_values(trial)) for trial in usable),
            "replicates": 1,
        },
    }
    return Study.from_document(document, name)


def _widen(space: dict[str, Any], name: str, distribution: Any) -> None:
    """Adds a distribution to a study file's space; that of an earlier trial grows by it."""
    from optuna.distributions import CategoricalDistribution

    if isinstance(distribution, CategoricalDistribution):
        known = space.get(name, [])
        choices = [_choice(value) for value in distribution.choices]
        if isinstance(known, list):
            space[name] = [*known, *(one for one in choices if one not in known)]
        return
    low, high = distribution.low, distribution.high
    known = space.get(name)
    if isinstance(known, dict):
        low, high = min(low, known["low"]), max(high, known["high"])
    if low == high:
        space[name] = [low]
    else:
        space[name] = {"low": low, "high": high, "log": bool(distribution.log)}


def _runs(
    theirs: "optuna.Study",
    study: Study,
    usable: Sequence["FrozenTrial"],
    goal: Goal,
    maximised: bool,
) -> tuple[TaskFacts, list[FinishedRun]]:
    curves = [_values(trial) for trial in usable]
    everything = np.concatenate(curves)
    finite = everything[np.isfinite(everything)]
    share = maximised and finite.min() >= 0.0 and finite.max() <= 1.0
    best = finite.max() if maximised else finite.min()

    def columns(values: np.ndarray) -> np.ndarray:
        loss = best - values if maximised else values - best
        if not maximised and finite.min() >= 0.0:
            loss = values
        accuracy = values if share else np.full(len(values), np.nan)
        return np.stack([loss, accuracy, values], axis=1).astype(np.float32)

    firsts = columns(np.array([values[np.isfinite(values)][0] for values in curves]))
    first_loss = float(np.median(firsts[:, 0]))
    accuracy = min(0.99, max(0.0, float(np.median(firsts[:, 1])))) if share else 0.0
    text = json.dumps([study.name, [values.tolist() for values in curves]])
    facts = TaskFacts(
        fingerprint=hashlib.sha256(f"optuna {text}".encode()).hexdigest()[:32],
        name=f"unknown (Optuna’s {theirs.study_name})",
        records=1,
        timesteps=1,
        features=1,
        classes=("value",),
        class_counts=(),
        target="values",
        chance=(accuracy, max(first_loss, 1e-12)),
    )
    runs: list[FinishedRun] = []
    for number, (trial, values) in enumerate(zip(usable, curves, strict=True)):
        run = Run(study.configuration(_params(trial)), number, study.training.epochs, goal.value)
        table = columns(values)
        series = SERIES if trial.intermediate_values else (*SERIES[:2], VALUE_ALONE)
        reached = [place for place, value in enumerate(values) if goal.reached(float(value))]
        if reached:
            runs.append(FinishedRun(run, "solved", table[: reached[0] + 1], series))
        elif not np.isfinite(values[-1]):
            runs.append(FinishedRun(run, "diverged", table, series))
        else:
            held = np.repeat(table[-1:], run.epochs - len(table), axis=0)
            held[:, SERIES.index(VALUE)] = np.nan
            runs.append(FinishedRun(run, "censored", np.concatenate([table, held]), series))
    return facts, runs


def _params(trial: "FrozenTrial") -> dict[str, Any]:
    return {_called(name): _choice(value) for name, value in trial.params.items()}


def _called(parameter: str) -> str:
    """A parameter's name as a study file can have it."""
    name = re.sub(r"\W", "_", parameter) or "parameter"
    if name[0].isdigit() or name in RESERVED:
        name = f"{name}_" if name in RESERVED else f"_{name}"
    return name


def _choice(value: Any) -> Any:
    return value if isinstance(value, str | bool | int | float) else str(value)


def _distributions(trial: "FrozenTrial") -> dict[str, str]:
    from optuna.distributions import CategoricalDistribution, distribution_to_json

    return {
        _called(name): distribution_to_json(
            CategoricalDistribution([_choice(one) for one in item.choices])
            if isinstance(item, CategoricalDistribution)
            else item
        )
        for name, item in trial.distributions.items()
    }


def _plain(attributes_: Mapping[str, Any]) -> dict[str, Any]:
    """User attributes as JSON has them; what it has no word for as text."""
    return {plain(str(key)): json.loads(json.dumps(value, default=str))
            for key, value in attributes_.items()}  # fmt: skip


def _aware(moment: datetime | None) -> datetime:
    return datetime.now(UTC) if moment is None else moment.astimezone()
