"""Growth: a random search of the default space, from a hundred runs to a hundred thousand.

Measured is the command that people type, from its start to its end, without the report; so the
smaller ones pay most for starting.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sweep.bench.commands import Ended, timed
from sweep.bench.ratios import compared
from sweep.bench.rows import Bench, Goal, Options, Result, Row

REPLICATES = 5
PEER = 1_000
"""Runs of the study that the others are compared with."""

ROWS = tuple(
    Row(
        name=f"growth-{runs}",
        group="growth",
        says="runs per second of a random search, against the same with 1,000 runs",
        unit="runs/s",
        meaning="faster",
        goal=Goal("ratio", 0.95) if runs == 100_000 else None,
        work=runs,
    )
    for runs in (100, PEER, 10_000, 100_000)
)


def measure(rows: Sequence[Row], options: Options, say: Callable[[str], None]) -> Iterator[Result]:
    """Measures the chosen rows; from 10,000 runs on, which take long, once.

    Of `growth-1000` both sides are the same study, run twice: its spread is that of the machine.
    """
    for row in rows:
        large, small = list[Ended](), list[Ended]()
        for number in range(options.rounds if row.work <= PEER else 1):
            say(f"{row.name}: round {number + 1}")
            small.append(_study(PEER))
            large.append(_study(row.work))
        ratio = compared([row.work / e.seconds for e in large], [PEER / e.seconds for e in small])
        by_cpu = compared([row.work / e.cpu for e in large], [PEER / e.cpu for e in small]).ratio
        memory = max(ended.memory_mib for ended in large)
        peer_memory = max(ended.memory_mib for ended in small)
        note = f"At most {memory:,.0f} MiB of memory; with 1,000 runs {peer_memory:,.0f}."
        yield Result(row, ratio, cpu_ratio=by_cpu, memory_mib=memory, note=note)


def _study(runs: int) -> Ended:
    words = ["-m", "sweep", "run", "hello-lstm", "--name", "growth", "--no-report", "--json"]
    words += ["--set", "search.sampler=random", "--trials", str(runs // REPLICATES)]
    with tempfile.TemporaryDirectory(prefix="sweep-bench-") as folder:
        return timed([*words, "--storage", "sqlite:///growth.db"], Path(folder))


BENCH = Bench("growth", ROWS, measure)
