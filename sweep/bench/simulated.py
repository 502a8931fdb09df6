"""A whole study whose runs are made up at once: what is left is the search and the storage.

    main(), called with SAMPLER TRIALS RUNS FILE

It runs the default study with that sampler and so many trials, in a storage in the working
directory. It writes RUNS of its runs, taken evenly over the study, to FILE for `replay`, and prints
one line of JSON: the trials, the runs, and the seconds of the search.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from studies.run import FinishedRun, Run
from studies.study import read_study
from studies.tasks import Task
from sweep.bench.ratios import evenly
from sweep.bench.replay import written

STUDY = "hello-lstm"


def made_up(run: Run) -> FinishedRun:
    """A run about as long as a real one: fewer layers and larger steps are quicker, sgd is slow."""
    c = run.configuration
    slow = 20.0 if c.optimizer == "sgd" else 1.0
    needed = round(0.21 * slow * c.layers / c.learning_rate**0.5) + 1 + run.seed % 3
    length = min(run.epochs, needed)
    share = np.arange(1, length + 1, dtype=np.float32) / np.float32(needed)
    curves = np.stack([0.7 * (1.0 - share) + 0.01, 0.5 + 0.5 * share], axis=1)
    ended = "solved" if length == needed else "censored"
    return FinishedRun(run, ended, curves.astype(np.float32))


def train(runs: Iterable[Run | None], task: Task) -> Iterator[FinishedRun]:
    """What takes the engine's place."""
    for run in runs:
        if run is not None:
            yield made_up(run)


def main() -> None:
    sampler, trials, count, file = sys.argv[1:]
    from sweep.search import run_study

    study = read_study(STUDY).changed({"search.sampler": sampler, "search.trials": trials})
    outcome = run_study(study, f"sqlite:///{sampler}-{trials}.db", train=train)
    runs = [run.run for trial in outcome.result.trials for run in trial.runs]
    written(study, [runs[k] for k in evenly(len(runs), int(count))], Path(file))
    told = {"trials": len(outcome.result.trials), "runs": len(runs), "seconds": outcome.seconds}
    print(json.dumps(told))
