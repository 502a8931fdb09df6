"""The contender JAX does the same work as the others. Without JAX this file is not collected."""

import numpy as np

from sweep.bench.contenders import CONTENDERS, engine, jax_vmap
from sweep.bench.work import Work
from sweep.keras import train_in_keras

SMALL = Work(layers=1, units=6, models=2, records=41, batch_size=16, learning_rate=0.02)
IN_ONE = Work(
    layers=1, units=6, models=2, records=41, batch_size=64, learning_rate=0.05, to_target=True
)


def test_jax_trains_as_keras_fit_does():
    expected = [train_in_keras(run, SMALL.task()) for run in SMALL.runs(jax_vmap.CHUNK)]
    population = jax_vmap.Populations(SMALL)
    _, curves = population.advance(population.start(0), 0, 1)
    for own, run in zip(curves, expected, strict=True):
        np.testing.assert_allclose(own[:, 0], run.curve("loss"), rtol=1e-4)
        np.testing.assert_allclose(own[:, 1], run.curve("accuracy"), atol=1e-6)


def test_jax_reaches_the_target_in_the_engine_s_epochs():
    expected = [finished.epochs for finished in engine.to_target(IN_ONE)]
    assert jax_vmap.Populations(IN_ONE).epochs_to_target() == expected


def test_a_size_of_jax_is_so_many_model_epochs_or_models():
    prepared = CONTENDERS["jax"].prepare(SMALL)
    assert prepared(2) == 2 * prepared(1) == 2 * SMALL.models * jax_vmap.CHUNK
    assert CONTENDERS["jax"].prepare(IN_ONE)(2) == 2 * IN_ONE.models
