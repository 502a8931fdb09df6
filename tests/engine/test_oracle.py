"""The engine trains what stock Keras trains: from the same seed, the same curve.

Every case is trained twice: by the engine, together with all other cases on its task, and alone by
`keras.Model.fit`. The epoch's losses agree to 1e-4 of their value and the accuracies exactly, for
as long as the case says.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from studies.run import KERAS_2_0_3, MAX_SEED, Configuration, FinishedRun, Run
from studies.tasks import Task
from sweep.engine import train
from sweep.keras import train_in_keras

OUT_OF_REACH = 2.0
"""A target that no accuracy reaches: the run lasts for its whole budget."""


def first_value() -> Task:
    """200 records, which leave a last batch of 8 where batches are of 32."""
    random = np.random.default_rng(0)
    x = random.integers(0, 10, (200, 3, 1)).astype(np.float32)
    x[:, 0, 0] = random.permutation(np.arange(200) % 2)
    return Task("first value", x, x[:, 0, 0].astype(np.int32), ("0", "1"))


def quadrants() -> Task:
    """Four features a step and five classes: where the largest entry of the last step is."""
    random = np.random.default_rng(1)
    x = random.normal(size=(90, 3, 4)).astype(np.float32)
    y = np.where(x[:, 2].max(axis=1) < 0.5, 4, x[:, 2].argmax(axis=1)).astype(np.int32)
    return Task("quadrants", x, y, ("a", "b", "c", "d", "none"))


def long_sums() -> Task:
    """Twelve steps of two features and three classes: how the sum of all inputs lies."""
    random = np.random.default_rng(2)
    x = random.normal(size=(60, 12, 2)).astype(np.float32)
    y = np.digitize(x.sum(axis=(1, 2)), [-2.0, 2.0]).astype(np.int32)
    return Task("long sums", x, y, ("below", "between", "above"))


def few() -> Task:
    """41 records of one step, labelled by the sign of their only number."""
    y = np.arange(41, dtype=np.int32) % 2
    return Task("few", (2.0 * y - 1.0).astype(np.float32).reshape(41, 1, 1), y, ("0", "1"))


@dataclass(frozen=True)
class Case:
    name: str
    task: Callable[[], Task]
    run: Run


def case(
    name: str,
    task: Callable[[], Task] = first_value,
    *,
    epochs: int = 30,
    seed: int = 7,
    target: float = OUT_OF_REACH,
    **settings: Any,
) -> Case:
    return Case(name, task, Run(Configuration(**settings), seed, epochs, target))


THREE_BY_15: dict[str, Any] = {"layers": 3, "units": 15}

CASES = [
    # The question's own model, and narrower ones in the same program.
    case("adam", **THREE_BY_15, output_initializer="random_uniform"),
    case("rmsprop", **THREE_BY_15, optimizer="rmsprop", learning_rate=0.003),
    case("adam, width 5 padded", layers=3, units=5, learning_rate=0.005, seed=1),
    case("sgd, width 8 padded", layers=3, units=8, optimizer="sgd", learning_rate=0.5, epochs=8),
    # The other cells.
    case("gru", cell="gru", units=8, learning_rate=0.005),
    case("rnn", cell="rnn", units=8, learning_rate=0.005),
    # Every optimizer at a rate that takes it off the plateau.
    case("sgd", units=12, optimizer="sgd", learning_rate=0.5),
    case("sgd with momentum", units=12, optimizer="sgd", learning_rate=0.1, momentum=0.9),
    case(
        "sgd with Nesterov's momentum",
        units=12,
        optimizer="sgd",
        learning_rate=0.1,
        momentum=0.9,
        nesterov=True,
    ),
    case("rmsprop with momentum", cell="rnn", units=8, optimizer="rmsprop", momentum=0.8),
    case("adagrad", units=12, optimizer="adagrad", learning_rate=0.1),
    case("adamw", units=12, optimizer="adamw", learning_rate=0.01),
    case("nadam", units=12, optimizer="nadam", learning_rate=0.01),
    # Every setting of every optimizer away from its default.
    *(
        case(
            f"{optimizer}, other settings",
            epochs=6,
            seed=3,
            cell="rnn",
            units=5,
            optimizer=optimizer,
            learning_rate=0.02,
            momentum=0.5,
            rho=0.7,
            beta_1=0.8,
            beta_2=0.9,
            epsilon=0.01,
            initial_accumulator_value=0.3,
            weight_decay=0.5,
        )
        for optimizer in ("rmsprop", "adagrad", "adam", "adamw", "nadam")
    ),
    # Adam's step size over time, and the scale of the output layer.
    *(
        case(
            f"adam, bias correction {correction}",
            units=12,
            learning_rate=0.01,
            bias_correction=correction,
            bias_correction_update=20,
            output_initializer=initializer,
            output_scale=scale,
        )
        for correction, initializer, scale in [
            ("off", "random_uniform", 4.0),
            ("frozen", "glorot_uniform", 0.25),
            ("flat", "random_normal", 8.0),
            ("shifted", "orthogonal", 0.5),
        ]
    ),
    case("Keras 2.0.3", units=12, learning_rate=0.01, **KERAS_2_0_3),
    # Several features, five classes, other activations and initialisers.
    case(
        "lstm, five classes, Keras 2's hard sigmoid",
        quadrants,
        epochs=8,
        seed=MAX_SEED,
        units=9,
        batch_size=32,
        recurrent_activation="hard_sigmoid_keras2",
        kernel_initializer="he_uniform",
        unit_forget_bias=False,
        learning_rate=0.02,
    ),
    case(
        "gru, five classes, relu and hard sigmoid",
        quadrants,
        epochs=8,
        cell="gru",
        layers=2,
        units=9,
        batch_size=32,
        activation="relu",
        recurrent_activation="hard_sigmoid",
        recurrent_initializer="random_normal",
        learning_rate=0.02,
    ),
    case(
        "lstm, five classes, sigmoid outputs and linear gates",
        quadrants,
        epochs=8,
        units=6,
        batch_size=32,
        activation="sigmoid",
        recurrent_activation="linear",
        kernel_initializer="random_normal",
        recurrent_initializer="random_normal",
        learning_rate=0.02,
    ),
    # Sequences long enough to be a loop; a batch of all records, and one larger than the data.
    case(
        "lstm, twelve steps, one batch",
        long_sums,
        epochs=8,
        units=7,
        batch_size=60,
        kernel_initializer="orthogonal",
        learning_rate=0.02,
    ),
    case(
        "gru, twelve steps, a batch larger than the data",
        long_sums,
        epochs=8,
        cell="gru",
        units=7,
        batch_size=1000,
        kernel_initializer="lecun_uniform",
        learning_rate=0.02,
    ),
    case(
        "rnn, twelve steps, linear, a last batch of 4",
        long_sums,
        epochs=8,
        cell="rnn",
        layers=2,
        units=7,
        batch_size=8,
        activation="linear",
        kernel_initializer="orthogonal",
        output_initializer="zeros",
        optimizer="sgd",
        learning_rate=0.005,
    ),
    # Runs that end before their budget; 41 records are a number whose inverse rounds down.
    case(
        "solved with 41 records, in batches of more",
        few,
        cell="rnn",
        units=4,
        batch_size=1000,
        kernel_initializer="lecun_uniform",
        learning_rate=0.05,
        epochs=60,
        target=1.0,
    ),
    case("solved", layers=1, units=12, learning_rate=0.03, epochs=60, target=1.0),
    case("solved at nine tenths", layers=1, units=12, learning_rate=0.01, epochs=60, target=0.9),
    case(
        "diverged",
        long_sums,
        epochs=30,
        cell="rnn",
        layers=2,
        units=4,
        batch_size=8,
        activation="linear",
        optimizer="sgd",
        learning_rate=1000.0,
    ),
]


@pytest.fixture(scope="module")
def by_the_engine() -> dict[Run, FinishedRun]:
    tasks = {case.task: case.task() for case in CASES}
    return {
        finished.run: finished
        for make, task in tasks.items()
        for finished in train((case.run for case in CASES if case.task is make), task)
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_engine_s_curve_is_keras_s(by_the_engine, case):
    ours, theirs = by_the_engine[case.run], train_in_keras(case.run, case.task())
    assert ours.ended == theirs.ended
    assert ours.epochs == theirs.epochs
    np.testing.assert_allclose(ours.curve("loss"), theirs.curve("loss"), rtol=1e-4)
    # A model whose outputs are not numbers has no answers to count.
    answers = np.isfinite(theirs.curve("loss"))
    np.testing.assert_array_equal(
        ours.curve("accuracy")[answers], theirs.curve("accuracy")[answers]
    )
