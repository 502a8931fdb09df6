"""What `bench` prints: a table for rows that compare the same, in 80 columns."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from textwrap import wrap
from typing import Any

from sweep.bench.machine import described
from sweep.bench.ratios import HIGH, LOW
from sweep.bench.rows import Goal, Result
from sweep.report.rows import number

WIDTH = 80

BUSY = 0.5
"""Load for each core above which the machine was doing something else."""


MEASURED = (
    "Rows are measured in rounds in which both sides take turns. A ratio is the median of the "
    f"rounds’ own ratios, its spread their {100 * LOW:.0f} % to {100 * HIGH:.0f} % quantiles; "
    "values are the medians of each side. What is extrapolated has a note that says so, and the "
    "spread of the estimate; what is measured once has no spread."
)
"""How the figures were taken."""


def screen(results: Sequence[Result], machine: dict[str, Any]) -> list[str]:
    """Lines of at most 80 columns: tables, notes, the machine, and how the figures were taken."""
    lines: list[str] = []
    for says, group in groupby(results, key=lambda result: result.row.says):
        lines += [*_table(says, list(group)), ""]
    lines += wrap(described(machine), WIDTH)
    lines += wrap(MEASURED, WIDTH)
    by_cpu = [r for r in results if r.cpu_ratio is not None and r.ratio is not None]
    if by_cpu and busy(machine):
        told = ", ".join(f"{r.row.name} {_ratio(r, r.cpu_ratio)}" for r in by_cpu)
        lines += wrap(
            "The machine was busy with something else. By processor seconds, which that changes "
            f"little, and which count every core that a side uses, the ratios are: {told}.",
            WIDTH,
        )
    return lines


def busy(machine: dict[str, Any]) -> bool | None:
    """Whether the machine did something else as it began; None where the system does not say."""
    return None if machine["load"] is None else machine["load"] > BUSY * machine["cores"]


def names(rows: Sequence[Any]) -> Iterator[str]:
    """Lines of at most 80 columns that name rows, those that compare the same together."""
    for says, group in groupby(rows, key=lambda row: (row.group, row.says)):
        yield from wrap(f"{says[0]}: {says[1]}", WIDTH)
        yield from wrap(
            "  ".join(row.name + ("*" if row.usual else "") for row in group),
            WIDTH,
            initial_indent="  ",
            subsequent_indent="  ",
            break_on_hyphens=False,
        )
    yield "* measured where none is named"


def short(value: float) -> str:
    """A number in seven signs at most, three of its digits."""
    if value == 0.0 or 1e-3 <= abs(value) < 999_500:
        return number(value)
    return f"{value:.1e}".replace("e+0", "e+").replace("e-0", "e-")


def _table(says: str, results: Sequence[Result]) -> list[str]:
    lines = wrap(says[0].upper() + says[1:] + ":", WIDTH)
    measured = [result for result in results if result.ratio is not None]
    if measured:
        unit = measured[0].row.unit
        wide = max(22, *(len(result.row.name) for result in measured))
        lines.append(
            f"{f'({unit})':{wide}} {'sweep':>7} {'peer':>7} {'ratio':>7}  spread      goal"
        )
        lines += [_line(result, wide) for result in measured]
    for result in results:
        if result.skipped is not None:
            lines += wrap(f"{result.row.name}: skipped: {result.skipped}", WIDTH)
        if result.note is not None:
            lines += wrap(f"{result.row.name}: {result.note}", WIDTH)
    return lines


def _line(result: Result, wide: int) -> str:
    r = result.ratio
    assert r is not None
    low, high = (_ratio(result, edge) for edge in (r.low, r.high))
    spread = f"{low.rstrip(' ×%')}–{high.rstrip(' ×%')}"
    goal = "" if result.row.goal is None else _goal(result.row.goal, result)
    return (
        f"{result.row.name:{wide}} {short(r.value):>7} {short(r.peer_value):>7} "
        f"{_ratio(result, r.ratio):>7}  {spread:11} {goal}"
    ).rstrip()


def _ratio(result: Result, ratio: float | None) -> str:
    if ratio is None:
        return "–"
    if result.row.meaning == "share":
        return f"{short(100 * ratio)} %"
    return f"{short(ratio)}×"


def _goal(goal: Goal, result: Result) -> str:
    sign = "≥" if goal.kind == "least" else "≤"
    if goal.of == "value":
        bound = f"{short(goal.bound)} {result.row.unit}"
    else:
        bound = _ratio(result, goal.bound)
    return f"{sign} {bound} {'met' if goal.met(result) else 'not met'}"
