"""Which run goes to which place, and what happens to runs whose place is lost.

Runs wait here by shape. A place is brought runs as it finishes others, a population's worth of one
shape at a time, and keeps to the shapes that it trains already, so that its slots are filled. What
a lost place had is given away again; and lest a run that kills its process kill one after another,
it is tried apart from others, in smaller and smaller groups, until it is known.
"""

import time
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from studies.run import FinishedRun, Run
from studies.tasks import Task
from sweep.engine import CHUNK, MEMORY
from sweep.engine.shapes import MOST_SLOTS, Shape, shape_of
from sweep.engine.slots import fed
from sweep.machine import versions
from sweep.workers import resident
from sweep.workers.places import Place, Places, WorkersFailed
from sweep.workers.resident import Engine, Forgotten, Result

LOAD = 4
"""Populations' worth of runs that each thread of a place has at most: enough to fill its slots
again as they become free, few enough that a lost place costs little."""

AHEAD = 4
"""Populations' worth of runs, for each thread, that may wait here."""

LOOK = 0.1
"""Seconds after which runs are asked for again, and places looked at."""

LATE = 4.0
"""A run is late when it is away so many times longer than any that came back, …"""

LATE_SECONDS = 20.0
"""… and at least so many seconds. It is then trained elsewhere too, where there is nothing else."""

PIECES = 4
"""Into how many groups one is divided that has taken down its process."""

DEATHS = 3
"""Processes that a run takes down, alone in them, before the study gives up; and those in a row
that end before they begin."""

LAST_CALL = 10.0
"""Seconds in which others may be offered where all that is left was set aside."""

PATIENCE = 2.0
"""Seconds that an interruption waits for what places have finished."""

STARTING = 5.0
"""How often longer a place may be silent as it begins, when it imports TensorFlow."""

MUST_AGREE = ("sweep", "tensorflow", "keras", "numpy")
"""Packages whose versions are the same everywhere, since curves depend on them."""


@dataclass
class _Order:
    """A run to be trained: the number of its shape, how many places have it, and how many processes
    it has taken down, alone in them."""

    number: int
    run: Run
    shape: int
    held: int = 0
    deaths: int = 0


@dataclass(eq=False)
class _Post:
    """A place at work: its runs and since when it has them, and the call that is in it.

    `machine` is what it says of itself as it begins. `apart`: it has a group that is suspected, and
    nothing else.
    """

    place: Place
    session: str = ""
    begun: bool = False
    machine: Mapping[str, Any] = field(default_factory=dict[str, Any])
    calls: int = 0
    call: Future[Any] | None = None
    orders: dict[int, float] = field(default_factory=dict[int, float])
    brought: list[int] = field(default_factory=list[int])
    apart: bool = False
    silent: float = 0.0


def train_at(
    places: Places,
    runs: Iterable[Run | None],
    task: Task,
    *,
    engine: Engine | None = None,
    say: Callable[[str], None] = lambda sentence: None,
) -> Generator[FinishedRun]:
    """Trains runs at these places and yields each when it ends, as `sweep.engine.train`.

    `engine` takes the engine's place in the processes; it is found there by its module and name.
    `say` is told in a sentence when a worker is lost. Raises WorkersFailed when a run takes down
    every process that trains it, when none can begin, or when one has other versions than are here;
    ConnectionError where a cluster is lost; and what an engine raises.
    """
    distribution = _Distribution(places, task, engine, say)
    try:
        yield from distribution.train(iter(runs))
    except GeneratorExit:
        raise
    except BaseException:
        yield from distribution.left()
        raise
    finally:
        distribution.end()


