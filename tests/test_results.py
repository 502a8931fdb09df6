"""A study's results, from runs at hand and from a real SQLite file."""

import json
import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import storage.runs
from storage.database import Database, StorageFailure, open_database
from storage.runs import put_runs
from storage.trials import (
    StoredStudy,
    StoredTrial,
    TaskFacts,
    create_study,
    find_study,
    put_trials,
    rewrite_trials,
)
from studies.errors import BadInput
from studies.run import Configuration, FinishedRun, Run, flops_per_record, parameters
from studies.study import Study
from studies.tasks import make_task
from sweep.analysis.plateau import plateaus_of
from sweep.results import (
    TriedConfiguration,
    build_results,
    chance_of,
    configuration_json,
    epoch_flops,
    pareto_front,
    ranking,
    read_results,
)

BUDGET = 100
REPLICATES = 3
TASK = TaskFacts(
    fingerprint="0123456789abcdef0123456789abcdef",
    name="first-value",
    records=200,
    timesteps=3,
    features=1,
    classes=("0", "1"),
    class_counts=(100, 100),
)
STUDY = Study.from_document(
    {
        "task": {"name": "first-value"},
        "search": {"trials": 4, "enqueue": [{"layers": 3, "units": 15}]},
        "space": {"layers": {"low": 1, "high": 4}, "units": {"low": 4, "high": 32}},
        "training": {"epochs": BUDGET, "replicates": REPLICATES},
    },
    "hello",
)
WHOLE_NUMBER = json.dumps(
    {
        "name": "IntDistribution",
        "attributes": {"log": False, "step": 1, "low": 1, "high": 64},
    }
)
MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

FIXED_KEYS = {
    "trial",
    "params",
    "replicates",
    "success_rate",
    "epochs_median",
    "epochs_low",
    "epochs_high",
    "par2",
    "ert",
    "escape_median",
    "plateau_median",
    "parameters",
    "flops",
}


def train(params: dict[str, int], seed: int, escape: int | None, solved: int | None) -> FinishedRun:
    """A run that is at chance until it escapes, and solves the task at an epoch, or never does."""
    run = Run(STUDY.configuration(params), seed, BUDGET)
    epochs = np.arange(1, (solved or BUDGET) + 1)
    learnt = epochs >= (escape or BUDGET + 1)
    accuracy = np.where(learnt, 0.9, 0.5)
    if solved is not None:
        accuracy[-1] = 1.0
    loss = np.where(learnt, 0.2, 0.69)
    curves = np.stack([loss, accuracy], axis=1).astype(np.float32)
    return FinishedRun(run, "censored" if solved is None else "solved", curves)


def tried(number: int, params: dict[str, int], *ends: tuple[int | None, int | None]):
    runs = [train(params, seed, *end) for seed, end in enumerate(ends)]
    return TriedConfiguration(number, params, runs, enqueued=number == 0)


QUESTION = tried(0, {"layers": 3, "units": 15}, (13, 20), (12, 22), (14, 19))
FAST = tried(1, {"layers": 1, "units": 32}, (3, 8), (4, 9), (5, 10))
HOPELESS = tried(2, {"layers": 4, "units": 4}, (None, None), (None, None), (60, None))
FAST_AND_SMALL = tried(3, {"layers": 1, "units": 8}, (3, 8), (4, 9), (5, 10))
TRIED = [QUESTION, FAST, HOPELESS, FAST_AND_SMALL]


def results(*trials: TriedConfiguration, objective: str | list[str] = "epochs"):
    return build_results(
        name="hello",
        study=STUDY.changed({"search.objective": objective}),
        task=TASK,
        tried=trials,
        created=MOMENT,
        updated=MOMENT,
        storage="sqlite:///sweep.db",
    )


class TestResults:
    def test_hold_the_trials_in_the_order_of_their_numbers(self):
        found = results(HOPELESS, QUESTION, FAST)
        assert [trial.number for trial in found.trials] == [0, 1, 2]
        assert [trial.enqueued for trial in found.trials] == [True, False, False]

    def test_say_of_each_trial_what_its_own_runs_say(self):
        for trial, source in zip(results(*TRIED).trials, TRIED, strict=True):
            alone = plateaus_of(source.runs, TASK.class_counts)
            assert np.array_equal(trial.plateaus.escape, alone.escape, equal_nan=True)
            assert trial.runs == tuple(source.runs)
            assert trial.summary.replicates == REPLICATES

    def test_of_the_questions_model(self):
        trial = results(*TRIED).trials[0]
        assert trial.configuration == STUDY.configuration({"layers": 3, "units": 15})
        assert trial.plateaus.escape.tolist() == [13, 12, 14]
        assert trial.summary.epochs_median == 20
        assert trial.summary.plateau_median == 12
        assert trial.summary.transition_median == 7

    def test_count_parameters_and_flops_of_the_configuration(self):
        trial = results(QUESTION).trials[0]
        configuration = trial.configuration
        assert trial.summary.parameters == parameters(configuration, 1, 2)
        epoch = 200 * flops_per_record(configuration, 3, 1, 2)
        assert trial.summary.flops == pytest.approx((20 + 22 + 19) / 3 * epoch)

    def test_of_a_study_without_trials_are_empty(self):
        assert results().trials == ()
        assert ranking(results()) == []


