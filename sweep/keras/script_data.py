"""The lines of a Keras script that make its data: read or generated, split, and changed.

They leave `x` and `y` to train on and, where a part is held back, `val_x` and `val_y`. Lines are
given only where running them here made the very data of the task.
"""

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from studies.csv_file import open_csv
from studies.csv_task import CsvReading
from studies.data_files import parquet_label, series_columns
from studies.preparing import Preparation
from studies.problems import plain
from studies.study import BuiltinTask, CsvTask
from studies.task_tables import NpzTask, ParquetTask, SeriesTask
from studies.tasks import Task, builtin_tasks, task_script
from sweep.keras.calls import WIDTH, Call, Name, written


def data_lines(asked: Any, task: Task, reading: CsvReading | None = None) -> str | None:
    """Lines of Python that make a task's data, or None where there are none.

    They use NumPy, and pandas (as `pd`) for Parquet files and for series. `asked` is the study
    file's [task], `reading` what was taken for what where that is a CSV.
    """
    reads = _read_lines(asked, task, reading)
    still = (False, True) if asked.prepare.standardise else (False,)
    made = (read + _prepared_lines(asked, task, still=one) for read in reads for one in still)
    return next((lines for lines in made if _makes(lines, task)), None)


def file_lines(name: str, *, validated: bool = False) -> str:
    """Lines that read the data from an NPZ file that `write_data` wrote."""
    lines = f'with np.load("{name}") as data:\n    x, y = data["x"], data["y"]\n'
    return lines + ('    val_x, val_y = data["val_x"], data["val_y"]\n' if validated else "")


def write_data(task: Task, path: Path) -> None:
    """Writes the file that `file_lines` reads."""
    held = task.validation
    if held is None:
        np.savez_compressed(path, x=task.x, y=task.y)
    else:
        np.savez_compressed(path, x=task.x, y=task.y, val_x=held.x, val_y=held.y)


def _read_lines(asked: Any, task: Task, reading: CsvReading | None) -> list[str]:
    """Lines that read or generate all records, the plainest first."""
    if isinstance(asked, BuiltinTask):
        made = task_script(asked.name, asked.settings)
        comment = _comment(f"{asked.name}: {builtin_tasks()[asked.name].description}.")
        return [f"{comment}\n{made}"] if made else []
    if isinstance(asked, CsvTask) and reading is not None:
        return [_csv_lines(asked, reading, full=full) for full in (False, True)]
    if isinstance(asked, NpzTask):
        return [
            _npz_lines(asked, task, targets) for targets in ("y", "y[:, 0]", "y.argmax(axis=1)")
        ]
    if isinstance(asked, ParquetTask):
        return [_parquet_lines(asked, task)]
    if isinstance(asked, SeriesTask):
        return [_series_lines(asked, task)]
    return []


def _shape(asked: Any, task: Task) -> tuple[int, int]:
    """Timesteps, and features before numbers are embedded."""
    embedded = asked.prepare.embed
    columns = {name.rpartition("=")[0] for name in task.columns} if embedded else task.columns
    return task.timesteps, len(columns) // task.timesteps


def _csv_lines(asked: CsvTask, reading: CsvReading, *, full: bool) -> str:
    """Lines that read a CSV: plainly, or `full` for quotes, other encodings, and text labels."""
    numeric = all(_is_whole(name) for name, _ in reading.classes)
    texts = not numeric or asked.group is not None
    kwargs: dict[str, Any] = {"dtype": Name("str")} if texts or full else {}
    kwargs["delimiter"] = reading.delimiter
    if reading.header is not None:
        kwargs["skiprows"] = 1
    if full:
        kwargs |= {"comments": None, "quotechar": '"', "encoding": reading.encoding}
    call = Call("np.loadtxt", (reading.path,), kwargs)
    at = reading.label_number - 1
    out: Any = at
    grouped, group = "", -1
    if asked.group is not None and reading.header is not None:
        group = reading.header.index(asked.group)
        out = sorted([at, group])
        column = f"table[:, {group}]"
        grouped = f"groups = {f'np.char.strip({column})' if full else column}\n"
    label = f"table[:, {at}]"
    if full:
        label = f"np.char.strip({label})"
    if numeric and (full or texts):
        label = f"{label}.astype(float)"
    to_float = ".astype(float)" if texts or full else ""
    inputs = f'np.delete(table, {out}, axis=1){to_float}.astype("float32")'
    apart = f", column {group + 1} the group" if grouped else ""
    comment = _comment(
        f"Column {reading.label_number} is the label{apart}; the others are {reading.timesteps} "
        f"steps of {reading.features} each."
    )
    return (
        f"{comment}\n"
        f"table = {written(call, 0, WIDTH - len('table = '))}\n"
        f"x = {inputs}\n"
        f"x = x.reshape(len(x), {reading.timesteps}, {reading.features})\n"
        f"classes, y = np.unique({label}, return_inverse=True)\n"
        f"{grouped}"
    )


