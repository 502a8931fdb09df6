"""Data in batches, as Keras's `fit` takes them: a `tf.data.Dataset` or a `keras.utils.PyDataset`.

Neither TensorFlow nor Keras is imported here: who has such a data set has done that.
"""

from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from studies.errors import BadInput
from studies.tasks import MOST_VALUES


def is_batched(value: object) -> bool:
    """Whether this is a data set of TensorFlow's or Keras's."""
    return _is_tensorflows(value) or _is_keras(value)


def gathered(name: str, data: Any) -> tuple[np.ndarray, np.ndarray]:
    """All records of such a data set, in its order: inputs and targets, a record a row.

    `name` begins the messages. Raises BadInput for a data set without end, for one whose elements
    are not pairs of arrays, and for one of single records.
    """
    inputs: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    numbers = 0
    for batch in _batches(name, data):
        if not isinstance(batch, tuple) or len(cast(tuple[Any, ...], batch)) != 2:
            raise BadInput(f"{name}: the data set's elements have to be pairs of inputs and labels")
        x, y = (_array(name, part) for part in cast(tuple[Any, Any], batch))
        if x.ndim < 2 or y.ndim < 1:
            raise BadInput(
                f"{name}: the data set's elements are single records; batch it, as for fit: "
                ".batch(32)"
            )
        if len(x) != len(y):
            raise BadInput(f"{name}: a batch of the data set has {len(x)} inputs, {len(y)} labels")
        if inputs and (x.shape[1:] != inputs[0].shape[1:] or y.shape[1:] != targets[0].shape[1:]):
            raise BadInput(
                f"{name}: the records of the data set differ in shape: {inputs[0].shape[1:]} and "
                f"{x.shape[1:]}, the labels {targets[0].shape[1:]} and {y.shape[1:]}"
            )
        numbers += x.size
        if numbers > MOST_VALUES:
            raise BadInput(
                f"{name}: the data set has more than {MOST_VALUES:,} numbers, or no end; "
                "take(n) takes n batches of it"
            )
        inputs.append(x)
        targets.append(y)
    if not inputs:
        raise BadInput(f"{name}: the data set is empty")
    return np.concatenate(inputs), np.concatenate(targets)


def _is_tensorflows(value: object) -> bool:
    return hasattr(value, "as_numpy_iterator") and hasattr(value, "element_spec")


def _is_keras(value: object) -> bool:
    return any(base.__name__ == "PyDataset" for base in type(value).__mro__)


def _batches(name: str, data: Any) -> Iterator[object]:
    if not _is_tensorflows(data):
        yield from (data[place] for place in range(len(data)))
        return
    # TensorFlow's number for a data set that repeats for ever.
    if int(data.cardinality()) == -1:
        raise BadInput(f"{name}: the data set repeats for ever; leave out .repeat()")
    yield from data.as_numpy_iterator()


def _array(name: str, part: Any) -> np.ndarray:
    if isinstance(part, dict | list | tuple):
        raise BadInput(
            f"{name}: the data set has several inputs or outputs; a task has one array of each (a "
            "model's function can make several inputs of it)"
        )
    return np.asarray(part)