class TestTheRanking:
    def test_puts_fewer_epochs_first_and_the_smaller_model_among_equals(self):
        assert [trial.number for trial in ranking(results(*TRIED))] == [3, 1, 0, 2]

    def test_orders_what_was_never_solved_by_its_final_loss(self):
        worse = tried(0, {"layers": 4, "units": 4}, *[(None, None)] * 3)
        better = tried(1, {"layers": 4, "units": 4}, *[(50, None)] * 3)
        assert [trial.number for trial in ranking(results(worse, better))] == [1, 0]

    @pytest.mark.parametrize(
        ("objective", "order"),
        [("parameters", [0, 1]), ("flops", [0, 1]), ("epochs", [1, 0]), ("updates", [1, 0])],
    )
    def test_is_by_the_studys_own_objective(self, objective: str, order: list[int]):
        small = tried(0, {"layers": 2, "units": 8}, (13, 18), (12, 22), (14, 19))
        quick = tried(1, {"layers": 1, "units": 32}, (3, 8), (4, 9), (5, 10))
        found = results(small, quick, objective=[objective])
        assert [trial.number for trial in ranking(found)] == order

    @pytest.mark.parametrize("objective", ["parameters", "flops", "updates"])
    def test_puts_what_never_learns_last_however_small_and_cheap_it_is(self, objective: str):
        tiny = tried(0, {"layers": 1, "units": 4}, *[(None, None)] * 3)
        slow = tried(1, {"layers": 4, "units": 32}, *[(90, 99)] * 3)
        found = results(tiny, slow, objective=[objective])
        if objective != "updates":
            assert found.trials[0].values[0] < found.trials[1].values[0]
        assert [trial.number for trial in ranking(found)] == [1, 0]

    def test_puts_the_pareto_front_of_several_objectives_first(self):
        quick = tried(0, {"layers": 1, "units": 32}, *[(3, 8)] * 3)
        beaten = tried(1, {"layers": 2, "units": 32}, *[(3, 9)] * 3)
        small = tried(2, {"layers": 1, "units": 4}, *[(3, 90)] * 3)
        never = tried(3, {"layers": 1, "units": 4}, *[(None, None)] * 3)
        found = results(quick, beaten, small, never, objective=["epochs", "parameters"])
        assert pareto_front(found) == {0, 2}
        assert [trial.number for trial in ranking(found)] == [0, 2, 1, 3]

    @given(
        st.lists(st.tuples(st.integers(1, 6), st.integers(4, 9), st.booleans()), max_size=20),
    )
    def test_the_front_is_what_no_other_solved_trial_dominates(self, asked):
        trials = [
            tried(number, {"layers": 1, "units": units}, *[(2, 2 * speed) if ok else (2, None)] * 3)
            for number, (speed, units, ok) in enumerate(asked)
        ]
        found = results(*trials, objective=["epochs", "parameters"])
        solved = [trial for trial in found.trials if trial.summary.solved]

        def beats(a, b):
            return all(x <= y for x, y in zip(a, b, strict=True)) and a != b

        expected = {
            trial.number
            for trial in solved
            if not any(beats(other.values, trial.values) for other in solved)
        }
        assert pareto_front(found) == expected

    def test_of_a_single_objective_has_no_front(self):
        assert pareto_front(results(*TRIED)) == frozenset()


class TestJson:
    def test_of_a_configuration_has_the_fixed_keys_and_plain_values(self):
        for trial in results(*TRIED).trials:
            document = configuration_json(trial)
            assert list(document)[:2] == ["trial", "params"]
            assert set(document) >= FIXED_KEYS
            assert json.loads(json.dumps(document, allow_nan=False)) == document

    def test_has_null_for_what_does_not_exist(self):
        document = configuration_json(results(HOPELESS).trials[0])
        for key in ("epochs_median", "ert", "flops", "escape_median", "plateau_median"):
            assert document[key] is None
        assert document["par2"] == 2 * BUDGET


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with open_database(f"sqlite:///{tmp_path}/sweep.db") as database:
        yield database


def stored_trial(source: TriedConfiguration) -> StoredTrial:
    return StoredTrial(
        number=source.number,
        params=dict(source.params),
        distributions=dict.fromkeys(source.params, WHOLE_NUMBER),
        values=(1.0,),
        user_attrs={},
        system_attrs={"fixed_params": dict(source.params)} if source.enqueued else {},
        intermediate={},
        run_keys=tuple(run.run.key(TASK.fingerprint) for run in source.runs),
        started=MOMENT,
        finished=MOMENT + timedelta(seconds=1),
    )


