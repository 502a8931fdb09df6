"""A configuration's identity names what distinguishes it, and a run's key follows from it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from studies.run import ALWAYS_NAMED, Configuration, Run

FINGERPRINT = "0" * 32


def key(**settings: Any) -> str:
    return Run(Configuration(units=15, **settings), seed=3, epochs=100).key(FINGERPRINT)


def test_an_identity_names_what_is_always_named_and_what_is_no_default():
    assert Configuration(units=15, layers=3, output_initializer="random_uniform").identity() == {
        "cell": "lstm",
        "layers": 3,
        "units": 15,
        "output_initializer": "random_uniform",
        "optimizer": "adam",
        "learning_rate": 0.001,
        "batch_size": 32,
    }


def test_the_key_of_the_question_s_own_run_stays_what_it_is():
    question = Configuration(layers=3, units=15, output_initializer="random_uniform")
    assert Run(question, seed=0, epochs=100).key(FINGERPRINT) == "39251c374db9e7a7a4733f79c28bc414"


@pytest.mark.parametrize(
    "unread",
    [
        {"momentum": 0.5},
        {"nesterov": True},
        {"optimizer": "sgd", "nesterov": True},
        {"optimizer": "sgd", "beta_1": 0.5},
        {"optimizer": "adamw", "bias_correction": "off"},
        {"bias_correction_update": 7},
        {"cell": "rnn", "unit_forget_bias": False},
        {"cell": "rnn", "recurrent_activation": "relu"},
    ],
)
def test_what_a_configuration_does_not_read_changes_no_key(unread):
    read = {name: unread[name] for name in ("cell", "optimizer") if name in unread}
    assert key(**unread) == key(**read)


@pytest.mark.parametrize(
    "read",
    [
        {"output_scale": 2.0},
        {"bias_correction": "off"},
        {"bias_correction": "flat", "bias_correction_update": 2},
        {"epsilon": 1e-8},
        {"unit_forget_bias": False},
        {"batch_size": 16},
    ],
)
def test_what_it_reads_does(read):
    assert key(**read) != key()


@given(
    optimizer=st.sampled_from(["adam", "sgd", "rmsprop"]),
    momentum=st.sampled_from([0.0, 0.5]),
    scale=st.sampled_from([1.0, 2.0]),
    cell=st.sampled_from(["lstm", "gru"]),
)
def test_a_configuration_made_from_an_identity_has_it_too(optimizer, momentum, scale, cell):
    configuration = Configuration(
        units=4, cell=cell, optimizer=optimizer, momentum=momentum, output_scale=scale
    )
    identity = configuration.identity()
    assert set(ALWAYS_NAMED) <= set(identity)
    assert Configuration(**identity).identity() == identity


@pytest.mark.parametrize(
    "wrong",
    [
        {"output_scale": 0.0},
        {"output_scale": float("nan")},
        {"bias_correction": "none"},
        {"bias_correction_update": 0},
    ],
)
def test_settings_out_of_their_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        Configuration(units=4, **wrong)
