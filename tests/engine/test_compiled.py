"""A program is traced once and compiled once, whichever process comes to it, and when."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from studies.run import Run
from studies.tasks import Task
from sweep.engine import compiled as kept
from sweep.engine import train
from sweep.engine.program import program
from sweep.engine.shapes import shape_of

TRAIN = """
import sys
import numpy as np
from studies.run import Configuration, Run
from studies.tasks import Task
from sweep.engine import train
from sweep.engine.runtime import prepare

tf = prepare()
for _ in range(int(sys.argv[1])):
    tf.function(lambda x: x + 1.0)(tf.constant(1.0))
y = np.arange(8) % 2
for steps in sys.argv[2:]:
    lengths = np.minimum(np.arange(1, 9), int(steps)).astype(np.int32)
    within = np.arange(int(steps)) < lengths[:, None]
    x = (within * (1.0 + y[:, None])).astype(np.float32)
    task = Task("first", x[:, :, None], y.astype(np.int32), ("0", "1"), lengths=lengths)
    run = Run(Configuration(cell="rnn", units=1), 0, 3, 2.0)
    for finished in train([run], task, hidden_progress=True):
        print(steps, finished.curves.tobytes().hex())
"""


def in_a_process(cache: Path, traced_before: int, *steps: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(traced_before), *steps],
        env={
            # This process has chosen its own cache of compiled programs.
            **{key: value for key, value in os.environ.items() if key != "TF_XLA_FLAGS"},
            "SWEEP_CACHE": str(cache),
            "PYTHONPATH": str(Path(__file__).parents[2]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return sorted(done.stdout.splitlines())


def test_another_process_finds_every_program_whatever_it_has_traced_before(
    tmp_path: Path,
) -> None:
    first = in_a_process(tmp_path, 0, "2", "9")
    files = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*") if file.is_file()}
    assert len([file for file in files if file.suffix == ".graph"]) == 2
    assert len([file for file in files if file.suffix == ".pb"]) == 2
    second = in_a_process(tmp_path, 3, "9", "2")
    assert {file: file.stat().st_mtime_ns for file in files} == files
    assert {file for file in tmp_path.rglob("*") if file.is_file()} == set(files)
    assert second == first


def test_the_kept_program_is_the_traced_one(task: Task, a_run: Callable[..., Run]) -> None:
    shape = shape_of(a_run(cell="rnn").configuration, task, chunk=5, memory=2**28)
    random = np.random.default_rng(0)
    arguments = [
        [random.normal(size=spec.shape).astype(spec.dtype.as_numpy_dtype) for spec in specs]
        if isinstance(specs, list)
        else random.integers(0, 2, specs.shape).astype(specs.dtype.as_numpy_dtype)
        for specs in program(shape).input_signature
    ]
    tf = kept.prepare()
    tensors = tf.nest.map_structure(tf.constant, arguments)
    for one, other in zip(
        tf.nest.flatten(kept.compiled(shape)(*tensors)),
        tf.nest.flatten(program(shape)(*tensors)),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("content", [b"", b"no graph at all", b"\x0a\x02\x08"])
def test_a_broken_file_is_written_anew(
    tmp_path: Path,
    task: Task,
    a_run: Callable[..., Run],
    monkeypatch: pytest.MonkeyPatch,
    content: bytes,
) -> None:
    monkeypatch.setattr(kept, "cache_directory", lambda: tmp_path)
    run = a_run(cell="rnn", epochs=2)
    shape = shape_of(run.configuration, task, chunk=5, memory=2**28)
    file = tmp_path / f"sweep-{kept._digest(shape)}.graph"
    file.write_bytes(content)
    kept.compiled.cache_clear()
    (finished,) = train([run], task)
    assert finished.epochs == 2
    assert len(file.read_bytes()) > 1000
    kept.compiled.cache_clear()


def test_without_a_place_to_write_programs_are_traced(
    tmp_path: Path, task: Task, a_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "cache_directory", lambda: tmp_path / "nowhere")
    kept.compiled.cache_clear()
    (finished,) = train([a_run(cell="rnn", epochs=2)], task)
    assert finished.epochs == 2
    assert not list(tmp_path.iterdir())
    kept.compiled.cache_clear()