class _Distribution:
    def __init__(
        self, places: Places, task: Task, engine: Engine | None, say: Callable[[str], None]
    ) -> None:
        self._places, self._task, self._engine, self._say = places, task, engine, say
        self._posts: list[_Post] = []
        self._orders: dict[int, _Order] = {}
        self._shapes: dict[Shape, int] = {}
        self._waiting: dict[int, deque[int]] = {}
        self._suspected: deque[list[int]] = deque()
        self._finished: deque[FinishedRun] = deque()
        self._numbers = 0
        self._stillborn = 0
        self._guilty: str | None = None
        self._idle_since: float | None = None
        self._longest: float | None = None
        self._looked_at = time.monotonic()

    def train(self, runs: Iterator[Run | None]) -> Iterator[FinishedRun]:
        exhausted = False
        while True:
            self._meet()
            exhausted = exhausted or fed(runs, self._hungry, self._admit)
            if self._orders:
                self._idle_since = None
            elif self._is_over(exhausted):
                return
            for post in list(self._posts):
                self._call(post)
            self._await()
            yield from self._take()

    def _is_over(self, exhausted: bool) -> bool:
        """Where nothing is in training: whether nothing is to come. Raises what is wrong then."""
        if self._guilty is None:
            if not exhausted:
                raise RuntimeError("no run is in training, and none was offered")
            return True
        # Who offers runs takes one that was set aside for one in training, and may be thinking.
        self._idle_since = self._idle_since or time.monotonic()
        if exhausted or time.monotonic() - self._idle_since > LAST_CALL:
            raise WorkersFailed(self._guilty)
        return False

    def left(self) -> Iterator[FinishedRun]:
        """What is finished when an interruption or an error ends the training."""
        limit = time.monotonic() + PATIENCE
        for post in [post for post in self._posts if post.begun and post.call is None]:
            with suppress(Exception):
                self._exchange(post, [])
        calls = {post.call: post for post in self._posts if post.begun and post.call is not None}
        for call in wait(calls, max(0.0, limit - time.monotonic())).done:
            with suppress(Exception):
                self._receive(calls[call], call.result())
        yield from self._take()

    def end(self) -> None:
        """Lets the places stop; nobody waits for that."""
        for post in [post for post in self._posts if post.session]:
            with suppress(Exception):
                post.place.executor.submit(resident.end, post.session)

    def _take(self) -> Iterator[FinishedRun]:
        # A run stays here until the next is asked for: who takes it may be interrupted.
        while self._finished:
            yield self._finished[0]
            self._finished.popleft()

    def _meet(self) -> None:
        """Welcomes new places, and gives up those that are no more."""
        there = self._places.there()
        for post in [post for post in self._posts if post.place not in there]:
            self._lose(post)
        known = {post.place for post in self._posts}
        self._posts += [_Post(place) for place in self._places.there() if place not in known]

    def _hungry(self) -> bool:
        waiting = sum(len(line) for line in self._waiting.values())
        threads = sum(post.place.threads for post in self._posts)
        return waiting < AHEAD * MOST_SLOTS * max(1, threads)

    def _admit(self, run: Run) -> None:
        shape = shape_of(run.configuration, self._task, chunk=CHUNK, memory=MEMORY)
        self._numbers += 1
        kind = self._shapes.setdefault(shape, len(self._shapes))
        self._orders[self._numbers] = _Order(self._numbers, run, kind)
        self._waiting.setdefault(kind, deque()).append(self._numbers)

    def _call(self, post: _Post) -> None:
        """Calls a place that is free to be called, and has or gets something to do."""
        if post.call is not None:
            return
        try:
            if not post.begun:
                post.session, post.calls = uuid.uuid4().hex, 0
                post.call = post.place.executor.submit(
                    resident.begin, post.session, self._task, post.place.threads, self._engine
                )
                return
            self._bring(post)
            if post.orders:
                self._exchange(post, post.brought)
        except Exception as error:
            if not self._places.is_loss(error):
                raise
            self._lose(post)

    def _exchange(self, post: _Post, numbers: Sequence[int]) -> None:
        """Brings a place these runs, and asks it for what is finished."""
        brought = [(number, self._orders[number].run) for number in numbers]
        post.calls += 1
        post.call = post.place.executor.submit(resident.exchange, post.session, post.calls, brought)

    def _bring(self, post: _Post) -> None:
        """Chooses what a place is brought next."""
        post.brought = []
        if post.apart and post.orders:
            return
        post.apart = bool(self._suspected) and not post.orders
        if post.apart:
            self._hold(post, self._suspected.popleft())
            return
        share = -(-len(self._orders) // max(1, len(self._posts)))
        full = max(MOST_SLOTS, min(LOAD * MOST_SLOTS * post.place.threads, share))
        while (room := full - len(post.orders)) > 0:
            line = self._line(post)
            if line is None:
                break
            self._hold(post, [line.popleft() for _ in range(min(room, MOST_SLOTS, len(line)))])
        if not post.orders:
            self._hold(post, self._late(post))

    def _hold(self, post: _Post, numbers: Sequence[int]) -> None:
        for number in numbers:
            post.orders[number] = time.monotonic()
            self._orders[number].held += 1
        post.brought += numbers

    def _line(self, post: _Post) -> deque[int] | None:
        """The runs of one shape, which wait, that a place trains best: those of a shape of its own
        before those of nobody's, the oldest first; and another's rather than stay idle.
        """
        lines = {shape: line for shape, line in self._waiting.items() if line}
        if not lines:
            return None
        own = {self._orders[number].shape for number in post.orders}
        others = {
            self._orders[number].shape
            for other in self._posts
            if other is not post and not other.apart
            for number in other.orders
        }
        for shapes in (own, lines.keys() - others):
            fitting = [lines[shape] for shape in lines if shape in shapes]
            if fitting:
                return min(fitting, key=lambda line: line[0])
        if len(post.orders) < MOST_SLOTS * post.place.threads:
            return max(lines.values(), key=len)
        return None

    def _late(self, post: _Post) -> list[int]:
        """Runs of places that are slow, or hang, which an idle one might finish sooner."""
        if self._longest is None:
            return []
        since = time.monotonic() - max(LATE_SECONDS, LATE * self._longest)
        late = [
            number
            for other in self._posts
            if other is not post and not other.apart
            for number, moment in other.orders.items()
            if moment < since and self._orders[number].held == 1
        ]
        return late[: MOST_SLOTS * post.place.threads]

    def _await(self) -> None:
        """Waits until a place has answered, not long, and takes in what it says."""
        calls = {post.call: post for post in self._posts if post.call is not None}
        if calls:
            done = wait(calls, LOOK, FIRST_COMPLETED).done
        else:
            time.sleep(LOOK)
            done = set[Future[Any]]()
        moment = time.monotonic()
        # Time in which this process itself stood still is nobody's silence.
        passed, self._looked_at = min(1.0, moment - self._looked_at), moment
        for call, post in calls.items():
            if call in done:
                self._answered(post, call)
                continue
            post.silent += passed
            if post.silent > self._places.patience * (1.0 if post.begun else STARTING):
                self._lose(post, "did not answer and ")

    def _answered(self, post: _Post, call: Future[Any]) -> None:
        post.call, post.silent = None, 0.0
        try:
            answer = call.result()
        except Forgotten:
            post.begun = False
            for number in reversed(self._let_go(post)):
                self._waiting[self._orders[number].shape].appendleft(number)
        except BaseException as error:
            if not self._places.is_loss(error):
                if isinstance(error, Exception) and not post.begun:
                    raise WorkersFailed(_cannot_begin(post.place, error)) from error
                raise
            self._lose(post)
        else:
            if post.begun:
                self._receive(post, answer)
                return
            self._compare(post.place, answer)
            post.begun, post.machine, self._stillborn = True, answer, 0

    def _receive(self, post: _Post, results: Sequence[Result]) -> None:
        moment = time.monotonic()
        for result in results:
            since = post.orders.pop(result.number, moment)
            order = self._orders.pop(result.number, None)
            if order is not None:
                self._longest = max(self._longest or 0.0, moment - since)
                self._finished.append(result.of(order.run, post.machine))
                for other in self._posts:
                    # What another has too is of no more use; it may come, and is not missed.
                    other.orders.pop(result.number, None)

    def _let_go(self, post: _Post) -> list[int]:
        """What a place had and no other has, which it then has no more."""
        lost: list[int] = []
        for number in post.orders:
            order = self._orders[number]
            order.held -= 1
            if order.held == 0:
                lost.append(number)
        post.orders, post.brought, post.apart = {}, [], False
        return lost

    def _lose(self, post: _Post, silent: str = "") -> None:
        """A place is no more: what it had is suspected to have taken it down."""
        why = silent + self._places.lost(post.place)
        self._posts.remove(post)
        if not post.begun:
            self._stillborn += 1
            if self._stillborn >= DEATHS:
                raise WorkersFailed(f"no worker can begin: {post.place.name} {why}")
            return
        pieces = PIECES if post.apart else 1
        lost = self._let_go(post)
        if not lost:
            return
        if len(lost) == 1 and self._is_guilty(self._orders[lost[0]], why):
            del self._orders[lost[0]]
            self._say(f"{_short(post, why)}: the same run has done that {DEATHS} times.")
            return
        size = -(-len(lost) // pieces)
        self._suspected += [lost[k : k + size] for k in range(0, len(lost), size)]
        again = "a run starts" if len(lost) == 1 else f"{len(lost)} runs start"
        self._say(f"{_short(post, why)}; {again} again.")

    def _is_guilty(self, order: _Order, why: str) -> bool:
        """Whether a run has taken down too many processes, alone in them. It is then set aside, so
        that all others are trained before the study ends for it."""
        order.deaths += 1
        if order.deaths < DEATHS:
            return False
        settings = ", ".join(f"{k} = {v}" for k, v in order.run.configuration.identity().items())
        self._guilty = (
            f"a run takes down whatever process trains it, alone, {order.deaths} times: "
            f"seed {order.run.seed} of {settings}. The last process {why}\n"
            "All that could be trained without it is kept. Is it too large for the memory? A "
            "study whose [space] leaves it out, under another name, finds the runs that are there"
        )
        return True

    def _compare(self, place: Place, machine: Mapping[str, Any]) -> None:
        if "versions" not in machine:
            raise WorkersFailed(
                f"{place.name} has another sweep than is here; install the same there"
            )
        here, there = versions(), machine["versions"]
        other = [name for name in MUST_AGREE if there.get(name) != here[name]]
        if other:
            listed = ", ".join(f"{name} {there.get(name)} (here {here[name]})" for name in other)
            raise WorkersFailed(
                f"{place.name} has {listed}; curves may depend on that, so install the same there"
            )


def _short(post: _Post, why: str) -> str:
    return f"{post.place.name} {why.partition(';')[0]}"


def _cannot_begin(place: Place, error: Exception) -> str:
    said = (str(error) or "no reason given").splitlines()[0]
    return (
        f"{place.name} cannot begin: {type(error).__name__}: {said}\n"
        "Workers, and the scheduler of a cluster, need the same sweep as is here, and what it needs"
    )
