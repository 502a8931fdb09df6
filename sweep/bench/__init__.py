"""Benchmarks: each a ratio of two sides that were measured in turns, in the same run.

- `rows` says what a row is and how rows are chosen by name; `ratios` makes ratios and their spread
  of what was measured; neither measures.
- `steady`, `study`, `overhead`, `growth`, `start`, `profile` and `scripts` measure, a bench each.
- `work` is what is trained, `contenders` those who train it, `contest` how they take turns.
- `machine` and `screen` say where it was measured, and what.

`README.md` beside this file has measured figures, and how to repeat them.
"""

from collections.abc import Callable, Iterator, Sequence

from sweep.bench import growth, overhead, profile, scripts, start, steady, study
from sweep.bench.rows import Options, Result, Row, chosen

__all__ = ["BENCHES", "Options", "Result", "Row", "chosen", "measure"]

BENCHES = (
    steady.BENCH,
    study.BENCH,
    overhead.BENCH,
    growth.BENCH,
    start.BENCH,
    profile.BENCH,
    scripts.BENCH,
)


def measure(
    rows: Sequence[Row], options: Options, say: Callable[[str], None] = lambda line: None
) -> Iterator[Result]:
    """Measures rows and yields each as it is done, skipped ones with their reason.

    `say` is called with a line on what is being done. Raises ChildProcessError where a side fails.
    """
    for bench in BENCHES:
        own = [row for row in rows if row.group == bench.name]
        if own:
            yield from bench.measure(own, options, say)
