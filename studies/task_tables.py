"""The [task] table of a study file: which data, and what is done to them before training.

A kind of task is a model with the keys that are its own. Besides, each has the keys of
`studies.preparing.Preparation`.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from studies import data_files, data_function
from studies.csv_task import CsvReading, check_delimiter, read_csv_task
from studies.functions import digest, located
from studies.own import is_argument, is_value
from studies.preparing import Preparation, prepared, prepared_size
from studies.problems import checked, nearest, wrong
from studies.tasks import Size, Task, builtin_tasks, make_task, task_size


class _Table(BaseModel):
    """What the kinds of tasks have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    prepare: Preparation = Preparation()

    def table(self) -> dict[str, Any]:
        """The table of a study file, every default of the kind written out."""
        own = self.model_dump(exclude={"prepare"})
        return {**own, **self.prepare.table()}


class BuiltinTask(_Table):
    """A built-in task by name, with its settings as its own model has them."""

    name: str
    settings: BaseModel

    def load(self) -> Task:
        return prepared(make_task(self.name, self.settings), self.prepare)

    def size(self) -> Size:
        """How large the data are at most, before any are made."""
        return prepared_size(task_size(self.name, self.settings), self.prepare)

    def table(self) -> dict[str, Any]:
        return {"name": self.name, **self.settings.model_dump(), **self.prepare.table()}


class CsvTask(_Table):
    """A CSV file as a task; the settings are those of `studies.csv_task.read_csv_task`."""

    csv: str = Field(min_length=1, description="the path of a CSV file")
    label: str | int | None = Field(default=None, description="a column's name or its number")
    group: str | None = Field(default=None, description="a column's name")
    timesteps: int | None = Field(default=None, ge=1)
    header: Literal["auto"] | bool = Field(default="auto", description='"auto", true or false')
    delimiter: Annotated[str, BeforeValidator(check_delimiter)] = Field(
        default="auto", description='"auto" or one sign, such as "," or ";"'
    )

    def read(self) -> tuple[Task, CsvReading]:
        """The data, and what was taken for what. Raises BadInput as `read_csv_task` does."""
        task, reading = read_csv_task(
            self.csv,
            label=self.label,
            group=self.group,
            timesteps=self.timesteps,
            header=self.header,
            delimiter=self.delimiter,
        )
        return prepared(task, self.prepare, reading.groups), reading

    def load(self) -> Task:
        return self.read()[0]

    def table(self) -> dict[str, Any]:
        table = super().table()
        if self.group is None:
            del table["group"]
        return table


class NpzTask(_Table):
    """Arrays in a file of NumPy's, as `studies.data_files.read_npz` reads them."""

    npz: str = Field(min_length=1, description="the path of an NPZ file")
    x: str = Field(default="x", description="the name of an array")
    y: str = Field(default="y", description="the name of an array")
    group: str | None = Field(default=None, description="the name of an array")
    timesteps: int | None = Field(default=None, ge=1)

    def load(self) -> Task:
        read = data_files.read_npz(self.npz, self.x, self.y, self.group, self.timesteps)
        return prepared(read.task, self.prepare, read.groups)


class ParquetTask(_Table):
    """A Parquet file with a row a record, as `studies.data_files.read_parquet` reads it."""

    parquet: str = Field(min_length=1, description="the path of a Parquet file")
    label: str | None = Field(default=None, description="a column's name")
    group: str | None = Field(default=None, description="a column's name")
    timesteps: int | None = Field(default=None, ge=1)

    def load(self) -> Task:
        read = data_files.read_parquet(self.parquet, self.label, self.group, self.timesteps)
        return prepared(read.task, self.prepare, read.groups)


class SeriesTask(_Table):
    """One long series cut into windows, as `studies.data_files.read_series` cuts it."""

    series: str = Field(min_length=1, description="the path of a CSV or Parquet file")
    label: str | None = Field(default=None, description="a column's name")
    window: int = Field(ge=1, le=10_000)
    stride: int = Field(default=1, ge=1)
    horizon: int = Field(default=0, ge=0)

    def load(self) -> Task:
        task = data_files.read_series(
            self.series,
            label=self.label,
            window=self.window,
            stride=self.stride,
            horizon=self.horizon,
            validation=self.prepare.validation,
        )
        # The part to validate on is the end of the series: windows drawn at random overlap.
        return prepared(task, self.prepare.model_copy(update={"validation": 0.0}))


