"""Whatever becomes of the places where they are trained, runs come back, once and the same."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from multiprocessing import active_children
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.run import FinishedRun, Run
from studies.tasks import Task
from sweep.bench.simulated import made_up
from sweep.workers import WorkersFailed, distribution, resident
from sweep.workers.distribution import DEATHS, train_at
from sweep.workers.places import Place
from sweep.workers.processes import Processes

Trained = Callable[[Sequence[FinishedRun], Sequence[Run]], None]


def quick(runs: Any, task: Task, *, threads: int) -> Iterator[FinishedRun]:
    for run in runs:
        if run is not None:
            yield made_up(run)


class Thread(Executor):
    """A place in this process, whose calls `harm` may keep from being made."""

    def __init__(self, harm: Callable[..., None]) -> None:
        self._executor = ThreadPoolExecutor(1)
        self._harm = harm

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        def call() -> Any:
            self._harm(fn, *args)
            return fn(*args, **kwargs)

        return self._executor.submit(call)


class Threads:
    """Places in this process, replaced when they are lost."""

    patience = float("inf")

    def __init__(self, count: int, harm: Callable[..., None] = lambda *_: None) -> None:
        self._harm = harm
        self.places = [self._place() for _ in range(count)]

    def _place(self) -> Place:
        return Place("a thread", 1, Thread(self._harm))

    def there(self) -> Sequence[Place]:
        return self.places

    def is_loss(self, error: BaseException) -> bool:
        return isinstance(error, BrokenExecutor)

    def lost(self, place: Place) -> str:
        self.places = [other for other in self.places if other is not place] + [self._place()]
        return "broke"


@pytest.mark.parametrize("workers", [1, 3])
def test_every_run_is_trained_once_and_the_same_with_any_number_of_processes(
    workers: int, engines: ModuleType, task: Task, runs: list[Run], trained: Trained
) -> None:
    with Processes(workers) as places:
        for _ in range(2):
            trained(list(train_at(places, runs, task, engine=engines.quick)), runs)
        assert len(active_children()) == workers
    assert active_children() == []


@given(
    workers=st.integers(1, 3),
    offered=st.lists(st.one_of(st.none(), st.integers(4, 40)), max_size=150),
    losses=st.lists(st.booleans(), max_size=8).filter(lambda losses: sum(losses) < DEATHS),
    forgotten=st.sets(st.integers(0, 12)),
)
def test_runs_come_back_whatever_places_are_lost_or_forget(
    workers: int, offered: list[int | None], losses: list[bool], forgotten: set[int]
) -> None:
    from tests.workers.conftest import STUDY, assert_trained

    calls = 0
    left = list(losses)

    def harm(function: Callable[..., Any], session: str, *_: Any) -> None:
        nonlocal calls
        calls += 1
        # Fewer than a run is accused for: all may strike the same one.
        if function is resident.exchange and calls % 3 == 0 and left and left.pop():
            raise BrokenExecutor
        if calls in forgotten:
            resident.end(session)

    asked: list[Run] = []

    def feed() -> Iterator[Run | None]:
        for seed, units in enumerate(offered):
            if units is not None:
                asked.append(Run(STUDY.configuration({"units": units}), seed, 30, 1.0))
                yield asked[-1]
            elif len(finished) < len(asked):
                yield None

    finished: list[FinishedRun] = []
    task = STUDY.load_task()
    for one in train_at(Threads(workers, harm), feed(), task, engine=quick):
        finished.append(one)
    assert_trained(finished, asked)


def test_nothing_to_train_is_no_reason_to_wait_or_to_start_a_process(task: Task) -> None:
    with Processes(2) as places:
        assert list(train_at(places, [], task)) == []
        with pytest.raises(RuntimeError, match="no run is in training, and none was offered"):
            next(train_at(places, [None], task))
        assert active_children() == []


def test_runs_are_taken_as_they_are_needed_only(task: Task, runs: list[Run]) -> None:
    offered = 0

    def feed() -> Iterator[Run]:
        nonlocal offered
        for run in runs * 50:
            offered += 1
            yield run

    training = train_at(Threads(1), feed(), task, engine=quick)
    next(training)
    assert offered < 10 * distribution.MOST_SLOTS
    training.close()


def test_an_engine_s_error_comes_after_what_is_finished(
    engines: ModuleType, task: Task, runs: list[Run]
) -> None:
    with Processes(1) as places:
        training = train_at(places, runs[:12], task, engine=engines.failing)
        finished, error = _until_it_raises(training)
    assert type(error) is RuntimeError
    assert str(error) == "Peculiar: it broke"
    # Whatever was trained before it is there.
    assert {one.run.seed for one in finished} == {0, 1}


def test_who_is_interrupted_gets_what_is_finished(
    gate: Path, engines: ModuleType, task: Task, runs: list[Run]
) -> None:
    with Processes(1) as places:
        training = train_at(places, runs, task, engine=engines.gated)
        got = {id(next(training).run)}
        # The first answer may be of one run; what the place has finished since is asked for.
        while not gate.with_suffix(engines.REACHED).exists():
            time.sleep(0.005)
        got.add(id(training.throw(KeyboardInterrupt()).run))
        left, error = _until_it_raises(training)
        assert type(error) is KeyboardInterrupt
        got |= {id(one.run) for one in left}
        assert len(got) == engines.BEFORE_THE_GATE
    assert active_children() == []


def test_processes_that_are_killed_are_replaced_and_their_runs_start_again(
    gate: Path, engines: ModuleType, task: Task, runs: list[Run], trained: Trained
) -> None:
    said: list[str] = []
    with Processes(2) as places:
        training = train_at(places, runs, task, engine=engines.gated, say=said.append)
        finished = [next(training)]
        for process in active_children():
            process.kill()
        gate.touch()
        finished += training
    trained(finished, runs)
    assert any("was killed (SIGKILL): by hand, or by the system" in line for line in said)
    assert any("start again." in line for line in said)


def test_a_process_that_is_suspended_is_ended_and_replaced(
    gate: Path, engines: ModuleType, task: Task, runs: list[Run], trained: Trained
) -> None:
    said: list[str] = []
    with Processes(1) as places:
        places.patience = 2.0
        training = train_at(places, runs, task, engine=engines.gated, say=said.append)
        finished = [next(training)]
        for process in active_children():
            assert process.pid is not None
            os.kill(process.pid, signal.SIGSTOP)
        gate.touch()
        finished += training
    trained(finished, runs)
    assert said[0].startswith("worker 1 did not answer and was killed")


def test_what_a_slow_place_holds_is_trained_elsewhere_too(
    gate: Path,
    engines: ModuleType,
    task: Task,
    runs: list[Run],
    trained: Trained,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(distribution, "LATE", 1.0)
    monkeypatch.setattr(distribution, "LATE_SECONDS", 0.5)
    with Processes(2) as places:
        places.patience = float("inf")
        training = train_at(places, runs, task, engine=engines.gated)
        # Both have come to their gates, with runs of their own.
        finished = [next(training) for _ in range(2 * engines.BEFORE_THE_GATE)]
        stopped = active_children()[0]
        assert stopped.pid is not None
        os.kill(stopped.pid, signal.SIGSTOP)
        gate.touch()
        finished += training
        assert stopped.is_alive()
    trained(finished, runs)


def test_a_run_that_takes_down_its_process_is_named_and_all_others_are_trained(
    engines: ModuleType, task: Task, runs: list[Run], trained: Trained
) -> None:
    said: list[str] = []
    with Processes(2) as places:
        training = train_at(places, runs, task, engine=engines.deadly, say=said.append)
        finished, error = _until_it_raises(training)
    trained(finished, [run for run in runs if not engines.is_deadly(run)])
    assert isinstance(error, WorkersFailed)
    assert "alone, 3 times: seed 1 of cell = lstm, layers = 1, units = 13" in str(error)
    assert "was killed (SIGKILL)" in str(error)
    assert len(said) <= 8


def test_it_is_said_when_no_process_can_begin(
    engines: ModuleType, task: Task, runs: list[Run]
) -> None:
    message = "no worker can begin: worker 3 ended with status 7"
    with Processes(1) as places, pytest.raises(WorkersFailed, match=message):
        list(train_at(places, runs, task, engine=engines.Unbeginnable()))


def test_a_worker_that_lacks_what_is_needed_says_what(task: Task, runs: list[Run]) -> None:
    def harm(function: Callable[..., Any], *_: Any) -> None:
        if function is resident.begin:
            raise ModuleNotFoundError("No module named 'sweep'\nand more")

    with pytest.raises(WorkersFailed) as failure:
        list(train_at(Threads(1, harm), runs, task, engine=quick))
    first, second = str(failure.value).splitlines()
    assert first == "a thread cannot begin: ModuleNotFoundError: No module named 'sweep'"
    assert "need the same sweep as is here" in second


def test_a_run_says_which_machine_trained_it(
    task: Task, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each place is a machine of its own, and another one when it begins again."""
    machines: list[str] = []
    trained_by: dict[int, str] = {}
    calls = 0

    def engine(offered: Any, task: Task, *, threads: int) -> Iterator[FinishedRun]:
        mine = f"machine {len(machines)}"
        machines.append(mine)
        for finished in quick(offered, task, threads=threads):
            trained_by[id(finished.curves)] = mine
            yield finished

    def begin(session: str, *rest: Any) -> dict[str, Any]:
        with one_at_a_time:
            before = len(machines)
            answer = begins(session, *rest)
            while len(machines) == before:
                time.sleep(0.001)
            return {**answer, "processor": machines[-1]}

    def harm(function: Callable[..., Any], session: str, *_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls in (4, 9):
            resident.end(session)

    begins, one_at_a_time = resident.begin, threading.Lock()
    monkeypatch.setattr(resident, "begin", begin)
    finished = list(train_at(Threads(2, harm), runs, task, engine=engine))
    assert len(finished) == len(runs)
    for one in finished:
        assert one.machine is not None
        assert one.machine["processor"] == trained_by[id(one.curves)]
    assert len(machines) > 2


def test_a_worker_with_another_version_is_refused(
    task: Task, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    installed = distribution.versions()
    monkeypatch.setattr(distribution, "versions", lambda: {**installed, "tensorflow": "1.0"})
    with pytest.raises(WorkersFailed, match=r"a thread has tensorflow .* \(here 1.0\)"):
        list(train_at(Threads(1), runs, task, engine=quick))


def test_a_worker_whose_sweep_does_not_say_where_it_is_is_refused(
    task: Task, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "begin", lambda *_: distribution.versions())
    with pytest.raises(WorkersFailed, match="a thread has another sweep than is here"):
        list(train_at(Threads(1), runs, task, engine=quick))


def test_a_place_whom_nobody_calls_stops(
    task: Task, runs: list[Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "ABANDONED", 0.0)
    ended: list[str] = []

    def engine(offered: Any, task: Task, *, threads: int) -> Iterator[FinishedRun]:
        try:
            yield from quick(offered, task, threads=threads)
        finally:
            ended.append("here")

    resident.begin("abandoned", task, 1, engine)
    resident.exchange("abandoned", 1, [(1, runs[0])])
    while not ended or "abandoned" in resident.sessions:
        time.sleep(0.01)
    with pytest.raises(resident.Forgotten):
        resident.exchange("abandoned", 2, [])


def test_a_call_that_is_made_again_gets_the_same_answer(task: Task, runs: list[Run]) -> None:
    resident.begin("again", task, 1, quick)
    first = resident.exchange("again", 1, [(7, runs[0])])
    assert [result.number for result in first] == [7]
    assert resident.exchange("again", 1, [(7, runs[0])]) is first
    assert [result.number for result in resident.exchange("again", 2, [(8, runs[1])])] == [8]
    resident.end("again")


def _until_it_raises(
    training: Iterator[FinishedRun],
) -> tuple[list[FinishedRun], BaseException | None]:
    """What it yields, and then raises."""
    finished: list[FinishedRun] = []
    try:
        for one in training:
            finished.append(one)
    except BaseException as error:
        return finished, error
    return finished, None
