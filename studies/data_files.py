"""Data in files other than one CSV row a record: NPZ, Parquet, and one long series in windows."""

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from studies.csv_file import open_csv
from studies.csv_inputs import read_csv_inputs
from studies.csv_task import LABELS, MOST_CLASSES
from studies.errors import BadInput
from studies.problems import nearest, plain
from studies.tasks import Task

LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Read:
    """A task as it was read, and which group each record is of, where the file says that."""

    task: Task
    groups: np.ndarray | None = None


def read_npz(
    path: str | os.PathLike[str], x: str, y: str, group: str | None, timesteps: int | None
) -> Read:
    """The task in a file of NumPy's `savez`.

    The array `x` has the records in its rows: [records, timesteps, features], or [records, inputs]
    of which `timesteps`, by default as many as there are, are made. `y` are labels [records], whole
    numbers or texts, or one-hot [records, classes]; or numbers to predict, [records] or
    [records, values]. `group` is an array [records]. Raises BadInput for other files; nothing
    pickled is read.
    """
    wanted = [name for name in (x, y, group) if name is not None]
    try:
        loaded: Any = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            raise BadInput(f"{path}: a single array, not an NPZ file, as numpy.savez writes it")
        with loaded as file:
            for name in wanted:
                if name not in file:
                    raise BadInput(f"{path}: {_missing('array', name, file.files)}")
            arrays = [file[name] for name in wanted]
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror or error}") from None
    except (ValueError, zipfile.BadZipFile, EOFError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path}: is no NPZ file of plain arrays ({error})") from None
    return _read(path, x, y, arrays, timesteps)


def read_parquet(
    path: str | os.PathLike[str], label: str | None, group: str | None, timesteps: int | None
) -> Read:
    """The task in a Parquet file with a row a record; its columns are those of a CSV task.

    Raises BadInput for a file that is none, and for columns that are no numbers or have gaps.
    """
    columns = _parquet(path)
    label = _label(path, list(columns), label)
    if group is not None and group not in columns:
        raise BadInput(f"{path}: {_missing('column', group, columns)}")
    inputs = [name for name in columns if name not in (label, group)]
    if not inputs:
        raise BadInput(f"{path}: no column is left for the inputs")
    for name in inputs:
        check_numbers(path, f"column {plain(name)}", columns[name])
    x = np.stack([columns[name].astype(np.float64) for name in inputs], axis=1)
    arrays = [x, columns[label], *([] if group is None else [columns[group]])]
    read = _read(path, "inputs", label, arrays, timesteps)
    return replace(read, task=replace(read.task, columns=tuple(inputs)))


def read_series(
    path: str | os.PathLike[str],
    *,
    label: str | None,
    window: int,
    stride: int,
    horizon: int,
    validation: float,
) -> Task:
    """The windows of one long series: a CSV or Parquet file with a row a moment, in order.

    A window is `window` rows, the next begins `stride` rows later. What is told at its end is the
    `label` column, `horizon` rows after its last one: a class, or a number to predict. With a
    horizon of 0 the label is no input; else what was known of it is one, if it is a number. The
    share `validation` at the end of the series is held back, without windows that reach into it.
    """
    columns = _columns(path)
    inputs, label = _series_columns(path, columns, label, horizon)
    told = columns[label]
    for name in inputs:
        check_numbers(path, f"column {plain(name)}", columns[name])
    if not inputs:
        raise BadInput(f"{path}: no column is left for the inputs")
    values = np.stack([columns[name].astype(np.float64) for name in inputs], axis=1)
    starts = np.arange(0, len(values) - window - horizon + 1, stride)
    if len(starts) < 2:
        raise BadInput(
            f"{path}: {len(values)} rows make {len(starts)} windows of {window} rows, {horizon} "
            "before what is told; take a shorter window"
        )
    x = values[starts[:, None] + np.arange(window)]
    ends = starts + window - 1 + horizon
    task = _read(path, "inputs", label, [x, told[ends]], None).task
    names = tuple(f"{name} {step}" for step in range(1, window + 1) for name in inputs)
    task = replace(task, columns=names)
    if not validation:
        return task
    cut = round((1.0 - validation) * len(values))
    before, after = np.flatnonzero(ends < cut), np.flatnonzero(starts >= cut)
    if not len(before) or not len(after):
        raise BadInput(f"task.validation = {validation:g}: it leaves no window on one side")
    kept = _rows(task, before)
    if task.target == "class" and 0 in kept.class_counts:
        lost = task.classes[kept.class_counts.index(0)]
        raise BadInput(
            f"task.validation = {validation:g}: class {lost} is in the end of the series only"
        )
    return replace(kept, validation=_rows(task, after))


