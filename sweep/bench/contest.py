"""Contenders that take turns: each in a process of its own, one measuring at a time.

In every round each contender measures once, and the order is turned by one place from round to
round. So the sides of a ratio are neighbours in time, and what else the machine does meets both.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from sweep.bench.ratios import Measured
from sweep.bench.work import Work


def contest(
    kinds: Sequence[str],
    work: Work,
    *,
    rounds: int,
    seconds: float,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, list[Measured]]:
    """Measures each of these contenders on the work, round by round.

    `kinds` are names of `sweep.bench.contenders.CONTENDERS` that are installed; a measurement takes
    about `seconds`. Returns a measurement a round for each. Raises ChildProcessError, with what it
    printed last, for a contender that ended.
    """
    taken: dict[str, list[Measured]] = {kind: [] for kind in kinds}
    with ExitStack() as stack:
        processes: dict[str, Process] = {}
        for kind in kinds:
            say(f"preparing {kind}")
            processes[kind] = stack.enter_context(Process(kind, work, seconds))
            processes[kind].answer()
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}")
            for kind in turned(kinds, number):
                taken[kind].append(processes[kind].measure())
    return taken


def turned(kinds: Sequence[str], by: int) -> list[str]:
    """The same in another order: each comes first, and last, in turn."""
    by %= len(kinds)
    return [*kinds[by:], *kinds[:by]]


class Process:
    """A contender that prepares itself on entering, and ends on leaving."""

    def __init__(self, kind: str, work: Work, seconds: float) -> None:
        self._kind = kind
        self._command = [
            sys.executable,
            "-m",
            "sweep.bench.contenders.process",
            kind,
            json.dumps(work.document()),
            str(seconds),
        ]

    def __enter__(self) -> "Process":
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment(),
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def measure(self) -> Measured:
        """One measurement, while the others wait."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write("measure\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass
        told = self.answer()
        return Measured(told["amount"], told["seconds"], told["cpu"])

    def answer(self) -> dict[str, Any]:
        """What it says next."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            last = self._errors.read().strip().splitlines()[-5:]
            raise ChildProcessError(
                "\n".join([f"{self._kind} ended with status {self._process.returncode}:", *last])
            )
        return json.loads(line)


def environment(**more: str) -> dict[str, str]:
    """This process's environment for another Python, which finds the same packages.

    Left out are the cache of compiled programs that this process may have chosen, and
    PYTHONDONTWRITEBYTECODE: who uses sweep has its sources compiled once.
    """
    path = os.pathsep.join(entry for entry in sys.path if entry)
    flags = os.environ.get("TF_XLA_FLAGS", "").split()
    own = {
        "PYTHONPATH": path,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "TF_XLA_FLAGS": " ".join(flag for flag in flags if "persistent_cache" not in flag),
    }
    inherited = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, **own, **more}
