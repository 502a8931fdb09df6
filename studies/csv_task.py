"""A person's CSV file as a task: one row a record, its columns in the order of the timesteps.

The file is read in one stream, so it may be larger than memory has room for its text; what cannot
be right is refused with its line and column.
"""

import math
import os
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Literal

import numpy as np

from studies.csv_file import CsvFile, Row, check_delimiter, is_number, open_csv
from studies.errors import BadInput
from studies.problems import nearest, plain, quoted
from studies.tasks import Task

LABELS = ("target", "label", "class", "y")
"""Names that make a column the label, the first of them before the others, in any case."""

MOST_CLASSES = 1000
CHUNK = 200_000
"""Cells that are held as text at once."""


@dataclass(frozen=True)
class CsvReading:
    """What was taken for what in a CSV file.

    `header` are the names in its first row, or None where that is a record; `label` is the label's
    name and `label_number` its column, counted from 1; `columns` are the inputs in their order;
    `classes` are the labels with the number of their records, in the order of the class numbers;
    `groups` says of each record which group it is of, where that was asked for.
    """

    path: str
    records: int
    header: tuple[str, ...] | None
    delimiter: str
    encoding: str
    label: str
    label_number: int
    columns: tuple[str, ...]
    timesteps: int
    features: int
    classes: tuple[tuple[str, int], ...]
    groups: np.ndarray | None = field(default=None, compare=False, repr=False)

    def sentences(self) -> tuple[str, ...]:
        """The same for a person, in a sentence or two that fit one after another."""
        noun = "feature" if self.features == 1 else "features"
        steps = "timestep" if self.timesteps == 1 else "timesteps"
        classes = [f"{plain(name)} ({count:,})" for name, count in self.classes]
        first = (
            f"{plain(Path(self.path).name)}: {self.records:,} records; "
            f"{'feature' if len(self.columns) == 1 else 'features'} "
            f"{_few([plain(name) for name in self.columns])} "
            f"as {self.timesteps} {steps} of {self.features} {noun}; "
            f"label {plain(self.label)}: {_few(classes, most=12)}"
        )
        if self.header is None:
            return first, "No header: the first row is a record"
        return (first,)


def read_csv_task(
    path: str | os.PathLike[str],
    *,
    label: str | int | None = None,
    group: str | None = None,
    timesteps: int | None = None,
    header: Literal["auto"] | bool = "auto",
    delimiter: str = "auto",
) -> tuple[Task, CsvReading]:
    """A CSV file as a task, and what was taken for what.

    `label` is the label's column by name (or by number, counted from 1, in digits or as int); by
    default a column named target, label, class or y, else the last one. The other columns are the
    inputs, step by step and in a step feature by feature; by default each column is a step.
    `header` "auto" takes the first row for names if one of its inputs is no number, or if it has
    the label's name. `delimiter` "auto" chooses among comma, semicolon, tab and bar.

    `group`, a column's name, says which group a record is of; it is no input.

    Labels are whole numbers or texts; they become classes in sorted order, numerically if all are
    numbers (1.0 is 1). Blank lines are skipped. UTF-8, and UTF-16 with a byte order mark.

    Raises BadInput, with line and column, for whatever cannot be read as that.
    """
    try:
        check_delimiter(delimiter)
    except ValueError as error:
        raise BadInput(f"{path}: delimiter: {error}") from None
    source = open_csv(path)
    first, sign = source.first_row(delimiter)
    names = _names(source, first, sign, label, header)
    columns = tuple(names) if names else tuple(f"column {n}" for n in range(1, len(first) + 1))
    at = _label_index(source, columns, label, named=names is not None)
    apart = None if group is None else _group_index(source, names, at, group)
    inputs = tuple(name for n, name in enumerate(columns) if n not in (at, apart))
    steps = len(inputs) if timesteps is None else timesteps
    if steps < 1 or len(inputs) % steps:
        raise BadInput(
            f"{path}: {len(inputs)} input columns (all but the label, {plain(columns[at])}) "
            f"do not make {steps} timesteps: that number must divide them"
        )
    table = _Table(source, columns, at, apart)
    rows = source.rows(sign)
    if names:
        next(rows)
    table.read(rows)
    if not table.records:
        raise BadInput(f"{path}: a header and no records")
    x, (classes, y) = table.values(), table.classes()
    features = len(inputs) // steps
    task = Task(Path(path).stem, x.reshape(table.records, steps, features), y, classes, inputs)
    counted = tuple(zip(classes, task.class_counts, strict=True))
    reading = CsvReading(
        source.path, table.records, tuple(names) if names else None, sign, source.encoding,
        columns[at], at + 1, inputs, steps, features, counted,
        None if group is None else np.array(table.groups),
    )  # fmt: skip
    return task, reading


