"""Training many models at once, as stock Keras would train each alone.

`train` takes runs from an iterable and yields finished runs, in the order in which they finish. It
knows nothing of searches, databases or screens. The rooms, in the order in which a run passes them:

- `slots` decides which run trains in which population, and which of these has a thread;
- `population` seats runs in slots and trains them, a chunk of epochs at a time;
- `initializers` draws the weights that Keras would draw for the run's seed;
- `optimizers` turns a run's optimizer and learning rate into numbers, a row for each update;
- `program` is the chunk of epochs that trains all slots of a population, and `compiled` keeps it;
- `stack`, `cells` and `losses` are what it computes, forwards and backwards, along `sequences`;
- `hidden` is what it measures beside them, where hidden progress is recorded;
- `runtime` sets TensorFlow up: quiet, with a cache of compiled programs, a thread per core.
"""

from collections.abc import Callable, Iterable, Iterator

from studies.run import FinishedRun, Run
from studies.tasks import Task

CHUNK = 5
"""Epochs that a population trains between two looks at who is done. A run that ends inside a chunk
wastes what is left of it, so longer chunks cost more epochs, and shorter ones more dispatching."""

MEMORY = 256 * 1024**2
"""Bytes that the state and the activations of one population may take."""


def train(
    runs: Iterable[Run | None],
    task: Task,
    *,
    chunk: int = CHUNK,
    memory: int = MEMORY,
    threads: int | None = None,
    hidden_progress: bool = False,
    on_epochs: Callable[[int], None] = lambda epochs: None,
) -> Iterator[FinishedRun]:
    """Train runs on a task and yield each when it ends.

    `runs` is taken from as slots become free, in the caller's thread; an item None means that
    there is nothing to train just now: it is asked again after the next finished run was taken, or
    after a moment. `on_epochs` is called in other threads after every chunk with the epochs that it
    trained, summed over its runs: for the first time when a program has compiled and trains. It
    must not raise.
    Every finished run has the series loss and accuracy, as `keras.Model.fit` reports them: means
    over the epoch's records, each batch measured before its update; with `hidden_progress` also
    those of `sweep.engine.hidden`, which takes longer. A run's curve depends on the
    run and the task alone, to the bit: not on the runs beside it, their order, or `threads` (by
    default one per core). Raises RuntimeError when `runs` says None while nothing is in training.

    What goes wrong, here, in `runs`, or with whom the runs are for, who then throws it into this
    generator, stops the training and is raised after what is finished was yielded; a run may then
    come twice.
    """
    from sweep.engine.slots import Scheduler

    with Scheduler(
        task,
        chunk=chunk,
        memory=memory,
        threads=threads,
        hidden_progress=hidden_progress,
        on_epochs=on_epochs,
    ) as scheduler:
        yield from scheduler.train(iter(runs))


def prepare() -> None:
    """Import TensorFlow, which takes seconds: to be called in a thread while other work goes on."""
    from sweep.engine import runtime

    runtime.prepare()
