"""A run as a plain Keras script: data, model, optimizer, fit, and a plot of the curve.

Running the script trains the run again, from the same initial weights and with the same batches,
and prints its epochs to the target. It imports nothing of this package.
"""

import ast
import textwrap
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from studies.csv_task import CsvReading
from studies.run import Configuration, FinishedRun
from studies.study import BuiltinTask, CsvTask
from studies.tasks import Task, builtin_tasks, task_script
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

MOST_LINES = 79
"""A script whose layers written one by one would make it longer makes them in a loop."""


def keras_script(finished: FinishedRun, task: Task, data: str, *, title: str, picture: str) -> str:
    """The script that trains a run again, in less than 80 lines where the data take a few.

    `data` are the lines that make `x` and `y`, as `data_lines` gives them; `title` says in one
    line what the run is, and `picture` is the file into which the script draws the curve.
    """
    text = _script(finished, task, data, title, picture, _layer_by_layer)
    if len(text.splitlines()) <= MOST_LINES:
        return text
    looped = _script(finished, task, data, title, picture, _in_a_loop)
    return min(text, looped, key=lambda script: len(script.splitlines()))


def data_lines(asked: object, task: Task, reading: CsvReading | None = None) -> str | None:
    """Lines of Python that make a task's `x` and `y` with NumPy, or None where there are none.

    `asked` is the study file's [task], `reading` what was taken for what where that is a CSV.
    Lines are given only if running them here makes the very data of `task`.
    """
    candidates: list[str] = []
    if isinstance(asked, BuiltinTask):
        made = task_script(asked.name, asked.settings)
        comment = _comment(f"{asked.name}: {builtin_tasks()[asked.name].description}.")
        candidates = [f"{comment}\n{made}"] if made else []
    elif isinstance(asked, CsvTask) and reading is not None:
        candidates = [_csv_lines(reading, full=False), _csv_lines(reading, full=True)]
    return next((lines for lines in candidates if _makes(lines, task)), None)


def file_lines(name: str) -> str:
    """Lines that read `x` and `y` from an NPZ file."""
    return f'with np.load("{name}") as data:\n    x, y = data["x"], data["y"]\n'


def write_data(task: Task, path: Path) -> None:
    """Writes the file that `file_lines` reads."""
    np.savez_compressed(path, x=task.x, y=task.y)


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
        f"    {written(Call('model.add', (layer,)), 4, WIDTH - 4)}\n"
        f"{written(Call('model.add', (output,)))}"
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


def _csv_lines(reading: CsvReading, *, full: bool) -> str:
    """Lines that read a CSV: plainly, or `full` for quotes, other encodings, and text labels."""
    numeric = all(_is_whole(name) for name, _ in reading.classes)
    kwargs: dict[str, Any] = {} if numeric and not full else {"dtype": Name("str")}
    kwargs["delimiter"] = reading.delimiter
    if reading.header is not None:
        kwargs["skiprows"] = 1
    if full:
        kwargs |= {"comments": None, "quotechar": '"', "encoding": reading.encoding}
    call = Call("np.loadtxt", (reading.path,), kwargs)
    at = reading.label_number - 1
    label = f"table[:, {at}]"
    if full:
        label = f"np.char.strip({label})"
    if numeric and full:
        label = f"{label}.astype(float)"
    to_float = ".astype(float)" if not numeric or full else ""
    inputs = f'np.delete(table, {at}, axis=1){to_float}.astype("float32")'
    comment = _comment(
        f"{reading.records} records: column {reading.label_number} is the label, the others are "
        f"{reading.timesteps} steps of {reading.features} each."
    )
    return (
        f"{comment}\n"
        f"table = {written(call, 0, WIDTH - len('table = '))}\n"
        f"x = {inputs}\n"
        f"x = x.reshape(len(x), {reading.timesteps}, {reading.features})\n"
        f"classes, y = np.unique({label}, return_inverse=True)\n"
    )


def _comment(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="# ", subsequent_indent="# ")


def _is_whole(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True


def _makes(lines: str, task: Task) -> bool:
    """Whether these lines, which this module or a task wrote, make the task's data."""
    names: dict[str, object] = {"np": np}
    try:
        exec(lines, names)
        x, y = np.asarray(names["x"]), np.asarray(names["y"])
    except Exception:
        # A file that NumPy reads otherwise, or not at all, has no lines; its data still go along.
        return False
    return x.dtype == np.float32 and np.array_equal(x, task.x) and np.array_equal(y, task.y)