class FunctionTask(_Table):
    """A person's function that makes the data, as `studies.data_function.call` calls it.

    Its `arguments` are the table's other keys.
    """

    function: str
    code: str
    arguments: dict[str, Any] = Field(default_factory=dict)

    def load(self, *, allow_code: bool = False) -> Task:
        read = data_function.call(self.function, self.code, self.arguments, allow_code=allow_code)
        return prepared(read.task, self.prepare, read.groups)

    def table(self) -> dict[str, Any]:
        names = {"function": self.function, "code": self.code}
        return {**names, **self.arguments, **self.prepare.table()}


AnyTask = BuiltinTask | CsvTask | NpzTask | ParquetTask | SeriesTask | FunctionTask

FILES: dict[str, type[CsvTask | NpzTask | ParquetTask | SeriesTask]] = {
    "csv": CsvTask,
    "npz": NpzTask,
    "parquet": ParquetTask,
    "series": SeriesTask,
}
"""The kinds of tasks that are a file, by the key that has its path."""

KINDS = ("name", *FILES, "function")

TASK_KEYS = tuple(
    dict.fromkeys(
        name
        for kind in (*FILES.values(), Preparation)
        for name in kind.model_fields
        if name != "prepare"
    )
)
"""The keys of [task] that are no settings of a built-in task."""


def parse_task(
    table: object,
    directory: str | os.PathLike[str],
    problems: list[str],
    elsewhere: Mapping[str, str],
) -> AnyTask | None:
    """The [task] table; a relative path of a file is relative to `directory`."""
    if not isinstance(table, Mapping):
        problems.append(wrong("task", table, "a table"))
        return None
    given = dict(cast(Mapping[str, Any], table))
    names = ", ".join(builtin_tasks())
    kinds = [key for key in KINDS if key in given]
    if len(kinds) != 1:
        said = f"has both {kinds[0]} and {kinds[1]}" if kinds else "has neither name nor csv"
        problems.append(
            f"task: {said}; it takes a built-in task's name ({names}), a file (csv, npz, "
            "parquet, series) or a function"
        )
        return None
    preparation = {key: given.pop(key) for key in Preparation.model_fields if key in given}
    prepare = checked(Preparation, "task", preparation, problems)
    kind = kinds[0]
    if kind in FILES:
        task = checked(FILES[kind], "task", given, problems, elsewhere)
        if task is None or prepare is None:
            return None
        path = str(Path(directory, getattr(task, kind)).expanduser().absolute())
        return task.model_copy(update={kind: path, "prepare": prepare})
    if kind == "function":
        return _function(given, prepare, directory, problems)
    return _builtin(given, prepare, names, problems, elsewhere)


def _builtin(
    given: dict[str, Any],
    prepare: Preparation | None,
    names: str,
    problems: list[str],
    elsewhere: Mapping[str, str],
) -> BuiltinTask | None:
    name = given.pop("name")
    if not isinstance(name, str) or name not in builtin_tasks():
        near = nearest(name, builtin_tasks()) if isinstance(name, str) else None
        hint = f"; did you mean {near}?" if near else ""
        problems.append(wrong("task.name", name, f"one of {names}") + hint)
        return None
    settings = checked(builtin_tasks()[name].settings, "task", given, problems, elsewhere)
    if settings is None or prepare is None:
        return None
    return BuiltinTask(name=name, settings=settings, prepare=prepare)


def _function(
    given: dict[str, Any],
    prepare: Preparation | None,
    directory: str | os.PathLike[str],
    problems: list[str],
) -> FunctionTask | None:
    before = len(problems)
    function, code = given.pop("function"), given.pop("code", None)
    try:
        # A stored study has its function's digest already, and needs the file no more.
        if not isinstance(code, str) or not isinstance(function, str):
            function = located(function, directory)
            code = digest(function)
    except ValueError as due:
        problems.append(wrong("task.function", function, str(due)))
    for key, value in given.items():
        if not is_argument(key):
            problems.append(f"task.{key}: this cannot be an argument's name")
        elif not is_value(value):
            problems.append(wrong(f"task.{key}", value, "text, a finite number, true or false"))
    if prepare is None or len(problems) > before:
        return None
    return FunctionTask(function=function, code=str(code), arguments=given, prepare=prepare)
