"""A run as a plain Keras script: data, model, optimizer, fit, and a plot of the curve.

Running the script trains the run again, from the same initial weights and with the same batches,
and prints its epochs to the target. It imports nothing of this package.
"""

import ast
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from studies.run import Configuration, FinishedRun
from studies.tasks import Task
from sweep.keras.calls import (
    ADDITIONS,
    LOSSES,
    METRICS,
    WIDTH,
    Call,
    Name,
    first_layers,
    optimizer,
    output_layer,
    recurrent_layer,
    written,
)
from sweep.keras.script_data import data_lines, file_lines, write_data

__all__ = ["data_lines", "file_lines", "keras_script", "write_data"]

MOST_LINES = 79
"""A script whose layers written one by one would make it longer makes them in a loop."""


def keras_script(finished: FinishedRun, task: Task, data: str, *, title: str, picture: str) -> str:
    """The script that trains a run again, in less than 80 lines where the data take a few.

    `data` are the lines that make the data, as `data_lines` gives them; `title` says in one
    line what the run is, and `picture` is the file into which the script draws the curve.
    """
    text = _script(finished, task, data, title, picture, _layer_by_layer)
    if len(text.splitlines()) <= MOST_LINES:
        return text
    looped = _script(finished, task, data, title, picture, _in_a_loop)
    return min(text, looped, key=lambda script: len(script.splitlines()))


def _script(
    finished: FinishedRun,
    task: Task,
    data: str,
    title: str,
    picture: str,
    model: Callable[[Configuration, Task], str],
) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    run, configuration = finished.run, finished.run.configuration
    metric = METRICS[task.target]
    parts = [*_layers(configuration, task), metric, optimizer(configuration)]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
    )
    target = _target(run.target)
    return environment.get_template("script.j2").render(
        title=title,
        outcome=_outcome(finished, target),
        seed=run.seed,
        epochs=run.epochs,
        batch_size=configuration.batch_size,
        data=data.strip(),
        pandas="pd." in data,
        validated=task.validation is not None,
        additions=[_source(name) for name in _additions_in(parts)],
        model=model(configuration, task),
        optimizer=written(parts[-1], 4, WIDTH - len("    optimizer=,")),
        loss=written(LOSSES[task.target]),
        metrics=f"[{written(metric)}]",
        # Accuracies are single precision: 0.9 is reached by the number that Keras has for it.
        reached="accuracy[-1] >= 1.0"
        if run.target == 1.0
        else f"np.float32(accuracy[-1]) >= np.float32({run.target!r})",
        target=target,
        picture=picture,
    )


def _layer_by_layer(configuration: Configuration, task: Task) -> str:
    layers = [*_first(task), *_layers(configuration, task)]
    lines = "".join(f"    {written(layer, 4, WIDTH - 5)},\n" for layer in layers)
    return f"model = keras.Sequential([\n{lines}])"


def _in_a_loop(configuration: Configuration, task: Task) -> str:
    more: Any = Name(f"layer < {configuration.layers - 1}")
    more = True if task.target == "sets" else more
    layer = recurrent_layer(configuration, Name("seed"), Name("seed + 1"), more)
    output = _layers(configuration, task)[-1]
    return (
        f"model = keras.Sequential([{', '.join(written(first) for first in _first(task))}])\n"
        f"for layer in range({configuration.layers}):\n"
        "    seed = 1000 * SEED + 2 * layer\n"
        f"    model.add({written(layer, 4, WIDTH - len('    model.add()'))})\n"
        f"model.add({written(output, 0, WIDTH - len('model.add()'))})"
    )


def _first(task: Task) -> list[Call]:
    return first_layers(task.timesteps, task.features, masked=task.lengths is not None)


def _layers(configuration: Configuration, task: Task) -> list[Call]:
    """The stack and the output layer."""
    count, everywhere = configuration.layers, task.target == "sets"
    stack = [
        recurrent_layer(
            configuration, _seed(2 * layer), _seed(2 * layer + 1), layer < count - 1 or everywhere
        )
        for layer in range(count)
    ]
    outputs = len(task.classes)
    return [*stack, output_layer(configuration, outputs, _seed(2 * count), task.target)]


def _seed(k: int) -> Name:
    return Name(f"1000 * SEED + {k}" if k else "1000 * SEED")


def _additions_in(values: Sequence[object]) -> list[str]:
    """The additions that calls use, each once."""

    def names(value: object) -> Iterator[str]:
        if isinstance(value, Name):
            yield value.text
        elif isinstance(value, Call):
            yield value.name
            for part in [*value.args, *value.kwargs.values()]:
                yield from names(part)

    used = {name for value in values for name in names(value)}
    return [name for name in ADDITIONS if name in used]


def _source(name: str) -> str:
    """The text of an addition, read from its file: importing that would start TensorFlow."""
    found = find_spec("sweep.keras.additions")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("sweep.keras.additions")
    text = Path(found.origin).read_text(encoding="utf-8")
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
            return ast.get_source_segment(text, node) or ""
    raise KeyError(name)


def _target(target: float) -> str:
    return "100 %" if target == 1.0 else f"accuracy {target:g}"


def _outcome(finished: FinishedRun, target: str) -> str:
    budget = finished.run.epochs
    return {
        "solved": f"Measured: {target} of the training records in epoch {finished.epochs}.",
        "censored": f"Measured: not {target} within {budget} epochs.",
        "diverged": f"Measured: the loss was not finite in epoch {finished.epochs}.",
    }[finished.ended]
