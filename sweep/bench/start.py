"""Start-up: how long the user waits before anything happens."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sweep.bench.commands import Ended, timed
from sweep.bench.ratios import compared
from sweep.bench.rows import Bench, Goal, Options, Result, Row

NOTHING = ("-c", "pass")

ONE_EPOCH_OF_KERAS = (
    "-c",
    """
from sweep.bench.contenders.keras_fit import keras_fit
from sweep.bench.work import Work
keras_fit(Work())
""",
)

ONE_EPOCH = (
    *("-m", "sweep", "run", "hello-lstm", "--trials", "1", "--replicates", "1", "--epochs", "1"),
    *("--name", "start", "--no-report", "--json", "--storage", "sqlite:///start.db"),
)

STORAGE = ("--storage", "sqlite:///list.db")

MADE_UP = (
    "-c",
    """
from studies.study import read_study
from sweep.bench.simulated import train
from sweep.search import run_study
study = read_study("hello-lstm").changed({"search.trials": 5})
run_study(study, "sqlite:///list.db", train=train)
""",
)
"""A study to list, its runs made up."""

PARTS = {
    "start-help": (("-m", "sweep", "--help"), NOTHING),
    "start-list": (("-m", "sweep", "list", *STORAGE), NOTHING),
    "start-show": (("-m", "sweep", "show", "hello-lstm", "0", *STORAGE), NOTHING),
    "start-training": (ONE_EPOCH, ONE_EPOCH_OF_KERAS),
}

SAYS = {
    NOTHING: "seconds until a command has ended, against a Python that does nothing",
    ONE_EPOCH_OF_KERAS: "seconds of a study of one epoch, against one epoch in stock Keras",
}

ROWS = tuple(
    Row(
        name=name,
        group="start",
        says=SAYS[peer],
        unit="s",
        meaning="longer" if peer == NOTHING else "faster",
        usual=True,
        goal=Goal("value", 0.5, "most") if peer == NOTHING else None,
    )
    for name, (_, peer) in PARTS.items()
)


def measure(rows: Sequence[Row], options: Options, say: Callable[[str], None]) -> Iterator[Result]:
    """Measures the chosen rows; one start before the first round is not counted."""
    with tempfile.TemporaryDirectory(prefix="sweep-bench-") as folder:
        directory = Path(folder)
        if any(STORAGE[1] in PARTS[row.name][0] for row in rows):
            timed(MADE_UP, directory)
        for row in rows:
            ours, theirs = list[Ended](), list[Ended]()
            words, peer = PARTS[row.name]
            _once(words, directory)
            for number in range(options.rounds):
                say(f"{row.name}: round {number + 1} of {options.rounds}")
                theirs.append(timed(peer, directory))
                ours.append(_once(words, directory))
            inverse = row.meaning == "faster"
            yield Result(
                row,
                compared([e.seconds for e in ours], [e.seconds for e in theirs], inverse=inverse),
                cpu_ratio=compared(
                    [e.cpu for e in ours], [e.cpu for e in theirs], inverse=inverse
                ).ratio,
            )


def _once(words: Sequence[str], directory: Path) -> Ended:
    ended = timed(words, directory)
    for file in directory.glob("start.db*"):
        file.unlink()
    return ended


BENCH = Bench("start", ROWS, measure)
