"""What pads a model never counts, and memory is bounded by what is allowed."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.run import Configuration, Run
from studies.tasks import Task
from sweep.engine import shapes, train
from sweep.engine.population import Population
from sweep.engine.program import data_of
from sweep.engine.shapes import shape_of

MEMORY = 2**28

CONFIGURATIONS = st.fixed_dictionaries(
    {
        "optimizer": st.sampled_from(["adam", "adamw", "rmsprop", "adagrad", "sgd", "nadam"]),
        "units": st.integers(1, 16),
        "learning_rate": st.floats(1e-4, 0.3),
        "momentum": st.sampled_from([0.0, 0.5, 0.99]),
        "nesterov": st.booleans(),
        "weight_decay": st.floats(0.0, 1.0),
        "epsilon": st.floats(1e-8, 1.0),
        "initial_accumulator_value": st.floats(0.0, 1.0),
        "kernel_initializer": st.sampled_from(["glorot_uniform", "random_normal", "zeros"]),
    }
)


def with_momentum(given: dict[str, Any]) -> bool:
    """Whether it is RMSprop with momentum, which has a program of its own."""
    return given["optimizer"] == "rmsprop" and given["momentum"] > 0.0


def data(records: int, timesteps: int = 3, features: int = 1) -> Task:
    """Records whose inputs and classes are all alike: only their number and shape count here."""
    x = np.broadcast_to(np.float32(1.0), (records, timesteps, features))
    return Task("alike", x, np.zeros(records, np.int32), ("0", "1"))


def shape(task: Task, memory: int = MEMORY, **rest: Any) -> shapes.Shape:
    hidden = rest.pop("hidden_progress", False)
    given_settings = {"units": 16, **rest}
    return shape_of(
        Configuration.model_validate(given_settings),
        task,
        chunk=5,
        memory=memory,
        hidden_progress=hidden,
    )


PADDED = [("lstm", "sigmoid"), ("gru", "hard_sigmoid"), ("rnn", "hard_sigmoid_keras2")]
"""Cells and activations that put out something where there is nothing.

