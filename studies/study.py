"""The study file: what is asked of a search, read from TOML and checked as a whole.

A `Study` is valid from the moment it exists: every point of its space makes a `Configuration`, so
no trial can fail for its settings. Its `document` is the canonical form that a storage keeps.
"""

import os
from collections.abc import Callable, Mapping
from copy import deepcopy
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeGuard, cast

from pydantic import BaseModel, ConfigDict, Field, InstanceOf, ValidationError, model_validator

from studies.errors import BadInput
from studies.files import first_bytes
from studies.functions import short_name
from studies.own import OwnModel
from studies.problems import nearest, quoted, shown, unknown, wrong
from studies.run import Configuration
from studies.space import Choice, Range, parse_space, space_problems
from studies.tables import (
    BELONGS,
    Search,
    Training,
    conflicts,
    entry_problems,
    key_conflicts,
    parse_search,
    parse_training,
)
from studies.task_tables import (
    KINDS,
    AnyTask,
    BuiltinTask,
    CsvTask,
    FunctionTask,
    parse_task,
)
from studies.tasks import Task
from studies.toml import parse_value, read_toml, write_toml

__all__ = [
    "DEFAULT_STUDY",
    "BuiltinTask",
    "CsvTask",
    "Difference",
    "Search",
    "Study",
    "Training",
    "about_csv",
    "asked_settings",
    "asked_study",
    "at_least",
    "differences",
    "extends",
    "read_study",
    "shipped_studies",
]

DEFAULT_STUDY = "hello-lstm"
"""The shipped study of who names none: the question's."""

LONGEST_NAME = 200
"""Characters of a study's name."""

TABLES = ("task", "search", "space", "training")