def store(db: Database, *trials: TriedConfiguration, study: Study = STUDY) -> StoredStudy:
    stored = create_study(db, study.name, study.document(), TASK)
    put_runs(db, TASK, [run for trial in trials for run in trial.runs])
    put_trials(db, stored, [stored_trial(trial) for trial in trials], mirrored=False)
    return stored


class TestReading:
    def test_gives_back_what_was_stored(self, db: Database):
        store(db, *TRIED)
        found = read_results(db, "hello")
        assert (found.name, found.study, found.task) == ("hello", STUDY, TASK)
        assert found.storage == db.url
        kept = find_study(db, "hello")
        assert kept is not None
        assert (found.created, found.updated) == (kept.created, kept.updated)
        for trial, expected in zip(found.trials, results(*TRIED).trials, strict=True):
            assert trial.summary == expected.summary
            assert trial.params == expected.params
            assert trial.enqueued == expected.enqueued
            for run, original in zip(trial.runs, expected.runs, strict=True):
                assert run.run == original.run
                assert run.ended == original.ended
                assert np.array_equal(run.curves, original.curves)

    def test_shows_runs_as_the_budget_of_the_study_does(self, db: Database):
        short = STUDY.changed({"training.epochs": 15, "name": "short"})
        store(db, QUESTION, FAST, study=short)
        question, fast = read_results(db, "short").trials
        assert question.summary.success_rate == 0
        assert question.summary.par2 == 30
        assert [run.epochs for run in question.runs] == [15, 15, 15]
        assert fast.summary.epochs_median == 9

    def test_a_study_without_trials_is_read_as_empty(self, db: Database):
        store(db)
        assert read_results(db, "hello").trials == ()

    def test_two_trials_of_one_configuration_share_their_runs(self, db: Database):
        again = TriedConfiguration(1, QUESTION.params, QUESTION.runs, enqueued=False)
        store(db, QUESTION, again)
        first, second = read_results(db, "hello").trials
        assert first.summary == second.summary

    def test_an_unknown_name_is_refused_with_the_nearest(self, db: Database):
        store(db)
        with pytest.raises(BadInput, match=r"'helo'.*did you mean hello\?.*sweep list"):
            read_results(db, "helo")

    def test_an_unknown_name_in_an_empty_storage_is_refused(self, db: Database):
        with pytest.raises(BadInput, match="no study named 'hello'"):
            read_results(db, "hello")

    def test_a_run_that_is_missing_is_said_and_not_passed_over(self, db: Database, tmp_path: Path):
        store(db, QUESTION)
        # Another program, which does not ask SQLite to hold foreign keys.
        with closing(sqlite3.connect(tmp_path / "sweep.db")) as other, other:
            other.execute("delete from sweep_runs where seed = 1")
        with pytest.raises(StorageFailure, match="trial 0 of 'hello' refers to the run"):
            read_results(db, "hello")

    def test_a_study_extended_while_it_is_read_is_read_again(self, db: Database, monkeypatch):
        stored = store(db, QUESTION)
        fourth = tried(0, {"layers": 3, "units": 15}, (13, 20), (12, 22), (14, 19), (30, 40))
        longer = STUDY.changed({"training.replicates": 4})
        read = storage.runs.iter_runs

        def while_another_extends(db: Database, uuid: str):
            monkeypatch.setattr(storage.runs, "iter_runs", read)
            put_runs(db, TASK, fourth.runs)
            rewrite_trials(db, stored, longer.document(), [stored_trial(fourth)])
            return read(db, uuid)

        monkeypatch.setattr(storage.runs, "iter_runs", while_another_extends)
        found = read_results(db, "hello")
        assert found.study.training.replicates == 4
        assert found.trials[0].summary.replicates == 4


def test_a_diverged_replicate_reaches_the_summary(db: Database):
    params = {"layers": 2, "units": 8}
    curves = np.array([[0.7, 0.5], [math.nan, 0.5]], dtype=np.float32)
    diverged = FinishedRun(Run(STUDY.configuration(params), 1, BUDGET), "diverged", curves)
    store(db, TriedConfiguration(0, params, [train(params, 0, 3, 9), diverged], enqueued=False))
    summary = read_results(db, "hello").trials[0].summary
    assert (summary.solved, summary.diverged, summary.censored) == (1, 1, 0)
    assert summary.par2 == (9 + 2 * BUDGET) / 2


@pytest.mark.parametrize("name", ["adding", "embedded-reber", "temporal-order"])
def test_what_is_told_decides_chance_and_flops(name: str):
    made = make_task(name, {"records": 60})
    facts = TaskFacts.of(made)
    band = chance_of(facts)
    assert band == chance_of(made)
    assert (band.accuracy, band.loss) == pytest.approx(made.chance)
    assert band.low <= band.accuracy < band.high
    configuration = Configuration(units=5)
    told = made.timesteps if name == "embedded-reber" else 1
    outputs = told * len(made.classes)
    due = 60 * flops_per_record(configuration, made.timesteps, made.features, outputs)
    assert epoch_flops(configuration, facts) == epoch_flops(configuration, made) == due
