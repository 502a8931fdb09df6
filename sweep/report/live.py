"""The report while a study runs: the same page, served, which takes in what is new.

    with watched(url, "hello-lstm") as live:
        live.show("3 of 100 trials", done=15, total=500)

`report_app` is the server's part alone, to be mounted elsewhere: its page is made from the storage
whenever a trial has come in, though not so often that making it takes from training what it needs.
"""

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

from storage.failures import StorageFailure
from studies.errors import BadInput
from sweep.results import StudyResult

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request

LOOK = 0.5
"""Seconds between two looks at whether something is new."""

LEAST_PAUSE = 2.0
"""Seconds that a page is left as it is, at least."""

SHARE = 8
"""Times as long as making a page takes, it is left as it is."""

FAREWELL = 15.0
"""Longest time, in seconds, in which open pages may fetch the last state of a study."""

WAITING = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="1">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>sweep</title>
<style>body { margin: 3rem auto; max-width: 46rem; padding: 0 1.5rem; font: 1.1rem/1.5 system-ui,
"Segoe UI", Roboto, "Liberation Sans", Arial, sans-serif; overflow-wrap: anywhere; }</style></head>
<body><p>{{ said }}</p>{{ home }}</body></html>
"""

OPENING = "The study is being opened; its report appears here."


@dataclass
class Source:
    """Where a live report comes from.

    `read` gives the study as it is now, None where it is not there yet; `stamp` a text that is
    another whenever `read` would be, and costs little; `progress` how far it is, as `Live.show` has
    it, or `idle` where nobody works on it; `absent` what is said instead of a study that is not
    there; `home` the address of all studies, where there is a page of them.
    """

    read: Callable[[], StudyResult | None]
    stamp: Callable[[], str]
    progress: Callable[[], dict[str, Any]] = field(default=dict)
    absent: Callable[[], str] = field(default=lambda: OPENING)
    home: str = ""
    closing: threading.Event = field(default_factory=threading.Event)


def stored(url: str, name: str) -> Source:
    """A study in a storage, which is opened for each look; neither has to be there yet."""
    from storage.database import open_database
    from storage.trials import find_study
    from sweep.results import read_results

    def read() -> StudyResult | None:
        try:
            with open_database(url, create=False) as database:
                return read_results(database, name)
        except BadInput:
            return None

    def stamp() -> str:
        try:
            with open_database(url, create=False) as database:
                found = find_study(database, name)
        except BadInput:
            return ""
        return "" if found is None else f"{found.uuid} {found.revision} {found.updated.isoformat()}"

    return Source(read, stamp)


def waiting(source: Source, said: str) -> str:
    """A page that says why there is no report, and looks again every second."""
    home = f'<p><a href="{escape(source.home)}">To the studies</a></p>' if source.home else ""
    return WAITING.replace("{{ said }}", escape(said)).replace("{{ home }}", home)


class _Page:
    """The page of a source, made again when it is stale and asked for."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._lock = threading.Lock()
        self._stamp: str | None = None
        self._result: StudyResult | None = None
        self._state = ""
        self.took = 0.0

    def whole(self) -> str:
        """The page as it is opened."""
        from sweep.report.page import render_live

        self.state()
        if self._result is None:
            return waiting(self.source, self.source.absent())
        return render_live(self._result, stamp=self._stamp or "", whole=True)

    def state(self) -> str:
        """The page without its scripts; empty where the study is not there yet."""
        from sweep.report.page import render_live

        with self._lock:
            stamp = self.source.stamp()
            if stamp != self._stamp:
                began = time.monotonic()
                self._result = self.source.read()
                self._state = ""
                if self._result is not None:
                    self._state = render_live(self._result, stamp=stamp, whole=False)
                self._stamp, self.took = stamp, time.monotonic() - began
            return self._state


def report_app(source: Source) -> "Starlette":
    """The live report as an ASGI application: the page at its root, its events beside it.

    Raises BadInput where the extra `server` is not installed.
    """
    check_installed()
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse, Response, StreamingResponse
    from starlette.routing import Route

    page = _Page(source)
    never = {"Cache-Control": "no-store"}

    def whole(_: "Request") -> Response:
        return HTMLResponse(page.whole(), headers=never)

    def state(_: "Request") -> Response:
        return HTMLResponse(page.state(), headers=never)

    async def events(request: "Request") -> Response:
        stream = _events(source, page, request)
        return StreamingResponse(stream, media_type="text/event-stream", headers=never)

    def icon(_: "Request") -> Response:
        # A browser asks for one, and takes its absence for an error.
        return Response(status_code=204)

    def gone(_: "Request", error: Exception) -> Response:
        page = waiting(source, f"{error}. This page tries again.")
        return HTMLResponse(page, 503, headers=never)

    paths = {"/": whole, "/state": state, "/events": events, "/favicon.ico": icon}
    routes = [Route(path, answer) for path, answer in paths.items()]
    return Starlette(routes=routes, exception_handlers={StorageFailure: gone})


