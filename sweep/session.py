"""One session of a study: trials are opened, their runs trained, and whole trials handed on.

The engine pulls runs from the session, which pulls trials from the sampler in a thread of its own,
so that asking goes on while the engine trains. Nothing here knows of the database.
"""

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from types import FrameType
from typing import Protocol

from studies.run import Configuration, FinishedRun, Run
from studies.study import Study
from studies.tasks import Task
from sweep.progress import SHOW_SECONDS, Watch
from sweep.results import TrialResult, TriedConfiguration, trial_results
from sweep.sampling import GENERATION, Asked

Train = Callable[[Iterable[Run | None], Task], Iterator[FinishedRun]]
"""`sweep.engine.train`, or what takes its place."""

SAVE_SECONDS = 0.25
"""Longest time that a finished run waits to be saved while others come in."""

INSISTING = 3
"""Times that Ctrl-C may be pressed before what is finished is saved no more."""


_Handler = Callable[[int, FrameType | None], object]
"""What Python calls when a signal comes."""


class Source(Protocol):
    """Where a session's trials come from; see `sweep.sampling.Proposals`."""

    def left(self) -> bool: ...
    def ready(self) -> bool: ...
    def ask(self) -> list[Asked]: ...
    def tell(self, number: int, values: Sequence[float]) -> None: ...


@dataclass
class _Trial:
    """A trial in progress: its replicates' keys, and those of its runs that are finished."""

    asked: Asked
    configuration: Configuration
    keys: tuple[str, ...]
    runs: dict[str, FinishedRun] = field(default_factory=dict[str, FinishedRun])


class Session:
    """Trains the trials that `source` proposes, and hands whole ones to `keep_trials` in order.

    `find` gives the runs that are there already by key, `keep_runs` saves finished ones. The first
    `known` trials are kept already.
    """

    def __init__(
        self,
        study: Study,
        task: Task,
        source: Source,
        *,
        find: Callable[[Mapping[str, Run]], dict[str, FinishedRun]],
        keep_runs: Callable[[Sequence[FinishedRun]], None],
        keep_trials: Callable[[Sequence[TrialResult]], None],
        watch: Watch,
        known: int = 0,
    ) -> None:
        self.study, self.task, self.source, self.watch = study, task, source, watch
        self.find, self.keep_runs, self.keep_trials = find, keep_runs, keep_trials
        self.executor = ThreadPoolExecutor(1, thread_name_prefix="ask")
        self.asking: Future[list[Asked]] | None = None
        self.open: dict[int, _Trial] = {}
        self.done: dict[int, TrialResult] = {}
        self.known = known
        self.kept = 0
        self.queue: deque[Run] = deque()
        self.waiting: dict[str, list[int]] = {}
        self.training: set[str] = set()
        self.unsaved: list[FinishedRun] = []
        self.saved_at = time.monotonic()

    def run(self, train: Callable[[], Train]) -> None:
        """Trains all that is missing; `train` gives the engine, once something has to be."""
        with interruptible_once():
            try:
                feed = self._feed()
                first = next(feed, None)
                if first is not None:
                    self._train(train()(chain([first], feed), self.task))
            finally:
                self._save()
                # What is being asked after an interruption is asked for nobody.
                self.executor.shutdown(wait=False, cancel_futures=True)

    def _train(self, results: Iterator[FinishedRun]) -> None:
        try:
            for finished in results:
                self._take(finished)
        except BaseException as reason:
            for finished in _left(results, reason):
                self._accept(finished)
            raise

    def _feed(self) -> Iterator[Run | None]:
        """The runs to train. Where nothing trains it waits for the sampler, so its first is one;
        it ends when all are trained, so that the engine comes by, which saves and shows.
        """
        while True:
            if self.unsaved:
                self._save()
            self.watch.show()
            if self.queue:
                run = self.queue.popleft()
                self.training.add(run.key(self.task.fingerprint))
                self.watch.training = len(self.training)
                yield run
            elif self.asking is None and not self.source.left():
                if not self.training:
                    return
                yield None
            elif not self._extend(wait=not self.training):
                yield None

    def _extend(self, wait: bool) -> bool:
        """Takes the next generation; False where it cannot be had yet."""
        if self.asking is None:
            if not self.source.ready():
                return False
            self.asking = self.executor.submit(self._ask)
        if not wait and not self.asking.done():
            return False
        asked, self.asking = self.asking.result(), None
        self._add(asked)
        if self.source.ready():
            self.asking = self.executor.submit(self._ask)
        return True

    def _ask(self) -> list[Asked]:
        began = time.monotonic()
        asked = self.source.ask()
        self.watch.ask_seconds += time.monotonic() - began
        return asked

    def _add(self, generation: Sequence[Asked]) -> None:
        """Opens the trials of a generation and queues those of their runs that are nowhere yet."""
        training = self.study.training
        runs: dict[str, Run] = {}
        for asked in generation:
            configuration = self.study.configuration(asked.params)
            keys: list[str] = []
            for seed in range(training.replicates):
                run = Run(configuration, seed, training.epochs, training.target)
                key = run.key(self.task.fingerprint)
                keys.append(key)
                runs.setdefault(key, run)
            self.open[asked.number] = _Trial(asked, configuration, tuple(keys))
        there = self.find(runs)
        for asked in generation:
            trial = self.open[asked.number]
            for key in trial.keys:
                if key in there:
                    self._note(trial, key, there[key])
                    self.watch.found += asked.number >= self.known
                elif key in self.waiting:
                    self.waiting[key].append(asked.number)
                else:
                    self.waiting[key] = [asked.number]
                    self.queue.append(runs[key])
            self._close(trial)

    def _take(self, finished: FinishedRun) -> None:
        self._accept(finished)
        # The engine asks for more between two batches of finished runs, and then all are saved.
        if time.monotonic() - self.saved_at >= SAVE_SECONDS:
            self._save()
        self.watch.show()

    def _accept(self, finished: FinishedRun) -> None:
        key = finished.run.key(self.task.fingerprint)
        if key not in self.waiting:
            return  # an engine that is interrupted may hand a run over twice
        self.unsaved.append(finished)
        self.training.discard(key)
        self.watch.trained += 1
        self.watch.training = len(self.training)
        for trial_number in self.waiting.pop(key):
            trial = self.open[trial_number]
            self._note(trial, key, finished)
            self._close(trial)

    def _note(self, trial: _Trial, key: str, finished: FinishedRun) -> None:
        trial.runs[key] = finished
        self.watch.runs += 1
        self.watch.solved += finished.ended == "solved"

    def _close(self, trial: _Trial) -> None:
        """Tells a trial of which every replicate is finished."""
        if len(trial.runs) < len(trial.keys):
            return
        tried = TriedConfiguration(
            number=trial.asked.number,
            params=trial.asked.params,
            runs=[trial.runs[key] for key in trial.keys],
            enqueued=self.study.is_enqueued(trial.asked.number),
            error=next((e for key in trial.keys if (e := trial.runs[key].error)), None),
        )
        result = trial_results(self.study, self.task, [tried])[0]
        del self.open[result.number]
        self.done[result.number] = result
        began = time.monotonic()
        self.source.tell(result.number, result.values)
        self.watch.tell_seconds += time.monotonic() - began
        self.watch.add(result)

    def _save(self) -> None:
        # Struck in a transaction, a connection would be left behind that locks the storage.
        with uninterrupted():
            self._save_now()

    def _save_now(self) -> None:
        if self.unsaved:
            self.keep_runs(self.unsaved)
            self.unsaved = []
        whole: list[TrialResult] = []
        while self.kept + len(whole) in self.done:
            whole.append(self.done[self.kept + len(whole)])
        if whole:
            new = [result for result in whole if result.number >= self.known]
            if new:
                self.keep_trials(new)
            for result in whole:
                del self.done[result.number]
            self.kept += len(whole)
        self.saved_at = time.monotonic()