They are trained in two layers, of which the upper one reads what the lower one puts out there.
"""


@pytest.mark.parametrize(
    ("cell", "activation", "rmsprop"),
    [("lstm", "tanh", False), *((*one, False) for one in PADDED), (*PADDED[-1], True)],
)
@settings(max_examples=5)
@given(drawn=st.data())
def test_units_that_pad_a_model_stay_exactly_zero(
    task: Task, cell: str, activation: str, rmsprop: bool, drawn: st.DataObject
) -> None:
    always = {"optimizer": "rmsprop", "momentum": 0.5} if rmsprop else {}
    one = CONFIGURATIONS.map(lambda given: {**given, **always})
    alike = one.filter(lambda given: with_momentum(given) == rmsprop)
    varied = drawn.draw(st.lists(alike, min_size=1, max_size=16))
    runs = [
        Run(
            Configuration.model_validate(
                {"cell": cell, "activation": activation, "layers": 2, **one}
            ),
            seed,
            100,
            2.0,
        )
        for seed, one in enumerate(varied)
    ]
    padded = shape_of(runs[0].configuration, task, chunk=5, memory=MEMORY)
    assert padded.width == 16
    population = Population(padded, task, data_of(task))
    population.advance(runs)
    population.advance([])
    weights, m, _ = population._state
    for slot, run in enumerate(runs):
        units = run.configuration.units
        for tensors in (weights, m):
            *layers, output, _ = (tensor.numpy()[slot] for tensor in tensors)
            for index, tensor in enumerate(layers):
                gates = tensor.reshape(-1, 16, tensor.shape[1])
                assert not gates[:, units:].any()
                if tensor.shape[1] == 16:
                    assert not gates[:, :, units:].any(), f"tensor {index} reads what pads"
            assert not output[:, units:].any()


@pytest.mark.parametrize(("cell", "activation"), PADDED)
def test_a_padded_model_trains_as_the_narrow_one_does(
    task: Task,
    a_run: Callable[..., Run],
    monkeypatch: pytest.MonkeyPatch,
    cell: str,
    activation: str,
) -> None:
    run = a_run(cell=cell, activation=activation, layers=2, units=4, epochs=10, target=2.0)
    (padded,) = train([run], task)
    monkeypatch.setattr(shapes, "NARROWEST", 1)
    assert shape_of(run.configuration, task, chunk=5, memory=MEMORY).width == 4
    (narrow,) = train([run], task)
    np.testing.assert_allclose(padded.curve("loss"), narrow.curve("loss"), rtol=3e-6)
    np.testing.assert_array_equal(padded.curve("accuracy"), narrow.curve("accuracy"))


def test_small_models_share_a_program_of_all_slots_and_the_whole_chunk() -> None:
    ours = shape(data(200), units=4)
    assert ours == shape(data(200), units=16)
    assert (ours.slots, ours.chunk) == (shapes.MOST_SLOTS, 5)


@settings(max_examples=200)
@given(
    records=st.integers(1, 3_000_000),
    timesteps=st.integers(1, 200),
    features=st.integers(1, 64),
    units=st.integers(1, 4096),
    layers=st.integers(1, 8),
    batch_size=st.integers(1, 4096),
    memory=st.integers(2**20, 2**33),
    hidden=st.booleans(),
)
def test_a_population_takes_no_more_than_is_allowed_or_is_the_least_there_is(
    records: int,
    timesteps: int,
    features: int,
    units: int,
    layers: int,
    batch_size: int,
    memory: int,
    hidden: bool,
) -> None:
    task = data(records, timesteps, features)
    settings = {"units": units, "layers": layers, "batch_size": batch_size}
    ours = shape(task, memory, hidden_progress=hidden, **settings)
    room = max(memory, ours.bytes_of_data() + memory // 4)
    assert ours.bytes() <= room or ours.slots == 1
    assert ours.chunk == 1 or ours.chunk * ours.bytes_of_epoch() <= room // 4 // shapes.MOST_SLOTS
    assert 1 <= ours.chunk <= 5
    assert ours.slots in (1, 2, 4, 8, 16)


def test_many_records_make_a_chunk_shorter_and_then_the_slots_fewer() -> None:
    few, many, very_many = (shape(data(n)) for n in (10_000, 300_000, 3_000_000))
    assert (few.chunk, few.slots) == (5, 16)
    assert many.chunk < 5
    assert very_many.chunk == 1
    assert very_many.slots < 16


REPORT = """
import re, shutil, sys
from pathlib import Path
import numpy as np
from studies.run import Configuration
from studies.tasks import Task
from sweep.engine.program import program
from sweep.engine.runtime import prepare
from sweep.engine.shapes import shape_of

tf, dump = prepare(), Path(sys.argv[1])
for steps, features, settings in [
    (3, 1, dict(cell="lstm", batch_size=50)),
    (12, 4, dict(cell="rnn", units=32, batch_size=1)),
    (3, 1, dict(cell="rnn", layers=2, hidden_progress=True)),
]:
    shutil.rmtree(dump, ignore_errors=True)
    task = Task("alike", np.ones((150, steps, features), np.float32), np.zeros(150, np.int32), "01")
    hidden = settings.pop("hidden_progress", False)
    shape = shape_of(
        Configuration(units=settings.pop("units", 16), **settings),
        task, chunk=5, memory=2**28, hidden_progress=hidden,
    )
    chunk = program(shape)
    chunk(*tf.nest.map_structure(lambda s: tf.zeros(s.shape, s.dtype), chunk.input_signature))
    reports = [file.read_text() for file in dump.glob("*memory-usage-report.txt")]
    print(max(int(re.search("bytes used: ([0-9]+)", r)[1]) for r in reports), shape.bytes())
"""


def test_what_a_population_is_said_to_take_covers_what_xla_reports(tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    done = subprocess.run(
        [sys.executable, "-c", REPORT, str(dump)],
        env={
            # What is in this process's cache would not be compiled, and not be reported.
            **{key: value for key, value in os.environ.items() if key != "TF_XLA_FLAGS"},
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "XLA_FLAGS": f"--xla_dump_to={dump} --xla_dump_hlo_pass_re=NONE",
            "SWEEP_CACHE": str(tmp_path / "cache"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 3, done.stderr
    for line in lines:
        reported, said = map(int, line.split())
        assert reported <= said <= 8 * reported