class _Table:
    """The records as they are read: a float32 buffer that grows, and class numbers."""

    def __init__(
        self, source: CsvFile, columns: tuple[str, ...], at: int, apart: int | None
    ) -> None:
        self.source = source
        self.columns = columns
        self.at, self.apart = at, apart
        self.groups: list[str] = []
        self.records = 0
        self._inputs = [n for n in range(len(columns)) if n not in (at, apart)]
        self._width = len(self._inputs)
        self._buffer = np.empty(0, np.float32)
        self._texts: dict[str, int] = {}
        self._lines: list[int] = []
        self._ids = array("i")

    def read(self, rows: Iterator[Row]) -> None:
        size = max(1, CHUNK // len(self.columns))
        self.source.underscore = False
        while chunk := list(islice(rows, size)):
            self._take(chunk)
            self.source.underscore = False

    def values(self) -> np.ndarray:
        """float32 [records, inputs]."""
        self._buffer.resize(self.records * self._width, refcheck=False)
        return self._buffer.reshape(self.records, self._width)

    def classes(self) -> tuple[tuple[str, ...], np.ndarray]:
        """The labels in sorted order, and the class of each record, int32 [records]."""
        numbers = [whole(text) for text in self._texts]
        if all(number is not None for number in numbers):
            keys = [number for number in numbers if number is not None]
            order = sorted(set(keys))
            place = {key: n for n, key in enumerate(order)}
            of_text = [place[key] for key in keys]
        else:
            self._refuse_fractions()
            order = sorted(self._texts)
            place = {text: n for n, text in enumerate(order)}
            of_text = [place[text] for text in self._texts]
        self._refuse_few_or_many(len(order))
        y = np.array(of_text, np.int32)[np.frombuffer(self._ids, np.int32)]
        return tuple(str(key) for key in order), y

    def _take(self, chunk: list[Row]) -> None:
        for line, row in chunk:
            if len(row) != len(self.columns):
                raise self._ragged(line, row)
        at, width = self.at, self._width
        # The group's column comes after the label's if it does so once that is taken out.
        apart = None if self.apart is None else self.apart - (self.apart > at)
        for line, row in chunk:
            self._ids.append(self._class_of(row.pop(at), line))
            if apart is not None:
                self.groups.append(row.pop(apart).strip())
        count = len(chunk) * width
        flat = chain.from_iterable(row for _, row in chunk)
        try:
            numbers = np.fromiter(map(float, flat), np.float64, count)
        except ValueError:
            raise self._first_wrong(chunk) from None
        with np.errstate(over="ignore"):
            single = numbers.astype(np.float32)
        if not np.isfinite(single).all():
            raise self._first_wrong(chunk)
        if self.source.underscore and any("_" in cell for _, row in chunk for cell in row):
            raise self._first_wrong(chunk)
        start, end = self.records * width, self.records * width + count
        if end > self._buffer.size:
            # By a quarter and in place: no copy of a large array stands beside it.
            self._buffer.resize(end + self._buffer.size // 4, refcheck=False)
        self._buffer[start:end] = single
        self.records += len(chunk)

    def _class_of(self, cell: str, line: int) -> int:
        text = cell.strip()
        known = self._texts.get(text)
        if known is not None:
            return known
        where = self._where(line, self.at)
        if not text:
            raise BadInput(f"{where}: the label is missing")
        number = _number(text)
        if number is not None and not math.isfinite(number):
            raise BadInput(f"{where}: {quoted(text)} is no label; a class is a number or a text")
        if len(self._texts) >= MOST_CLASSES:
            raise BadInput(
                f"{where}: the label has more than {MOST_CLASSES:,} different values, so it seems "
                "to be continuous; sweep learns classes: name the label's column, if it is another"
            )
        self._texts[text] = len(self._texts)
        self._lines.append(line)
        return len(self._texts) - 1

    def _refuse_fractions(self) -> None:
        if not all(is_number(text) for text in self._texts):
            return
        for text, line in zip(self._texts, self._lines, strict=True):
            if whole(text) is None:
                raise BadInput(
                    f"{self._where(line, self.at)}: the label {quoted(text)} is no whole number, "
                    "so it seems to be continuous; sweep learns classes: name the label's column, "
                    "if it is another"
                )

    def _refuse_few_or_many(self, classes: int) -> None:
        place = (
            f"{self.source.path}: the label, column {self.at + 1} ({plain(self.columns[self.at])})"
        )
        if classes < 2:
            only = quoted(next(iter(self._texts)))
            raise BadInput(f"{place}, has the one value {only}; there must be two or more classes")
        if classes > 2 and classes > self.records / 2:
            raise BadInput(
                f"{place}, has {classes:,} values in {self.records:,} records, so it seems to be "
                "continuous or a name of each record; sweep learns classes that occur again: name "
                "the label's column, if it is another"
            )

    def _ragged(self, line: int, row: list[str]) -> BadInput:
        due = len(self.columns)
        hint = ""
        if len(row) == due + 1 and not row[-1].strip():
            hint = "; is there a delimiter too many at its end?"
        cells = "1 cell" if len(row) == 1 else f"{len(row)} cells"
        place = f"{self.source.path}, line {line}"
        return BadInput(f"{place}: {cells}, where the first row has {due}{hint}")

    def _first_wrong(self, chunk: list[Row]) -> BadInput:
        """The error of the first input in a chunk, its labels taken out, that is no number."""
        for line, row in chunk:
            for index, cell in zip(self._inputs, row, strict=True):
                said = wrong_number(cell)
                if said:
                    where = self._where(line, index)
                    return BadInput(f"{where}: {said}")
        raise AssertionError("every number is right")

    def _where(self, line: int, index: int) -> str:
        name = self.columns[index]
        known = "" if name == f"column {index + 1}" else f" ({plain(name)})"
        return f"{self.source.path}, line {line}, column {index + 1}{known}"


def _names(
    source: CsvFile,
    first: list[str],
    delimiter: str,
    label: str | int | None,
    header: Literal["auto"] | bool,
) -> list[str] | None:
    """The names in the first row, or None if it is a record."""
    names = [cell.strip() for cell in first]
    if header == "auto":
        number = _label_number(label)
        at = len(first) if number is None else number
        inputs = [name for n, name in enumerate(names, start=1) if n != at]
        header = any(name and not is_number(name.replace(",", ".", 1)) for name in inputs)
        if not header and number is None:
            due = LABELS if label is None else (str(label).strip().lower(),)
            header = any(
                name.lower() in due and not _occurs_again(source, delimiter, name, n)
                for n, name in enumerate(names)
            )
    if not header:
        return None
    for number, name in enumerate(names, start=1):
        if not name:
            raise BadInput(
                f"{source.path}: column {number} has no name in the header; if it numbers the rows "
                "(as pandas writes by default), leave it out (index=False), else name it"
            )
    return names


def _occurs_again(source: CsvFile, delimiter: str, text: str, index: int) -> bool:
    """Whether a text of the first row is in the same column again, so a label and not its name."""
    rows = islice(source.rows(delimiter), 1, 1000)
    return any(text in (cell.strip() for cell in row[index : index + 1]) for _, row in rows)


def _label_number(label: str | int | None) -> int | None:
    """The number of a column that is given as one, in digits too."""
    if isinstance(label, str):
        return int(label[:9]) if label.isascii() and label.isdigit() else None
    return label


def _label_index(
    source: CsvFile, columns: Sequence[str], label: str | int | None, *, named: bool
) -> int:
    """Which column, counted from 0, is the label."""
    lowered = [column.lower() for column in columns]
    if label is None:
        found = [name for name in LABELS if named and name in lowered]
        label = found[0] if found else len(columns)
    if isinstance(label, str):
        word = label.strip()
        matches = [n for n, column in enumerate(columns) if named and column == word]
        matches = matches or [n for n, c in enumerate(lowered) if named and c == word.lower()]
        if len(matches) == 1:
            return matches[0]
        if matches:
            numbers = ", ".join(str(n + 1) for n in matches)
            raise BadInput(
                f"{source.path}: {len(matches)} columns are named {quoted(word)} ({numbers}); "
                "give the label's number"
            )
        number = _label_number(label)
        if number is None:
            raise BadInput(f"{source.path}: {_no_column(word, columns, named=named)}")
        label = number
    if not 1 <= label <= len(columns):
        raise BadInput(
            f"{source.path}: there is no column {label} for the label; columns are counted from "
            f"1 to {len(columns)}"
        )
    return label - 1


def _group_index(source: CsvFile, names: Sequence[str] | None, at: int, group: str) -> int:
    """Which column, counted from 0, has the groups."""
    if names is None:
        raise BadInput(f"{source.path}: without a header there is no column {quoted(group)}")
    found = [n for n, name in enumerate(names) if name == group]
    if not found:
        raise BadInput(f"{source.path}: {_no_column(group, names, named=True, what='group')}")
    if found[0] == at:
        raise BadInput(f"{source.path}: column {plain(group)} is the label, so it is no group")
    return found[0]


def _no_column(word: str, columns: Sequence[str], *, named: bool, what: str = "label") -> str:
    if not named:
        return (
            f"there is no column {quoted(word)} for the label, since the first row is no header; "
            "give the label's number"
        )
    near = nearest(word, columns)
    hint = f"; did you mean {plain(near)}?" if near else ""
    return (
        f"there is no column {quoted(word)} for the {what}{hint} "
        f"(there are: {_few([plain(column) for column in columns])})"
    )


def wrong_number(cell: str) -> str | None:
    """What is wrong with an input, or None if it is a finite number."""
    text = cell.strip()
    number = _number(text)
    if not text:
        return "empty, where a number is due"
    if number is None:
        pointed = text.replace(",", ".", 1)
        if text.count(",") == 1 and is_number(pointed):
            return f"{quoted(text)} has a comma; write decimals with a point: {plain(pointed)}"
        return f"{quoted(text)} is no number"
    if math.isnan(number) or math.isinf(number):
        return f"{quoted(text)} is no finite number"
    if abs(number) > float(np.finfo(np.float32).max):
        return f"{quoted(text)} is too large; the largest input is 3.4e38"
    return None


def _number(text: str) -> float | None:
    return float(text) if is_number(text) else None


def whole(text: str) -> int | None:
    """The whole number that a label is; 1.0 and 1e0 are 1."""
    number = _number(text)
    if number is None or not number.is_integer():
        return None
    try:
        return int(text)
    except ValueError:
        return int(number)


def _few(words: Sequence[str], most: int = 8) -> str:
    """The words, or the first ones and the last where there are too many to show."""
    if len(words) <= most:
        return ", ".join(words)
    return f"{', '.join(words[: most - 2])}, … {words[-1]} ({len(words):,} in all)"