def _npz_lines(asked: NpzTask, task: Task, targets: str) -> str:
    timesteps, features = _shape(asked, task)
    grouped = "" if asked.group is None else f"    groups = data[{written(asked.group)}]\n"
    return (
        f"with np.load({written(asked.npz)}) as data:\n"
        f"    x, y = data[{written(asked.x)}], data[{written(asked.y)}]\n"
        f"{grouped}"
        f'x = x.reshape(len(x), {timesteps}, {features}).astype("float32")\n'
        f"{_target_lines(targets, task)}"
    )


def _parquet_lines(asked: ParquetTask, task: Task) -> str:
    timesteps, features = _shape(asked, task)
    label = parquet_label(asked.parquet, asked.label)
    out = [label] if asked.group is None else [label, asked.group]
    grouped = "" if asked.group is None else f"groups = table[{written(asked.group)}]\n"
    return (
        f"table = pd.read_parquet({written(asked.parquet)})\n"
        f'x = table.drop(columns={_list(out)}).to_numpy("float32")\n'
        f"x = x.reshape(len(x), {timesteps}, {features})\n"
        f"{_target_lines(f'table[{written(label)}].to_numpy()', task)}{grouped}"
    )


def _series_lines(asked: SeriesTask, task: Task) -> str:
    columns, label = series_columns(asked.series, asked.label, asked.horizon)
    call = Call("pd.read_parquet", (asked.series,))
    if not asked.series.lower().endswith(".parquet"):
        sign = open_csv(asked.series).first_row("auto")[1]
        kwargs = {} if sign == "," else {"sep": sign}
        call = Call("pd.read_csv", (asked.series,), {**kwargs, "skipinitialspace": True})
    inputs = "series" if label in columns else f"series.drop(columns={written(label)})"
    window, told = asked.window, asked.window - 1 + asked.horizon
    when = "last row" if not asked.horizon else f"row {asked.horizon} after the last"
    comment = _comment(
        f"Windows of {window} rows, {asked.stride} apart, with {plain(label)} of their {when}."
    )
    lines = (
        f"{comment}\n"
        f"series = {written(call, 0, WIDTH - len('series = '))}\n"
        f"starts = np.arange(0, len(series) - {told}, {asked.stride})\n"
        f'x = {inputs}.to_numpy("float32")[starts[:, None] + np.arange({window})]\n'
        f"{_target_lines(f'series[{written(label)}].to_numpy()[starts + {told}]', task)}"
    )
    share = asked.prepare.validation
    if not share:
        return lines
    return lines + (
        f"# The end of the series is held back to validate on, without windows that overlap.\n"
        f"cut = round({1.0 - share!r} * len(series))\n"
        f"kept, held = starts + {told} < cut, starts >= cut\n"
        "x, y, val_x, val_y = x[kept], y[kept], x[held], y[held]\n"
    )


def _target_lines(targets: str, task: Task) -> str:
    if task.target == "class":
        return f"classes, y = np.unique({targets}, return_inverse=True)\n"
    return f'y = {targets}.reshape(len(x), -1).astype("float32")\n'