class Study(BaseModel):
    """A search over configurations on one task.

    `space` holds the dimensions by setting, in the order of the file. Made by `read_study` and
    `from_document`; made otherwise, parts that do not agree raise pydantic's ValidationError.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: str
    description: str = Field(default="", max_length=10_000)
    task: AnyTask
    search: Search = Search()
    space: dict[str, InstanceOf[Range] | InstanceOf[Choice]] = Field(default_factory=dict)
    training: Training

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        own = self.training.model is not None
        problems = name_problems(self.name) or space_problems(self.space, own=own)
        problems = problems or key_conflicts(self.training.settings, self.space, own=own)
        problems = problems or conflicts(self.search, self.space, self.training)
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def configuration(self, params: Mapping[str, Any]) -> Configuration:
        """The configuration of a trial: `params` for what is searched, the rest as fixed.

        It is an `OwnModel` (`studies.own`) where the study has an own model.
        A searched setting that `params` lacks, since its condition does not hold, has its default.
        Raises BadInput for values that no configuration has.
        """
        own = self.training
        try:
            if own.model is not None:
                names = {"function": short_name(own.model), "code": own.code, "goal": own.goal}
                model = OwnModel.model_validate({**own.settings, **params, **names})
                return cast(Configuration, model)
            return Configuration.model_validate({**self.training.settings, **params})
        except ValidationError as error:
            said = "; ".join(
                f"{'.'.join(str(part) for part in entry['loc'])}: {entry['msg']}"
                for entry in error.errors()
            )
            raise BadInput(
                f"{self.name}: the parameters {dict(params)} do not fit: {said}"
            ) from None

    def is_enqueued(self, number: int) -> bool:
        """Whether the study file gave the configuration of this trial, so that none was asked."""
        return number < len(self.search.enqueue)

    def load_task(
        self, *, allow_code: bool = False, say: Callable[[str], None] | None = None
    ) -> Task:
        """The data, made or read. Raises BadInput for a file that cannot be used.

        A person's function is called with `allow_code` only. `say` is told, in sentences, what of a
        CSV was taken for what, and how much is held back.
        """
        said: tuple[str, ...] = ()
        if isinstance(self.task, CsvTask):
            task, reading = self.task.read()
            said = reading.sentences()
        elif isinstance(self.task, FunctionTask):
            task = self.task.load(allow_code=allow_code)
        else:
            task = self.task.load()
        if task.validation is not None:
            whole = task.records + task.validation.records
            said = (
                *said,
                f"{task.validation.records:,} of {whole:,} records are held back for validation",
            )
        if say is not None:
            for sentence in said:
                say(f"{sentence}.")
        return task

    def unprepared(self) -> "Study":
        """The same study with its inputs as they came; what is held back is the same."""
        prepare = self.task.prepare.model_copy(
            update={"standardise": False, "scale": None, "embed": False}
        )
        return self.model_copy(update={"task": self.task.model_copy(update={"prepare": prepare})})

    def document(self) -> dict[str, Any]:
        """The study without its name in plain JSON values, every default written out.

        Only a learning rate that is neither fixed nor searched is left out, since it depends on the
        optimizer. The path of a CSV is absolute.
        """
        search = self.search.model_dump()
        objective = search["objective"]
        search["objective"] = objective if isinstance(objective, str) else list(objective)
        search["enqueue"] = [dict(entry) for entry in self.search.enqueue]
        return {
            "description": self.description,
            "task": self.task.table(),
            "search": search,
            "space": {key: _dimension_table(value) for key, value in self.space.items()},
            "training": self.training.table(),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any], name: str) -> "Study":
        """The study that a document (of `document`, or of a file) describes.

        Raises BadInput with a line for each error; `name` stands where a file's name would.
        """
        return _study(document, name, origin=name, directory=Path.cwd())

    def to_toml(self) -> str:
        """The study as the text of a study file, every default written out."""
        return write_toml(self.document())

    def changed(self, settings: Mapping[str, Any]) -> "Study":
        """The same study with other settings, by dotted key, such as `training.batch_size`.

        A text is read as TOML where it is TOML (`"16"` is a number, `'"16"'` and `"adam"` are
        texts); other values, and paths, are taken as they are. A relative `task.csv` is relative to
        the working directory. `name` and `description` may be changed too. What follows from a
        change is done:

        - fixing a searched setting (`training.units`) takes it out of the space. Conditions on it
          are resolved: what they allow is searched always, what they forbid no longer.
        - searching a fixed one (`space.units`) takes it out of [training].
        - a task of another kind or name (`task.csv`, `task.name` …) replaces the whole task.
        - configurations to be tried first that are no longer in the study are left out, unless
          `search.enqueue` is among the settings.

        Raises BadInput with a line for each error.
        """
        document, name = self.document(), self.name
        entries: list[dict[str, Any]] = document["search"]["enqueue"]
        if "search.enqueue" not in settings:
            document["search"]["enqueue"] = []
        problems = [
            f"{key}: {key[9:]} is searched by another change; it is fixed or searched, never both"
            for key in settings
            if key.startswith("training.") and f"space.{key[9:]}" in settings
        ]
        for dotted in sorted(settings, key=_turn):
            value = deepcopy(settings[dotted])
            if isinstance(value, os.PathLike):
                value = os.fspath(cast("os.PathLike[str]", value))
            elif isinstance(value, str):
                # A name or a description is text, whatever it looks like.
                value = value if dotted in ("name", "description") else parse_value(value)
            if dotted == "name":
                name = value
            else:
                _put(document, dotted, value, problems)
        if problems:
            raise BadInput("\n".join(f"{self.name}: {line}" for line in problems))
        study = _study(document, name, origin=self.name, directory=Path.cwd())
        if "search.enqueue" in settings:
            return study
        kept = [e for e in entries if not entry_problems(e, study.space, study.training)]
        return study.model_copy(
            update={"search": study.search.model_copy(update={"enqueue": tuple(kept)})}
        )


class Difference(NamedTuple):
    """A dotted key and its values in two studies; None where a study does not have it."""

    key: str
    old: Any
    new: Any


EXTENSIONS = ("search.trials", "training.replicates", "training.epochs")
"""What may grow in a study that is continued: what was done stays an answer to it."""


def differences(old: Study, new: Study, *, same_data: bool = False) -> list[Difference]:
    """In what two studies differ that bears on their results; name and description do not.

    With `same_data` their tasks are known to be equal: where those come from and how they are read
    is no difference then.
    """
    before, after = _flat(old.document()), _flat(new.document())
    return [
        Difference(key, before.get(key), after.get(key))
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key) and not (same_data and key.startswith("task."))
    ]


def extends(old: Study, new: Study, *, same_data: bool = False) -> bool:
    """Whether `new` asks for what `old` asked for, or for more trials, replicates or epochs."""
    return all(
        difference.key in EXTENSIONS and difference.new >= difference.old
        for difference in differences(old, new, same_data=same_data)
    )


def at_least(old: Study, new: Study) -> Study:
    """`new`, with as many trials, replicates and epochs as `old` where it asks for fewer."""
    trials = max(old.search.trials, new.search.trials)
    most = {
        key: max(getattr(old.training, key), getattr(new.training, key))
        for key in ("replicates", "epochs")
    }
    return new.model_copy(
        update={
            "search": new.search.model_copy(update={"trials": trials}),
            "training": new.training.model_copy(update=most),
        }
    )


def read_study(source: str | os.PathLike[str]) -> Study:
    """A shipped study by name, or the study in a .toml file, which has the file's name.

    Raises BadInput with a line for each error, naming file, key, value and what is allowed.
    """
    if _is_name(source):
        shipped = _shipped()
        if source in shipped:
            return _read(Path(str(shipped[source])), source, source)
        near = nearest(source, shipped)
        hint = f"; did you mean {near}?" if near else ""
        if Path(f"{source}.toml").is_file():
            hint = f"; did you mean the file {source}.toml?"
        raise BadInput(
            f"{shown(source)}: no shipped study has this name{hint} "
            f"(there are: {', '.join(shipped)}; a study of your own is given as a .toml file)"
        )
    if os.fspath(source).lower().endswith((".csv", ".tsv")):
        raise BadInput(f"{source}: this is a data file; a study file names it as csv, in [task]")
    return _read(Path(source), str(source), Path(source).stem)


def asked_settings(
    *,
    name: str | None,
    trials: int | None,
    replicates: int | None,
    epochs: int | None,
    seed: int | None,
    csv: str | os.PathLike[str] | None,
    label: str | None,
    timesteps: int | None,
) -> dict[str, Any]:
    """What `run` has options of its own for, as settings under dotted keys; None is left out."""
    settings = {
        "name": name,
        "search.trials": trials,
        "training.replicates": replicates,
        "training.epochs": epochs,
        "search.seed": seed,
        "task.csv": csv,
        "task.label": label,
        "task.timesteps": timesteps,
    }
    return {key: value for key, value in settings.items() if value is not None}


def asked_study(source: str | os.PathLike[str] | None, settings: Mapping[str, Any]) -> Study:
    """The study that a person asks for: a shipped one by name, or of a file by its path, with these
    settings under dotted keys. Without a source it is `DEFAULT_STUDY`.

    A CSV (`task.csv`) takes the place of its task, and of the description of a shipped study, which
    is about its task, and lends it its name where there is no source and no `name`. Raises BadInput
    as `read_study` and `Study.changed` do.
    """
    given = DEFAULT_STUDY if source is None else source
    if source is None and "task.csv" in settings and "name" not in settings:
        settings = {**settings, "name": _name_after(Path(settings["task.csv"]))}
    study = read_study(given).changed(settings)
    # No shipped study is about a CSV.
    if isinstance(study.task, CsvTask) and _is_name(given) and "description" not in settings:
        return study.changed({"description": about_csv(Path(study.task.csv).name)})
    return study


def _name_after(csv: Path) -> str:
    if name_problems(csv.stem):
        if csv.is_dir():
            first_bytes(csv, 1)
        raise BadInput(
            f"{csv}: its study would be called {quoted(csv.stem)}, which cannot be a name; "
            "give it another: --name NAME, or name=… in Python"
        )
    return csv.stem


def about_csv(file: str) -> str:
    """The description of a study of the records in a CSV that is called so."""
    return f"Which model learns {file} most efficiently, and how long does it sit at chance first?"


def shipped_studies() -> list[tuple[str, str]]:
    """Names and descriptions of the studies that come with the package, sorted."""
    return [(name, read_study(name).description) for name in _shipped()]


def name_problems(name: str) -> list[str]:
    """A line if this cannot be a study's name, which serves as a file's name too."""
    fine = 0 < len(name) <= LONGEST_NAME and name.isprintable() and name == name.strip()
    if fine and not set(name) & set("/\\") and name[0] not in ".-":
        return []
    due = (
        f"1 to {LONGEST_NAME} printable characters without / and \\, "
        "not beginning with . or - and without blanks at its ends"
    )
    return [wrong("name", name, due)]


def _is_name(source: str | os.PathLike[str]) -> TypeGuard[str]:
    """Whether it names a shipped study, and no file."""
    if not isinstance(source, str) or "/" in source or "\\" in source:
        return False
    return Path(source).suffix.lower() not in (".toml", ".csv")


def _shipped() -> dict[str, Any]:
    found = sorted(files("studies").joinpath("shipped").iterdir(), key=lambda file: file.name)
    return {f.name.removesuffix(".toml"): f for f in found if f.name.endswith(".toml")}


def _read(path: Path, origin: str, name: str) -> Study:
    document = read_toml(path)
    return _study(document, name, origin=origin, directory=path.parent)


def _study(document: object, name: Any, *, origin: str, directory: Path) -> Study:
    if not isinstance(document, Mapping):
        raise BadInput(f"{origin}: a study is a table, not {shown(document)}")
    tables = dict(cast(Mapping[str, Any], document))
    problems = name_problems(name) if isinstance(name, str) else [wrong("name", name, "text")]
    description = tables.pop("description", "")
    if not isinstance(description, str) or len(description) > 10_000:
        problems.append(wrong("description", description, "text of at most 10,000 characters"))
    for key in tables:
        if key not in TABLES:
            problems.append(unknown("", str(key), ("description", *TABLES), BELONGS.get(key)))
    if "task" in tables:
        task = parse_task(tables["task"], directory, problems, BELONGS)
    else:
        task = None
        problems.append("task is missing: a study needs a table [task]")
    search = parse_search(tables.get("search", {}), problems)
    searched, fixed = _keys(tables.get("space")), _keys(tables.get("training"))
    own = "model" in fixed
    space = parse_space(tables.get("space", {}), problems, BELONGS, own=own)
    training = parse_training(tables.get("training", {}), searched, problems, directory)
    problems.extend(key_conflicts(fixed, searched, own=own))
    if search is not None and training is not None:
        problems.extend(conflicts(search, space, training, searched - space.keys()))
    if problems or task is None or search is None or training is None:
        raise BadInput("\n".join(f"{origin}: {line}" for line in problems))
    return Study(
        name=name, description=description, task=task, search=search, space=space, training=training
    )


def _keys(table: object) -> set[str]:
    return set(cast(Mapping[str, Any], table)) if isinstance(table, Mapping) else set()


def _dimension_table(dimension: Range | Choice) -> Any:
    when = {key: list(values) for key, values in dimension.when.items()}
    if isinstance(dimension, Choice):
        choices = list(dimension.choices)
        return {"choices": choices, "when": when} if when else choices
    table: dict[str, Any] = {"low": dimension.low, "high": dimension.high, "log": dimension.log}
    if dimension.step is not None:
        table["step"] = dimension.step
    return {**table, "when": when} if when else table


_KINDS = {f"task.{key}" for key in KINDS}


def _turn(dotted: str) -> int:
    """When a change is made: whole tables, the kind of task, what leaves the space, the rest."""
    if "." not in dotted:
        return 0
    if dotted in _KINDS:
        return 1
    return 2 if dotted.startswith("training.") else 3


def _put(document: dict[str, Any], dotted: str, value: Any, problems: list[str]) -> None:
    name, _, key = dotted.partition(".")
    task, space, training = (_table(document, table) for table in ("task", "space", "training"))
    if dotted in _KINDS and (key != "name" or task.get(key) != value):
        document["task"] = {}
    elif name == "training" and key in space:
        _fix(space, key, value)
    elif dotted == "training.model":
        # Another file has another digest.
        training.pop("code", None)
    elif name == "space":
        training.pop(key.partition(".")[0], None)
    table: Any = document
    path = dotted.split(".")
    for depth, part in enumerate(path[:-1], start=1):
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            problems.append(f"{dotted}: {'.'.join(path[:depth])} is no table, so it has no keys")
            return
    table[path[-1]] = value


def _fix(space: dict[str, Any], key: str, value: Any) -> None:
    """Takes a key out of the tables of a space; `value` is None where it never applies."""
    del space[key]
    for child in list(space):
        when = _table(_table(space, child), "when")
        if key in when:
            due = when[key]
            if value in (due if isinstance(due, list) else [due]):
                del when[key]
            else:
                _fix(space, child, None)


def _table(document: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The table under a key; an empty one that nobody sees if there is something else."""
    table = document.get(key)
    return cast(dict[str, Any], table) if isinstance(table, dict) else {}


def _flat(document: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{table}.{key}": value for table in TABLES for key, value in document[table].items()}
