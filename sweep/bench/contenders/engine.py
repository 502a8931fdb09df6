"""sweep's engine, through its public face."""

from itertools import count

from studies.run import FinishedRun
from sweep.bench.contenders import Measure
from sweep.bench.work import BUDGET, Work
from sweep.engine import CHUNK, train

EPOCHS = 4 * CHUNK
"""About as many as a model needs that learns the task: seating it is part of the work."""

HEAVY = 1e9
"""Floating point operations of an epoch from which on fewer epochs are long enough to measure."""


def engine(work: Work) -> Measure:
    """Trains all models of the work at once.

    A size is the epochs that every model trains, in units of `EPOCHS`, or of `CHUNK` where an epoch
    is `HEAVY`; with `to_target`, how many
    times so many models are trained, from seeds that were not used before.
    """
    task = work.task()
    list(train(work.runs(CHUNK), task))
    times = count()
    least = EPOCHS if work.flops() < HEAVY else CHUNK

    def epochs(size: int) -> float:
        trained = sum(finished.epochs for finished in train(work.runs(size * least), task))
        assert trained == work.models * size * least, "a model stopped early"
        return float(trained)

    def models(size: int) -> float:
        return float(sum(len(to_target(work, next(times))) for _ in range(size)))

    return models if work.to_target else epochs


def to_target(work: Work, time: int = 0) -> list[FinishedRun]:
    """All models trained until they have learned the task; each `time` from other seeds."""
    return list(train(work.runs(BUDGET, first_seed=time * work.models), work.task()))
