"""The interventions: one change each to a configuration, or to the data that it learns.

All of them are data. A change that leaves the baseline as it is, or that it cannot have (Adam's
step size without Adam, another scale of weights that are all zero), is left out, so the list
follows from the baseline.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from studies.errors import BadInput
from studies.inputs import column_names, fewer_records, scaled, standardised, without_steps
from studies.run import KERAS_2_0_3, Configuration, updates_per_epoch
from studies.task_tables import AnyTask, BuiltinTask
from studies.tasks import Task

LEARNING_RATES = (0.25, 0.5, 2.0, 4.0, 8.0, 16.0)
"""Multiples of the baseline's learning rate."""

HIDDEN_LEARNING_RATES = (0.25, 0.5, 2.0, 4.0)
"""Those under which the plateau is long enough for its hidden progress to be measured too."""

GRIDS: dict[str, tuple[str, dict[str, Any], tuple[float, ...]]] = {
    "adam": ("adam", {}, (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)),
    "sgd": ("sgd", {"momentum": 0.0}, (1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0)),
    "sgd+momentum": ("sgd", {"momentum": 0.9}, (3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0)),
    "rmsprop": ("rmsprop", {"momentum": 0.0}, (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)),
}
"""Other optimizers by name: the optimizer, its settings, and the learning rates among which its
best is sought. The grid's ends are far enough apart that the best is seldom one of them."""

LOWER = (4.0, 16.0)
"""By what an optimizer's best learning rate is divided, to see it at lower ones."""

SGD_LOWER = (1e-2, 1e-3)
"""Learning rates of plain sgd: Keras's default, and that of Adam's, which is lower."""

EARLIEST, LOWEST, LATE = 1, 12, 1000
"""Updates at which Adam's bias correction is looked at: the first; the one at which it is smallest
for Keras's betas; and one at which it is four fifths of its end."""

OUTPUT_SCALES = (0.1, 4.0, 20.0)
LAYERS = (1, 2, 3, 4)
UNITS = (0.5, 2.0, 4.0)
RECURRENT = ("orthogonal", "glorot_uniform", "random_uniform")
BATCHES = (8, 16, 32, 64)
RECORDS = (0.25, 0.5, 2.0, 4.0)
QUIETER = 0.1

TELLS = 1e-3
"""A column whose means differ between the classes with a p-value below this, divided by the number
of columns, tells the label by itself; the others are distractors."""

Change = Callable[[Task], Task]


@dataclass(frozen=True, eq=False)
class Intervention:
    """One change: `settings` replace the configuration's, `data` makes the task another.

    `group` is what is changed ("learning rate"), `name` the change ("learning rate × 4"), `setting`
    its value ("0.004"). `hidden` says that its hidden progress is measured.
    """

    group: str
    name: str
    setting: str
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    data: Change | None = None
    hidden: bool = False

    def configuration(self, baseline: Configuration) -> Configuration:
        return Configuration.model_validate({**baseline.model_dump(), **self.settings})


def first_interventions(c: Configuration, task: Task, source: AnyTask) -> list[Intervention]:
    """The interventions that follow from the baseline alone; `source` is how its task is made."""
    found = [
        Intervention(
            "learning rate",
            f"learning rate × {factor:g}",
            f"{c.learning_rate * factor:g}",
            {"learning_rate": c.learning_rate * factor},
            hidden=factor in HIDDEN_LEARNING_RATES,
        )
        for factor in LEARNING_RATES
    ]
    if c.optimizer != "sgd" or c.momentum:
        found += [_sgd_lower(rate) for rate in SGD_LOWER]
    if c.optimizer == "adam":
        found += _corrections([EARLIEST, LOWEST, LATE], frozen=[LOWEST], shifted=[LATE])
    found += _data(c, task, source)
    found += _model(c)
    found += [
        Intervention("batch size", f"batches of {size}", str(size), {"batch_size": size})
        for size in BATCHES
        if size < task.records
    ]
    found.append(
        Intervention(
            "batch size",
            f"one batch of all {task.records}",
            str(task.records),
            {"batch_size": task.records},
        )
    )
    if c.cell == "lstm":
        found.append(
            Intervention(
                "Keras 2.0.3",
                "as in Keras 2.0.3",
                "hard sigmoid 0.2 x + 0.5, epsilon 1e-8",
                KERAS_2_0_3,
            )
        )
    return [one for one in found if one.data is not None or _differs(one, c)]


def grids(c: Configuration) -> dict[str, list[Intervention]]:
    """For each other optimizer the learning rates among which its best one is sought."""
    return {
        name: [_optimizer(name, rate, "") for rate in rates]
        for name, (optimizer, settings, rates) in GRIDS.items()
        if optimizer != c.optimizer
        or (optimizer == "sgd" and bool(c.momentum) != bool(settings["momentum"]))
    }


