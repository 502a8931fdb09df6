"""The machine and the versions that runs are trained with, to be kept beside what they found."""

import math
import os
import platform
from contextlib import suppress
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
    installed = {name: version_of(name) or "not installed" for name in PACKAGES}
    return {"Python": platform.python_version(), **installed}


def version_of(package: str) -> str | None:
    """The installed version of a package; None where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def cores() -> int:
    """Processor cores that this process may use, a container's share of them counted in full."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        if quota != "max":
            return max(1, min(allowed, math.ceil(int(quota) / int(period))))
    return allowed


@cache
def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
