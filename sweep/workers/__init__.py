"""Training elsewhere than in this process: worker processes beside it, or a Dask cluster.

A place trains in one process what it is given, and is a `concurrent.futures.Executor`. Runs are
pure functions of their specification, so results are the same to the bit, on equal machines,
however many places there are and whatever becomes of them. The rooms:

- `places` says what a place is;
- `processes` are places on this machine: spawned, one engine each, replaced when they die;
- `cluster` are places in a Dask cluster, as many as it has workers;
- `distribution` decides which run goes where, and gives away again what was lost;
- `resident` is what trains in a place: an engine that stays there between two calls.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from studies.errors import BadInput
from studies.study import Study
from sweep.workers.places import WorkersFailed

if TYPE_CHECKING:
    from sweep.session import Train

__all__ = ["WorkersFailed", "check_workers", "trained_by"]

MOST_PER_CORE = 4
"""Worker processes for each core of this machine; more would take memory and bring nothing."""


def check_workers(study: Study, *, workers: int | None, cluster: str | None) -> None:
    """Raises BadInput unless a study can be trained by so many processes, or at that address."""
    from sweep.machine import cores

    if workers is not None and cluster is not None:
        raise BadInput(
            "workers and cluster: give one of them; how many workers a cluster has is its own"
        )
    if workers is not None and workers < 1:
        raise BadInput(f"workers: {workers} is no number of processes; give 1 or more")
    most = MOST_PER_CORE * cores()
    if workers is not None and workers > most:
        raise BadInput(
            f"workers: {workers} processes for {cores()} cores would only take memory; "
            f"give at most {most} here, or a cluster for more machines"
        )
    if cluster is not None:
        from sweep.workers.cluster import check_address

        check_address(cluster)
        if study.training.model is not None:
            raise BadInput(
                f"{study.name}: own models are trained on this machine only, not in a cluster; "
                "leave cluster out, and give workers if you want to"
            )


@contextmanager
def trained_by(
    study: Study,
    *,
    workers: int | None = None,
    cluster: str | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> Generator["Train | None"]:
    """Within this, what trains the study's runs: for `run_study`, as its `train`.

    In `workers` spawned processes with an equal share of the cores each, or by the workers of the
    Dask cluster whose scheduler is at `cluster`; None where neither is given, for training in this
    process. `say` is told of what a person has to know: workers that died, or that are awaited.

    Raises BadInput as `check_workers` does, and where Dask is not installed; ConnectionError where
    the cluster cannot be reached. What is yielded raises WorkersFailed where a run takes down every
    process that trains it, or no process can begin.
    """
    check_workers(study, workers=workers, cluster=cluster)
    if cluster is not None:
        from sweep.workers.cluster import Cluster
        from sweep.workers.distribution import train_at

        with Cluster(cluster, say) as places:
            yield partial(train_at, places, say=say)
    elif workers is None:
        yield None
    elif study.training.model is not None:
        from sweep.execution import train_own_models

        yield partial(train_own_models, study=study, workers=workers)
    else:
        from sweep.workers.distribution import train_at
        from sweep.workers.processes import Processes

        with Processes(workers) as places:
            yield partial(train_at, places, say=say)
