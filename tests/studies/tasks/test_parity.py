"""Sparse parity."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from studies.errors import BadInput
from studies.tasks import make_task


@settings(max_examples=30, deadline=None)
@given(
    records=st.integers(2, 80),
    bits=st.integers(1, 12),
    relevant=st.integers(1, 12),
    seed=st.integers(0, 2**63 - 1),
)
def test_the_class_is_the_parity_of_the_first_bits(records, bits, relevant, seed):
    given = {"records": records, "bits": bits, "relevant": relevant, "seed": seed}
    if relevant > bits:
        with pytest.raises(BadInput, match=r"relevant \(\d+\) must not be above bits"):
            make_task("parity", given)
        return
    task = make_task("parity", given)
    assert set(np.unique(task.x)) <= {-1.0, 1.0}
    minus_ones = (task.x[:, :relevant, 0] < 0).sum(axis=1)
    assert np.array_equal(task.y, minus_ones % 2)
    assert task.class_counts == ((records + 1) // 2, records // 2)


def test_all_bits_are_even_and_no_fewer_bits_tell_the_class():
    task = make_task("parity", {"records": 8000, "bits": 6, "relevant": 3})
    bits = task.x[:, :, 0]
    sign = 1.0 - 2.0 * task.y
    for chosen in range(1, 2**6):
        product = bits[:, [bit for bit in range(6) if chosen >> bit & 1]].prod(axis=1)
        told = abs((product * sign).mean())
        assert told == 1.0 if chosen == 0b000111 else told < 0.06
