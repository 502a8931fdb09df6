"""Training many models at once: who trains beside a run makes no difference to it."""

import numpy as np
import pytest

from studies.run import FinishedRun, Run
from studies.tasks import Task
from sweep.engine import sequences, train
from sweep.engine.compiled import compiled
from sweep.engine.program import program
from sweep.engine.shapes import shape_of


def trained(runs: list[Run], task: Task, **options: int) -> dict[Run, FinishedRun]:
    return {finished.run: finished for finished in train(runs, task, **options)}


@pytest.fixture(scope="module")
def company(a_run) -> list[Run]:
    return [
        a_run(seed, layers=2, units=units, optimizer=optimizer, epochs=epochs)
        for seed in range(4)
        for units, optimizer, epochs in [(5, "adam", 12), (8, "sgd", 7), (16, "rmsprop", 23)]
    ]


def test_a_curve_is_the_same_to_the_bit_whoever_trains_beside_it(task, company):
    together = trained(company, task)
    for run in company[:3]:
        alone = trained([run], task)[run]
        assert alone.ended == together[run].ended
        np.testing.assert_array_equal(alone.curves, together[run].curves)


def test_a_refilled_slot_trains_as_a_fresh_one(task, a_run):
    many = [a_run(seed, epochs=3 + seed % 4, target=1.0) for seed in range(40)]
    in_two_slots = trained(many, task, threads=1)
    for run in many[-3:]:
        np.testing.assert_array_equal(trained([run], task)[run].curves, in_two_slots[run].curves)


def test_the_number_of_threads_and_the_length_of_chunks_change_no_curve(task, company):
    one, two = trained(company, task, threads=1), trained(company, task, threads=2, chunk=3)
    for run in company:
        np.testing.assert_array_equal(one[run].curves, two[run].curves)


@pytest.mark.parametrize(("cell", "layers"), [("lstm", 1), ("gru", 2), ("rnn", 1)])
def test_a_loop_over_steps_computes_what_unrolled_steps_do(cell, layers, task, monkeypatch, a_run):
    run = a_run(cell=cell, layers=layers, epochs=6)
    unrolled = trained([run], task)[run]
    monkeypatch.setattr(sequences, "UNROLLED", 2)
    compiled.cache_clear()
    looped = trained([run], task)[run]
    compiled.cache_clear()
    np.testing.assert_allclose(looped.curve("loss"), unrolled.curve("loss"), rtol=2e-6)


def test_a_longer_sequence_makes_no_larger_program(a_run, a_task):
    def operations(timesteps: int) -> int:
        run = a_run(cell="rnn")
        shape = shape_of(run.configuration, a_task(8, timesteps), chunk=5, memory=2**28)
        graph = program(shape).get_concrete_function().graph.as_graph_def()
        return len(graph.node) + sum(len(f.node_def) for f in graph.library.function)

    assert operations(50) == operations(100) == operations(1000)


def test_a_run_ends_with_the_epoch_that_solves_the_task(task, a_run):
    (finished,) = train([a_run(epochs=400)], task)
    assert finished.ended == "solved"
    assert finished.epochs < 400
    assert finished.curve("accuracy")[-1] == 1.0
    assert np.all(finished.curve("accuracy")[:-1] < 1.0)


def test_a_run_that_does_not_get_there_is_censored_at_its_budget(task, a_run):
    (finished,) = train([a_run(epochs=7, optimizer="sgd", learning_rate=1e-6)], task)
    assert (finished.ended, finished.epochs) == ("censored", 7)


def test_a_run_whose_loss_is_not_finite_has_diverged(task, a_run):
    run = a_run(cell="rnn", activation="relu", optimizer="sgd", learning_rate=1e3, units=16)
    (finished,) = train([run], task)
    assert finished.ended == "diverged"
    assert not np.isfinite(finished.curve("loss")[-1])
    assert np.all(np.isfinite(finished.curve("loss")[:-1]))


def test_a_lower_target_is_met_earlier(task, a_run):
    strict, lax = a_run(epochs=300), a_run(epochs=300, target=0.7)
    done = trained([strict, lax], task)
    assert done[lax].epochs < done[strict].epochs
    np.testing.assert_array_equal(done[lax].curves, done[strict].curves[: done[lax].epochs])


def test_runs_may_be_offered_in_answer_to_finished_ones(task, a_run):
    finished: list[FinishedRun] = []

    def asking():
        yield a_run(0, epochs=3, target=1.0)
        while not finished:
            yield None
        yield a_run(1, epochs=3)

    for one in train(asking(), task):
        finished.append(one)
    assert [f.run.seed for f in finished] == [0, 1]


def test_waiting_for_nothing_is_an_error_not_a_hang(task):
    with pytest.raises(RuntimeError, match="none was offered"):
        list(train([None], task))


def test_no_runs_give_no_results(task):
    assert list(train([], task)) == []