async def _events(source: Source, page: _Page, request: "Request") -> AsyncGenerator[str]:
    """What happens, as server-sent events: `progress`, `changed`, and `end` when all is over.

    The page says what it shows already, so that nothing that came in meanwhile is passed over.
    """
    stamp = request.query_params.get("since", "")
    said, told_at = "", time.monotonic()
    while not await request.is_disconnected():
        try:
            progress = json.dumps(await asyncio.to_thread(source.progress))
        except StorageFailure:
            # The page asks again after a while, as after any stream that ends.
            return
        if progress != said:
            said = progress
            yield f"event: progress\ndata: {progress}\n\n"
        closing = source.closing.is_set()
        pause = max(LEAST_PAUSE, SHARE * page.took)
        if closing or time.monotonic() >= told_at + pause:
            try:
                now = await asyncio.to_thread(source.stamp)
            except StorageFailure:
                return
            if now != stamp:
                stamp, told_at = now, time.monotonic()
                yield "event: changed\ndata: \n\n"
        if closing:
            yield "event: end\ndata: \n\n"
            return
        await asyncio.sleep(LOOK)


@dataclass
class Live:
    """A live report that is being served at `url`."""

    url: str
    _progress: dict[str, Any]

    def show(self, text: str, done: int, total: int) -> None:
        """Takes note of how far the study is, for the page to show: in words, and in runs."""
        self._progress.update(text=text, done=done, total=total)


@contextmanager
def watched(storage: str, name: str, port: int | None = None) -> Generator[Live]:
    """Serves the live report of a study on this machine while the block runs.

    `storage` is the storage's URL, `port` where to listen, any free port if left out. At the end,
    pages that are open take the last state of the study.

    Raises BadInput where the extra `server` is not installed; OSError where the port is taken.
    """
    source = stored(storage, name)
    progress: dict[str, Any] = {}
    source.progress = lambda: dict(progress)
    with serving(report_app(source), port) as url:
        try:
            yield Live(url, progress)
        finally:
            source.closing.set()


@contextmanager
def serving(app: Any, port: int | None = None) -> Generator[str]:
    """Serves an application to this machine alone, in a thread, and gives its address.

    A page of another origin that has this address resolved under its own name gets nothing: the
    host that is asked for has to be this one.
    """
    check_installed()
    import uvicorn
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    taken = socket.socket()
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind(("127.0.0.1", port or 0))
        # Who asks before the server has started waits until it has.
        taken.listen()
    except OSError as error:
        taken.close()
        raise OSError(
            error.errno, f"cannot listen on port {port}: {error.strerror}; try another --port"
        ) from error
    guarded = TrustedHostMiddleware(app, allowed_hosts=["127.0.0.1", "localhost"])
    server = uvicorn.Server(
        uvicorn.Config(
            guarded,
            # Its own configuration would close the log handlers of the whole process.
            log_config=None,
            log_level="critical",
            lifespan="off",
            timeout_graceful_shutdown=round(FAREWELL),
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/"
    finally:
        _let_go(server)
        thread.join(FAREWELL + 2)


def _let_go(server: Any) -> None:
    """Ends a server once the pages that are open have had the time to take the last state."""
    until = time.monotonic() + FAREWELL
    quiet_since = time.monotonic()
    while time.monotonic() < until and time.monotonic() < quiet_since + 2 * LOOK:
        if server.server_state.tasks:
            quiet_since = time.monotonic()
        elif not server.server_state.connections:
            break
        time.sleep(0.05)
    server.should_exit = True


def check_installed() -> None:
    """Raises BadInput where the extra `server` is not installed."""
    from importlib.util import find_spec

    if any(find_spec(name) is None for name in ("a2wsgi", "starlette", "uvicorn")):
        raise BadInput(
            "a live report needs a server, which is not installed; `uv sync --extra server` "
            "installs it"
        )
