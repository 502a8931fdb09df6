"""The tables: every configuration with its numbers, and the most efficient by each measure."""

import math
from collections.abc import Callable, Sequence
from typing import Any

from sweep.report.drawing import interval
from sweep.report.measure import MEASURES
from sweep.report.rows import Row, count, number, quantity, value_text, words
from sweep.report.sentences import plural
from sweep.report.story import Story

MOST_ROWS = 300
"""Configurations in the table, besides those of the study file."""

MEASURES_NOTE = (
    "Only configurations that every replicate solved are compared, where there are any. PAR2 is "
    "the mean epochs to the target; FLOPs are those of solving the task once."
)

Cell = dict[str, Any]


def listing(story: Story) -> dict[str, Any]:
    """The table of configurations: columns, and rows of cells with text and a value to sort by.

    The `key` of a column is what a filter calls it.
    """
    rows, names, goals = story.rows, story.names, story.goals
    shown = shown_rows(rows)
    several = len(goals) > 1
    paid = [MEASURES[goal] for goal in goals if goal in ("updates", "flops")]
    columns = [
        _column("Rank", "rank", f"by {story.measure.unit}"),
        _column("Trial", "trial", numeric=False),
    ]
    columns += [_column(words(name), name, numeric=_numeric(rows, name)) for name in names]
    if several:
        columns.append(_column("Front", "front", "Pareto", numeric=False))
    columns += [
        _column("Solved", "solved", "replicates"),
        _column(f"To {story.target}", "epochs", "median (95\N{NO-BREAK SPACE}%)"),
        _column("Plateau", "plateau", "epochs"),
        _column("Transition", "transition", "epochs"),
        _column("PAR2", "par2", "epochs"),
        *[_column("PAR2", f"par2_{goal.name}", goal.unit) for goal in paid],
        _column("ERT", "ert", "epochs"),
        _column("Parameters", "parameters", "count"),
        _column("FLOPs", "flops", "to solve once"),
    ]
    lines: list[dict[str, Any]] = []
    for row in shown:
        cells = [
            _cell(str(row.place), row.place),
            _cell(row.name, row.number, number_=False, more="given" if row.enqueued else ""),
        ]
        for name, column in zip(names, columns[2:], strict=False):
            cells.append(_setting(row.settings.get(name), column["number"]))
        if several:
            cells.append(_cell("yes" if row.front else "", row.front, number_=False))
        cells += [
            _cell(
                f"{row.solved}/{row.replicates}",
                row.solved / row.replicates,
                more=f"{row.diverged} diverged" if row.diverged else "",
            ),
            _cell(number(row.median), row.median, more=interval(row)),
            _cell(number(row.plateau), row.plateau),
            _cell(number(row.transition), row.transition),
            _cell(number(row.par2), row.par2 if row.timed else None),
            *[_cell(goal.text(goal.value(row)), goal.value(row)) for goal in paid],
            _cell(number(row.ert), row.ert),
            _cell("–" if row.parameters is None else count(row.parameters), row.parameters),
            _cell(quantity(row.flops), row.flops),
        ]
        lines.append(
            {
                "number": row.number,
                "enqueued": row.enqueued,
                "all_solved": row.all_solved,
                "cells": cells,
            }
        )
    whole = sum(row.all_solved for row in rows)
    none = sum(not row.solved for row in rows)
    finding = (
        f"No replicate of {plural(len(rows), 'configuration')} solved the task."
        if none == len(rows)
        else f"Every replicate solved the task in {count(whole)} of "
        f"{plural(len(rows), 'configuration')}, and none did in {count(none)}."
    )
    note = (
        f"Ranked {story.by}. A trial’s name shows or hides its learning curves. Median, "
        "plateau and transition are medians over the replicates, in epochs; a dash is a number "
        "that does not exist, because most replicates did not get that far, or that is unknown."
    )
    if any(row.enqueued for row in rows):
        note += " Tinted rows are those that were given to be tried first."
    if len(shown) < len(rows):
        note += (
            f" The table holds the best {count(MOST_ROWS)} of {count(len(rows))} configurations; "
            "sweep export writes them all."
        )
    if any(row.reported is not None for row in rows):
        columns.append(_column("Value", "value", "the last reported"))
        for row, line in zip(shown, lines, strict=True):
            line["cells"].append(_cell(number(row.reported), row.reported))
    keys = [column["key"] for column in columns if column["number"]]
    return {
        "columns": columns,
        "rows": lines,
        "finding": finding,
        "note": note,
        "names": ", ".join(keys),
        "word_names": ", ".join(column["key"] for column in columns[2:] if not column["number"]),
        "example": _example(shown, names),
    }


def shown_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows of the table: the best, and those that were given."""
    return [*rows[:MOST_ROWS], *[row for row in rows[MOST_ROWS:] if row.enqueued]]


def _example(rows: Sequence[Row], names: Sequence[str]) -> str:
    """A filter that finds something in this table."""
    best = rows[0].settings
    parts = [value_text(best[name]) for name in names if isinstance(best.get(name), str)][:1]
    numeric = [name for name in names if name in best and _numeric(rows, name)][:1]
    parts += [f"{name}<={value_text(best[name])}" for name in numeric]
    return " ".join([*parts, "epochs<50"])


def measures(rows: Sequence[Row], target: str) -> list[dict[str, str]]:
    """The most efficient configuration by each measure, among the most reliable.

    Those are the ones that every replicate solved; without any, the ones that have a median.
    """
    able = [row for row in rows if row.all_solved]
    able = able or [row for row in rows if row.median is not None]
    able = [row for row in able if row.timed]
    if len(rows) < 2 or not able:
        return []

    def least(name: str, value: Callable[[Row], float], text: Callable[[float], str]) -> Any:
        best = min(able, key=lambda row: (value(row), row.place))
        level = sum(value(row) == value(best) for row in able) - 1
        label = f"{best.name}: {best.label}" + (f" (and {level} more)" if level else "")
        return {
            "name": name,
            "value": text(value(best)),
            "label": label,
            "solved": f"{best.solved}/{best.replicates}",
        }

    def known(value: float | None) -> float:
        return math.inf if value is None else value

    found = [least(f"epochs to {target} (PAR2)", lambda row: row.par2, number)]
    if any(row.flops is not None for row in able):
        name = "training FLOPs to solve it once"
        found.append(least(name, lambda row: known(row.flops), quantity))
    if any(row.parameters is not None for row in able):
        found.append(least("parameters", lambda row: known(row.parameters), count))
    return found


def _column(title: str, key: str, unit: str = "", *, numeric: bool = True) -> dict[str, Any]:
    return {"title": title, "key": key, "unit": unit, "number": numeric}


def _cell(text: str, sort: float | str | None, number_: bool = True, more: str = "") -> Cell:
    if sort is None:
        value = ""
    elif isinstance(sort, str):
        value = sort
    else:
        value = repr(float(sort))
    return {"text": text, "sort": value, "number": number_, "more": more}


def _setting(value: Any, numeric: bool) -> Cell:
    if value is None:
        return _cell("–", None, number_=numeric)
    sort = value if isinstance(value, int | float) else str(value)
    return _cell(value_text(value), sort, number_=numeric)


def _numeric(rows: Sequence[Row], name: str) -> bool:
    values = [row.settings[name] for row in rows if name in row.settings]
    return all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
