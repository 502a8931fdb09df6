"""Whether scripts agree: random configurations, each trained here and by its own Keras script.

A script runs without this package, in stock Keras, and prints the epochs to its target; the engine
trained the same run before. Chaotic runs part after some epochs, since floats round otherwise; how
many do is what is measured.
"""

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from studies.run import Activation, Cell, Configuration, FinishedRun, Initializer, Optimizer, Run
from studies.study import BuiltinTask
from studies.tasks import settings_model
from sweep.bench.ratios import compared
from sweep.bench.rows import Bench, Options, Result, Row

BUDGET = 40
"""Epochs of each run."""

TOGETHER = 5
"""Scripts that one process runs, so that Keras is not imported for each."""

ROWS = (
    Row(
        name="scripts-50",
        group="scripts",
        says="random configurations whose own Keras script prints the engine’s epoch, of all",
        unit="scripts",
        meaning="share",
        work=50,
    ),
)


@dataclass(frozen=True)
class ScriptRow:
    """A run as the engine trained it, and the last line that its script printed."""

    finished: FinishedRun
    expected: str
    printed: str

    @property
    def agrees(self) -> bool:
        return self.expected == self.printed


def measure(rows: Sequence[Row], options: Options, say: Callable[[str], None]) -> Iterator[Result]:
    """Counts the scripts that agree, once: neither engine nor Keras is left to chance."""
    for row in rows:
        if importlib.util.find_spec("matplotlib") is None:
            yield Result(row, None, skipped="matplotlib, with which scripts draw, is not installed")
            continue
        say(f"{row.name}: training {row.work} configurations here and by their scripts")
        yield result(row, scripts_agree(row.work))


def result(row: Row, runs: Sequence[ScriptRow]) -> Result:
    """The share that agrees, and what was printed where one does not."""
    agree = sum(run.agrees for run in runs)
    parted = [
        f"{run.finished.run.configuration.cell} of {run.finished.run.configuration.layers} layers, "
        f"{run.finished.run.configuration.optimizer}: engine “{run.expected}”, "
        f"script “{run.printed}”"
        for run in runs
        if not run.agrees
    ]
    note = "; ".join(parted) + "." if parted else None
    # Of none at all no ratio could be made.
    return Result(row, compared([max(agree, 1e-9)], [len(runs)]), note=note)


def random_configuration(random: np.random.Generator) -> Configuration:
    """A configuration of any cell, optimizer, activation and initialiser that Keras has."""

    def one_of(choices: Any) -> Any:
        return random.choice(get_args(choices)).item()

    return Configuration(
        cell=one_of(Cell),
        layers=int(random.integers(1, 6)),
        units=int(random.integers(1, 20)),
        activation=one_of(Activation),
        recurrent_activation=one_of(Activation),
        kernel_initializer=one_of(Initializer),
        recurrent_initializer=one_of(Initializer),
        unit_forget_bias=bool(random.integers(2)),
        output_initializer=one_of(Initializer),
        output_scale=float(random.choice([0.5, 1.0, 2.0])),
        optimizer=one_of(Optimizer),
        learning_rate=float(10 ** random.uniform(-3, -1)),
        momentum=float(random.choice([0.0, 0.5])),
        nesterov=bool(random.integers(2)),
        rho=0.85,
        beta_1=float(random.choice([0.9, 0.8])),
        epsilon=1e-6,
        initial_accumulator_value=0.2,
        weight_decay=0.01,
        batch_size=int(random.choice([16, 32, 50])),
    )


def scripts_agree(count: int = 50, seed: int = 0, processes: int = 2) -> list[ScriptRow]:
    """Trains `count` random configurations on the default task here and by their scripts."""
    from sweep.engine import train
    from sweep.keras.script import data_lines, keras_script

    asked = BuiltinTask(name="first-value", settings=settings_model("first-value")())
    task = asked.load()
    data = data_lines(asked, task)
    assert data is not None
    random = np.random.default_rng(seed)
    runs = [Run(random_configuration(random), n, BUDGET) for n in range(count)]
    finished = {run.run: run for run in train(runs, task)}
    texts = [
        keras_script(finished[run], task, data, title=f"run {n}", picture=f"{n}.png")
        for n, run in enumerate(runs)
    ]
    batches = [texts[start : start + TOGETHER] for start in range(0, count, TOGETHER)]
    with ThreadPoolExecutor(processes) as pool:
        printed = [lines[-1] for batch in pool.map(run_scripts, batches) for lines in batch]
    return [
        ScriptRow(finished[run], _last_line(finished[run]), line)
        for run, line in zip(runs, printed, strict=True)
    ]


def run_scripts(texts: Sequence[str]) -> list[list[str]]:
    """The lines that each script prints, run one after another in a process without this package.

    Raises RuntimeError with what went wrong where a script fails.
    """
    with tempfile.TemporaryDirectory() as directory:
        paths = [f"script{n}.py" for n in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            Path(directory, path).write_text(text, encoding="utf-8")
        code = (
            "import runpy, sys\n"
            f"for path in {paths}:\n"
            "    runpy.run_path(path)\n"
            "    print('---')\n"
            "assert not {'sweep', 'studies', 'storage'} & set(sys.modules)\n"
        )
        environment = {**os.environ, "MPLBACKEND": "Agg", "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=directory,
            env={**environment, "KERAS_BACKEND": "tensorflow"},
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [part.splitlines() for part in done.stdout.split("---\n")[:-1]]


def _last_line(finished: FinishedRun) -> str:
    if finished.ended == "solved":
        return f"epochs to 100 %: {finished.epochs}"
    return f"not solved in {finished.epochs} epochs"


BENCH = Bench("scripts", ROWS, measure)
