"""A server on a storage, and a client of it, as the tests of the service ask it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

from storage.database import Database
from sweep.service.app import service
from sweep.service.guard import Token
from sweep.service.limits import MIB, Limits
from sweep.service.server import listen

SECRET = "correct horse battery staple"
SMALL = Limits(upload=100_000, epochs=20_000, memory=64 * MIB)

ODD = "<b>small & odd"
ODD_REPORT = "/reports/%3Cb%3Esmall%20&%20odd/"


@contextmanager
def running(database: Database, token: Token | None = None) -> Iterator[httpx.Client]:
    """The server on a free port, and a client of it."""
    taken = listen("127.0.0.1", 0)
    hosts = frozenset({"127.0.0.1", "localhost"})
    application = service(database, hosts=hosts, token=token, limits=SMALL)
    config = uvicorn.Config(application, log_config=None, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    try:
        with httpx.Client(base_url=address, timeout=240) as client:
            yield client
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join()


def error_of(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


def ask(app: Any, url: str, **headers: str) -> httpx.Response:
    """What an application answers that listens at the address of this URL."""

    async def get() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:
            return await client.get(url, headers=headers)

    return asyncio.run(get())
