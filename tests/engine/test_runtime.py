"""TensorFlow comes up quietly, and hides nothing that others say meanwhile."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sweep.engine import runtime

LOGGED = (
    b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
    b"I0000 00:00:1795522052.711800   30807 cudart_stub.cc:31] Could not find cuda drivers.\n"
    b"W0000 00:00:1795522052.711800   30807 computation_placer.cc:177] already registered\n"
    b"E0000 00:00:1795522052.711800       7 cuda_fft.cc:477] Unable to register cuFFT factory\n"
)

TRAIN = """
import os, threading
from studies.run import Configuration, Run
from studies.tasks import make_task
from sweep.engine import prepare, train

loading = threading.Thread(target=prepare)
loading.start()
while loading.is_alive():
    os.write(2, b"meanwhile\\n")
    loading.join(0.5)
task = make_task("first-value", {"records": 6, "timesteps": 1})
runs = [
    Run(Configuration(cell="rnn", units=1, batch_size=size), 0, 1, 2.0) for size in range(1, 7)
]
print(len(list(train(runs, task, chunk=1))))
"""


def test_what_is_written_while_tensorflow_loads_is_passed_on_but_for_its_log(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with runtime._quiet():
        os.write(2, LOGGED + b"a line\n" + LOGGED)
        os.write(2, b"\r\x1b[2Ka bar")
        os.write(2, b"F0000 00:00:1795522052.711800       7 fatal.cc:1] it ends here\n")
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == (
        "a line\n\r\x1b[2Ka bar"
        "F0000 00:00:1795522052.711800       7 fatal.cc:1] it ends here\nafterwards\n"
    )


def test_a_process_that_starts_while_tensorflow_loads_is_heard_later(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with runtime._quiet():
        child = subprocess.Popen(["/bin/sh", "-c", "read go; echo later >&2"], stdin=-1)
    assert child.stdin is not None
    child.stdin.write(b"go\n")
    child.stdin.close()
    child.wait()
    heard = ""
    while "later" not in heard:
        heard += capfd.readouterr().err
    assert heard == "later\n"


@pytest.mark.parametrize("end", ["sys.exit(3)", "leave(3)"])
def test_a_process_that_ends_while_tensorflow_loads_has_its_last_words(end: str) -> None:
    code = (
        "import sys\nfrom sweep.cli.stopping import leave\nfrom sweep.engine import runtime\n"
        "runtime._quiet().__enter__()\n"
        f"print('last words', file=sys.stderr)\n{end}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "last words\n")


def test_many_programs_compile_and_train_without_a_word(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRAIN],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "6\n", done.stderr
    assert set(done.stderr.splitlines()) == {"meanwhile"}


def test_what_an_import_makes_is_never_searched_for_garbage() -> None:
    assert gc.isenabled()
    before = gc.get_freeze_count()
    with runtime.uncollected():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > before
    gc.disable()
    try:
        with runtime.uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


IMPORT = """
import importlib.util, sys
from sweep.engine import prepare

prepare()
loaded = "keras" in sys.modules
import tensorflow
dense = tensorflow.keras.layers.Dense
import keras
from tensorflow.keras.layers import Dense
print(loaded, dense is Dense is keras.layers.Dense, importlib.util.find_spec("keras").loader)
"""


def test_keras_is_imported_when_somebody_asks_for_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True
    )
    loaded, same, loader = done.stdout.split(maxsplit=2)
    assert (loaded, same) == ("False", "True")
    assert "SourceFileLoader" in loader


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not runtime._writable(tmp_path / "file" / "cache")
    assert not runtime._writable(tmp_path / "with a blank")
    assert runtime._writable(tmp_path / "new" / "cache")


@pytest.mark.parametrize(
    ("quota", "cores"), [("max 100000", 64), ("150000 100000", 2), ("1000 100000", 1), ("", 64)]
)
def test_the_cores_of_a_container_are_its_share(
    monkeypatch: pytest.MonkeyPatch, quota: str, cores: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.setattr(Path, "read_text", lambda _: quota)
    assert runtime.cores() == cores
