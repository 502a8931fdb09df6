"""What the search and the storage cost, as a share of a study's time.

A study is run with an engine that makes its runs up at once, so that all its time is search and
storage; and a part of the very same runs, taken evenly, is trained by the real engine alone. The
share is search and storage / (search and storage + training), as if nothing overlapped: on a
machine whose cores all train, what the search takes is lost to the training.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path

from sweep.bench.commands import main_of, timed
from sweep.bench.ratios import Ratio, compared
from sweep.bench.rows import Bench, Goal, Options, Result, Row

SIMULATED, REPLAY = main_of("sweep.bench.simulated"), main_of("sweep.bench.replay")
SAMPLERS = ("tpe", "random")
TRIALS = (100, 1_000, 10_000)

GOALS = {"overhead-random-10000": Goal("ratio", 0.25, "most")}

ROWS = tuple(
    Row(
        name=f"overhead-{sampler}-{trials}",
        group="overhead",
        says="seconds of search and storage, as a share of these and the training of all runs",
        unit="s",
        meaning="share",
        usual=trials == 100,
        goal=GOALS.get(f"overhead-{sampler}-{trials}"),
        work=(sampler, trials),
    )
    for sampler, trials in product(SAMPLERS, TRIALS)
)


def measure(rows: Sequence[Row], options: Options, say: Callable[[str], None]) -> Iterator[Result]:
    """Measures the chosen rows one after another; 10,000 trials, which take long, once."""
    sample = 400 if options.quick else 1_000
    for row in rows:
        sampler, trials = row.work
        spent: list[float] = []
        training: list[float] = []
        for number in range(options.rounds if trials < 10_000 else 1):
            say(f"{row.name}: round {number + 1}")
            with tempfile.TemporaryDirectory(prefix="sweep-bench-") as folder:
                directory = Path(folder)
                words = [sampler, str(trials), str(sample), "runs.json"]
                told = json.loads(timed([*SIMULATED, *words], directory).output)
                spent.append(told["seconds"])
                done = json.loads(timed([*REPLAY, "runs.json", "ready"], directory).output)
                training.append(done["training"] / done["runs"] * told["runs"])
        note = f"Training is extrapolated from {sample} runs." if sample < trials * 5 else None
        yield Result(row, shares(spent, training), note=note)


def shares(spent: Sequence[float], training: Sequence[float]) -> Ratio:
    """Seconds of search and storage beside seconds of training: the first's share of both."""
    return compared(spent, [a + b for a, b in zip(spent, training, strict=True)])


BENCH = Bench("overhead", ROWS, measure)
