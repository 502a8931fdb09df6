"""An explanation: the baseline, the interventions, what they did, and the verdict."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from storage.database import Database, open_database
from storage.runs import find_runs
from storage.values import TaskFacts
from studies.errors import BadInput
from studies.run import Configuration, FinishedRun, Run
from studies.study import Study, read_study
from studies.tasks import Task
from sweep.analysis.survival import as_json, objective_value, outcomes
from sweep.explain import training
from sweep.explain.asked import note_asked
from sweep.explain.effects import Arm, Effect, compare, effect_json, make_arm
from sweep.explain.hidden import HiddenProgress, hidden_json, hidden_progress
from sweep.explain.interventions import (
    Intervention,
    first_interventions,
    grids,
    later_interventions,
)
from sweep.explain.training import Found, TrainJob, Wanted
from sweep.explain.verdict import verdict
from sweep.progress import ENOUGH_RUNS, Pace, Progress

if TYPE_CHECKING:
    from sweep.results import StudyResult

DEFAULT_STUDY = "plateau-causes"
"""The shipped study whose first configuration is explained where none is named."""

SEEDS = 30
"""Runs of the baseline and of each intervention."""

FEWEST_SEEDS = 12
"""With fewer pairs not even a change that wins all of them is a finding, among some 50 changes."""

CHOOSING = 5
"""Seeds from which an optimizer's best learning rate is chosen. They are others than those that are
compared, so that the choice does not favour what was lucky."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """What was found about one configuration's plateau.

    `study` and `trial` say where the baseline is from; `trial` is None for the default question.
    `task` are the data that it learns.
    `effects` are in the order of the interventions, `chosen` each other optimizer's best learning
    rate by its name. `hidden` is None where the baseline has no plateau to look under. The last
    three are of the call: its seconds, the runs that it trained and those that it found.
    """

    study: str
    trial: int | None
    params: Mapping[str, Any]
    storage: str
    task: Task
    replicates: int
    budget: int
    target: float
    baseline: Arm
    effects: tuple[Effect, ...]
    chosen: Mapping[str, float]
    hidden: HiddenProgress | None
    verdict: tuple[str, ...]
    seconds: float
    runs_trained: int
    runs_found: int

    @property
    def runs(self) -> int:
        """Runs that are compared: the baseline's and those of every intervention."""
        return len(self.baseline.runs) + sum(len(effect.arm.runs) for effect in self.effects)


@dataclass(frozen=True, eq=False)
class _Question:
    """A baseline and how it is asked. `fingerprint` is that of a stored study's data, which need
    not be read to know that nothing was trained on it yet."""

    study: Study
    trial: int | None
    params: Mapping[str, Any]
    configuration: Configuration
    seeds: int
    fingerprint: str | None

    @cached_property
    def task(self) -> Task:
        return self.study.load_task()

    def runs(self, configuration: Configuration, seeds: range | None = None) -> tuple[Run, ...]:
        training = self.study.training
        return tuple(
            Run(configuration, seed, training.epochs, training.target)
            for seed in seeds or range(self.seeds)
        )


@dataclass(eq=False)
class _Round:
    """Interventions, and the data on which each is trained."""

    interventions: list[Intervention]
    tasks: list[Task] = field(default_factory=list[Task])


def explain(
    db_url: str,
    name: str | None = None,
    trial: int | None = None,
    *,
    seeds: int = SEEDS,
    on_progress: Callable[[Progress], None] | None = None,
    train: TrainJob | None = None,
) -> Explanation:
    """Explains the plateau of a trial of a stored study, or of the default question.

    Without `trial` it is the first configuration that was given, else the study's best.
    Runs are trained with the study's budget and target from seeds 0 … `seeds` − 1, and kept in the
    storage; what is there already is not trained again. That the trial was explained is noted with
    the study, for its report. `train` takes the place of the engine's. On
    KeyboardInterrupt what is finished is saved, and the same call goes on from there.

    Raises BadInput for a study or trial that is not there, or fewer than `FEWEST_SEEDS` seeds;
    StorageFailure where the storage cannot be used.
    """
    watch = _Watch(on_progress)
    with open_database(db_url) as db:
        question = _question(db, name, trial, seeds)

        def finished(wanted: Sequence[Wanted]) -> Found:
            found = training.find(db, wanted)
            watch.expect(wanted, found)
            return training.train_missing(
                db, wanted, found, on_finished=watch.take, on_wait=watch.show, train=train
            )

        result = _explained(db, question, finished, watch)
        if name is not None and result.trial is not None:
            note_asked(db, name, result.trial, seeds)
    watch.end()
    return result


