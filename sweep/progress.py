"""How far a study is while it goes on: what is counted, the pace, and what a person is told."""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from studies.study import Study
from sweep.report.rows import number
from sweep.results import TrialResult, efficiency
from sweep.sampling import total_trials

ENOUGH_RUNS = 10
"""Runs after which it may be said how long the others will take."""

ENOUGH_SECONDS = 60.0
"""Seconds since the engine began after which it is said, or else when half of the runs are done. A
search that learns asks for quicker and quicker trials: what the first take says little of the rest.
"""

LATELY = 10.0
"""Seconds over which the pace of training is measured."""

SHOW_SECONDS = 0.1
"""Shortest time between two calls of `on_progress`."""


@dataclass(frozen=True)
class Progress:
    """Where a study is. `runs_done` counts the replicates of all its trials, found or trained;
    `solved` those of them that solved the task; `best` is the most efficient trial by the first
    objective. What follows is of the call at hand: `seconds_left` is None at first,
    `epochs_trained` are those of all runs that the engine trains here, finished or not, and
    `ask_seconds` and `tell_seconds` are what the sampler took so far.
    """

    stage: str
    trials_done: int
    trials_total: int
    runs_done: int
    runs_total: int
    runs_training: int
    solved: int
    best: TrialResult | None
    runs_per_second: float
    seconds: float
    seconds_left: float | None
    runs_trained: int = 0
    epochs_trained: int = 0
    ask_seconds: float = 0.0
    tell_seconds: float = 0.0


def described(progress: Progress) -> str:
    """How far the search is, in a line of less than 80 columns: trials, runs training, models a
    second, or the epochs trained where none has been finished of late, the best so far, the time
    left; or what is done before anything trains."""
    if progress.stage == "done" or not (progress.runs_done or progress.runs_training):
        return progress.stage
    parts = [f"trials {progress.trials_done}/{progress.trials_total}"]
    if progress.stage != "training":
        parts.insert(0, progress.stage)
    if progress.runs_training:
        parts.append(f"{progress.runs_training} training")
    if progress.runs_per_second:
        parts.append(f"{number(progress.runs_per_second)} models/s")
    elif progress.epochs_trained and progress.runs_training:
        parts.append(f"{progress.epochs_trained:,} epochs so far")
    median = progress.best.summary.epochs_median if progress.best is not None else None
    if median is not None:
        parts.append(f"best {number(median)} epochs")
    if progress.seconds_left is not None:
        parts.append(f"{_duration(progress.seconds_left)} left")
    return " · ".join(parts)


class Pace:
    """How many runs are trained a second of late: at first programs compile, which says little."""

    def __init__(self) -> None:
        self._lately: deque[tuple[float, int]] = deque()

    def of(self, moment: float, trained: int) -> float:
        """The pace over the last `LATELY` seconds, of which this moment is one."""
        self._lately.append((moment, trained))
        while moment - self._lately[0][0] > LATELY:
            self._lately.popleft()
        then, before = self._lately[0]
        return (trained - before) / (moment - then) if moment > then else 0.0


class Watch:
    """Counts what happens in a session and shows it to `on_progress`, not too often."""

    def __init__(self, study: Study, on_progress: Callable[[Progress], None] | None) -> None:
        self.study = study
        self.on_progress = on_progress
        self.stage = "opening"
        self.started = time.monotonic()
        self.shown = float("-inf")
        self.trials_total = total_trials(study)
        self.engine_since: float | None = None
        self.trained = self.found = self.epochs = 0
        self._counting = threading.Lock()
        self.ask_seconds = self.tell_seconds = 0.0
        self._pace = Pace()
        self.reset()

    def reset(self) -> None:
        self.trials = self.runs = self.solved = self.training = 0
        self.best: TrialResult | None = None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    def add(self, result: TrialResult) -> None:
        self.trials += 1
        if self.best is None or efficiency(result) < efficiency(self.best):
            self.best = result

    def count_epochs(self, epochs: int) -> None:
        """Counts epochs that were trained; may be called by any thread."""
        with self._counting:
            self.epochs += epochs
            # A thread that an interruption left behind may come when all else is over.
            if self.stage == "compiling":
                self.stage = "training"

    def finish(self, results: Sequence[TrialResult]) -> None:
        """Shows a study that is at its end, with what it has in all."""
        self.reset()
        for result in results:
            self.add(result)
            self.runs += len(result.runs)
            self.solved += result.summary.solved
        self.enter("done")

    def enter(self, stage: str) -> None:
        self.stage = stage
        self.show(now=True)

    def _rate(self, moment: float) -> float:
        """Runs trained a second: of late, and of all at the end."""
        if self.engine_since is None:
            return 0.0
        lately = self._pace.of(moment, self.trained)
        if self.stage != "done":
            return lately
        return self.trained / (moment - self.engine_since) if moment > self.engine_since else 0.0

    def _can_say(self, moment: float, total: int) -> bool:
        """Whether the pace so far says how long the rest will take."""
        if self.engine_since is None or self.trained < ENOUGH_RUNS:
            return False
        return moment - self.engine_since >= ENOUGH_SECONDS or 2 * self.runs >= total

    def show(self, now: bool = False) -> None:
        if self.on_progress is None:
            return
        moment = time.monotonic()
        if not now and moment - self.shown < SHOW_SECONDS:
            return
        self.shown = moment
        total = self.trials_total * self.study.training.replicates
        rate = self._rate(moment)
        left = (total - self.runs) / rate if rate and self._can_say(moment, total) else None
        self.on_progress(
            Progress(
                stage=self.stage,
                trials_done=self.trials,
                trials_total=self.trials_total,
                runs_done=self.runs,
                runs_total=total,
                runs_training=self.training,
                solved=self.solved,
                best=self.best,
                runs_per_second=rate,
                seconds=moment - self.started,
                seconds_left=left,
                runs_trained=self.trained,
                epochs_trained=self.epochs,
                ask_seconds=self.ask_seconds,
                tell_seconds=self.tell_seconds,
            )
        )


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
