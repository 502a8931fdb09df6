"""The rows of the benchmark: their names, what they compare, and how they are chosen by name."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from studies.errors import BadInput
from studies.problems import nearest
from sweep.bench.ratios import Meaning, Ratio


@dataclass(frozen=True)
class Goal:
    """What a row aims at: a bound of its ratio or of its value, the least or the most allowed."""

    of: Literal["ratio", "value"]
    bound: float
    kind: Literal["least", "most"] = "least"

    def met(self, result: "Result") -> bool | None:
        """Whether a result meets it; None where nothing was measured."""
        if result.ratio is None:
            return None
        measured = _finite(result.ratio.value if self.of == "value" else result.ratio.ratio)
        if measured is None:
            return None
        return measured >= self.bound if self.kind == "least" else measured <= self.bound


@dataclass(frozen=True)
class Row:
    """A row: what it compares.

    `group` is the bench that measures it; `says` is half a sentence on what is compared, the same
    for rows that stand together; `usual` rows are measured where none is asked for; `work` is what
    else the bench has to know of the row.
    """

    name: str
    group: str
    says: str
    unit: str
    meaning: Meaning
    usual: bool = False
    goal: Goal | None = None
    work: Any = None


@dataclass(frozen=True)
class Result:
    """A measured row. What could not be measured is None, and `skipped` says why.

    `cpu_ratio` is the ratio by processor seconds instead of wall seconds, where both sides counted
    them: another load on the machine changes it little. `note` is a sentence on this measurement.
    """

    row: Row
    ratio: Ratio | None
    cpu_ratio: float | None = None
    memory_mib: float | None = None
    note: str | None = None
    skipped: str | None = None

    def document(self) -> dict[str, Any]:
        """The row under the keys that programs read; they stay as they are."""
        r = self.ratio
        numbers = {
            "value": None if r is None else r.value,
            "peer_value": None if r is None else r.peer_value,
            "ratio": None if r is None else r.ratio,
            "low": None if r is None else r.low,
            "high": None if r is None else r.high,
            "cpu_ratio": self.cpu_ratio,
            "memory_mib": self.memory_mib,
        }
        return {
            "name": self.row.name,
            "unit": self.row.unit,
            **{key: _finite(number) for key, number in numbers.items()},
            "compares": self.row.says,
            "ratio_is": self.row.meaning,
            "rounds": None if r is None else r.rounds,
            "goal": self._goal(),
            "note": self.note,
            "skipped": self.skipped,
        }

    def _goal(self) -> dict[str, Any] | None:
        goal = self.row.goal
        if goal is None:
            return None
        return {"of": goal.of, "kind": goal.kind, "bound": goal.bound, "met": goal.met(self)}


@dataclass(frozen=True)
class Options:
    """How a bench measures: rounds of each contender, and whether a shorter look is enough."""

    rounds: int
    quick: bool

    @property
    def seconds(self) -> float:
        """How long one measurement of a rate takes."""
        return 0.7 if self.quick else 2.0


@dataclass(frozen=True)
class Bench:
    """Rows that are measured together, and the function that measures the chosen ones of them.

    It yields a result for every row that it is given, and calls the last argument with a line on
    what it is doing.
    """

    name: str
    rows: tuple[Row, ...]
    measure: Callable[[Sequence[Row], Options, Callable[[str], None]], Iterator[Result]]


def chosen(words: Sequence[str], benches: Sequence[Bench]) -> list[Row]:
    """The rows that words mean: names, patterns such as `keras-*`, groups, or `all`.

    Without words the usual ones. In the order of the benches, each once. Raises BadInput for a word
    that means nothing here, with the nearest that does.
    """
    rows = [row for bench in benches for row in bench.rows]
    if not words:
        return [row for row in rows if row.usual]
    wanted: set[str] = set()
    for word in words:
        meant = {row.name for row in rows if word in ("all", row.group)}
        meant = meant or {row.name for row in rows if fnmatchcase(row.name, word)}
        if not meant:
            names = [*(row.name for row in rows), *(bench.name for bench in benches)]
            near = nearest(word, names)
            hint = f"did you mean {near}?" if near else "`sweep bench --list` shows all"
            raise BadInput(f"bench {word}: no row or group of that name; {hint}")
        wanted |= meant
    return [row for row in rows if row.name in wanted]


def _finite(number: float | None) -> float | None:
    if number is None or number != number or number in (float("inf"), float("-inf")):
        return None
    return number
