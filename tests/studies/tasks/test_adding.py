"""The adding and the multiplication problem."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.tasks import TOLERANCE, make_task


@settings(max_examples=30, deadline=None)
@given(
    name=st.sampled_from(["adding", "multiplication"]),
    records=st.integers(2, 60),
    shortest=st.integers(6, 60),
    seed=st.integers(0, 2**63 - 1),
)
def test_the_target_follows_from_the_marked_numbers(name, records, shortest, seed):
    task = make_task(name, {"records": records, "shortest": shortest, "seed": seed})
    assert task.lengths is not None
    for x, y, length in zip(task.x, task.y, task.lengths, strict=True):
        numbers, markers = x[:length, 0], x[:length, 1]
        assert not x[length:].any()
        assert markers[0] == markers[-1] == -1.0
        assert set(markers[1:-1]) <= {0.0, 1.0}
        marked = numbers[markers == 1.0]
        # One of the two may be the first, which keeps its marker and has no influence.
        assert len(marked) in (1, 2)
        due = marked.prod() if name == "multiplication" else 0.5 + marked.sum() / 4.0
        assert y == pytest.approx([due], abs=1e-6)


@pytest.mark.parametrize(("name", "low"), [("adding", -1.0), ("multiplication", 0.0)])
def test_numbers_places_and_lengths_are_those_of_hochreiter_and_schmidhuber(name, low):
    task = make_task(name, {"records": 4000, "shortest": 100})
    assert task.x.shape == (4000, 110, 2)
    assert set(np.unique(task.lengths)) == set(range(100, 111))
    numbers = np.concatenate([x[:n, 0] for x, n in zip(task.x, task.lengths, strict=True)])
    assert low <= numbers.min() < low + 0.01
    assert 0.99 < numbers.max() <= 1.0
    assert numbers.mean() == pytest.approx((low + 1.0) / 2.0, abs=0.01)
    marked = task.x[:, :, 1] == 1.0
    places = np.flatnonzero(marked.any(axis=0))
    assert (places.min(), places.max()) == (1, 49)
    early = marked[:, 1:10].sum(axis=1)
    assert ((early >= 1) | (marked.sum(axis=1) == 1)).all()
    assert (task.y >= 0.0).all()
    assert (task.y <= 1.0).all()


def test_chance_is_the_variance_and_the_best_that_one_number_does():
    task = make_task("adding", {"records": 5000})
    accuracy, loss = task.chance
    # Of two numbers from -1 to 1, a quarter of the sum has variance 1/24; its density is 2 at most.
    assert loss == pytest.approx(1 / 24, rel=0.1)
    answers = np.linspace(0.0, 1.0, 2001)
    right = [(np.abs(task.y[:, 0] - answer) < TOLERANCE).mean() for answer in answers]
    assert max(right) <= accuracy <= max(right) + 0.002
