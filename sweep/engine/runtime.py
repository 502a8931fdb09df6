"""TensorFlow, set up for many small models: quiet, cached, a thread per core.

Whatever in the engine needs TensorFlow takes it from here, so that its settings are made before its
first import.
"""

import atexit
import gc
import hashlib
import os
import platform
import re
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from functools import cache
from importlib import metadata
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

import platformdirs

from sweep.machine import cores

_LOGGED = re.compile(
    rb"^WARNING: All log messages before absl::InitializeLog\(\) is called are written to STDERR\n"
    rb"|^[IWE]\d{4} \d\d:\d\d:\d+\.\d+ +\d+ [^\n]*\n",
    re.MULTILINE,
)
"""Lines of the log of TensorFlow's libraries, as absl writes them; not those of fatal errors."""

_led_away: list[tuple[int, threading.Thread]] = []
"""Where standard error has led before, while it leads to a thread that passes on some of it."""

_leading = threading.Lock()
_lock = threading.Lock()
_tensorflow: Any = None


def prepare() -> Any:
    """Import TensorFlow once, without Keras, and return the module.

    Sets, unless the environment already says otherwise: a persistent cache of compiled programs in
    the user's cache directory (`SWEEP_CACHE` names another), and one thread for each of XLA's
    programs, since the engine runs a program per core.
    """
    global _tensorflow
    with _lock:
        if _tensorflow is None:
            _set_environment()
            with _quiet(), uncollected(), _without_keras():
                import tensorflow

            threads = max(2, cores())
            config = tensorflow.config
            # A program that embeds sweep may have started TensorFlow with its own settings.
            with suppress(RuntimeError):
                config.threading.set_intra_op_parallelism_threads(threads)
                # Products on a GPU are those of single precision, as they are on a processor.
                config.experimental.enable_tensor_float_32_execution(False)
                for gpu in config.list_physical_devices("GPU"):
                    config.experimental.set_memory_growth(gpu, True)
            _tensorflow = tensorflow
    return _tensorflow


@contextmanager
def uncollected() -> Generator[None]:
    """What is made within lives as long as the process does: no search for garbage looks at it.

    For imports, once each. The collector walks over a library's objects again and again while more
    of them come, which is a sixth of TensorFlow's import, and in every full search after it.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()


@contextmanager
def _without_keras() -> Generator[None]:
    """Within this, the first import of Keras by this thread is refused, unless it is there already.

    TensorFlow ends its import with Keras's, which with what that brings along, matplotlib and
    scikit-learn where they are installed, is two fifths of the time. The engine needs none of it,
    and `tensorflow.keras` imports it when it is used.
    """
    finder = _NoKeras(threading.get_ident())
    # Other threads may be walking over the list that is there.
    sys.meta_path = [finder, *sys.meta_path]
    try:
        yield
    finally:
        sys.meta_path = [other for other in sys.meta_path if other is not finder]


class _NoKeras(MetaPathFinder, Loader):
    """Finds Keras, since TensorFlow notes where it lies, and refuses to load it, once, in a thread.

    TensorFlow 2.21 goes on where Keras cannot be imported; one that does not would fail to import.
    """

    def __init__(self, thread: int) -> None:
        self._thread = thread
        self._refused = False

    def find_spec(
        self, fullname: str, path: object = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "keras" or self._refused or threading.get_ident() != self._thread:
            return None
        spec = PathFinder.find_spec(fullname)
        if spec is not None:
            spec.loader = self
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        self._refused = True
        raise ImportError("Keras is imported by who uses it", name=spec.name)

    def exec_module(self, module: ModuleType) -> None:
        raise AssertionError("no module was created")


def has_gpu() -> bool:
    """Whether TensorFlow sees a GPU, and trains on it."""
    return bool(prepare().config.list_physical_devices("GPU"))


def cache_directory() -> Path:
    """Where compiled programs are kept between processes.

    A folder for each TensorFlow, processor and GPU: what was compiled for another may not run here.
    """
    chosen = os.environ.get("SWEEP_CACHE")
    root = Path(chosen) if chosen else Path(platformdirs.user_cache_dir("sweep"))
    made_for = f"{metadata.version('tensorflow')} {platform.machine()} {_processor()}"
    return root / f"programs-{hashlib.sha256(made_for.encode()).hexdigest()[:12]}"


@cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        for gpu in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
            lines += gpu.read_text().splitlines()
    except OSError:
        return platform.processor()
    named = ("model name", "flags", "Features", "Model:")
    return " ".join(sorted({line for line in lines if line.startswith(named)}))


def _set_environment() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    flags = os.environ.get("XLA_FLAGS", "")
    for name, value in [
        ("xla_cpu_multi_thread_eigen", "false"),
        # XLA takes half of a processor's widest vectors by itself.
        ("xla_cpu_prefer_vector_width", "512"),
        # What a library would compute of small products goes faster in XLA's own code.
        ("xla_cpu_use_xnnpack", "false"),
        # Widths are multiples of 16: tiles of 11 × 9, which XLA takes by itself, leave rests on
        # all sides, each compiled apart, which is a quarter of the time that compiling takes.
        ("xla_backend_extra_options", "xla_llvm_ir_gemm_tile_size=4:4:1*vectwidth"),
        ("xla_gpu_deterministic_ops", "true"),
    ]:
        if name not in flags:
            flags = f"{flags} --{name}={value}".strip()
    os.environ["XLA_FLAGS"] = flags
    flags = os.environ.get("TF_XLA_FLAGS", "")
    directory = cache_directory()
    if "persistent_cache" not in flags and _writable(directory):
        os.environ["TF_XLA_FLAGS"] = (
            f"{flags} --tf_xla_persistent_cache_directory={directory}"
            " --tf_xla_persistent_cache_prefix=sweep"
        ).strip()


def _writable(directory: Path) -> bool:
    # A blank would end the flag's value: TensorFlow splits the variable at white space.
    if any(character.isspace() for character in str(directory)):
        return False
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(directory, os.W_OK)


def let_speak() -> None:
    """Leads standard error back to the terminal, and waits until what was written is passed on.

    A process that ends while TensorFlow is imported calls it after its last words, as Python does
    where it ends in the usual way.
    """
    with _leading:
        while _led_away:
            terminal, sieve = _led_away[-1]
            os.dup2(terminal, 2)
            os.close(terminal)
            # A process that was started meanwhile may hold the inlet, and goes on being heard.
            sieve.join(1.0)
            _led_away.pop()


atexit.register(let_speak)


@contextmanager
def _quiet():
    """Keep what TensorFlow's libraries log while they load from the terminal, and nothing else.

    They log from C++ before its log level can be set. So the file descriptor of standard error
    leads, for as long as they load, to a thread that passes on what is not theirs.
    """
    try:
        terminal = os.dup(2)
    except OSError:
        yield
        return
    outlet, inlet = os.pipe()
    sieve = threading.Thread(target=_sieve, args=(outlet, os.dup(terminal)), daemon=True)
    with _leading:
        sieve.start()
        _led_away.append((terminal, sieve))
        os.dup2(inlet, 2)
        os.close(inlet)
    try:
        yield
    finally:
        let_speak()


def _sieve(outlet: int, terminal: int) -> None:
    with os.fdopen(terminal, "wb", buffering=0) as through, suppress(OSError):
        while written := os.read(outlet, 1 << 16):
            rest = _LOGGED.sub(b"", written)
            while rest:
                rest = rest[through.write(rest) or 0 :]
    os.close(outlet)