def stored_explanation(
    db: Database,
    name: str | None = None,
    trial: int | None = None,
    *,
    seeds: int = SEEDS,
    result: "StudyResult | None" = None,
) -> Explanation | None:
    """The same from stored runs alone; None where a run of it was not trained yet.

    `result` is that of the study of this name, for who has read it already. Raises BadInput as
    `explain` does.
    """
    question = _question(db, name, trial, seeds, result)
    if question.fingerprint is not None:
        baseline = question.runs(question.configuration)
        if len(find_runs(db, question.fingerprint, baseline)) < len(baseline):
            return None

    class Missing(Exception):
        pass

    def finished(wanted: Sequence[Wanted]) -> Found:
        found = training.find(db, wanted)
        if any((some.task.fingerprint, run) not in found for some in wanted for run in some.runs):
            raise Missing
        return found

    try:
        return _explained(db, question, finished, _Watch(None))
    except Missing:
        return None


def explanation_json(found: Explanation) -> dict[str, Any]:
    """The explanation under the keys that programs read; null for what does not exist."""
    return {
        "study": found.study,
        "storage": found.storage,
        "replicates": found.replicates,
        "budget": found.budget,
        "target": found.target,
        "baseline": {
            "trial": found.trial,
            "params": dict(found.params),
            **as_json(found.baseline.summary),
            "plateau_low": found.baseline.plateau.low,
            "plateau_high": found.baseline.plateau.high,
            "plateau_updates_median": found.baseline.updates.value,
            "configuration": found.baseline.configuration.identity(),
            "task": found.baseline.task.name,
            "records": found.baseline.task.records,
        },
        "interventions": [effect_json(effect) for effect in found.effects],
        "chosen_learning_rates": dict(found.chosen),
        "hidden_progress": None if found.hidden is None else hidden_json(found.hidden),
        "verdict": list(found.verdict),
        "runs": found.runs,
        "runs_trained": found.runs_trained,
        "seconds": round(found.seconds, 3),
    }


def _question(
    db: Database,
    name: str | None,
    trial: int | None,
    seeds: int,
    result: "StudyResult | None" = None,
) -> _Question:
    if seeds < FEWEST_SEEDS:
        raise BadInput(
            f"--seeds {seeds}: takes {FEWEST_SEEDS} or more; with fewer pairs no difference could "
            "be told from chance among so many changes"
        )
    fingerprint = None
    if name is None:
        if trial is not None:
            raise BadInput(f"--trial {trial}: name the study that the trial is of")
        study = read_study(DEFAULT_STUDY)
        params = study.search.enqueue[0]
    else:
        from sweep.results import ranking, read_results

        result = read_results(db, name) if result is None else result
        study, fingerprint = result.study, result.task.fingerprint
        if study.training.model is not None:
            raise BadInput(
                f"{name} is of an own model, whose settings nobody here knows; explain changes "
                "those of the models that a study describes"
            )
        given = [one for one in result.trials if one.enqueued]
        ordered = given or ranking(result)
        if trial is not None:
            ordered = [one for one in result.trials if one.number == trial]
        if not ordered:
            which = "no finished trial yet" if trial is None else f"no finished trial {trial}"
            raise BadInput(f"{name} has {which}")
        chosen = ordered[0]
        trial, params = chosen.number, chosen.params
    return _Question(study, trial, params, study.configuration(params), seeds, fingerprint)