def _left(results: Iterator[FinishedRun], reason: BaseException) -> Iterator[FinishedRun]:
    """What an engine has finished when `reason` stops it."""
    if isinstance(results, Generator):
        with suppress(type(reason), StopIteration):
            yield results.throw(reason)
            yield from results


@contextmanager
def interruptible_once(say: Callable[[], None] = lambda: None) -> Generator[None]:
    """Within this Ctrl-C interrupts once, which `say` may tell, and others do not interrupt the
    saving that follows. Who insists, more than `INSISTING` times, ends the process at once.
    """

    def interrupt(before: _Handler, frame: FrameType | None) -> None:
        say()
        before(signal.SIGINT, frame)

    with _counted(interrupt):
        yield


@contextmanager
def uninterrupted() -> Generator[None]:
    """Within this Ctrl-C waits, and interrupts at its end; who insists ends the process at once."""
    presses: list[None] = []
    try:
        with _counted(lambda before, frame: None) as presses:
            yield
    finally:
        for _ in presses:
            signal.raise_signal(signal.SIGINT)


@contextmanager
def _counted(at_first: Callable[[_Handler, FrameType | None], None]) -> Generator[list[None]]:
    """Yields a list that has one entry for each time that Ctrl-C was pressed within this; the first
    calls `at_first` with the handler that was there before. Threads but the main one hear nothing.
    """
    presses: list[None] = []
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield presses
        return

    def pressed(number: int, frame: FrameType | None) -> None:
        # Told before it is counted: the next may strike in any call, this one's `append` too.
        first = not presses
        presses.append(None)
        if first:
            at_first(before, frame)
        elif len(presses) > INSISTING:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGINT, pressed)
    try:
        yield presses
    finally:
        signal.signal(signal.SIGINT, before)


class Again:
    """The trials of an earlier session once more, for longer or more replicates of them."""

    def __init__(self, trials: Sequence[Asked]) -> None:
        self._trials = deque(trials)

    def left(self) -> bool:
        return bool(self._trials)

    def ready(self) -> bool:
        return bool(self._trials)

    def ask(self) -> list[Asked]:
        return [self._trials.popleft() for _ in range(min(GENERATION, len(self._trials)))]

    def tell(self, number: int, values: Sequence[float]) -> None:
        """Nobody learns from these: they are told when the study goes on."""


class Engine:
    """The engine's `train`, imported in a thread while the study is opened and asked for."""

    def __init__(self, train: Train | None, watch: Watch) -> None:
        self._train, self._watch = train, watch
        self._thread = threading.Thread(target=_prepare, daemon=True)
        if train is None:
            self._thread.start()

    def __call__(self) -> Train:
        if self._train is None:
            self._watch.enter("importing TensorFlow")
            while self._thread.is_alive():
                self._thread.join(SHOW_SECONDS)
                self._watch.show()
            from sweep.engine import train

            self._train = partial(train, on_epochs=self._watch.count_epochs)
            self._watch.enter("compiling")
        else:
            self._watch.enter("training")
        if self._watch.engine_since is None:
            self._watch.engine_since = time.monotonic()
        return self._train


def _prepare() -> None:
    # What fails here fails again where the engine is used, and is said there.
    with suppress(Exception):
        from sweep.engine import prepare

        prepare()
