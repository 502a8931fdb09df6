"""Where the time goes: of an update of the engine, and of the default study.

An update is profiled operation by operation (`traced`), a study by looking at its threads
(`sampled`).
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sweep.bench import sampled, traced
from sweep.bench.commands import main_of, timed
from sweep.bench.ratios import compared
from sweep.bench.rows import Bench, Options, Result, Row
from sweep.machine import cores

STUDY = "hello-lstm"

UPDATE = "microseconds of a population’s update, 16 models of 3×15, spent on each kind of work"
WHOLE = "seconds of the default study spent on each kind of work, of all cores’ time"

NOTHING = 1e-9
"""What stands for no time at all, of which no ratio can be made."""

ROWS = tuple(
    Row(f"profile-update-{kind}", "profile", UPDATE, "µs", "share", work=("update", kind))
    for kind in traced.KINDS
) + tuple(
    Row(f"profile-study-{kind}", "profile", WHOLE, "s", "share", work=("study", kind))
    for kind in sampled.KINDS
)

Profile = tuple[Mapping[str, float], float]
"""Time by kind of work, and the whole of which these are parts."""


def measure(rows: Sequence[Row], options: Options, say: Callable[[str], None]) -> Iterator[Result]:
    """Profiles an update, a study, or both, as often as there are rounds."""
    for part, once in (("update", _update), ("study", _study)):
        own = [row for row in rows if row.work[0] == part]
        if not own:
            continue
        taken: list[Profile] = []
        for number in range(options.rounds):
            say(f"profile of {part}: round {number + 1} of {options.rounds}")
            taken.append(once())
        for row in own:
            yield result(row, taken)


def result(row: Row, taken: Sequence[Profile]) -> Result:
    """A row from the profiles of all rounds."""
    spent = [max(by_kind.get(row.work[1], 0.0), NOTHING) for by_kind, _ in taken]
    return Result(row, compared(spent, [whole for _, whole in taken]))


def _update() -> Profile:
    with tempfile.TemporaryDirectory(prefix="sweep-bench-") as folder:
        words = (*main_of("sweep.bench.traced"), folder)
        told: dict[str, Any] = json.loads(timed(words, Path(folder)).output)
    by_kind: dict[str, float] = told["microseconds"]
    return by_kind, sum(by_kind.values())


def _study() -> Profile:
    with tempfile.TemporaryDirectory(prefix="sweep-bench-") as folder:
        words = (*main_of("sweep.bench.sampled"), STUDY)
        told: dict[str, Any] = json.loads(timed(words, Path(folder)).output)
    return told["by_kind"], told["seconds"] * cores()


BENCH = Bench("profile", ROWS, measure)
