"""What a place is where runs are trained, and what becomes of it."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol


class WorkersFailed(ChildProcessError):
    """Workers cannot train what they should; the message is for the user as it stands."""


@dataclass(frozen=True, eq=False)
class Place:
    """A process that trains: what is submitted to `executor` is called in it.

    `name` is for people, `threads` is how many programs it trains at once.
    """

    name: str
    threads: int
    executor: Executor


class Places(Protocol):
    """The places that there are, which may come and go."""

    patience: float
    """Seconds without an answer after which a place counts as lost."""

    def there(self) -> Sequence[Place]:
        """The places that there are now. Raises ConnectionError where that cannot be known."""
        ...

    def is_loss(self, error: BaseException) -> bool:
        """Whether this, which a call has raised, says that its place was lost."""
        ...

    def lost(self, place: Place) -> str:
        """Gives a place up, whatever it does; says what became of it, as far as is known here."""
        ...