def series_columns(
    path: str | os.PathLike[str], label: str | None, horizon: int
) -> tuple[list[str], str]:
    """Which columns of a series are inputs, and which is the label, as `read_series` has them."""
    return _series_columns(path, _columns(path), label, horizon)


def parquet_label(path: str | os.PathLike[str], label: str | None) -> str:
    """Which column of a Parquet file is the label, as `read_parquet` has it."""
    return _label(path, list(_parquet(path)), label)


def task_of(
    name: str, where: str, x: np.ndarray, y: np.ndarray, timesteps: int | None = None
) -> Task:
    """Arrays as a task; `where` begins the messages. Raises BadInput for arrays that are none."""
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim not in (2, 3) or 0 in x.shape:
        raise BadInput(
            f"{where}: the inputs have shape {x.shape}; records are rows, each of timesteps, or of "
            "timesteps and features"
        )
    check_numbers(where, "the inputs", x)
    if x.ndim == 3 and timesteps not in (None, x.shape[1]):
        raise BadInput(f"{where}: the inputs have {x.shape[1]} timesteps, not {timesteps}")
    if x.ndim == 2:
        steps = x.shape[1] if timesteps is None else timesteps
        if x.shape[1] % steps:
            raise BadInput(
                f"{where}: {x.shape[1]} inputs do not make {steps} timesteps: that number must "
                "divide them"
            )
        x = x.reshape(len(x), steps, -1)
    if len(x) != len(y) or y.ndim not in (1, 2):
        raise BadInput(
            f"{where}: {len(x)} records and targets of shape {y.shape}; there must be one a record"
        )
    x = np.ascontiguousarray(x, np.float32)
    columns = tuple(
        f"t{step}" if x.shape[2] == 1 else f"t{step} f{feature}"
        for step in range(1, x.shape[1] + 1)
        for feature in range(1, x.shape[2] + 1)
    )
    y = labels(y)
    if y.ndim == 2 or y.dtype.kind == "f":
        check_numbers(where, "what is to be predicted", y)
        values = np.ascontiguousarray(y.reshape(len(y), -1), np.float32)
        if not values.std(axis=0).all():
            raise BadInput(f"{where}: what is to be predicted is the same for all records")
        names = ("value",) if values.shape[1] == 1 else None
        names = names or tuple(f"value {n}" for n in range(1, values.shape[1] + 1))
        return Task(name, x, values, names, columns, "values")
    found, numbers = np.unique(y, return_inverse=True)
    if not 2 <= len(found) <= MOST_CLASSES:
        raise BadInput(
            f"{where}: the labels have {len(found):,} different values; there must be 2 to "
            f"{MOST_CLASSES:,}"
        )
    classes = tuple(str(one) for one in found.tolist())
    return Task(name, x, numbers.astype(np.int32), classes, columns)


