"""What the storage remembers of tasks, studies and trials."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studies.tasks import Target, Task


@dataclass(frozen=True)
class TaskFacts:
    """What is remembered of a task: its shape and its classes, not its records.

    What `target` and `chance` are says `studies.tasks.Task`; `chance` is None for classes, whose
    counts say it.
    """

    fingerprint: str
    name: str
    records: int
    timesteps: int
    features: int
    classes: tuple[str, ...]
    class_counts: tuple[int, ...]
    target: "Target" = "class"
    chance: tuple[float, float] | None = None

    @classmethod
    def of(cls, task: "Task") -> "TaskFacts":
        """The facts of a task at hand."""
        return cls(
            fingerprint=task.fingerprint,
            name=task.name,
            records=task.records,
            timesteps=task.timesteps,
            features=task.features,
            classes=task.classes,
            class_counts=task.class_counts,
            target=task.target,
            chance=None if task.target == "class" else task.chance,
        )

    @property
    def chance_accuracy(self) -> float:
        """The accuracy of the best answer that is the same for all records, in 0 … 1."""
        return self._chance[0]

    @property
    def chance_loss(self) -> float:
        """The loss of that answer: for classes the cross-entropy of their frequencies, in nats."""
        return self._chance[1]

    @property
    def _chance(self) -> tuple[float, float]:
        from studies.tasks import class_chance

        return self.chance or class_chance(self.class_counts)


@dataclass(frozen=True)
class StoredStudy:
    """A study as it is stored.

    `document` is the study file as JSON knows it, `task` the task as this study calls it. The last
    four say what Optuna's study is made of; `revision` rises when finished trials change.
    """

    uuid: str
    name: str
    document: dict[str, Any]
    task: TaskFacts
    created: datetime
    updated: datetime
    directions: tuple[str, ...]
    metric_names: tuple[str, ...]
    user_attrs: dict[str, Any]
    revision: int

    @property
    def budget(self) -> int:
        """Epochs that each run of the study is allowed."""
        return budget_of(self.document)


@dataclass(frozen=True)
class StoredTrial:
    """A finished trial.

    `distributions` are Optuna's, each as its JSON text; `values` one a direction, finite;
    `intermediate` one value a step; `run_keys` those of its runs in the order of their replicates.
    `started` and `finished` are aware of their time zone; they take no part in comparisons, since a
    trial told again is the same trial.
    """

    number: int
    params: dict[str, Any]
    distributions: dict[str, str]
    values: tuple[float, ...]
    user_attrs: dict[str, Any]
    system_attrs: dict[str, Any]
    intermediate: dict[int, float]
    run_keys: tuple[str, ...]
    started: datetime = field(compare=False)
    finished: datetime = field(compare=False)


@dataclass(frozen=True)
class StudyLine:
    """A study in a list: how many trials and runs it has, and how many of these solved the task."""

    name: str
    task: str
    trials: int
    runs: int
    solved_runs: int
    created: datetime
    updated: datetime


def plain(value: Any) -> Any:
    """A value as JSON gives it back: lists for tuples, numbers for NumPy's, null for no number.

    Raises TypeError for what JSON has no word for.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        items: Mapping[Any, Any] = value
        return {str(key): plain(item) for key, item in items.items()}
    if isinstance(value, list | tuple):
        sequence: Sequence[Any] = value
        return [plain(item) for item in sequence]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    raise TypeError(f"{type(value).__name__} cannot be stored as JSON")


def budget_of(document: Mapping[str, Any]) -> int:
    """The `epochs` of a study file's [training]. Raises ValueError if it does not say them."""
    match document:
        case {"training": {"epochs": int(epochs)}}:
            return epochs
        case _:
            raise ValueError("a study's document has to state training.epochs")


def storable(trial: StoredTrial) -> StoredTrial:
    """The trial as it will be read back; intermediate values that are not finite are left out.

    Raises ValueError for a value that is not finite, or a moment without a time zone.
    """
    if not trial.values or not all(math.isfinite(value) for value in trial.values):
        raise ValueError(f"trial {trial.number}: its values {trial.values} are not all finite")
    if trial.started.tzinfo is None or trial.finished.tzinfo is None:
        raise ValueError(f"trial {trial.number}: its times need a time zone")
    return StoredTrial(
        number=int(trial.number),
        params=plain(trial.params),
        distributions={name: json.dumps(json.loads(d)) for name, d in trial.distributions.items()},
        values=tuple(float(value) for value in trial.values),
        user_attrs=plain(trial.user_attrs),
        system_attrs=plain(trial.system_attrs),
        intermediate={
            int(step): float(value)
            for step, value in sorted(trial.intermediate.items())
            if math.isfinite(value)
        },
        run_keys=tuple(trial.run_keys),
        started=trial.started,
        finished=trial.finished,
    )
