"""All contenders of a row do the same work, and do it."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from sweep.bench import BENCHES, chosen
from sweep.bench.contenders import CONTENDERS, Contender, keras_fit, keras_loop
from sweep.bench.contenders import engine as engines
from sweep.bench.contenders.process import fitting
from sweep.bench.contest import contest, turned
from sweep.bench.rows import Options, Result
from sweep.bench.steady import measure
from sweep.bench.work import Work
from sweep.engine import train
from sweep.keras import train_in_keras

SMALL = Work(layers=1, units=6, models=2, learning_rate=0.02)
"""Six batches of 32 records and one of 8."""

IN_ONE = replace(SMALL, records=41, batch_size=64, learning_rate=0.05, to_target=True)
"""All records in one batch: their order, which `fit` draws for itself, then makes no difference."""

LOOP = cache(keras_loop.Loop)
"""Of a work once, since it takes long to compile."""


def test_a_task_without_an_end_has_every_sequence_in_both_classes():
    task = SMALL.task()
    assert np.array_equal(task.x[100:200], task.x[:100])
    assert np.array_equal(task.y[100:200], 1 - task.y[:100])
    assert all(finished.ended == "censored" for finished in train(SMALL.runs(30), task))


def test_more_features_are_noise_beside_the_first():
    one, three = (replace(SMALL, features=n, to_target=True).task() for n in (1, 3))
    assert np.array_equal(three.x[:, :, :1], one.x)
    assert np.array_equal(three.y, one.y)
    assert len(np.unique(three.x[:, :, 1:])) == three.x[:, :, 1:].size
    work = replace(SMALL, features=3)
    run = work.runs(3)[1]
    loop = keras_loop.Loop(work)
    loop.start(seed=run.seed)
    losses = [loop.epoch(run.seed, epoch)[0] for epoch in range(1, 4)]
    (finished,) = train([run], work.task())
    np.testing.assert_allclose(losses, finished.curve("loss"), rtol=1e-4)


def test_flops_count_three_products_a_weight_and_record():
    one = Work(layers=1, units=1, timesteps=1, records=1)
    # Forwards 4 gates of an input and a state, and 2 outputs; twice as much backwards.
    assert one.flops() == 3 * (2 * 4 * 2 + 2 * 2)


def test_the_keras_loop_trains_as_keras_fit_does():
    run = SMALL.runs(4)[1]
    expected = train_in_keras(run, SMALL.task())
    loop = LOOP(SMALL)
    loop.start(seed=0)
    loop.epoch(0, 1)  # What another model left behind must not matter.
    loop.start(seed=run.seed)
    curves = np.array([loop.epoch(run.seed, epoch) for epoch in range(1, 5)])
    np.testing.assert_allclose(curves[:, 0], expected.curve("loss"), rtol=1e-4)
    np.testing.assert_allclose(curves[:, 1], expected.curve("accuracy"), atol=1e-6)


def test_all_reach_the_target_in_the_same_epoch_from_the_same_seed():
    expected = [finished.epochs for finished in engines.to_target(IN_ONE)]
    assert all(1 < epochs < 300 for epochs in expected)
    assert [keras_fit.epochs_to_target(IN_ONE, seed) for seed in range(2)] == expected
    loop = LOOP(IN_ONE)
    assert [loop.epochs_to_target(seed) for seed in range(2)] == expected


@pytest.mark.parametrize("kind", ["sweep", "keras", "keras-loop"])
def test_a_size_is_so_many_model_epochs_or_models(kind, monkeypatch):
    monkeypatch.setattr(keras_loop, "Loop", LOOP)
    prepared = CONTENDERS[kind].prepare(SMALL)
    assert prepared(2) == 2 * prepared(1) > 0
    models = CONTENDERS[kind].prepare(IN_ONE)(2)
    assert models == (2 if kind.startswith("keras") else 4)


def test_the_peak_counts_a_multiplication_and_an_addition(monkeypatch):
    from sweep.bench.contenders import matrix_product

    monkeypatch.setattr(matrix_product, "SIZE", 10)
    assert matrix_product.matrix_product(SMALL)(3) == 3 * 2 * 10**3


def test_a_measurement_is_made_as_large_as_it_has_to_be(monkeypatch):
    from sweep.bench.contenders import process

    monkeypatch.setattr(process, "measured", lambda measure, size: measure(size))

    class Took:
        def __init__(self, seconds: float) -> None:
            self.seconds = seconds

    assert fitting(lambda size: Took(0.1 * size), 2.0) in range(10, 21)  # type: ignore
    assert fitting(lambda size: Took(5.0), 2.0) == 1  # type: ignore


def test_contenders_take_turns_in_processes_of_their_own():
    taken = contest(["sweep", "keras-loop"], SMALL, rounds=2, seconds=0.01)
    assert [len(rounds) for rounds in taken.values()] == [2, 2]
    assert all(m.amount > 0 and m.seconds > 0 for rounds in taken.values() for m in rounds)
    assert [turned("abc", k) for k in range(3)] == [list("abc"), list("bca"), list("cab")]


def test_a_contender_that_fails_is_told_of_with_its_last_words():
    with pytest.raises(ChildProcessError, match=r"sweep ended with status 1:(.|\n)*batch_size"):
        contest(["sweep"], replace(SMALL, batch_size=-1), rounds=1, seconds=0.01)


def test_a_row_whose_peer_is_not_installed_is_skipped_and_says_so(monkeypatch):
    nowhere = Contender("jax_vmap", "jax_vmap", "no_such_library", "jax")
    monkeypatch.setitem(CONTENDERS, "jax", nowhere)
    rows = chosen(["jax-3x15-64"], BENCHES)
    results: list[Result] = list(measure(rows, Options(rounds=1, quick=True), print))
    assert [result.ratio for result in results] == [None]
    assert results[0].skipped == "no_such_library is not installed: uv sync --extra jax"
