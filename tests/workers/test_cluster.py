"""The workers of a Dask cluster train what this process asks for, and may come and go."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import pytest

from studies.errors import BadInput
from studies.run import FinishedRun, Run
from studies.tasks import Task
from sweep.workers import cluster
from sweep.workers.cluster import Cluster
from sweep.workers.distribution import train_at

Trained = Callable[[Sequence[FinishedRun], Sequence[Run]], None]


class Dask:
    """A scheduler and workers on loopback, each a process."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        self._port, self.address = int(port), f"tcp://127.0.0.1:{port}"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", port)
        while not self._listens():
            assert self.scheduler.poll() is None
            time.sleep(0.05)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0

    def work(self) -> None:
        """Starts a worker of one thread."""
        options = ["--nthreads", "1", "--no-nanny", "--memory-limit", "0", "--host", "127.0.0.1"]
        files = ["--local-directory", str(self._directory)]
        self.workers.append(self._start("worker", self.address, *options, *files))

    def _start(self, *command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + command[0], *command[1:]],
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        for process in [*self.workers, self.scheduler]:
            process.kill()
            process.wait()


@pytest.fixture
def dask(tmp_path: Path, gate: Path) -> Iterator[Dask]:
    dask = Dask(tmp_path)
    yield dask
    dask.stop()


def test_workers_train_and_are_awaited_where_there_are_none(
    dask: Dask, engines: ModuleType, task: Task, runs: list[Run], trained: Trained
) -> None:
    said: list[str] = []

    def say(sentence: str) -> None:
        said.append(sentence)
        dask.work()
        dask.work()

    with Cluster(dask.address, say) as places:
        for _ in range(2):
            trained(list(train_at(places, runs, task, engine=engines.quick)), runs)
    assert said == [f"{dask.address} has no workers; waiting for some."]
    assert dask.scheduler.poll() is None
    assert [worker.poll() for worker in dask.workers] == [None, None]


def test_what_a_killed_worker_had_is_trained_by_another(
    dask: Dask, engines: ModuleType, gate: Path, task: Task, runs: list[Run], trained: Trained
) -> None:
    said: list[str] = []
    dask.work()
    with Cluster(dask.address) as places:
        training = train_at(places, runs, task, engine=engines.gated, say=said.append)
        finished = [next(training) for _ in range(engines.BEFORE_THE_GATE)]
        dask.workers[0].send_signal(signal.SIGKILL)
        dask.work()
        gate.touch()
        finished += training
    trained(finished, runs)
    assert "is not in the cluster any more" in said[0]
    assert said[0].endswith("runs start again.")


def test_a_scheduler_that_is_gone_is_said_after_what_is_finished(
    dask: Dask, engines: ModuleType, task: Task, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "CONNECTING", 4.0)
    dask.work()
    with Cluster(dask.address) as places:
        training = train_at(places, runs, task, engine=engines.gated)
        finished = [next(training)]
        dask.scheduler.kill()
        with pytest.raises(ConnectionError, match=r"the Dask scheduler at .* is gone; the finish"):
            finished.extend(training)
    assert 1 <= len(finished) <= engines.BEFORE_THE_GATE


def test_a_cluster_that_speaks_tls_needs_certificates() -> None:
    message = r"names no certificates: distributed.comm.tls.ca-file, .client.cert and .client.key"
    with pytest.raises(BadInput, match=message), Cluster("tls://127.0.0.1:1"):
        pass


def test_where_encryption_is_required_an_address_without_it_is_refused() -> None:
    import dask

    required = {"distributed.comm.require-encryption": True}
    message = "requires encryption, and tcp://127.0.0.1:1 has none: expected tls://"
    with dask.config.set(required), pytest.raises(BadInput, match=message):
        Cluster("tcp://127.0.0.1:1").__enter__()


def test_an_address_where_no_scheduler_is_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "CONNECTING", 0.5)
    message = "no Dask scheduler can be reached at tcp://127.0.0.1:1"
    with pytest.raises(ConnectionError, match=message), Cluster("tcp://127.0.0.1:1"):
        pass
