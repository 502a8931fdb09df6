"""End to end: the default study, cold and warm, and as an Optuna user would write it in Keras.

Sweep's side is the command that people type, `python -m sweep run`, from its start to the written
report, in an empty directory. Cold means that nothing was ever compiled, warm that the programs are
in the cache. The search finds the same trials every time.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sweep.bench.commands import Ended, main_of, timed
from sweep.bench.contest import turned
from sweep.bench.ratios import Ratio, compared, evenly, extrapolated
from sweep.bench.replay import written
from sweep.bench.rows import Bench, Goal, Options, Result, Row

STUDY = "hello-lstm"

ROWS = (
    Row(
        name="study-cold",
        group="study",
        says="seconds of the default study with nothing compiled, against the same when warm",
        unit="s",
        meaning="longer",
        usual=True,
        goal=Goal("value", 60.0, "most"),
    ),
    Row(
        name="study-warm",
        group="study",
        says="seconds of the default study, against its runs in the engine alone",
        unit="s",
        meaning="longer",
        usual=True,
        goal=Goal("value", 30.0, "most"),
    ),
    Row(
        name="study-optuna-keras",
        group="study",
        says="seconds of the default study, against Optuna and stock Keras with an early stop",
        unit="s",
        meaning="faster",
        usual=True,
        goal=Goal("ratio", 100.0),
    ),
    Row(
        name="overhead-study",
        group="study",
        says="seconds of the default study's search that its training does not take",
        unit="s",
        meaning="share",
        usual=True,
        goal=Goal("ratio", 0.1, "most"),
    ),
)


@dataclass
class Taken:
    """What was measured, round by round."""

    cold: list[Ended] = field(default_factory=list[Ended])
    warm: list[Ended] = field(default_factory=list[Ended])
    alone: list[Ended] = field(default_factory=list[Ended])
    keras_trials: list[float] = field(default_factory=list[float])
    keras_starts: list[float] = field(default_factory=list[float])


def measure(rows: Sequence[Row], options: Options, say: Callable[[str], None]) -> Iterator[Result]:
    """Measures the chosen rows, and no side that none of them needs.

    The first cold run fills the cache for the warm ones. Optuna with Keras trains
    `sample` of the trials that the study tried, spread evenly over them when ordered by their
    epochs, a few in every round; its whole time is extrapolated from these.
    """
    names = {row.name for row in rows}
    taken = Taken()
    with tempfile.TemporaryDirectory(prefix="sweep-bench-") as folder:
        directory = Path(folder)
        say("study: once, to compile its programs")
        first = _study(directory, "first", "cache")
        if "study-cold" in names:
            taken.cold.append(first)
        trials, runs_file = _trials(directory)
        sample = [trials[k] for k in evenly(len(trials), 4 if options.quick else 12)]
        sides: list[Callable[[int], None]] = []
        if "study-cold" in names:
            sides.append(
                lambda n: (
                    None
                    if n == 0
                    else taken.cold.append(_study(directory, f"cold-{n}", f"cache-{n}"))
                )
            )
        sides.append(lambda n: taken.warm.append(_study(directory, f"warm-{n}", "cache")))
        if names & {"study-warm", "overhead-study"}:
            words = [*main_of("sweep.bench.replay"), str(runs_file)]
            cache = str(directory / "cache")
            sides.append(lambda n: taken.alone.append(timed(words, directory, SWEEP_CACHE=cache)))
        if "study-optuna-keras" in names:
            sides.append(lambda n: _keras(taken, sample[n :: options.rounds], directory, n))
        for number in range(options.rounds):
            say(f"study: round {number + 1} of {options.rounds}")
            for place in turned([str(k) for k in range(len(sides))], number):
                sides[int(place)](number)
        for row in rows:
            yield result(row, taken, len(trials))


def result(row: Row, taken: Taken, trials: int) -> Result:
    """A row from what was measured."""
    warm = [one.seconds for one in taken.warm]
    alone = [one.seconds for one in taken.alone]
    cpu_warm = [one.cpu for one in taken.warm]
    if row.name == "study-cold":
        cold = [one.seconds for one in taken.cold]
        by_cpu = compared([one.cpu for one in taken.cold], cpu_warm).ratio
        return Result(row, compared(cold, warm), cpu_ratio=by_cpu)
    if row.name == "study-warm":
        by_cpu = compared(cpu_warm, [one.cpu for one in taken.alone]).ratio
        return Result(row, compared(warm, alone), cpu_ratio=by_cpu)
    if row.name == "overhead-study":
        # Without the report: what `run` counts as its search, beside what the engine took.
        search, engine = [[_told(one) for one in side] for side in (taken.warm, taken.alone)]
        rest = [max(s - e, 1e-9) for s, e in zip(search, engine, strict=True)]
        return Result(row, compared(rest, search))
    start = sum(taken.keras_starts) / len(taken.keras_starts)
    whole = extrapolated(taken.keras_trials, trials, fixed=start)
    ours = compared(warm, warm)
    ratio = Ratio(
        value=ours.value,
        peer_value=whole.total,
        ratio=whole.total / ours.value,
        low=whole.low / max(warm),
        high=whole.high / min(warm),
        rounds=len(warm),
    )
    note = f"Optuna with Keras is extrapolated from {len(taken.keras_trials)} of {trials} trials."
    return Result(row, ratio, note=note if len(taken.keras_trials) < trials else None)


def _study(directory: Path, name: str, cache: str) -> Ended:
    words = ["-m", "sweep", "run", STUDY, "--storage", f"sqlite:///{name}.db"]
    words += ["--report", f"{name}.html", "--json"]
    return timed(words, directory, SWEEP_CACHE=str(directory / cache))


def _told(ended: Ended) -> float:
    """The seconds that a command itself counted."""
    return float(json.loads(ended.output)["seconds"])


def _trials(directory: Path) -> tuple[list[dict[str, object]], Path]:
    """The settings of the study's trials, ordered by their epochs; and a file with its runs."""
    from storage.database import open_database
    from sweep.results import read_results

    with open_database(f"sqlite:///{directory / 'first.db'}", create=False) as database:
        result = read_results(database, STUDY)
    runs = list(dict.fromkeys(run.run for trial in result.trials for run in trial.runs))
    file = written(result.study, runs, directory / "runs.json")
    in_order = sorted(result.trials, key=lambda trial: sum(run.epochs for run in trial.runs))
    return [dict(trial.params) for trial in in_order], file


def _keras(taken: Taken, sample: Sequence[dict[str, object]], directory: Path, n: int) -> None:
    """Lets Optuna train these trials with Keras."""
    if not sample:
        return
    settings = directory / f"settings-{n}.json"
    settings.write_text(json.dumps(sample))
    script = str(Path(__file__).with_name("optuna_keras.py"))
    words = [script, "--settings", str(settings), "--storage", f"sqlite:///optuna-{n}.db"]
    ended = timed(words, directory)
    seconds = [json.loads(line)["seconds"] for line in ended.output.splitlines()]
    if len(seconds) != len(sample):
        raise ChildProcessError(f"Optuna with Keras ended {len(seconds)} of {len(sample)} trials")
    taken.keras_trials += seconds
    taken.keras_starts.append(ended.seconds - sum(seconds))


BENCH = Bench("study", ROWS, measure)
