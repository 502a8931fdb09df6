"""What is finished is handed over, whatever goes wrong beside it."""

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from studies.run import FinishedRun, Run
from studies.tasks import Task
from sweep.engine import slots, train
from sweep.engine.population import Population

Make = Callable[..., Run]


class Broken(Exception):
    pass


def engine_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "sweep-engine"]


def handed_over(
    results: Iterator[FinishedRun],
) -> tuple[list[FinishedRun], BaseException | None]:
    """What an engine yields until it ends, and what it ends with."""
    taken: list[FinishedRun] = []
    try:
        for finished in results:
            taken.append(finished)
    except BaseException as error:
        return taken, error
    return taken, None


@pytest.fixture
def short(a_run: Make) -> list[Run]:
    return [a_run(seed, epochs=3) for seed in range(8)]


@pytest.mark.parametrize("moment", ["after the others", "while the others train"])
def test_a_thread_that_fails_loses_nothing_that_the_others_finish(
    task: Task, a_run: Make, short: list[Run], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    doomed = a_run(0, cell="rnn", epochs=3)
    monkeypatch.setattr(slots, "PATIENCE", 120.0)
    whole = Population.advance
    began, done = threading.Event(), threading.Event()
    finished_beside: list[FinishedRun] = []

    def advance(self: Population, arrivals: list[Run]) -> list[FinishedRun]:
        if self.shape.cell == "rnn":
            assert (done if moment == "after the others" else began).wait(120)
            raise Broken
        began.set()
        finished_beside.extend(finished := whole(self, arrivals))
        done.set()
        return finished

    monkeypatch.setattr(Population, "advance", advance)
    taken, error = handed_over(train([doomed, *short], task, threads=2))
    assert isinstance(error, Broken)
    assert finished_beside
    assert taken == finished_beside


def test_what_raises_in_the_source_of_runs_comes_after_what_is_finished(
    task: Task, a_run: Make, short: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Population.advance
    done = threading.Event()
    finished_beside: list[FinishedRun] = []

    def advance(self: Population, arrivals: list[Run]) -> list[FinishedRun]:
        finished_beside.extend(finished := whole(self, arrivals))
        done.set()
        return finished

    def source() -> Iterator[Run | None]:
        yield from short
        assert done.wait(120)
        raise Broken

    monkeypatch.setattr(slots, "PATIENCE", 120.0)
    monkeypatch.setattr(Population, "advance", advance)
    taken, error = handed_over(train(source(), task, threads=1))
    assert isinstance(error, Broken)
    assert finished_beside
    assert taken == finished_beside


def test_what_is_thrown_in_stops_the_training_and_gets_what_is_finished(
    task: Task, a_run: Make, short: list[Run]
) -> None:
    endless = [a_run(seed, epochs=1_000_000, target=2.0) for seed in range(3)]
    results = train([*short, *endless], task)
    taken = [next(results)]
    taken.append(results.throw(KeyboardInterrupt))
    rest, error = handed_over(results)
    assert isinstance(error, KeyboardInterrupt)
    assert {finished.run for finished in [*taken, *rest]} == set(short)
    with pytest.raises(StopIteration):
        next(results)


def test_an_abandoned_engine_stops_its_threads(task: Task, a_run: Make, short: list[Run]) -> None:
    endless = a_run(0, epochs=1_000_000, target=2.0)
    results = train([*short, endless], task)
    next(results)
    workers = engine_threads()
    assert workers
    results.close()
    for worker in workers:
        worker.join(120)
    assert not any(worker.is_alive() for worker in workers)


def test_a_source_that_waits_is_asked_again_without_a_finished_run(task: Task, a_run: Make) -> None:
    asked = 0

    def source() -> Iterator[Run | None]:
        nonlocal asked
        yield a_run(0, epochs=1_000_000, target=2.0)
        while asked < 5:
            asked += 1
            yield None
        raise Broken

    _, error = handed_over(train(source(), task))
    assert isinstance(error, Broken)


def test_all_epochs_that_are_trained_are_told_and_none_twice(
    task: Task, a_run: Make, short: list[Run]
) -> None:
    told: list[int] = []
    epochs = 0
    for finished in train([*short, a_run(8, epochs=12)], task, on_epochs=told.append):
        epochs += finished.epochs
        assert sum(told) >= epochs
    assert sum(told) == epochs > 0
    # Three chunks for the longest of them.
    assert len(told) >= 3


def test_little_memory_trains_the_same_with_fewer_populations(
    task: Task, a_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = [{"cell": "rnn"}, {"cell": "gru"}, {}]
    runs = [a_run(seed, epochs=12, **shapes[seed % 3]) for seed in range(12)]
    much = {finished.run: finished for finished in train(runs, task, threads=1)}
    alive: list[int] = []
    whole = Population.advance

    def advance(self: Population, arrivals: list[Run]) -> list[FinishedRun]:
        alive.append(len(engine._populations))
        return whole(self, arrivals)

    monkeypatch.setattr(slots, "ALIVE", 0)
    monkeypatch.setattr(Population, "advance", advance)
    engine = slots.Scheduler(task, chunk=5, memory=2**28, threads=1)
    with engine:
        little = {finished.run: finished for finished in engine.train(iter(runs))}
    assert set(alive) == {1}
    assert set(little) == set(runs)
    for run in runs:
        np.testing.assert_array_equal(little[run].curves, much[run].curves)


def test_a_gpu_gets_more_slots_from_the_same_code(
    task: Task, short: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "has_gpu", lambda: True)
    monkeypatch.setattr(slots, "MOST_SLOTS_ON_GPU", 32)
    seen: set[int] = set()
    whole = Population.advance

    def advance(self: Population, arrivals: list[Run]) -> list[FinishedRun]:
        seen.add(self.shape.slots)
        return whole(self, arrivals)

    monkeypatch.setattr(Population, "advance", advance)
    assert len(list(train(short, task))) == len(short)
    assert seen == {32}
