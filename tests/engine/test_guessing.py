"""Guessing weights, held against networks worked out by hand and by NumPy."""

import numpy as np
import pytest

from studies.run import Configuration
from studies.tasks import Task, make_task
from sweep.engine import guessing
from sweep.engine.guessing import guess


def sign(records: int) -> Task:
    """One step of one number, whose sign is the class."""
    y = np.arange(records, dtype=np.int32) % 2
    x = (2.0 * y - 1.0) * np.linspace(1.0, 2.0, records)
    return Task("sign", x.astype(np.float32).reshape(records, 1, 1), y, ("-", "+"))


def by_hand(task: Task, guesses: int, limit: float, seed: int) -> int:
    """The same guesses with NumPy: a tanh unit and a softmax of two outputs."""
    random = np.random.default_rng(seed)
    random.permutation(task.records)
    draw = guessing.AT_ONCE
    solved = 0
    for made in range(0, guesses, draw):
        w, _, b = (random.uniform(-limit, limit, (draw, 1, 1)) for _ in range(3))
        v, c = (random.uniform(-limit, limit, (draw, 2, 1)) for _ in range(2))
        logits = v @ np.tanh(w * task.x[:, 0, 0] + b) + c
        right = (logits.argmax(axis=1) == task.y).all(axis=1)
        solved += int(right[: guesses - made].sum())
    return solved


@pytest.mark.parametrize("records", [2, 7, 32, 75])
def test_the_networks_that_solve_a_task_are_counted(records):
    task = sign(records)
    found = guess(task, Configuration(cell="rnn", units=1), guesses=1000, limit=3.0, seed=4)
    assert found == by_hand(task, 1000, 3.0, 4)
    assert 50 < found < 500


def test_the_same_seed_guesses_the_same_and_another_one_others():
    task = make_task("latch", {"records": 40, "timesteps": 5})
    configuration = Configuration(cell="rnn", units=2)
    counts = [guess(task, configuration, guesses=3000, limit=10.0, seed=seed) for seed in (1, 1, 2)]
    assert counts[0] == counts[1] != counts[2]
    assert min(counts) > 0


@pytest.mark.parametrize("name", ["adding", "embedded-reber", "two-sequence"])
def test_every_kind_of_target_can_be_guessed(name):
    """Whether it is solved is left open: these are hard."""
    task = make_task(
        name, {"records": 60, **({"shortest": 10} if name != "embedded-reber" else {})}
    )
    made: list[int] = []
    configuration = Configuration(cell="gru", units=2)
    solved = guess(task, configuration, guesses=700, limit=5.0, on_progress=made.append)
    assert made == [512, 700]
    assert 0 <= solved < 20
