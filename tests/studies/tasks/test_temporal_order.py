"""Temporal order, as Hochreiter and Schmidhuber describe their tasks 6a and 6b."""

import numpy as np
import pytest

from studies.errors import BadInput
from studies.tasks import make_task

PLACES = {2: [(10, 20), (50, 60)], 3: [(10, 20), (33, 43), (66, 76)]}


@pytest.mark.parametrize("relevant", [2, 3])
def test_the_class_is_the_order_of_the_relevant_symbols(relevant):
    task = make_task("temporal-order", {"records": 800, "shortest": 100, "relevant": relevant})
    assert task.x.shape == (800, 110, 8)
    assert task.class_counts == (800 // 2**relevant,) * 2**relevant
    names = [column.split()[1] for column in task.columns[:8]]
    seen = [set() for _ in range(relevant)]
    for x, y, length in zip(task.x, task.y, task.lengths, strict=True):
        symbols = [names[code] for code in x[:length].argmax(axis=1)]
        assert (x[:length].sum(axis=1) == 1.0).all()
        assert not x[length:].any()
        assert symbols[0] == "B"
        assert symbols[-1] == "E"
        at = [step for step, symbol in enumerate(symbols) if symbol in "XY"]
        assert len(at) == relevant
        for place, (low, high), places in zip(at, PLACES[relevant], seen, strict=True):
            assert low <= place <= high
            places.add(place)
        assert "".join(symbols[step] for step in at) == task.classes[y]
        others = {symbol for step, symbol in enumerate(symbols[1:-1], 1) if step not in at}
        assert others <= set("abcd")
    assert set(np.unique(task.lengths)) == set(range(100, 111))
    assert [
        places == set(range(low, high + 1))
        for places, (low, high) in zip(seen, PLACES[relevant], strict=True)
    ] == [True] * relevant


def test_the_classes_are_named_by_their_symbols():
    assert make_task("temporal-order", {}).classes == ("XX", "XY", "YX", "YY")
    of_three = make_task("temporal-order", {"relevant": 3}).classes
    assert of_three == ("XXX", "XXY", "XYX", "XYY", "YXX", "YXY", "YYX", "YYY")


@pytest.mark.parametrize("shortest", [10, 11, 19, 99])
@pytest.mark.parametrize("relevant", [2, 3])
def test_in_short_sequences_too_the_symbols_keep_apart(shortest, relevant):
    task = make_task("temporal-order", {"shortest": shortest, "relevant": relevant})
    symbols = task.x.argmax(axis=2)
    assert ((symbols >= 6).sum(axis=1) == relevant).all()
    assert ((symbols == 5).sum(axis=1) == 1).all()


def test_fewer_records_than_classes_are_refused():
    with pytest.raises(BadInput, match=r"records \(7\) must be at least 8, one of each class"):
        make_task("temporal-order", {"records": 7, "relevant": 3})
