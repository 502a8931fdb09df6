"""The tables [search] and [training] of a study file, and what all tables must agree on.

Each `parse_…` takes a table as it came and gives its value, or None after appending a line to
`problems` for each of its errors; so a file's errors are shown all at once.
"""

import os
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from studies.functions import digest, located
from studies.own import Goal, is_argument
from studies.problems import checked, shown, unknown, wrong
from studies.run import DEFAULT_LEARNING_RATE, Configuration
from studies.space import Space, contains, grid_problems, is_setting, setting
from studies.task_tables import TASK_KEYS

Sampler = Literal["tpe", "random", "grid", "qmc", "gp", "cmaes", "nsgaii"]
Objective = Literal["epochs", "updates", "flops", "parameters"]


def _objective(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        return value
    items = tuple(cast(list[Any], value))
    if not items or len({str(item) for item in items}) < len(items):
        raise ValueError("empty or with a repetition")
    return "epochs" if items == ("epochs",) else items


class Search(BaseModel):
    """How configurations are searched.

    `objective` is "epochs", or the minimised quantities of a Pareto front (of a single-objective
    search where there is one). `enqueue` holds configurations to try first: each gives values to
    searched settings, and may repeat fixed ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    sampler: Sampler = "tpe"
    trials: int = Field(default=100, ge=1, le=1_000_000)
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    objective: Annotated[Literal["epochs"] | tuple[Objective, ...], BeforeValidator(_objective)] = (
        Field(
            default="epochs",
            description='"epochs", or a list of different ones out of "epochs", "updates", '
            '"flops", "parameters"',
        )
    )
    enqueue: tuple[dict[str, Any], ...] = ()

    @property
    def objectives(self) -> tuple[str, ...]:
        """The minimised quantities, one or more."""
        return (self.objective,) if isinstance(self.objective, str) else self.objective


class Training(BaseModel):
    """What is the same in every trial.

    `settings` are the settings of `Configuration` that the study does not search, defaults
    included. Without `learning_rate` among them (nor in the space), each optimizer has its own
    default.

    With an own `model` (see `studies.own`) they are arguments of its function, besides the batch
    size. `code` is then the digest of the function's file, `goal` what counts as solved, with its
    bound as the `target`, and `time_limit` the seconds that a run may take.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    epochs: int = Field(default=100, ge=1, le=1_000_000)
    replicates: int = Field(default=5, ge=1, le=10_000)
    target: float = 1.0
    model: str | None = None
    code: str | None = None
    goal: str | None = None
    time_limit: float | None = Field(
        default=None, gt=0.0, le=1e9, description="the seconds that a run may take"
    )
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.model is None and not 0.0 < self.target <= 1.0:
            raise ValueError("target: must be above 0 and at most 1")
        if (self.model is None) != (self.goal is None):
            raise ValueError("model and goal go together")
        return self

    @property
    def bound(self) -> str | None:
        """The target in words where it is no training accuracy, such as "val_loss ≤ 0.1"."""
        if self.goal is None or Goal.parse(self.goal).metric == "accuracy":
            return None
        return self.goal.replace(">=", "≥").replace("<=", "≤")

    def table(self) -> dict[str, Any]:
        limits = {"epochs": self.epochs, "replicates": self.replicates, "target": self.target}
        if self.model is None:
            return self.settings | limits
        limits |= {"model": self.model, "code": self.code, "target": self.goal}
        if self.time_limit is not None:
            limits["time_limit"] = self.time_limit
        return self.settings | limits


LIMITS = ("epochs", "replicates", "target", "model", "code", "time_limit")
"""The keys of [training] that are no setting of a configuration."""

BELONGS: dict[str, str] = {
    **dict.fromkeys(TASK_KEYS, "task"),
    **dict.fromkeys(Search.model_fields, "search"),
    **dict.fromkeys((*LIMITS, *Configuration.model_fields), "training"),
}
"""The table in which a key of a study file belongs."""


def parse_search(table: object, problems: list[str]) -> Search | None:
    """The [search] table; of `enqueue` only that it is a list of tables (see `conflicts`)."""
    if isinstance(table, Mapping) and "enqueue" in table:
        given = dict(cast(Mapping[str, Any], table))
        entries = given.pop("enqueue")
        search = checked(Search, "search", given, problems, BELONGS)
        if not isinstance(entries, list | tuple):
            problems.append(wrong("search.enqueue", entries, "a list of tables"))
            return None
        tables: list[dict[str, Any]] = []
        for entry in cast(list[Any], entries):
            if isinstance(entry, Mapping):
                tables.append(dict(cast(Mapping[str, Any], entry)))
            else:
                due = "a table such as { units = 15 }"
                problems.append(wrong("search.enqueue", entry, due))
        if search is None or len(tables) < len(entries):
            return None
        return search.model_copy(update={"enqueue": tuple(tables)})
    return checked(Search, "search", table, problems, BELONGS)


def parse_training(
    table: object,
    searched: Collection[str],
    problems: list[str],
    directory: str | os.PathLike[str] = ".",
) -> Training | None:
    """The [training] table, completed by the defaults of what is neither given nor `searched`.

    `directory` is where the file of an own model is looked for.
    """
    if not isinstance(table, Mapping):
        problems.append(wrong("training", table, "a table"))
        return None
    given = dict(cast(Mapping[str, Any], table))
    if "model" in given:
        return _own_training(given, searched, problems, directory)
    before = len(problems)
    known = (*Configuration.model_fields, *LIMITS)
    for key in given:
        if key not in known:
            problems.append(unknown("training", str(key), known, BELONGS.get(key)))
        elif key in ("code", "time_limit"):
            problems.append(f"training.{key}: it is for own models; there is no training.model")
    fixed = {key: value for key, value in given.items() if key in Configuration.model_fields}
    limits = {key: value for key, value in given.items() if key in LIMITS}
    if "target" in limits:
        _check_target(limits["target"], problems)
    if len(problems) > before:
        limits.pop("target", None)
    training = checked(Training, "training", limits, problems)
    configuration = checked(Configuration, "training", {"units": 1, **fixed}, problems)
    if training is None or configuration is None or len(problems) > before:
        return None
    left_out = {"units", "learning_rate", *searched} - set(fixed)
    settings = {
        name: value for name, value in configuration.model_dump().items() if name not in left_out
    }
    return training.model_copy(update={"settings": settings})


def _check_target(target: object, problems: list[str]) -> None:
    """A line for a target that is no accuracy; `Training` allows own models any number."""
    if isinstance(target, bool) or not isinstance(target, int | float) or not 0.0 < target <= 1.0:
        problems.append(wrong("training.target", target, "a number above 0 and at most 1"))


def _own_training(
    given: dict[str, Any],
    searched: Collection[str],
    problems: list[str],
    directory: str | os.PathLike[str],
) -> Training | None:
    """The [training] table of a study of an own model."""
    before = len(problems)
    limits = {key: given.pop(key) for key in LIMITS if key in given}
    model, target = limits.pop("model"), limits.pop("target", 1.0)
    try:
        goal = Goal.parse(target)
        limits |= {"goal": str(goal), "target": goal.value}
    except ValueError as due:
        problems.append(wrong("training.target", target, str(due)))
    try:
        # A stored study has its function's digest already, and needs the file no more.
        stored = "code" in limits and isinstance(model, str)
        limits["model"] = model if stored else located(model, directory)
        if not stored:
            limits["code"] = digest(limits["model"])
    except ValueError as due:
        problems.append(wrong("training.model", model, str(due)))
    if "batch_size" not in searched:
        given.setdefault("batch_size", 32)
    for key, value in given.items():
        if not is_argument(key):
            problems.append(f"training.{key}: this cannot be an argument's name")
            continue
        try:
            setting(key, value, own=True)
        except ValueError as due:
            problems.append(wrong(f"training.{key}", value, str(due)))
    if len(problems) > before:
        limits |= {"goal": "accuracy >= 1", "target": 1.0, "model": "", "code": ""}
    training = checked(Training, "training", limits, problems)
    if training is None or len(problems) > before:
        return None
    return training.model_copy(update={"settings": given})


def key_conflicts(
    fixed: Collection[str], searched: Collection[str], *, own: bool = False
) -> list[str]:
    """A line for each setting that is both fixed and searched, or that has to be one of them."""
    problems = [
        f"training.{key}: {key} is searched in [space] too; it is fixed or searched, never both"
        for key in fixed
        if key in searched
    ]
    if not own and "units" not in fixed and "units" not in searched:
        problems.append("training.units is missing: fix it here, or search it in [space]")
    return problems


def conflicts(
    search: Search, space: Space, training: Training, broken: Collection[str] = ()
) -> list[str]:
    """A line for each thing on which valid tables do not agree, beyond `key_conflicts`.

    `broken` are searched settings that `space` lacks, since they have errors of their own.
    """
    problems: list[str] = []
    if training.model is not None and "flops" in search.objectives:
        problems.append("search.objective: nobody counts the FLOPs of an own model")
    if search.sampler == "grid":
        problems.extend(grid_problems(space))
    if search.sampler == "cmaes" and len(search.objectives) > 1:
        problems.append(
            wrong("search.sampler", "cmaes", "another one where there are several objectives")
        )
    for number, entry in enumerate(search.enqueue, start=1):
        for line in entry_problems(entry, space, training, broken):
            problems.append(f"entry {number} of search.enqueue: {line}")
    return problems


def entry_problems(
    entry: Mapping[str, Any], space: Space, training: Training, broken: Collection[str] = ()
) -> list[str]:
    """A line for each reason why a configuration to be tried first is not in the study."""
    problems: list[str] = []
    own = training.model is not None
    for key, value in entry.items():
        if key in broken:
            continue
        if not is_setting(key, own=own):
            problems.append(unknown("", key, Configuration.model_fields))
            continue
        try:
            held = setting(key, value, own=own)
        except ValueError as due:
            problems.append(wrong(key, value, str(due)))
            continue
        if key not in space:
            fixed = _fixed(key, entry, training)
            if held != fixed:
                due = "left out" if fixed is None else f"{shown(fixed)}, to which it is fixed"
                problems.append(wrong(key, value, f"{due}, or else searched in [space]"))
            continue
        if not contains(space[key], held):
            problems.append(wrong(key, value, f"a value that space.{key} has"))
        for parent, values in space[key].when.items():
            if parent not in broken and (parent not in entry or entry[parent] not in values):
                met = " or ".join(shown(due) for due in values)
                problems.append(f"{key}: it is searched only where {parent} is {met}")
    return problems


def _fixed(key: str, entry: Mapping[str, Any], training: Training) -> Any:
    if key == "learning_rate" and key not in training.settings and training.model is None:
        optimizer = entry.get("optimizer", training.settings.get("optimizer"))
        return DEFAULT_LEARNING_RATE.get(optimizer) if isinstance(optimizer, str) else None
    return training.settings.get(key)
