"""Where the time of one compiled program goes, operation by operation.

    main(), called with DIRECTORY

It trains the question's model in one population, in a process for this alone, lets XLA write the
program as it is compiled into DIRECTORY, and TensorFlow's profiler how long each operation took. It
prints one line of JSON: microseconds an update, for each kind of operation and for dispatching.
"""

import json
import os
import re
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KINDS = ("products", "elementwise", "optimizer", "copies", "gather", "dispatch")
"""What an update's time is spent on: matrix products; activations, their slopes and the loss; the
optimizer, with the sums of gradients over steps; copies and transposes; taking the batch's records
from the task; and all that is not inside an operation."""

MOVING = frozenset(
    [
        "bitcast",
        "broadcast",
        "concatenate",
        "constant",
        "copy",
        "dynamic-slice",
        "dynamic-update-slice",
        "get-tuple-element",
        "iota",
        "pad",
        "parameter",
        "reshape",
        "reverse",
        "slice",
        "transpose",
        "tuple",
    ]
)
"""Operations that move numbers and compute none."""

CALLED = re.compile(r"(?:calls|to_apply)=%?([\w.\-]+)")
INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%?([\w.\-]+) = (\S+?)(?:\{[\d,]*\})? ([\w\-]+)\((.*)$")
COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*\{\s*$")


@dataclass(frozen=True)
class Instruction:
    """A line of a compiled program: what it computes from what, and the computation it calls."""

    name: str
    shape: str
    operation: str
    called: str | None


def instructions(text: str) -> dict[str, list[Instruction]]:
    """The computations of a program in XLA's text form, by name."""
    computations: dict[str, list[Instruction]] = {}
    current: list[Instruction] = []
    for line in text.splitlines():
        head = COMPUTATION.match(line)
        if head:
            current = computations.setdefault(head.group(1), [])
            continue
        found = INSTRUCTION.match(line)
        if found:
            name, shape, operation, rest = found.groups()
            called = CALLED.search(rest)
            current.append(Instruction(name, shape, operation, called.group(1) if called else None))
    return computations


def kinds(text: str, weights: Sequence[tuple[int, ...]]) -> dict[str, str]:
    """The kind of every operation of a program, by the name under which it is timed.

    `weights` are the shapes of one population's weights, without slots. What computes numbers in
    such a shape, or in a row of all of them, belongs to the optimizer.
    """
    computations = instructions(text)
    numbers = {_size(shape) for shape in weights}
    numbers.add(sum(numbers_of for numbers_of in map(_size, weights)))
    result: dict[str, str] = {}
    for body in computations.values():
        for one in body:
            inside = {i.operation for i in computations.get(one.called or "", ())} or {
                one.operation
            }
            result[one.name] = _kind(one, inside, numbers)
    return result


def _kind(one: Instruction, inside: set[str], numbers: set[int]) -> str:
    if one.name.startswith("ynn") or inside & {"dot", "convolution"}:
        return "products" if inside & {"dot", "convolution"} else "elementwise"
    if "gather" in inside:
        return "gather"
    if inside <= MOVING:
        return "copies"
    shape = [int(n) for n in re.findall(r"\d+", one.shape.partition("[")[2].partition("]")[0])]
    if len(shape) > 1 and _size(tuple(shape[1:])) in numbers:
        return "optimizer"
    return "elementwise"


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for number in shape:
        size *= number
    return size


def summed(
    timed: Mapping[str, Sequence[float]], kind: Mapping[str, str], updates: int
) -> dict[str, float]:
    """Microseconds an update of each kind, from those of each operation's calls.

    An operation is taken at its lower quartile: what interrupts it only makes it longer.
    """
    total: dict[str, float] = defaultdict(float)
    for name, times in timed.items():
        if name in kind and len(times) > 1:
            total[kind[name]] += statistics.quantiles(times, n=4)[0] * len(times) / updates
    return dict(total)


def main() -> None:
    directory = Path(sys.argv[1])
    flags = "--xla_cpu_multi_thread_eigen=false --xla_dump_hlo_as_text"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags} --xla_dump_to={directory}"
    # A program from the cache would not be written.
    os.environ["SWEEP_CACHE"] = str(directory / "cache")
    from sweep.bench.work import Work
    from sweep.engine.population import Population
    from sweep.engine.program import data_of
    from sweep.engine.runtime import prepare
    from sweep.engine.shapes import shape_of

    tf = prepare()
    work = Work()
    task = work.task()
    shape = shape_of(work.configuration(), task, chunk=5, memory=2**28)
    population = Population(shape, task, data_of(task))
    population.advance(work.runs(10**6)[: shape.slots])
    updates = shape.chunk * shape.updates_per_epoch
    cpu = min(_cpu_seconds(population) for _ in range(20))
    options: Any = tf.profiler.experimental.ProfilerOptions(
        host_tracer_level=3, python_tracer_level=0
    )
    tf.profiler.experimental.start(str(directory / "trace"), options=options)
    for _ in range(8):
        population.advance([])
    tf.profiler.experimental.stop()
    program = max(directory.glob("*cpu_after_optimizations.txt"), key=lambda f: f.stat().st_size)
    kind = kinds(program.read_text(), shape.weights())
    by_kind = summed(_timed(directory / "trace"), kind, 8 * updates)
    by_kind["dispatch"] = max(0.0, 1e6 * cpu / updates - sum(by_kind.values()))
    print(json.dumps({"slots": shape.slots, "microseconds": by_kind}))


def _cpu_seconds(population: Any) -> float:
    started = time.process_time()
    population.advance([])
    return time.process_time() - started


def _timed(directory: Path) -> dict[str, list[float]]:
    """Microseconds of every call of every operation in a trace of TensorFlow's profiler."""
    timed: dict[str, list[float]] = defaultdict(list)
    for name, microseconds in _events(directory):
        timed[name].append(microseconds)
    return timed


def _events(directory: Path) -> Iterator[tuple[str, float]]:
    from importlib import import_module

    space = import_module("tensorflow.tsl.profiler.protobuf.xplane_pb2").XSpace()
    for file in directory.glob("**/*.xplane.pb"):
        space.ParseFromString(file.read_bytes())
        for plane in space.planes:
            for line in plane.lines:
                for event in line.events:
                    yield plane.event_metadata[event.metadata_id].name, event.duration_ps / 1e6
