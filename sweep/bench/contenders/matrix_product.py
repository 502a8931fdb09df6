"""The machine's peak: one large single-precision matrix product after another, on all cores."""

import os
import time
from collections.abc import Callable

import numpy as np

from sweep.bench.contenders import Measure
from sweep.bench.work import Work

SIZE = 3072
"""Rows and columns: large enough that the product is bound by arithmetic alone."""


def matrix_product(work: Work) -> Measure:
    """Multiplies with NumPy's BLAS or with TensorFlow, whichever is the faster here.

    A size is the number of products; what is returned are floating point operations.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    numbers = np.random.default_rng(0).random((SIZE, SIZE), np.float32)
    tensor = tf.constant(numbers)

    def by_numpy() -> None:
        np.matmul(numbers, numbers)

    def by_tensorflow() -> None:
        tf.matmul(tensor, tensor).numpy()

    best = min((by_numpy, by_tensorflow), key=_seconds)

    def measure(size: int) -> float:
        for _ in range(size):
            best()
        return 2.0 * SIZE**3 * size

    return measure


def _seconds(product: Callable[[], None]) -> float:
    product()
    times: list[float] = []
    for _ in range(3):
        started = time.perf_counter()
        product()
        times.append(time.perf_counter() - started)
    return min(times)
