"""A CSV file whose records are to be classified: the inputs of a model, found by their names."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from studies.csv_file import CsvFile, Row, is_number, open_csv
from studies.csv_task import LABELS, whole, wrong_number
from studies.errors import BadInput
from studies.problems import plain


@dataclass(frozen=True)
class CsvInputs:
    """The inputs, float32 [records, columns], and the labels where the file has them."""

    x: np.ndarray
    labels: tuple[str, ...] | None


def read_csv_inputs(
    path: str | os.PathLike[str],
    columns: Sequence[str],
    *,
    label: str | None = None,
    label_number: int | None = None,
    own_names: bool = True,
) -> CsvInputs:
    """The inputs in a CSV file of the shape of the one that a model was trained on.

    A first row with the names of `columns` is a header: the columns may then come in any order, and
    among others. Without a header a row has the inputs in their order, alone or with the label as
    column `label_number`, counted from 1. Where the names of `columns` are not a file's own
    (`own_names` False), a header of others is passed over, and its label is known by its name.
    Raises BadInput, with line and column, for another file.
    """
    source = open_csv(path)
    first, sign = _first_row(source, len(columns))
    names = [cell.strip() for cell in first]
    there = {name: place for place, name in enumerate(_counted(names))}
    missing = [name[0] for name in _counted(columns) if name not in there]
    header = not missing
    if not missing:
        places = [there[name] for name in _counted(columns)]
        at = names.index(label) if label is not None and label in names else None
    elif (
        not own_names
        and len(missing) == len(columns)
        and not any(is_number(name) for name in names)
    ):
        header = True
        known = [n for n, name in enumerate(names, start=1) if name.lower() in LABELS]
        if len(first) != len(columns) + len(known[:1]):
            raise BadInput(
                f"{path}: {len(first)} columns, none named after an input; the model takes "
                f"{', '.join(plain(name) for name in columns)}"
            )
        at = known[0] - 1 if known else None
        places = [place for place in range(len(first)) if place != at]
    elif len(missing) < len(columns) or not _is_record(names, len(columns), label_number):
        raise BadInput(
            f"{path}: there is no column {plain(missing[0])}; the model takes "
            f"{', '.join(plain(name) for name in columns)}"
        )
    else:
        at = _label_place(path, len(first), len(columns), label_number)
        places = [place for place in range(len(first)) if place != at]
    rows = source.rows(sign)
    if header:
        next(rows)
    x, labels = _values(source, rows, len(first), places, at)
    if not len(x):
        raise BadInput(f"{path}: a header and no records")
    return CsvInputs(x, None if at is None else labels)


def class_name(label: str) -> str:
    """A label as its class is called: 1.0 is class 1."""
    number = whole(label)
    return label if number is None else str(number)


def _counted(names: Sequence[str]) -> list[tuple[str, int]]:
    """Each name with how many like it stand before it: inputs may share a name."""
    before: Counter[str] = Counter()
    counted: list[tuple[str, int]] = []
    for name in names:
        counted.append((name, before[name]))
        before[name] += 1
    return counted


def _first_row(source: CsvFile, inputs: int) -> tuple[list[str], str]:
    try:
        return source.first_row("auto")
    except BadInput:
        # A single column has no delimiter.
        row = next(source.rows(","), None) if inputs == 1 else None
        if row is None:
            raise
        return row[1], ","


def _is_record(cells: list[str], inputs: int, label_number: int | None) -> bool:
    at = label_number if len(cells) == inputs + 1 else None
    return all(is_number(cell) for n, cell in enumerate(cells, start=1) if n != at)


def _label_place(
    path: str | os.PathLike[str], width: int, inputs: int, label_number: int | None
) -> int | None:
    if width == inputs:
        return None
    if width == inputs + 1 and label_number is not None:
        return label_number - 1
    raise BadInput(f"{path}: {width} columns without a header; the model takes {inputs}")


def _values(
    source: CsvFile, rows: Iterator[Row], width: int, places: list[int], at: int | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    values: list[list[float]] = []
    labels: list[str] = []
    for line, row in rows:
        if len(row) != width:
            raise BadInput(
                f"{source.path}, line {line}: {len(row)} cells, where the first row has {width}"
            )
        for place in places:
            said = wrong_number(row[place])
            if said:
                raise BadInput(f"{source.path}, line {line}, column {place + 1}: {said}")
        values.append([float(row[place]) for place in places])
        labels.append("" if at is None else row[at].strip())
    x = np.array(values, np.float64).astype(np.float32).reshape(len(values), len(places))
    return x, tuple(labels)
