"""Places in a Dask cluster: as many as it has workers, which may come and go.

Dask's protocol is trusted: who reaches a scheduler or a worker can have any code run there. So a
cluster belongs into a closed network, or speaks TLS (an address that begins with tls://), with the
certificates that Dask's own configuration names: `distributed.comm.tls`.
"""

import importlib.util
import logging
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any

from studies.errors import BadInput
from studies.problems import quoted
from sweep.workers.places import Place

SCHEMES = ("tcp", "tls", "ws", "wss")
"""How a scheduler can be reached."""

ENCRYPTED = ("tls://", "wss://")

CONNECTING = 10.0
"""Seconds in which a scheduler has to answer, also after it was away."""

ANSWERING = 5.0
"""Seconds in which it has to say which workers there are; if it does not, it is asked again."""

LOOK = 1.0
"""Seconds between two looks at which workers there are."""

PATIENCE = float("inf")
"""Dask itself finds out which workers are lost."""


def check_address(address: str) -> None:
    """Raises BadInput unless this may be the address of a Dask scheduler, and Dask is installed."""
    scheme, there, rest = address.partition("://")
    port = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):(\d{1,5})", rest)
    if not there or scheme not in SCHEMES or not port or not 0 < int(port[2]) < 65536:
        raise BadInput(
            f"cluster: {quoted(address)} is no address of a Dask scheduler; expected one such as "
            f"tcp://HOST:8786 or tls://HOST:8786 ({', '.join(SCHEMES)})"
        )
    if importlib.util.find_spec("distributed") is None:
        raise BadInput(
            "cluster: needs Dask, which is not installed; `uv sync --extra cluster` installs it"
        )


class Cluster:
    """The workers of the Dask cluster whose scheduler is at `address`, while this is entered.

    `say` is told when there is none to train. Raises ConnectionError where it cannot be reached.
    """

    patience = PATIENCE

    def __init__(self, address: str, say: Callable[[str], None] = lambda sentence: None) -> None:
        self._address, self._say = address, say
        self._client: Any = None
        self._places: dict[str, Place] = {}
        self._looked_at = float("-inf")
        self._said = False

    def __enter__(self) -> "Cluster":
        from distributed import Client
        from distributed.security import Security

        # What it has to say of a cluster that is gone is said here.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        try:
            security = Security()
            certified = security.get_connection_args("client").get("ssl_context")
            if security.require_encryption and not self._address.startswith(ENCRYPTED):
                raise BadInput(
                    f"cluster: Dask's configuration requires encryption, and {self._address} has "
                    "none: expected tls://HOST:8786"
                )
            if self._address.startswith(ENCRYPTED) and not certified:
                raise BadInput(
                    f"cluster: {self._address} speaks TLS, and Dask's configuration names no "
                    "certificates: distributed.comm.tls.ca-file, .client.cert and .client.key"
                )
            self._client = Client(self._address, timeout=CONNECTING, set_as_default=False)
        except BadInput:
            raise
        except (OSError, ValueError, TypeError, ImportError) as error:
            raise ConnectionError(
                f"no Dask scheduler can be reached at {self._address}: {_reason(error)}"
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        if self._client is not None:
            with suppress(Exception):
                self._client.close(timeout=CONNECTING)

    def there(self) -> Sequence[Place]:
        if self._client.status in ("closing", "closed"):
            raise ConnectionError(
                f"the Dask scheduler at {self._address} is gone; the finished runs are kept, and "
                "the same command goes on when it is back"
            )
        moment = time.monotonic()
        if self._client.status == "running" and moment - self._looked_at >= LOOK:
            self._looked_at = moment
            # Between two states of the client there is nothing to be had; it is asked again.
            with suppress(OSError, TimeoutError, CancelledError, RuntimeError):
                self._update(self._client.nthreads(callback_timeout=ANSWERING))
        return list(self._places.values())

    def is_loss(self, error: BaseException) -> bool:
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError

        return isinstance(error, KilledWorker | CancelledError | FutureCancelledError | OSError)

    def lost(self, place: Place) -> str:
        for worker, other in list(self._places.items()):
            if other is place:
                # It is another place if it is still there: what was in the first is lost.
                del self._places[worker]
                self._looked_at = float("-inf")
        return "is not in the cluster any more, or does not answer"

    def _update(self, threads: dict[str, int]) -> None:
        self._places = {w: place for w, place in self._places.items() if w in threads}
        for worker in threads.keys() - self._places.keys():
            # A place is one worker: an engine stays there between two calls.
            executor = self._client.get_executor(
                workers=[worker], allow_other_workers=False, pure=False
            )
            self._places[worker] = Place(f"worker {worker}", max(1, threads[worker]), executor)
        if not threads and not self._said:
            self._say(f"{self._address} has no workers; waiting for some.")
        self._said = not threads


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
