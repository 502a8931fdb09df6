"""The same model in JAX: `jax.vmap` over models, `lax.scan` over time, batches and epochs, `jit`.

Everything is as a person who knows JAX well would write it, and set as was fastest: the input
projection of a layer for all steps in one product, short sequences unrolled, the last batch of an
epoch in its own size instead of padded, and a thread for each core, each with `TOGETHER` models at
a time and XLA's own threads off.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from itertools import count
from typing import Any

import numpy as np

from sweep.bench.contenders import Measure
from sweep.bench.work import BUDGET, Work, record_order
from sweep.engine.initializers import initial_weights
from sweep.machine import cores

TOGETHER = 32
"""Models in one call at most: so many stay in a core's cache."""

CHUNK = 5
"""Epochs in a call."""

UNROLLED = 8
"""Sequences up to this length are unrolled: that is up to 1.3 times faster, and compiles longer."""

State = Any


def jax_vmap(work: Work) -> Measure:
    """Trains all models of the work at once.

    A size is the number of calls, of `CHUNK` epochs each; with `to_target`, how many times so many
    models are trained, from seeds that were not used before.
    """
    population = Populations(work)
    state = population.start(0)
    population.advance(state, 0, 1)
    if work.to_target:
        times = count()

        def models(size: int) -> float:
            return float(sum(len(population.epochs_to_target(next(times))) for _ in range(size)))

        return models

    def epochs(size: int) -> float:
        nonlocal state
        for k in range(size):
            state, _ = population.advance(state, 0, 1 + k * CHUNK)
        return float(work.models * CHUNK * size)

    return epochs


class Populations:
    """The models of a work in groups of equal size, and the compiled chunk of epochs of one."""

    def __init__(self, work: Work) -> None:
        flags = os.environ.get("XLA_FLAGS", "")
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()
        self._jax: Any = import_module("jax")
        self._work = work
        threads = min(cores(), work.models)
        groups = threads * -(-work.models // (threads * TOGETHER))
        self._groups = [list(part) for part in np.array_split(np.arange(work.models), groups)]
        self._pool = ThreadPoolExecutor(threads)
        self._chunk = _chunk(work)

    def start(self, time: int) -> list[State]:
        """The groups' models as they begin; each `time` from other seeds."""
        return [self._begin(self._seeds(group, time)) for group in self._groups]

    def advance(self, states: list[State], time: int, first: int) -> tuple[list[State], np.ndarray]:
        """Trains `CHUNK` epochs, from number `first` on: [models, epochs, (loss, accuracy)]."""

        def one(group: list[int], state: State) -> tuple[State, np.ndarray]:
            seeds = self._seeds(group, time)
            records = self._work.records
            orders = np.array(
                [[record_order(s, first + e, records) for e in range(CHUNK)] for s in seeds]
            )
            rates = np.full(len(seeds), self._work.learning_rate, np.float32)
            state, sums = self._chunk(state, orders, rates)
            return state, np.stack([np.asarray(part) for part in sums], axis=-1) / records

        done = list(self._pool.map(one, self._groups, states))
        return [state for state, _ in done], np.concatenate([curves for _, curves in done])

    def epochs_to_target(self, time: int = 0) -> list[int]:
        """Trains until every model has learned the task: the epochs that each took."""
        states = self.start(time)
        needed = np.full(self._work.models, BUDGET)
        for first in range(1, BUDGET + 1, CHUNK):
            states, curves = self.advance(states, time, first)
            solved = curves[:, :, 1] >= 1.0
            here = np.where(solved.any(axis=1), first + solved.argmax(axis=1), BUDGET)
            needed = np.minimum(needed, here)
            if np.all(needed < first + CHUNK):
                break
        return [int(epochs) for epochs in needed]

    def _seeds(self, group: list[int], time: int) -> list[int]:
        return [time * self._work.models + int(k) for k in group]

    def _begin(self, seeds: list[int]) -> State:
        numpy = self._jax.numpy
        work = self._work
        drawn = initial_weights(work.configuration(), seeds, work.features, outputs=2)
        weights = [numpy.asarray(tensor) for tensor in drawn]
        nothing = [numpy.zeros_like(tensor) for tensor in weights]
        return weights, nothing, nothing, numpy.zeros(len(seeds))


def _chunk(work: Work) -> Any:
    """chunk(states, orders [models, epochs, records], rates [models]) -> states, measured"""
    # Types of an optional library: it need not be there to check this file.
    jax: Any = import_module("jax")
    jnp, lax = jax.numpy, jax.lax
    task = work.task()
    all_x, all_y = jnp.asarray(task.x), jnp.asarray(task.y)
    batch = min(work.batch_size, work.records)
    full = work.records // batch
    unroll = work.timesteps if work.timesteps <= UNROLLED else 1

    def layer(weights: Any, inputs: Any) -> Any:
        kernel, recurrent, bias = weights
        projected = inputs @ kernel + bias

        def step(state: Any, from_input: Any) -> Any:
            h, c = state
            i, f, g, o = jnp.split(from_input + h @ recurrent, 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        nothing = jnp.zeros((inputs.shape[1], work.units))
        return lax.scan(step, (nothing, nothing), projected, unroll=unroll)[1]

    def loss(weights: Any, x: Any, y: Any) -> Any:
        outputs = jnp.swapaxes(x, 0, 1)
        for k in range(work.layers):
            outputs = layer(weights[3 * k : 3 * k + 3], outputs)
        logits = outputs[-1] @ weights[-2] + weights[-1]
        losses = -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], axis=1)
        return losses.mean(), (losses.sum(), (logits.argmax(axis=1) == y).sum())

    def adam(state: Any, x: Any, y: Any, rate: Any) -> Any:
        weights, m, v, step = state
        (_, measured), gradients = jax.value_and_grad(loss, has_aux=True)(weights, x, y)
        step = step + 1.0
        m = [0.9 * a + (1.0 - 0.9) * g for a, g in zip(m, gradients, strict=True)]
        v = [0.999 * a + (1.0 - 0.999) * g * g for a, g in zip(v, gradients, strict=True)]
        rate = rate * jnp.sqrt(1.0 - 0.999**step) / (1.0 - 0.9**step)
        weights = [
            w - rate * a / (jnp.sqrt(b) + 1e-7) for w, a, b in zip(weights, m, v, strict=True)
        ]
        return (weights, m, v, step), measured

    def epoch(state: Any, order: Any, rate: Any) -> Any:
        x, y = all_x[order], all_y[order]
        whole = full * batch
        batches = x[:whole].reshape(full, batch, *x.shape[1:]), y[:whole].reshape(full, batch)
        state, measured = lax.scan(lambda s, b: adam(s, b[0], b[1], rate), state, batches)
        losses, correct = (part.sum() for part in measured)
        if whole < work.records:
            state, (last_loss, last_right) = adam(state, x[whole:], y[whole:], rate)
            losses, correct = losses + last_loss, correct + last_right
        return state, (losses, correct)

    def chunk(state: Any, orders: Any, rate: Any) -> Any:
        return lax.scan(lambda s, order: epoch(s, order, rate), state, orders)

    return jax.jit(jax.vmap(chunk))
