"""Missing runs are trained by the engine, on the data and with the series that are asked for."""

from pathlib import Path

import numpy as np

from storage.database import open_database
from studies.run import Configuration, Run
from studies.tasks import make_task
from sweep.engine import train
from sweep.explain.training import Wanted, find, train_missing


def test_runs_of_several_data_sets_and_programs_are_trained_and_kept(tmp_path: Path) -> None:
    tasks = [make_task("first-value", {"records": records}) for records in (200, 40)]
    # Each data set has a program of its own, and the first one more, which records.
    configurations = [
        Configuration(cell="rnn", units=3, learning_rate=rate) for rate in (0.01, 0.02)
    ]
    wanted = [
        Wanted(
            task,
            tuple(Run(c, seed, 6, 2.0) for c in configurations for seed in range(3)),
            hidden=task is tasks[0],
        )
        for task in tasks
    ]
    # The same runs once more, without hidden progress: asked for together they are trained once.
    wanted.append(Wanted(tasks[0], wanted[0].runs))
    trained: list[str] = []
    waits: list[int] = []
    with open_database(f"sqlite:///{tmp_path / 'r.db'}") as db:
        have = train_missing(
            db,
            wanted,
            find(db, wanted),
            on_finished=lambda fingerprint, finished: trained.append(fingerprint),
            on_wait=waits.append,
        )
        stored = find(db, wanted)
    assert sorted(trained) == sorted([t.fingerprint for t in tasks for _ in range(6)])
    assert waits[0] == 12
    assert set(have) == set(stored) == {(t.fingerprint, r) for t in tasks for r in wanted[0].runs}
    for task, some in zip(tasks, wanted, strict=False):
        for finished in train(some.runs, task):
            ours = have[task.fingerprint, finished.run]
            np.testing.assert_array_equal(ours.curves[:, :2], finished.curves)
            assert ("contrast" in ours.series) == (task is tasks[0])
