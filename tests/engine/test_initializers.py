"""Initial weights are those of Keras's own initialisers, for many runs at once."""

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.run import MAX_SEED, Cell, Configuration, Initializer, parameters
from sweep.engine.initializers import initial_weights

INITIALIZERS = get_args(Initializer)
UNIFORM = ["glorot_uniform", "he_uniform", "lecun_uniform", "random_uniform", "zeros"]
SEEDS = [0, 1, 7, 12_345, MAX_SEED]


@pytest.fixture(scope="module")
def keras() -> Any:
    import keras

    return keras


def kernels(configuration: Configuration, weights: list[np.ndarray]) -> list[np.ndarray]:
    """The tensors that an initialiser drew, in the order of k."""
    stack = [w for layer in range(configuration.layers) for w in weights[3 * layer : 3 * layer + 2]]
    return [*stack, weights[-2]]


@pytest.mark.parametrize("features", [1, 3])
@pytest.mark.parametrize("units", [1, 5, 15])
@pytest.mark.parametrize("name", UNIFORM)
def test_uniform_weights_are_keras_s_to_the_bit(keras, name, units, features):
    configuration = Configuration(
        layers=2,
        units=units,
        kernel_initializer=name,
        recurrent_initializer=name,
        output_initializer=name,
    )
    weights = kernels(configuration, initial_weights(configuration, SEEDS, features, 3))
    assert len(weights) == 5
    for k, stacked in enumerate(weights):
        for seed, tensor in zip(SEEDS, stacked, strict=True):
            initializer = keras.initializers.get(name)
            if name != "zeros":
                initializer = type(initializer)(seed=1000 * seed + k)
            assert np.array_equal(tensor, initializer(tensor.shape)), (k, seed)


@pytest.mark.parametrize(("units", "features"), [(1, 1), (5, 3), (15, 1)])
def test_normal_weights_are_keras_s_but_for_rounding(keras, units, features):
    configuration = Configuration(
        cell="gru",
        units=units,
        kernel_initializer="random_normal",
        recurrent_initializer="random_normal",
        output_initializer="random_normal",
    )
    weights = kernels(configuration, initial_weights(configuration, SEEDS, features, 3))
    for k, stacked in enumerate(weights):
        for seed, tensor in zip(SEEDS, stacked, strict=True):
            theirs = keras.initializers.RandomNormal(seed=1000 * seed + k)(tensor.shape).numpy()
            np.testing.assert_allclose(tensor, theirs, rtol=4e-7)


@pytest.mark.parametrize("features", [1, 40])
@pytest.mark.parametrize("cell", get_args(Cell))
def test_orthogonal_weights_are_keras_s_but_for_rounding(keras, cell, features):
    configuration = Configuration(
        cell=cell,
        units=15,
        kernel_initializer="orthogonal",
        recurrent_initializer="orthogonal",
        output_initializer="orthogonal",
    )
    weights = kernels(configuration, initial_weights(configuration, SEEDS, features, 15))
    for k, stacked in enumerate(weights):
        for seed, tensor in zip(SEEDS, stacked, strict=True):
            theirs = keras.initializers.Orthogonal(seed=1000 * seed + k)(tensor.shape).numpy()
            # TensorFlow decomposes in single precision: its error grows with the condition of the
            # drawn matrix, which is a few for wide tensors, tens to thousands for square ones.
            bound = 5e-6 if tensor.shape[0] == tensor.shape[1] else 5e-7
            np.testing.assert_allclose(tensor, theirs, rtol=0, atol=bound)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_the_output_layer_s_weights_are_those_of_its_initialiser_times_its_scale(name):
    plain = Configuration(units=9, output_initializer=name)
    scaled = plain.model_copy(update={"output_scale": 3.5})
    *stack, plain_kernel, _ = initial_weights(plain, SEEDS, 2, 3)
    *same, scaled_kernel, bias = initial_weights(scaled, SEEDS, 2, 3)
    np.testing.assert_allclose(scaled_kernel, 3.5 * plain_kernel, rtol=0, atol=2e-6)
    assert all(np.array_equal(a, b) for a, b in zip(stack, same, strict=True))
    assert not bias.any()


@settings(max_examples=30, deadline=None)
@given(
    rows=st.integers(1, 20),
    units=st.integers(1, 20),
    cell=st.sampled_from(get_args(Cell)),
    seed=st.integers(0, MAX_SEED),
)
def test_orthogonal_weights_are_orthogonal(rows, units, cell, seed):
    configuration = Configuration(cell=cell, units=units, kernel_initializer="orthogonal")
    for stacked in initial_weights(configuration, [seed], rows, 2)[:2]:
        tensor = stacked[0].astype(np.float64)
        if tensor.shape[0] > tensor.shape[1]:
            tensor = tensor.T
        np.testing.assert_allclose(tensor @ tensor.T, np.eye(len(tensor)), atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(
    seeds=st.lists(st.integers(0, MAX_SEED), min_size=1, max_size=40),
    units=st.integers(1, 24),
    cell=st.sampled_from(get_args(Cell)),
    kernel=st.sampled_from(INITIALIZERS),
)
def test_a_seed_has_the_same_weights_to_the_bit_in_any_company(seeds, units, cell, kernel):
    configuration = Configuration(cell=cell, units=units, kernel_initializer=kernel)
    together = initial_weights(configuration, seeds, 2, 3)
    for i, seed in enumerate(seeds):
        alone = initial_weights(configuration, [seed], 2, 3)
        for a, b in zip(together, alone, strict=True):
            assert a.dtype == np.float32
            assert np.array_equal(a[i], b[0])


@pytest.mark.parametrize("unit_forget_bias", [True, False])
@pytest.mark.parametrize("cell", get_args(Cell))
def test_weights_have_the_order_and_layout_of_a_keras_model(keras, cell, unit_forget_bias):
    configuration = Configuration(
        cell=cell, layers=2, units=5, unit_forget_bias=unit_forget_bias, output_initializer="zeros"
    )
    layer = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}[
        cell
    ]
    settings = {"unit_forget_bias": unit_forget_bias} if cell == "lstm" else {}
    model = keras.Sequential(
        [
            keras.Input((4, 3)),
            layer(5, return_sequences=True, **settings),
            layer(5, **settings),
            keras.layers.Dense(7, activation="softmax"),
        ]
    )
    ours = initial_weights(configuration, [1, 2, 3], 3, 7)
    theirs = model.get_weights()
    assert [w.shape[1:] for w in ours] == [w.shape for w in theirs]
    for i in (2, 5, 7):
        for replicate in ours[i]:
            assert np.array_equal(replicate, theirs[i]), "biases are Keras's"
    model.set_weights([w[1] for w in ours])
    assert model.count_params() == parameters(configuration, 3, 7)


def test_a_long_batch_is_drawn_in_pieces_without_a_seam():
    configuration = Configuration(units=30)
    seeds = list(range(40))
    backwards = initial_weights(configuration, seeds[::-1], 1, 2)
    for a, b in zip(initial_weights(configuration, seeds, 1, 2), backwards, strict=True):
        assert np.array_equal(a, b[::-1])
        if a.ndim == 3 and a.shape[1] > 1:
            assert len(np.unique(a, axis=0)) == len(seeds)


@pytest.mark.parametrize("seed", [-1, MAX_SEED + 1])
def test_a_seed_that_keras_cannot_take_is_refused(seed):
    with pytest.raises(ValueError, match=f"from 0 to {MAX_SEED}, got {seed}"):
        initial_weights(Configuration(units=2), [0, seed], 1, 2)