def _explained(
    db: Database,
    question: _Question,
    finished: Callable[[Sequence[Wanted]], Found],
    watch: "_Watch",
) -> Explanation:
    task, c = question.task, question.configuration
    seeds = range(question.seeds)
    choosing = range(question.seeds, question.seeds + CHOOSING)

    first = _round(first_interventions(c, task, question.study.task), task)
    candidates = grids(c)
    wanted = [Wanted(task, question.runs(c), hidden=True), *_wanted(question, first)]
    wanted += [
        Wanted(task, question.runs(one.configuration(c), choosing))
        for grid in candidates.values()
        for one in grid
    ]
    have = finished(wanted)
    baseline = _arm(question, c, task, have)
    best = {
        optimizer: _best(question, grid, choosing, have) for optimizer, grid in candidates.items()
    }
    later = _round(later_interventions(c, task, best, baseline.plateau.value), task)
    have |= finished(_wanted(question, later))

    arms = [
        (one, _arm(question, one.configuration(c), data, have))
        for one, data in (*_pairs(first), *_pairs(later))
    ]
    effects = compare(baseline, arms)
    hidden = hidden_progress(baseline, [arm for one, arm in arms if one.hidden])
    training_ = question.study.training
    return Explanation(
        study=question.study.name,
        trial=question.trial,
        params=dict(question.params),
        storage=db.url,
        task=task,
        replicates=len(seeds),
        budget=training_.epochs,
        target=training_.target,
        baseline=baseline,
        effects=tuple(effects),
        chosen=best,
        hidden=hidden,
        verdict=verdict(baseline, effects, hidden),
        seconds=watch.seconds,
        runs_trained=watch.trained,
        runs_found=watch.found,
    )


def _round(interventions: list[Intervention], task: Task) -> _Round:
    made = [task if one.data is None else one.data(task) for one in interventions]
    return _Round(interventions, made)


def _pairs(some: _Round) -> list[tuple[Intervention, Task]]:
    return list(zip(some.interventions, some.tasks, strict=True))


def _wanted(question: _Question, some: _Round) -> list[Wanted]:
    return [
        Wanted(data, question.runs(one.configuration(question.configuration)), one.hidden)
        for one, data in _pairs(some)
    ]


def _arm(question: _Question, c: Configuration, task: Task, have: Found) -> Arm:
    runs = [have[task.fingerprint, run] for run in question.runs(c)]
    return make_arm(c, TaskFacts.of(task), runs)


def _best(question: _Question, grid: Sequence[Intervention], seeds: range, have: Found) -> float:
    """The learning rate of a grid with the least PAR2 over the seeds of the choice; where no run
    learned the task, with the least final loss."""

    def value(one: Intervention) -> float:
        wanted = question.runs(one.configuration(question.configuration), seeds)
        ends = outcomes([have[question.task.fingerprint, run] for run in wanted])
        budget = question.study.training.epochs
        return objective_value(ends.epochs, ends.solved, budget, ends.final_loss)

    return min(grid, key=value).settings["learning_rate"]


class _Watch:
    """Counts what is done and shows it: each configuration with its data is a trial here."""

    def __init__(self, on_progress: Callable[[Progress], None] | None) -> None:
        self._on_progress = on_progress
        self._started = time.monotonic()
        self._pace = Pace()
        self._left: list[set[tuple[str, Run]]] = []
        self._runs: set[tuple[str, Run]] = set()
        self.trained = self.found = self._solved = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def expect(self, wanted: Sequence[Wanted], found: Found) -> None:
        for some in wanted:
            runs = {(some.task.fingerprint, run) for run in some.runs}
            self._runs |= runs
            self._left.append(runs - found.keys())
        self.found += len(found)
        self._solved += sum(one.ended == "solved" for one in found.values())

    def take(self, fingerprint: str, finished: FinishedRun) -> None:
        for left in self._left:
            left.discard((fingerprint, finished.run))
        self.trained += 1
        self._solved += finished.ended == "solved"

    def show(self, missing: int) -> None:
        self._say("training" if self.trained else "compiling", missing)

    def end(self) -> None:
        self._say("done", 0)

    def _say(self, stage: str, missing: int) -> None:
        if self._on_progress is None:
            return
        rate = self._pace.of(time.monotonic(), self.trained)
        self._on_progress(
            Progress(
                stage=stage,
                trials_done=sum(not left for left in self._left),
                trials_total=len(self._left),
                runs_done=len(self._runs) - missing,
                runs_total=len(self._runs),
                runs_training=missing,
                solved=self._solved,
                best=None,
                runs_per_second=rate,
                seconds=self.seconds,
                seconds_left=missing / rate if rate and self.trained >= ENOUGH_RUNS else None,
            )
        )
