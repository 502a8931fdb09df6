"""The machine and the versions that runs are trained with, to be kept beside what they found."""

import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("sweep", "tensorflow", "keras", "numpy", "optuna")
"""What trains and searches; their versions may change curves beyond rounding, or the search."""


def here() -> dict[str, Any]:
    """This machine, in plain values: `processor`, `cores` (those that this process may use),
    `system`, and `versions` by package. Nothing of it is imported to find out."""
    return {
        "processor": processor(),
        "cores": cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions(),
    }


@cache
def versions() -> dict[str, str]:
    """The versions of Python and of what trains and searches, as installed here."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
