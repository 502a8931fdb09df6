"""Ask, train, tell: a study from its file to whole trials in the storage.

The sampler (`sweep.sampling`) says what is tried, the engine trains it, the storage keeps it. What
is in the storage is whole: runs that finished, and trials 0 … k − 1 with all their replicates. So
an interrupted study loses the runs in flight only, and the same call continues it to the very
trials that it would have had without the interruption.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from storage import lease
from storage.database import Database, open_database
from storage.runs import find_runs, put_runs
from storage.trials import (
    MissingRun,
    StoredStudy,
    StoredTrial,
    TaskFacts,
    add_attributes,
    complete_mirror,
    create_study,
    find_study,
    put_trials,
    read_trials,
    rewrite_trials,
    study_lines,
    update_document,
)
from studies.errors import BadInput
from studies.run import FinishedRun, Run
from studies.study import Study, at_least, differences, extends, name_problems
from studies.tasks import Task
from sweep.copyist import Copyist
from sweep.execution import check_own_model, train_own_models
from sweep.keras.data import load_data
from sweep.machine import here
from sweep.progress import Progress, Watch
from sweep.results import ERROR, TRAINED_ON, StudyResult, TrialResult, read_results
from sweep.sampling import Asked, Proposals, check_sampler, quiet, total_trials
from sweep.session import Again, Engine, Session, Source, Train
from sweep.values import MOST_TRIALS, attributes, constraints, mean_loss

__all__ = ["Progress", "SearchOutcome", "run_study"]

FOLLOW_SECONDS = 1.0
"""Time between two looks at a study that another process works on."""


@dataclass(frozen=True)
class SearchOutcome:
    """A study that was run to its end, and what this call did for it.

    `runs_trained` runs were trained now; `runs_found` replicates of new or extended trials were
    answered by runs that the storage had. `grid_exhausted`: the grid has fewer points than `trials`
    asked for. `uncopied` trials are not in Optuna's copy of the study yet (see `sweep.copyist`).
    """

    result: StudyResult
    seconds: float
    runs_trained: int
    runs_found: int
    grid_exhausted: bool
    uncopied: int = 0


def run_study(
    study: Study,
    db_url: str,
    *,
    name: str | None = None,
    task: Task | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    train: Train | None = None,
    wait: bool = False,
    allow_code: bool = False,
) -> SearchOutcome:
    """Runs a study to its end, or goes on with it where it stopped.

    `db_url` is the storage, `name` the study's name there (else its own), `task` its data where
    they have been loaded already, and `train` takes the place of the engine's. A study of an own
    model is run with `allow_code` only, since it can do whatever its user can. `on_progress` is
    called about ten times a second at most, in this thread. On KeyboardInterrupt what is finished
    is saved, and the exception goes on.

    A study of this name is continued. More trials are those that it would have had if they had been
    asked for at once. With more replicates or epochs the trials that it has keep their
    configurations and get new values; trials that follow are asked by these. So a study that is
    extended before its search has ended may have other trials than one that was begun so; but an
    extension that is interrupted and continued ends as one that was not. Fewer than it has leave it
    as large as it is.

    Where another process works on the study, LeaseHeld says who; with `wait` its progress is shown
    until it is done or gone, and then this goes on. Raises BadInput for a study of this name that
    asks for something else, or whose data changed; StorageFailure where the storage cannot be
    written, or another process has taken over since this one gave no sign of life.
    """
    name = study.name if name is None else name
    problems = name_problems(name)
    if problems:
        raise BadInput("\n".join(problems))
    check_own_model(study, allow_code=allow_code)
    check_sampler(study)
    task = load_data(study, allow_code=allow_code) if task is None else task
    if study.training.model is not None and train is None:
        train = partial(train_own_models, study=study)
    watch = Watch(study, on_progress)
    watch.enter("opening")
    with (
        open_database(db_url) as db,
        lease.hold(db, name, waiting=_following(db, name, watch) if wait else None) as held,
    ):
        stored = find_study(db, name)
        engine: Engine | None = None
        if stored is None:
            engine = Engine(train, watch)
            objectives = study.search.objectives
            stored = create_study(
                db,
                name,
                study.document(),
                TaskFacts.of(task),
                directions=["minimize"] * len(objectives),
                metric_names=["par2" if o == "epochs" else o for o in objectives],
            )
        else:
            study = at_least(Study.from_document(stored.document, stored.name), study)
            watch.study, watch.trials_total = study, total_trials(study)
            check_continues(stored, study, task)
            # Trials of others in Optuna's copy are said before anything is trained.
            complete_mirror(db, stored, lease=held, enough=lambda took: True)
            stored = _carried_over(db, stored, study, task, held)
        desk = _Desk(db, stored, held, study, task, watch)
        try:
            if not desk.is_complete():
                with quiet():
                    engine = engine or Engine(train, watch)
                    desk.extend(engine)
                    desk.search(engine)
                    watch.enter("saving")
            uncopied = desk.copyist.finish(desk.stored, watch.seconds)
        finally:
            desk.copyist.stop()
        result = read_results(db, name)
    watch.finish(result.trials)
    return SearchOutcome(
        result=result,
        seconds=watch.seconds,
        runs_trained=watch.trained,
        runs_found=watch.found,
        grid_exhausted=len(result.trials) < study.search.trials,
        uncopied=uncopied,
    )


def _following(db: Database, name: str, watch: Watch) -> Callable[[lease.LeaseHeld], None]:
    """Shows how far another coordinator is; each call takes `FOLLOW_SECONDS`."""

    def follow(held: lease.LeaseHeld) -> None:
        for line in study_lines(db):
            if line.name == name:
                watch.trials, watch.runs, watch.solved = line.trials, line.runs, line.solved_runs
        watch.enter(f"waiting for {held.holder}")
        time.sleep(FOLLOW_SECONDS)
        watch.reset()

    return follow


def check_continues(stored: StoredStudy, study: Study, task: Task) -> None:
    """Raises BadInput unless `study` is the stored one, or asks for more of the same.

    Equal data are the same task, wherever they come from.
    """
    old = Study.from_document(stored.document, stored.name)
    facts = (task.fingerprint, task.classes)
    same_data = facts == (stored.task.fingerprint, stored.task.classes)
    if not extends(old, study, same_data=same_data):
        different = differences(old, study, same_data=same_data)
        lines = [f"  {key}: {_told(was)} there, {_told(new)} here" for key, was, new in different]
        raise BadInput(
            f"the study {stored.name!r} exists and is another one:\n"
            + "\n".join(lines)
            + "\nOnly search.trials, training.replicates and training.epochs may grow; "
            "for another study give another name: --name NAME"
        )
    if not same_data:
        if stored.task.fingerprint == task.fingerprint:
            what = f"classes {_listed(stored.task.classes)} then, {_listed(task.classes)} now"
        else:
            what = f"{stored.task.records} records then, {task.records} now, with other values"
        raise BadInput(
            f"the data of the study {stored.name!r} changed since it began ({what}); "
            "its results are of the old data. For a study of the new data give another name: "
            "--name NAME"
        )


def _told(value: Any) -> str:
    return "not given" if value is None else repr(value)


def _listed(classes: Sequence[str]) -> str:
    return ", ".join(classes[:5]) + (", …" if len(classes) > 5 else "")


def _carried_over(
    db: Database, stored: StoredStudy, study: Study, task: Task, held: lease.Lease
) -> StoredStudy:
    """The stored study with what may be new in it and bears on no result."""
    table = study.document()
    new = {**stored.document, "description": table["description"], "task": table["task"]}
    if new == stored.document and task.name == stored.task.name:
        return stored
    return update_document(db, stored, new, task_name=task.name, lease=held)


class _Desk:
    """What a session reads from the storage and writes into it."""

    def __init__(
        self,
        db: Database,
        stored: StoredStudy,
        held: lease.Lease,
        study: Study,
        task: Task,
        watch: Watch,
    ) -> None:
        self.db, self.stored, self.held = db, stored, held
        self.study, self.task, self.watch = study, task, watch
        self.trials = read_trials(db, stored.uuid)
        self.copyist = Copyist(db, held)

    def is_complete(self) -> bool:
        """Whether the stored study is all that is asked for; a longer grid is for `search`."""
        same = Study.from_document(self.stored.document, self.stored.name)
        return not differences(same, self.study) and len(self.trials) >= total_trials(self.study)

    def extend(self, engine: Engine) -> None:
        """Brings the study file up to date, and its trials to more replicates or epochs."""
        old = Study.from_document(self.stored.document, self.stored.name)
        document = self.study.document()
        if old.training == self.study.training or not self.trials:
            if not self.trials and old.training != self.study.training:
                self._rewrite(document, [])
            elif differences(old, self.study):
                self.stored = update_document(self.db, self.stored, document, lease=self.held)
            return
        again = Again([Asked(trial.number, trial.params) for trial in self.trials])
        results: list[TrialResult] = []
        self._session(again, results.extend).run(engine)
        rewritten = [
            replace(
                trial,
                **self._content(result, trial.system_attrs),
                finished=datetime.now(UTC),
            )
            for trial, result in zip(self.trials, results, strict=True)
        ]
        self._rewrite(document, rewritten)
        self.trials = rewritten
        self.watch.reset()

    def _rewrite(self, document: Mapping[str, Any], trials: Sequence[StoredTrial]) -> None:
        self.stored = rewrite_trials(
            self.db, self.stored, document, trials, lease=self.held, mirrored=False
        )

    def search(self, engine: Engine) -> None:
        """Asks for the trials that are missing, trains and keeps them."""
        proposals = Proposals(self.study, self.trials)

        def keep(results: Sequence[TrialResult]) -> None:
            trials = [self._stored_trial(proposals, result) for result in results]
            try:
                self._keep(trials)
            except MissingRun:
                # They were found in a study that somebody has deleted since.
                found = [run for result in results for run in result.runs]
                put_runs(self.db, self.stored.task, found, trained_for=self.stored, lease=self.held)
                self._keep(trials)

        self._session(proposals, keep, known=len(self.trials)).run(engine)

    def _session(
        self,
        source: Source,
        keep: Callable[[Sequence[TrialResult]], None],
        known: int = 0,
    ) -> Session:
        return Session(
            self.study,
            self.task,
            source,
            find=self._find,
            keep_runs=self._keep_runs,
            keep_trials=keep,
            watch=self.watch,
            known=known,
        )

    def _find(self, runs: Mapping[str, Run]) -> dict[str, FinishedRun]:
        there = find_runs(self.db, self.task.fingerprint, list(runs.values()))
        return {key: there[run] for key, run in runs.items() if run in there}

    def _keep_runs(self, finished: Sequence[FinishedRun]) -> None:
        put_runs(self.db, self.stored.task, finished, trained_for=self.stored, lease=self.held)
        self._note_machines([run.machine for run in finished])

    def _note_machines(self, trained: Sequence[Mapping[str, Any] | None]) -> None:
        """Keeps with the study which machines it was trained on; None is this one."""
        known = self.stored.user_attrs.get(TRAINED_ON, [])
        machines, this = [*known], here()
        for machine in (this if there is None else there for there in trained):
            if machine not in machines:
                machines.append(machine)
        if len(machines) > len(known):
            attributes = {TRAINED_ON: machines}
            self.stored = add_attributes(self.db, self.stored, attributes, lease=self.held)

    def _keep(self, trials: Sequence[StoredTrial]) -> None:
        put_trials(self.db, self.stored, trials, lease=self.held, mirrored=False)
        self.copyist.begin(self.stored)

    def _stored_trial(self, proposals: Proposals, result: TrialResult) -> StoredTrial:
        distributions, system_attrs, started = proposals.memory(result.number)
        return StoredTrial(
            number=result.number,
            params=result.params,
            distributions=distributions,
            started=started,
            finished=datetime.now(UTC),
            **self._content(result, system_attrs),
        )

    def _content(self, result: TrialResult, system_attrs: Mapping[str, Any]) -> dict[str, Any]:
        """What a trial says that follows from its runs; `system_attrs` are its sampler's."""
        search = self.study.search
        many = search.trials > MOST_TRIALS
        curve = len(search.objectives) == 1 and not many
        return {
            "values": result.values,
            "system_attrs": {**system_attrs, **constraints(search.objectives, result.summary)},
            "user_attrs": attributes(result.summary, few=many)
            | ({} if result.error is None else {ERROR: result.error}),
            "intermediate": mean_loss(result.runs) if curve else {},
            "run_keys": tuple(run.run.key(self.task.fingerprint) for run in result.runs),
        }
