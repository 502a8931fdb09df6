"""A bit to be kept in noise: the latch problem and the two-sequence problem.

Both were made to show that gradients fail over long time lags (Bengio, Simard and Frasconi 1994,
"Learning long-term dependencies with gradient descent is difficult"). Hochreiter and Schmidhuber
(1996, "Bridging long time lags by weight guessing and long short-term memory") found that random
weights solve both sooner than the methods that they were made for.
"""

import numpy as np
from pydantic import Field, model_validator

from studies.tasks import Builtin, Settings, Size, Task, recipe, step_columns


class Latch(Settings):
    """Settings of `latch`: how long the bit is kept, and the variance of the noise."""

    timesteps: int = Field(default=20, ge=1, le=10_000)
    variance: float = Field(default=0.2, ge=0.0, le=1e6)

    @model_validator(mode="after")
    def _possible(self) -> "Latch":
        self.check_size(self.timesteps)
        return self


class TwoSequence(Settings):
    """Settings of `two-sequence`.

    Sequences have `shortest` to a tenth more steps; the first `signal` of them say the class.
    """

    shortest: int = Field(default=50, ge=1, le=10_000)
    signal: int = Field(default=3, ge=1, le=10_000)
    variance: float = Field(default=0.2, gt=0.0, le=1e6)

    @model_validator(mode="after")
    def _possible(self) -> "TwoSequence":
        if self.signal > self.shortest:
            raise ValueError(f"signal ({self.signal}) must not be above shortest ({self.shortest})")
        self.check_size(self.longest)
        return self

    @property
    def longest(self) -> int:
        return self.shortest + self.shortest // 10


def latch(
    records: int, timesteps: int, variance: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The first value, 1 or -1, is the class; normal noise of mean 0 follows.

    Bengio et al. (1994) let training find the two first values. Here they are given, as in the
    second variant of Schmidhuber, Hochreiter and Bengio (2001, "Evaluating benchmark problems by
    random guessing"), where a single tanh unit with guessed weights needed 22 guesses.
    """
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.arange(records) % 2)
    x = rng.normal(0.0, variance**0.5, size=(records, timesteps))
    x[:, 0] = 2.0 * y - 1.0
    return x[:, :, None].astype("float32"), y.astype("int32")


def two_sequence(
    records: int, shortest: int, signal: int, variance: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first values, all 1 or all -1, are the class; normal noise of mean 0 follows.

    Task 3a of Hochreiter and Schmidhuber (1997, "Long short-term memory"): a length is drawn from
    `shortest` to a tenth more (theirs were 100 and 1000), `signal` values say the class (theirs
    were 1 and 3), the variance is 0.2. Without noise the values of Bengio et al. (1994).
    """
    rng = np.random.default_rng(seed)
    steps = np.arange(shortest + shortest // 10)
    y = rng.permutation(np.arange(records) % 2)
    lengths = rng.integers(shortest, len(steps) + 1, size=records)
    x = rng.normal(0.0, variance**0.5, size=(records, len(steps)))
    x[:, :signal] = 2.0 * y[:, None] - 1.0
    x[steps >= lengths[:, None]] = 0.0
    return x[:, :, None].astype("float32"), y.astype("int32"), lengths.astype("int32")


def make_latch(settings: Latch) -> Task:
    """`latch` as a task of two classes, in equal numbers.

    Solved, as everywhere, by the running accuracy on these records; Bengio et al. count outputs on
    the right side of 0, as we do, on fresh sequences.
    """
    x, y = latch(**settings.model_dump())
    return Task("latch", x, y, ("-1", "1"), step_columns(settings.timesteps))


def make_two_sequence(settings: TwoSequence) -> Task:
    """`two-sequence` as a task of two classes, in equal numbers, with sequences of unequal length.

    Hochreiter and Schmidhuber train until 256 sequences in a row are told with an error below 0.2,
    and test on 2,560 others. Solved is here, as everywhere, that the running accuracy on these
    records reaches the target, an output on the right side of one half being right.
    """
    x, y, lengths = two_sequence(**settings.model_dump())
    columns = step_columns(x.shape[1])
    return Task("two-sequence", x, y, ("-1", "1"), columns, lengths=lengths)


TASKS = (
    Builtin(
        "latch",
        "the class is the sign of the first value, which is 1 or -1; noise follows",
        Latch,
        make_latch,
        lambda settings: Size(settings.records, settings.timesteps, 1, 2),
        lambda settings: recipe(latch, "x, y", settings),
    ),
    Builtin(
        "two-sequence",
        "the class is the sign of the first values; noise of varying length follows",
        TwoSequence,
        make_two_sequence,
        lambda settings: Size(settings.records, settings.longest, 1, 2, masked=True),
        lambda settings: recipe(two_sequence, "x, y, lengths", settings),
    ),
)
