"""A bit to be kept in noise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.errors import BadInput
from studies.tasks import make_task


def test_latch_begins_with_its_class_and_goes_on_with_noise_of_the_given_variance():
    task = make_task("latch", {"records": 2000, "timesteps": 30, "variance": 0.2})
    assert task.x.shape == (2000, 30, 1)
    assert np.array_equal(task.x[:, 0, 0], np.where(task.y == 1, 1.0, -1.0))
    noise = task.x[:, 1:, 0]
    assert abs(noise.mean()) < 0.01
    assert noise.var() == pytest.approx(0.2, rel=0.02)
    assert task.class_counts == (1000, 1000)
    assert task.lengths is None


def test_two_sequence_is_task_3a_of_hochreiter_and_schmidhuber():
    task = make_task("two-sequence", {"records": 3000, "shortest": 100, "signal": 3})
    assert task.x.shape == (3000, 110, 1)
    assert set(np.unique(task.lengths)) == set(range(100, 111))
    assert np.array_equal(task.x[:, :3, 0], np.where(task.y == 1, 1.0, -1.0)[:, None].repeat(3, 1))
    noise = np.concatenate([x[3:length, 0] for x, length in zip(task.x, task.lengths, strict=True)])
    assert abs(noise.mean()) < 0.01
    assert noise.var() == pytest.approx(0.2, rel=0.02)
    assert task.class_counts == (1500, 1500)


@settings(max_examples=30, deadline=None)
@given(
    records=st.integers(2, 60),
    shortest=st.integers(1, 40),
    signal=st.integers(1, 40),
    seed=st.integers(0, 2**63 - 1),
)
def test_two_sequence_pads_with_zeros_after_each_end(records, shortest, signal, seed):
    given = {"records": records, "shortest": shortest, "signal": signal, "seed": seed}
    if signal > shortest:
        with pytest.raises(BadInput, match=r"signal \(\d+\) must not be above shortest"):
            make_task("two-sequence", given)
        return
    task = make_task("two-sequence", given)
    assert task.lengths is not None
    assert ((task.lengths >= shortest) & (task.lengths <= task.timesteps)).all()
    within = np.arange(task.timesteps) < task.lengths[:, None]
    assert np.array_equal(task.x[:, :, 0] != 0.0, within)