def labels(y: np.ndarray) -> np.ndarray:
    """Targets as labels [records], where they are labels written otherwise; else as they are.

    One-hot rows become the place of their 1, a single column of whole numbers of an integer type
    the numbers, whole numbers of a floating type integers, and bytes texts.
    """
    y = np.asarray(y)
    if y.dtype.kind in "SO" and all(isinstance(one, bytes) for one in y.flat):
        y = np.char.decode(y.astype(bytes), "utf-8", "replace")
    if y.ndim == 2 and y.shape[1] == 1 and y.dtype.kind not in "fc":
        y = y[:, 0]
    if y.ndim == 2 and y.shape[1] > 1 and y.dtype.kind in "biuf":
        one_hot = ((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all()
        y = y.argmax(axis=1) if one_hot else y
    if y.ndim == 1 and y.dtype.kind == "f" and np.all(np.isfinite(y) & (y == np.round(y))):
        y = y.astype(np.int64)
    return y


def _read(
    path: str | os.PathLike[str],
    x: str,
    y: str,
    arrays: Sequence[np.ndarray],
    timesteps: int | None,
) -> Read:
    task = task_of(Path(path).stem, f"{path}, {x} and {y}", arrays[0], arrays[1], timesteps)
    groups = np.asarray(arrays[2]) if len(arrays) > 2 else None
    if groups is not None and groups.shape != (task.records,):
        raise BadInput(f"{path}: groups of shape {groups.shape} for {task.records} records")
    return Read(task, groups)


def _rows(task: Task, rows: np.ndarray) -> Task:
    return replace(task, x=task.x[rows], y=task.y[rows])


def _columns(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    return _parquet(path) if Path(path).suffix.lower() == ".parquet" else _csv_columns(path)


def _series_columns(
    path: str | os.PathLike[str], columns: dict[str, np.ndarray], label: str | None, horizon: int
) -> tuple[list[str], str]:
    label = _label(path, list(columns), label)
    known = horizon > 0 and np.issubdtype(columns[label].dtype, np.number)
    return [name for name in columns if name != label or known], label


def _parquet(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The columns of a Parquet file by name."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table: Any = pq.read_table(path)
    except FileNotFoundError:
        raise BadInput(f"{path}: there is no such file") from None
    except (OSError, pa.ArrowException) as error:
        raise BadInput(f"{path}: is no Parquet file that can be read ({error})") from None
    if not table.num_rows:
        raise BadInput(f"{path}: the file has no rows")
    columns: dict[str, np.ndarray] = {}
    for name in table.column_names:
        column = table.column(name)
        if column.null_count:
            raise BadInput(f"{path}: column {plain(name)} has {column.null_count} missing values")
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.int8())
        values = column.to_numpy()
        is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        columns[name] = values.astype(str) if is_text else values
    return columns


def _csv_columns(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The columns of a CSV file with a header; one of them may be texts."""
    names = [name.strip() for name in open_csv(path).first_row("auto")[0]]
    texts: list[str] = []
    while True:
        numbers = [name for name in names if name not in texts]
        try:
            read = read_csv_inputs(path, numbers, label=texts[0] if texts else None)
            break
        except BadInput:
            # The first column that has texts is the one that may; another is an error.
            if texts:
                raise
            texts = _text_columns(path, names)
            if len(texts) != 1:
                raise
    columns = {name: read.x[:, place].astype(np.float64) for place, name in enumerate(numbers)}
    if texts:
        columns[texts[0]] = np.array(read.labels)
    return {name: columns[name] for name in names}


def _text_columns(path: str | os.PathLike[str], names: Sequence[str]) -> list[str]:
    source = open_csv(path)
    sign = source.first_row("auto")[1]
    rows = source.rows(sign)
    next(rows)
    row = next(rows, None)
    from studies.csv_file import is_number

    if row is None:
        return []
    return [name for name, cell in zip(names, row[1], strict=False) if not is_number(cell)]


def _label(path: str | os.PathLike[str], names: Sequence[str], label: str | None) -> str:
    if label is None:
        known = [name for due in LABELS for name in names if name.lower() == due]
        return known[0] if known else names[-1]
    if label not in names:
        raise BadInput(f"{path}: {_missing('column', label, names)}")
    return label


def _missing(kind: str, name: str, there: Any) -> str:
    names = [str(one) for one in there]
    near = nearest(name, names)
    hint = f"; did you mean {plain(near)}?" if near else ""
    return (
        f"there is no {kind} {plain(name)}{hint} "
        f"(there are: {', '.join(plain(one) for one in names[:10])})"
    )


def check_numbers(path: object, what: str, values: np.ndarray) -> None:
    """Raises BadInput unless these are finite numbers that single precision holds."""
    if not (np.issubdtype(values.dtype, np.number) or values.dtype == bool):
        kind = "texts" if values.dtype.kind in "UO" else str(values.dtype)
        raise BadInput(f"{path}: {what}: {kind}, where numbers are due")
    if np.iscomplexobj(values):
        raise BadInput(f"{path}: {what} are complex numbers")
    finite = np.isfinite(values.astype(np.float64))
    if not finite.all():
        place = ", ".join(str(int(n)) for n in np.argwhere(~finite)[0])
        raise BadInput(f"{path}: {what} are not all finite; the first that is not is at [{place}]")
    if np.abs(values.astype(np.float64)).max(initial=0.0) > LARGEST:
        raise BadInput(f"{path}: {what} are larger than 3.4e38")
