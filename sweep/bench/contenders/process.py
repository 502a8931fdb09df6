"""A contender in a process of its own.

    python -m sweep.bench.contenders.process KIND WORK SECONDS

It prepares itself, finds out how much to do for a measurement to take about SECONDS, and says so;
then, for each line that it reads, measures once and answers with a line of JSON. Between that it
sleeps, so that contenders may take turns on one machine.
"""

import json
import os
import sys
import time
from typing import Any

from sweep.bench.contenders import CONTENDERS, Measure
from sweep.bench.ratios import Measured
from sweep.bench.work import Work


def main() -> None:
    kind, work, seconds = sys.argv[1:]
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(document: dict[str, Any]) -> None:
        print(json.dumps(document), file=answers, flush=True)

    measure = CONTENDERS[kind].prepare(Work(**json.loads(work)))
    size = fitting(measure, float(seconds))
    answer({"size": size})
    for _ in sys.stdin:
        done = measured(measure, size)
        answer({"amount": done.amount, "seconds": done.seconds, "cpu": done.cpu})


def measured(measure: Measure, size: int) -> Measured:
    """One measurement."""
    started, cpu = time.perf_counter(), time.process_time()
    amount = measure(size)
    return Measured(amount, time.perf_counter() - started, time.process_time() - cpu)


def fitting(measure: Measure, seconds: float) -> int:
    """The size for which a measurement takes about so long, and the least possible is 1."""
    size = 1
    while True:
        took = measured(measure, size).seconds
        if took >= seconds / 2.0:
            return size
        size = max(size + 1, round(size * min(seconds / max(took, 1e-6), 8.0)))


if __name__ == "__main__":
    main()
