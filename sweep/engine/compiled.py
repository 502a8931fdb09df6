"""Programs kept between processes: traced once, compiled once.

TensorFlow keeps what XLA compiled under the program's name and its text. Both hold numbers that
TensorFlow counts up whenever anything is traced, so a program would be found again only where it is
traced at the same place in a process's life. Here a program's graph gets names that follow from its
shape, and goes to a file: the next process neither traces it nor compiles it.
"""

import hashlib
import os
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from sweep.engine.program import Chunk, program
from sweep.engine.runtime import cache_directory, prepare
from sweep.engine.shapes import Shape

_tracing = threading.Lock()


@cache
def compiled(shape: Shape) -> Chunk:
    """`program(shape)`, from a file where there is one; XLA compiles it when it is first called, or
    takes what was compiled before.

    A file that is missing is written, and one that cannot be read or written is done without.
    """
    tf = prepare()
    traceable: Any = program(shape)
    specs = traceable.input_signature
    file = cache_directory() / f"sweep-{_digest(shape)}.graph"
    graph = _read(file)
    if graph is None:
        with _tracing:
            graph = _traced(shape, specs)
        _write(file, graph)
    inputs, outputs = _ends(graph)
    with _tracing:
        run = tf.compat.v1.wrap_function(
            lambda: tf.graph_util.import_graph_def(graph, name=""), []
        ).prune(inputs, outputs)
        # Called through a function of its own: `run` would write an error's text in every call.
        flat = tf.nest.flatten(specs)
        chunk = tf.function(lambda *given: run(*given), input_signature=flat, autograph=False)
        called = chunk.get_concrete_function()
    parts = len(shape.weights())

    def call(*arguments: Any) -> Any:
        results = called(*tf.nest.flatten(arguments))
        weights, m, v = (list(results[i * parts : (i + 1) * parts]) for i in range(3))
        return weights, m, v, *results[3 * parts :]

    return call


def _traced(shape: Shape, specs: Any) -> Any:
    """The graph of one call of the program, its functions named after the shape."""
    tf = prepare()
    chunk = program(shape)

    def flat(*given: Any) -> Any:
        return tf.nest.flatten(chunk(*tf.nest.pack_sequence_as(specs, given)))

    arguments = [
        tf.TensorSpec(spec.shape, spec.dtype, name=f"in_{i}")
        for i, spec in enumerate(tf.nest.flatten(specs))
    ]
    whole = tf.function(flat, input_signature=arguments, autograph=False).get_concrete_function()
    graph = whole.graph.as_graph_def()
    functions = graph.library.function
    # Two traces of a shape may differ in numbers that TensorFlow counts up, and a process holds one
    # function of a name.
    traced = hashlib.sha256(graph.SerializeToString(deterministic=True)).hexdigest()[:20]
    name = f"sweep_{_digest(shape)}_{traced}"
    names = {f.signature.name: f"{name}_{i}" for i, f in enumerate(functions)}
    for function in functions:
        function.signature.name = names[function.signature.name]
        # TensorFlow's optimiser would name it anew after who calls it.
        function.attr["_nospecialize"].b = True
    for nodes in [graph.node, *(function.node_def for function in functions)]:
        for node in nodes:
            for value in node.attr.values():
                if value.WhichOneof("value") == "func":
                    value.func.name = names[value.func.name]
    return graph


def _ends(graph: Any) -> tuple[list[str], list[str]]:
    """Names of a graph's inputs and outputs, in the order of the program's."""
    inputs = [node.name for node in graph.node if node.op == "Placeholder"]
    outputs = [node.name for node in graph.node if node.op == "Identity"]
    return [f"{name}:0" for name in inputs], [f"{name}:0" for name in outputs]


def _digest(shape: Shape) -> str:
    return hashlib.sha256(f"{_sources()} {shape!r}".encode()).hexdigest()[:20]


@cache
def _sources() -> str:
    """What the engine's own code is: another code may be another program of the same shape."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def _read(file: Path) -> Any:
    from google.protobuf.message import DecodeError

    graph = prepare().compat.v1.GraphDef()
    with suppress(OSError, DecodeError):
        if graph.ParseFromString(file.read_bytes()) and graph.node:
            return graph
    return None


def _write(file: Path, graph: Any) -> None:
    # Whole or not at all, whoever writes the same beside us.
    part = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}")
    with suppress(OSError):
        part.write_bytes(graph.SerializeToString(deterministic=True))
        part.replace(file)
