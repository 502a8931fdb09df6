"""What may be asked of a server, checked before anything is read, made or allocated.

Each refusal names the limit, what was asked, and the option of `serve` that changes it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from studies.errors import BadInput
from studies.problems import shown
from studies.space import Choice, Range
from studies.study import BuiltinTask, Study
from studies.task_tables import FILES
from studies.tasks import Size

MIB = 2**20

MAKING = 6
"""Times as much as the data take is taken while they are made, at most."""


@dataclass(frozen=True)
class Limits:
    """`upload` in bytes; `depth` of tables and lists in one another; `epochs` of a study in all,
    which are trials × replicates × epochs; `memory` in bytes, of a study's data and of its largest
    model in training."""

    upload: int = 20 * MIB
    depth: int = 20
    epochs: int = 10_000_000
    memory: int = 2048 * MIB


class TooLarge(BadInput):
    """More bytes than may be sent."""


def check_size(size: int, limits: Limits) -> None:
    """Raises TooLarge for a body of more bytes than may be uploaded."""
    if size > limits.upload:
        raise TooLarge(
            f"{size:,} bytes are more than may be sent: at most {limits.upload / MIB:g} MiB; "
            "whoever serves this can allow more: --max-upload"
        )


def check_json(raw: bytes, limits: Limits) -> None:
    """Raises BadInput for JSON that lies deeper than allowed, without parsing it."""
    depth, within, escaped = 0, False, False
    for sign in raw:
        if within:
            if escaped:
                escaped = False
            elif sign == 0x5C:
                escaped = True
            elif sign == 0x22:
                within = False
        elif sign == 0x22:
            within = True
        elif sign in b"[{":
            depth += 1
            if depth > limits.depth:
                raise _too_deep(limits)
        elif sign in b"]}":
            depth -= 1


def check_depth(document: object, limits: Limits) -> None:
    """Raises BadInput for tables and lists that lie too deep in one another."""
    level: list[object] = [document]
    for _ in range(limits.depth + 1):
        inner: list[object] = []
        for item in level:
            if isinstance(item, Mapping):
                inner.extend(cast(Mapping[Any, object], item).values())
            elif isinstance(item, list | tuple):
                inner.extend(cast(Sequence[object], item))
        if not inner:
            return
        level = inner
    raise _too_deep(limits)


def check_document(document: Mapping[str, Any], *, data: bool) -> None:
    """Refuses what a stranger's study must not name: code, and files of this machine.

    `data` says that a CSV comes with the study: its [task] may then name it. Asked before the
    document is read any further, since reading it looks at the files. Raises BadInput.
    """
    training, task = document.get("training"), document.get("task")
    refused: list[str] = []
    if isinstance(training, Mapping):
        refused += [f"training.{key}" for key in ("model", "code") if key in training]
    if isinstance(task, Mapping):
        refused += [f"task.{key}" for key in ("function", "code") if key in task]
        files = [key for key in FILES if key in task and not (key == "csv" and data)]
        if files:
            raise BadInput(
                f"task.{files[0]} = {shown(cast(Any, task)[files[0]])}: a study that is sent "
                "cannot name a file of the server; send the CSV with it"
            )
    if refused:
        raise BadInput(
            f"{refused[0]}: a study that is sent cannot bring code of its own; run it on your "
            "own machine: run --allow-code"
        )


def check_study(study: Study, limits: Limits) -> None:
    """Raises BadInput for a study that asks for more epochs, or more memory, than allowed.

    Nothing is made for that: a built-in task's settings say how large its data will be. How large
    those of a file are is seen by `check_memory` when it has been read.
    """
    trials, training = study.search.trials, study.training
    asked = trials * training.replicates * training.epochs
    if asked > limits.epochs:
        raise BadInput(
            f"{study.name}: {trials:,} trials × {training.replicates:,} replicates × "
            f"{training.epochs:,} epochs are {asked:,} epochs; at most {limits.epochs:,} may be "
            "asked for; whoever serves this can allow more: --max-epochs"
        )
    if isinstance(study.task, BuiltinTask):
        check_memory(study, study.task.size(), limits)


def check_memory(study: Study, size: Size, limits: Limits) -> None:
    """Raises BadInput where data of this size, and the largest model of the study, would take more
    memory than allowed."""
    from sweep.engine.shapes import shape_of

    largest = {key: _largest(study, key) for key in ("layers", "units", "batch_size")}
    cell = study.training.settings.get("cell", "lstm")
    params = {"cell": cell, "optimizer": "adam", **largest}
    model = study.model_copy(update={"space": {}}).configuration(params)
    shape = shape_of(model, size, chunk=1, memory=1, most_slots=1)
    needed = MAKING * shape.bytes_of_data() + shape.bytes_of_slot()
    if needed > limits.memory:
        raise BadInput(
            f"{study.name}: {size.records:,} records of {size.timesteps:,} × "
            f"{size.features:,} numbers and a model of {model.layers} layers of "
            f"{model.units:,} units, in batches of {shape.batch:,}, would take about "
            f"{needed / MIB:,.0f} MiB; at most {limits.memory / MIB:,.0f} MiB may be asked for; "
            "whoever serves this can allow more: --max-memory"
        )


def _largest(study: Study, key: str) -> int:
    dimension = study.space.get(key)
    if isinstance(dimension, Range):
        return int(dimension.high)
    if isinstance(dimension, Choice):
        return max(int(choice) for choice in dimension.choices)
    return int(study.training.settings[key])


def _too_deep(limits: Limits) -> BadInput:
    return BadInput(
        f"tables and lists lie more than {limits.depth} deep in one another; whoever serves this "
        "can allow more: --max-depth"
    )
