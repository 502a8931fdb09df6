"""Which compiled program a run belongs to, and how much memory that takes.

Few shapes, so few compilations: widths are rounded up, and padded units stay exactly zero. A shape
follows from the run, its task and the memory allowed, never from the runs beside it, so that a
curve is the same to the bit whoever trains beside it.
"""

import math
from dataclasses import dataclass, replace

from studies.run import Configuration, gates
from studies.tasks import Size, Target, Task
from sweep.engine import hidden
from sweep.engine.cells import keeps_zero
from sweep.engine.optimizers import COEFFICIENTS, scales_first

MOST_SLOTS = 16
"""Slots of a small model's population. More would fill the processor's caches no better, and leave
more slots empty when a study has few runs of a shape in flight."""

MOST_SLOTS_ON_GPU = 1024
"""The same on a GPU, which needs as many models to be busy."""

NARROWEST = 16
"""Models are padded to this width, or the next power of two."""

KNOWLEDGE = "contrast"
"""The first of the series that are measured when an epoch is over; they need classes."""

VALIDATION = ("val_loss", "val_accuracy")
"""The series of the records that are not trained on, measured when an epoch is over."""

MEASURED_AT_ONCE = 1 << 20
"""Records, times steps and width, whose hidden progress is measured in one pass."""

NUMBER = 4
"""Bytes of a number."""


@dataclass(frozen=True)
class Shape:
    """What a compiled program is made for.

    `width` is the units of a layer, padding included; `target` is the task's, `masked` says whether
    its sequences differ in length, and `hidden_progress` whether that is recorded. `validation` are
    the records that are measured after each epoch. `scales_first` says which of the two update
    rules of `optimizers` its optimizers have.
    """

    cell: str
    layers: int
    width: int
    activation: str
    recurrent_activation: str
    batch: int
    records: int
    timesteps: int
    features: int
    outputs: int
    slots: int
    chunk: int
    target: Target = "class"
    masked: bool = False
    hidden_progress: bool = False
    validation: int = 0
    scales_first: bool = False

    @property
    def pads_with_ones(self) -> bool:
        """Whether units without weights put out something, and have to be silenced."""
        return not keeps_zero(self.activation)

    @property
    def updates_per_epoch(self) -> int:
        return math.ceil(self.records / self.batch)

    @property
    def series(self) -> tuple[str, ...]:
        """What is logged of every epoch: first what is summed over its batches."""
        names: tuple[str, ...] = ()
        if self.hidden_progress:
            names = hidden.series(self.layers, self.timesteps * self.features)
            if self.target != "class":
                names = names[: names.index(KNOWLEDGE)]
        return ("loss", "accuracy", *names, *(VALIDATION if self.validation else ()))

    def weights(self) -> list[tuple[int, ...]]:
        """Shapes of the weights of one slot: W, R, b for each layer, then the output's V and b."""
        rows = gates_of(self.cell) * self.width
        biases = 2 if self.cell == "gru" else 1
        shapes: list[tuple[int, ...]] = []
        for layer in range(self.layers):
            inputs = self.features if layer == 0 else self.width
            shapes += [(rows, inputs), (rows, self.width), (rows, biases)]
        return [*shapes, (self.outputs, self.width), (self.outputs, 1)]

    def bytes(self) -> int:
        """What a population takes, its task's data and the chunk's tables included."""
        return self.bytes_of_data() + self.slots * self.bytes_of_slot()

    def bytes_of_data(self) -> int:
        told = self.outputs * (self.timesteps if self.target == "sets" else 1)
        records = self.records + self.validation
        return NUMBER * records * (self.timesteps * self.features + told + 1)

    def bytes_of_slot(self) -> int:
        """What one slot takes: as XLA reports it, and somewhat more.

        Weights and accumulators go in and come out, beside fresh weights, gradients and what is
        between; of every step all that the backward pass needs is kept.
        """
        weights = sum(math.prod(shape) for shape in self.weights())
        kept = self.layers * (3 * gates_of(self.cell) + 5) * self.width
        if self.target == "sets":
            kept += 6 * self.outputs
        numbers = 12 * weights + self.timesteps * self.batch * (kept + 3 * self.features)
        if self.hidden_progress:
            rows = self.timesteps * self.measured_at_once()
            numbers += rows * ((2 * self.layers + 6) * self.width + self.features)
        return NUMBER * numbers + self.chunk * self.bytes_of_epoch()

    def bytes_of_epoch(self) -> int:
        """An epoch's order of records and coefficients, for one slot, copies included."""
        updates = self.updates_per_epoch
        return NUMBER * updates * (3 * self.batch + 2 * len(COEFFICIENTS))

    def measured_at_once(self) -> int:
        """Records whose hidden progress is measured in one pass, at most."""
        fitting = max(self.batch, MEASURED_AT_ONCE // (self.timesteps * self.width))
        return min(self.records, fitting)


def shape_of(
    configuration: Configuration,
    task: Task | Size,
    *,
    chunk: int,
    memory: int,
    hidden_progress: bool = False,
    most_slots: int = MOST_SLOTS,
) -> Shape:
    """The shape of a run's program, with as many slots, up to `most_slots`, as fit into `memory`.

    The size of a task that is not there yet will do for it. `chunk` is the number of epochs of a
    chunk; it is smaller where the tables of so many epochs would fill a quarter of the memory. What
    one slot takes for one epoch is the least.
    """
    size = task.size if isinstance(task, Task) else task
    recurrent = "" if configuration.cell == "rnn" else configuration.recurrent_activation
    one = Shape(
        cell=configuration.cell,
        layers=configuration.layers,
        width=max(NARROWEST, 1 << (configuration.units - 1).bit_length()),
        activation=configuration.activation,
        recurrent_activation=recurrent,
        batch=min(configuration.batch_size, size.records),
        records=size.records,
        timesteps=size.timesteps,
        features=size.features,
        outputs=size.outputs,
        slots=1,
        chunk=1,
        target=size.target,
        masked=size.masked,
        hidden_progress=hidden_progress,
        validation=size.validation,
        scales_first=scales_first(configuration),
    )
    room = max(memory - one.bytes_of_data(), memory // 4)
    epochs = room // 4 // (most_slots * one.bytes_of_epoch())
    one = replace(one, chunk=max(1, min(chunk, epochs)))
    fitting = max(1, room // one.bytes_of_slot())
    return replace(one, slots=min(most_slots, 1 << (fitting.bit_length() - 1)))


def gates_of(cell: str) -> int:
    return gates(cell)  # type: ignore[arg-type]
