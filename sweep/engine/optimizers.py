"""Optimizers as numbers: one update rule whose coefficients say which optimizer it is.

For a weight p with gradient g, two accumulators m and v, and a run's coefficients of one update:

    v ← v_keep · v + v_take · g²
    r = 1 / (floor + root · √(v + inside))
    m ← m_keep · m + m_take · g
    p ← p − decay · p − rate · (by_m · m + by_g · g) · r

or, where `scales_first` says so, with the gradient scaled before it is accumulated:

    m ← m_keep · m + m_take · g · r
    p ← p − decay · p − rate · (by_m · m + by_g · g)

One more column, `step_size`, says what an update multiplies its direction by: the learning rate,
and for adam and adamw, whose direction is m / (√v + ε), the learning rate times the bias
correction. No update reads it; it is recorded.

Every optimizer here is a function from a configuration to such coefficients, a row for each update,
so that runs with different optimizers train side by side in one program. The formulas and defaults
are those of Keras 3 (keras/src/optimizers), rounding included where it matters: Keras takes powers
of beta in single precision and 1 − beta in double, but for nadam, which takes that in single too.
"""

from collections.abc import Callable

import numpy as np

from studies.run import Configuration

COEFFICIENTS = (
    "rate",
    "by_m",
    "by_g",
    "floor",
    "root",
    "inside",
    "m_keep",
    "m_take",
    "v_keep",
    "v_take",
    "decay",
    "step_size",
)

Rows = dict[str, "np.ndarray | float"]


def coefficients(configuration: Configuration, first: int, updates: int) -> np.ndarray:
    """Coefficients of `updates` updates, the first being number `first` (counted from 1).

    Returns float32 [updates, len(COEFFICIENTS)], columns in that order.
    """
    steps = np.arange(first, first + updates, dtype=np.float64)
    rows = OPTIMIZERS[configuration.optimizer](configuration, steps)
    if configuration.optimizer in ("adam", "adamw"):
        rows["step_size"] = rows["rate"]
    else:
        rows["step_size"] = configuration.learning_rate
    table = np.zeros((updates, len(COEFFICIENTS)), np.float32)
    for column, name in enumerate(COEFFICIENTS):
        table[:, column] = rows.get(name, 0.0)
    return table


def scales_first(configuration: Configuration) -> bool:
    """Whether the optimizer scales a gradient before it accumulates it: RMSprop with momentum."""
    return configuration.optimizer == "rmsprop" and configuration.momentum > 0.0


def step_sizes(configuration: Configuration, updates: int) -> np.ndarray:
    """The optimizer's step size at updates 1 … `updates`: float32 [updates]."""
    return coefficients(configuration, 1, updates)[:, COEFFICIENTS.index("step_size")]


def initial_v(configuration: Configuration) -> float:
    """What the accumulator v starts from; m starts from zero."""
    return configuration.initial_accumulator_value if configuration.optimizer == "adagrad" else 0.0


def sgd(c: Configuration, steps: np.ndarray) -> Rows:
    """Stochastic gradient descent, with momentum and Nesterov's look-ahead if asked for."""
    if c.nesterov and c.momentum:
        step: Rows = {"by_m": c.momentum, "by_g": c.learning_rate}
    else:
        step = {"by_m": 1.0}
    return {**step, "rate": 1.0, "floor": 1.0, "m_keep": c.momentum, "m_take": c.learning_rate}


def rmsprop(c: Configuration, steps: np.ndarray) -> Rows:
    """RMSprop (Hinton 2012); epsilon stands inside the root, as in Keras."""
    rows: Rows = {"root": 1.0, "inside": c.epsilon, "v_keep": c.rho, "v_take": 1.0 - c.rho}
    if not c.momentum:
        return {**rows, "rate": c.learning_rate, "by_g": 1.0}
    return {
        **rows,
        "rate": 1.0,
        "by_m": 1.0,
        "m_keep": c.momentum,
        "m_take": c.learning_rate,
    }


def adagrad(c: Configuration, steps: np.ndarray) -> Rows:
    """Adagrad (Duchi, Hazan and Singer 2011)."""
    return {
        "rate": c.learning_rate,
        "by_g": 1.0,
        "root": 1.0,
        "inside": c.epsilon,
        "v_keep": 1.0,
        "v_take": 1.0,
    }


def adam(c: Configuration, steps: np.ndarray) -> Rows:
    """Adam (Kingma and Ba 2014) in the form of its section 2, epsilon outside the root.

    Other bias corrections than Adam's own are those of `Configuration`.
    """
    held = float(c.bias_correction_update)
    corrected = {
        "on": steps,
        "off": np.full_like(steps, np.inf),
        "frozen": np.minimum(steps, held),
        "flat": np.full_like(steps, held),
        "shifted": steps + held,
    }[c.bias_correction]
    return {
        "rate": _corrected_rate(c, corrected),
        "by_m": 1.0,
        "floor": c.epsilon,
        "root": 1.0,
        "m_keep": c.beta_1,
        "m_take": 1.0 - c.beta_1,
        "v_keep": c.beta_2,
        "v_take": 1.0 - c.beta_2,
    }


def adamw(c: Configuration, steps: np.ndarray) -> Rows:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2017) of every weight."""
    decay = c.weight_decay * c.learning_rate
    return {**adam(c, steps), "rate": _corrected_rate(c, steps), "decay": decay}


def nadam(c: Configuration, steps: np.ndarray) -> Rows:
    """Adam with Nesterov momentum (Dozat 2016), with Keras's momentum schedule."""
    one, count = np.float32(1.0), int(steps[-1]) + 1
    momenta = c.beta_1 * (1.0 - 0.5 * np.power(0.96, np.arange(1.0, count + 1.0)))
    products = np.cumprod(momenta)
    now = steps.astype(int) - 1
    return {
        "rate": c.learning_rate,
        "by_m": momenta[now + 1] / (1.0 - products[now + 1]),
        "by_g": (1.0 - momenta[now]) / (1.0 - products[now]),
        "floor": c.epsilon,
        "root": 1.0 / np.sqrt(one - _powers(c.beta_2, steps)),
        "m_keep": c.beta_1,
        "m_take": float(one - np.float32(c.beta_1)),
        "v_keep": c.beta_2,
        "v_take": float(one - np.float32(c.beta_2)),
    }


OPTIMIZERS: dict[str, Callable[[Configuration, np.ndarray], Rows]] = {
    "sgd": sgd,
    "rmsprop": rmsprop,
    "adagrad": adagrad,
    "adam": adam,
    "adamw": adamw,
    "nadam": nadam,
}


def _corrected_rate(c: Configuration, steps: np.ndarray) -> np.ndarray:
    """The learning rate times √(1 − beta_2ᵗ) / (1 − beta_1ᵗ) at each update t of `steps`."""
    one = np.float32(1.0)
    numerator = np.sqrt(one - _powers(c.beta_2, steps))
    return np.float32(c.learning_rate) * numerator / (one - _powers(c.beta_1, steps))


def _powers(base: float, steps: np.ndarray) -> np.ndarray:
    return np.power(np.float32(base), steps.astype(np.float32))