def later_interventions(
    c: Configuration, task: Task, best: Mapping[str, float], plateau: float | None
) -> list[Intervention]:
    """Those that follow from what the first ones found.

    `best` is each optimizer's best learning rate by its name in `GRIDS`, `plateau` the baseline's
    median plateau in epochs, None where it has none.
    """
    found: list[Intervention] = []
    for name, rate in best.items():
        found.append(_optimizer(name, rate, "best"))
        found += [_optimizer(name, rate / by, f"best/{by:g}") for by in LOWER]
    if c.optimizer == "adam" and plateau:
        end = round(plateau * updates_per_epoch(c, task.records))
        half = max(2, end // 2)
        found += _corrections([end], frozen=[half], shifted=[end], end=end)
    return [one for one in found if _differs(one, c)]


def distractors(task: Task) -> tuple[list[int], list[int]]:
    """The columns that tell the label by themselves, and those that do not.

    By the F test of one-way analysis of variance, a column at a time, at `TELLS`. A label that no
    single column tells (a parity, say) leaves the first list empty.
    """
    from scipy.stats import f_oneway

    columns = task.x.reshape(task.records, -1).astype(np.float64)
    groups = [columns[task.y == k] for k in range(len(task.classes)) if (task.y == k).sum() > 1]
    within = sum(((group - group.mean(axis=0)) ** 2).sum(axis=0) for group in groups)
    constant = np.ptp(columns, axis=0) == 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        p = f_oneway(*groups).pvalue
    # Without any variance inside the classes, F is infinite: the column is the label itself.
    tells = ((p < TELLS / columns.shape[1]) | (within == 0.0)) & ~constant
    return np.flatnonzero(tells).tolist(), np.flatnonzero(~tells).tolist()


def _differs(one: Intervention, baseline: Configuration) -> bool:
    return one.configuration(baseline).identity() != baseline.identity()


def _optimizer(name: str, rate: float, which: str) -> Intervention:
    optimizer, settings, _ = GRIDS[name]
    return Intervention(
        "optimizer",
        f"{name} at {rate:g} ({which})" if which else f"{name} at {rate:g}",
        f"learning rate {rate:g}",
        {"optimizer": optimizer, "learning_rate": rate, **settings},
    )


def _sgd_lower(rate: float) -> Intervention:
    return Intervention(
        "sgd, lower rates",
        f"sgd at {rate:g}",
        f"learning rate {rate:g}",
        {"optimizer": "sgd", "learning_rate": rate, "momentum": 0.0},
    )


def _corrections(
    flat: Iterable[int], *, frozen: Iterable[int], shifted: Iterable[int], end: int | None = None
) -> list[Intervention]:
    """Adam's step size held or moved; `end` is the update at which the baseline's plateau ends."""

    def change(how: str, update: int, name: str) -> Intervention:
        settings = {"bias_correction": how, "bias_correction_update": update}
        return Intervention("step size over time", name, f"{how}, update {update}", settings)

    def when(update: int) -> str:
        return "plateau's end" if update == end else f"update {update}"

    found = [change("flat", n, f"flat step size: {when(n)}") for n in flat]
    found += [change("frozen", n, f"frozen step size: {when(n)}") for n in frozen]
    found += [change("shifted", n, f"step size {n} updates ahead") for n in shifted]
    if end is None:
        off = {"bias_correction": "off"}
        name = "flat step size: learning rate"
        found.append(Intervention("step size over time", name, "no bias correction", off))
    return found


def _model(c: Configuration) -> list[Intervention]:
    found: list[Intervention] = []
    if c.output_initializer != "zeros":
        found += [
            Intervention(
                "output layer's scale",
                f"output weights × {factor:g}",
                f"{c.output_initializer} × {c.output_scale * factor:g}",
                {"output_scale": c.output_scale * factor},
            )
            for factor in OUTPUT_SCALES
        ]
    found += [
        Intervention("layers", f"{n} layer{'s' * (n > 1)}", str(n), {"layers": n}) for n in LAYERS
    ]
    found += [
        Intervention("units", f"{units} units", str(units), {"units": units})
        for units in (max(1, round(c.units * factor)) for factor in UNITS)
    ]
    if c.cell == "lstm":
        found += [
            Intervention(
                "forget bias",
                f"forget gate's bias {int(one)}",
                str(int(one)),
                {"unit_forget_bias": one},
            )
            for one in (False, True)
        ]
    found += [
        Intervention(
            "recurrent initialiser",
            f"recurrent weights {name}",
            name,
            {"recurrent_initializer": name},
        )
        for name in RECURRENT
    ]
    return found


def _data(c: Configuration, task: Task, source: AnyTask) -> list[Intervention]:
    found: list[Intervention] = []
    telling, idle = distractors(task) if task.target == "class" else ([], [])
    if task.lengths is None:
        found.append(
            Intervention("inputs", "inputs standardised", "mean 0, sd 1", {}, standardised)
        )
    if task.lengths is None and telling and idle:
        names = column_names(task, idle)
        found.append(
            Intervention(
                "inputs",
                f"distractors × {QUIETER:g}",
                names,
                {},
                partial(scaled, columns=idle, factor=QUIETER),
            )
        )
        found.append(
            Intervention(
                "inputs",
                "distractors silent",
                f"{names} = 0",
                {},
                partial(scaled, columns=idle, factor=0.0),
            )
        )
        found.append(
            Intervention(
                "inputs",
                "distractors removed",
                f"without {names}",
                {},
                partial(without_steps, columns=idle),
            )
        )
    for factor in RECORDS:
        records = round(task.records * factor)
        found.append(
            Intervention(
                "records", f"{records} records", str(records), {}, _records(source, records)
            )
        )
    return [one for one in found if _possible(one, task)]


def _records(source: AnyTask, records: int) -> Change:
    """So many records: made by the task where it makes them, else drawn from those there are."""
    if isinstance(source, BuiltinTask) and "records" in type(source.settings).model_fields:
        settings = source.settings.model_copy(update={"records": records})
        made = source.model_copy(update={"settings": settings})
        return lambda task: made.load()
    return partial(fewer_records, records=records)


def _possible(one: Intervention, task: Task) -> bool:
    assert one.data is not None
    try:
        return one.data(task).fingerprint != task.fingerprint
    except (BadInput, ValueError):
        return False
