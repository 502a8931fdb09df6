"""The machine and the versions that a benchmark ran with."""

import os
import platform
import sys
from pathlib import Path
from typing import Any

from sweep.machine import cores, processor, version_of

PACKAGES = ("tensorflow", "keras", "numpy", "optuna", "jax")


def machine() -> dict[str, Any]:
    """Processor, cores, memory, load and versions.

    `load` is the average number of busy processes of the last minute: above zero before a benchmark
    starts, something else uses the machine. None where the system does not say.
    """
    return {
        "processor": processor(),
        "instructions": _instructions(),
        "cores": cores(),
        "memory_gib": _memory(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := version_of(name))},
        "load": _load(),
    }


def described(facts: dict[str, Any]) -> str:
    """The same in a line or two."""
    memory = "" if facts["memory_gib"] is None else f", {facts['memory_gib']:.0f} GiB of memory"
    load = "" if facts["load"] is None else f"; load {facts['load']:.1f} at the start"
    versions = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    kind = " ".join(part for part in (facts["processor"], facts["instructions"]) if part)
    return (
        f"{facts['cores']} cores of {kind}{memory}, {facts['system']}, Python {facts['python']}, "
        f"{versions}{load}."
    )


def _instructions() -> str | None:
    """The widest vector instructions of an x86 processor."""
    for line in _lines("/proc/cpuinfo"):
        if line.startswith("flags"):
            flags = set(line.split())
            for name, flag in (("AVX-512", "avx512f"), ("AVX2", "avx2"), ("AVX", "avx")):
                if flag in flags:
                    return f"({name})"
    return None


def _memory() -> float | None:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemTotal"):
            return round(int(line.split()[1]) / 1024**2, 1)
    return None


def _load() -> float | None:
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def _lines(path: str) -> list[str]:
    if sys.platform != "linux":
        return []
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
