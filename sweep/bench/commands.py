"""Commands in processes of their own, with the time and the memory that they took."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sweep.bench.contest import environment


@dataclass(frozen=True)
class Ended:
    """A command that ended well: its seconds from start to end, processor seconds of all its
    threads, the most memory that it held, and what it wrote to standard output."""

    seconds: float
    cpu: float
    memory_mib: float
    output: str


def main_of(module: str) -> tuple[str, str]:
    """The words that run a module's `main` in a Python of its own; its own words follow them.

    With `-m` its package, which imports it as well, would run it twice.
    """
    return "-c", f"from {module} import main; main()"


def timed(words: Sequence[str], directory: Path, **variables: str) -> Ended:
    """Runs `python WORDS` in a directory, with these environment variables besides this process's.

    Raises ChildProcessError, with the end of what it said, for another status than 0.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *words],
            cwd=directory,
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
        )
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode != 0:
            last = "\n".join(errors.read().strip().splitlines()[-5:])
            raise ChildProcessError(
                f"python {' '.join(words)} ended with {process.returncode}:\n{last}"
            )
        # Linux counts in KiB, macOS in bytes.
        unit = 1024.0**2 if sys.platform == "darwin" else 1024.0
        return Ended(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / unit, output.read())
