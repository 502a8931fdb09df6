"""Those who do the same work: sweep's engine, stock Keras, JAX and a bare matrix product.

A contender is a function from `Work` to a function that does more and more of it: called with a
size, it does that much and returns how much it did, in model-epochs, in models trained to the
target, or in floating point operations. What it needs before (imports, compiling, a first step) it
has done by then. Each runs in a process of its own, with the environment that its own users have.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from sweep.bench.work import Work

Measure = Callable[[int], float]


@dataclass(frozen=True)
class Contender:
    """Where a contender is: `module`.`function`(work) prepares it.

    `needs` is the library without which it cannot take part, `extra` the one of ours that has it.
    """

    module: str
    function: str
    needs: str
    extra: str = ""

    def missing(self) -> str | None:
        """Why this contender cannot take part here, or None."""
        if importlib.util.find_spec(self.needs) is not None:
            return None
        return f"{self.needs} is not installed: uv sync --extra {self.extra}"

    def prepare(self, work: Work) -> Measure:
        return getattr(import_module(f"{__name__}.{self.module}"), self.function)(work)


CONTENDERS = {
    "sweep": Contender("engine", "engine", "tensorflow"),
    "keras": Contender("keras_fit", "keras_fit", "keras"),
    "keras-loop": Contender("keras_loop", "keras_loop", "keras"),
    "jax": Contender("jax_vmap", "jax_vmap", "jax", "jax"),
    "peak": Contender("matrix_product", "matrix_product", "numpy"),
}