def _prepared_lines(asked: Any, task: Task, *, still: bool) -> str:
    """Lines that hold a part back and change the inputs, as `studies.preparing` does.

    `still` is for data with columns that do not vary.
    """
    how: Preparation = asked.prepare
    drawn = how.validation > 0.0 and not isinstance(asked, SeriesTask)
    parts = [_split_lines(asked, task, how)] if drawn else []
    both = task.validation is not None
    if how.embed:
        parts.append(
            "# Whole numbers become vectors, with a 1 in the place of the number.\n"
            "numbers = np.unique(x)\n"
            + _changed("(part[..., None] == numbers).reshape(*part.shape[:2], -1)", both)
        )
    elif how.standardise:
        spread = "spread" if how.scale is None else f"(spread * {how.scale!r})"
        parts.append(
            "# Each column less its mean and divided by its spread, over the training records.\n"
            "mean, spread = x.mean(axis=0, dtype=float), x.std(axis=0, dtype=float)\n"
            + ("spread = np.where(spread > 0, spread, 1)\n" if still else "")
            + _changed(f"((part - mean) / {spread})", both)
        )
    elif how.scale is not None:
        parts.append(
            f"# Every input is divided by {how.scale!r}.\n"
            + _changed(f"(part.astype(float) / {how.scale!r})", both)
        )
    return "".join(parts)


def _split_lines(asked: Any, task: Task, how: Preparation) -> str:
    share, seed = repr(how.validation), how.validation_seed
    percent = f"{100.0 * how.validation:.3g} %"
    if getattr(asked, "group", None) is not None:
        return (
            f"# {percent} of the groups are held back to validate on.\n"
            f"names = np.random.default_rng({seed}).permutation(np.unique(groups))\n"
            f"held = np.isin(groups, names[: max(1, round({share} * len(names)))])\n"
            "x, y, val_x, val_y = x[~held], y[~held], x[held], y[held]\n"
        )
    held = "x, y, val_x, val_y = x[~held], y[~held], x[held], y[held]\n"
    if how.stratify and task.target == "class":
        return (
            f"# {percent} of each class, drawn from a seed, are held back to validate on.\n"
            f"random, held = np.random.default_rng({seed}), np.zeros(len(x), bool)\n"
            "for label in np.unique(y):\n"
            "    rows = random.permutation(np.flatnonzero(y == label))\n"
            f"    held[rows[: round({share} * len(rows))]] = True\n" + held
        )
    return (
        f"# {percent} of the records, drawn from a seed, are held back to validate on.\n"
        "held = np.zeros(len(x), bool)\n"
        f"rows = np.random.default_rng({seed}).permutation(len(x))\n"
        f"held[rows[: round({share} * len(rows))]] = True\n" + held
    )


def _changed(expression: str, both: bool) -> str:
    """Lines that change the inputs, those to validate on as those to train on."""
    if not both:
        return f'x = {expression.replace("part", "x")}.astype("float32")\n'
    changed, parts = f'{expression}.astype("float32")', "for part in (x, val_x)"
    line = f"x, val_x = ({changed} {parts})\n"
    if len(line) <= WIDTH:
        return line
    return f"x, val_x = (\n    {changed}\n    {parts}\n)\n"


def _list(names: Sequence[str]) -> str:
    return f"[{', '.join(written(name) for name in names)}]"


def _comment(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="# ", subsequent_indent="# ")


def _is_whole(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True


def _makes(lines: str, task: Task) -> bool:
    """Whether these lines, which this module or a task wrote, make the task's data."""
    names: dict[str, Any] = {"np": np}
    if "pd." in lines:
        import pandas

        names["pd"] = pandas
    held = task.validation
    try:
        with np.errstate(all="ignore"):
            exec(lines, names)
        same = _same(names["x"], names["y"], task)
        return same and (held is None or _same(names["val_x"], names["val_y"], held))
    except Exception:
        # A file that NumPy reads otherwise, or not at all, has no lines; its data still go along.
        return False


def _same(x: Any, y: Any, task: Task) -> bool:
    x, y = np.asarray(x), np.asarray(y)
    return x.dtype == np.float32 and np.array_equal(x, task.x) and np.array_equal(y, task.y)
