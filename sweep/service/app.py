"""The server: a start page, live reports, Optuna's dashboard and the API, in one ASGI application.

Optuna's dashboard asks for absolute addresses (/dashboard, /static, /api …), so it has these, and
everything of ours is elsewhere: the API is at /v1, the reports are at /reports/NAME/.
"""

import asyncio
import base64
import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import quote, unquote

from fastapi import FastAPI, Form, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from storage import queue
from storage.database import Database, StorageFailure
from storage.failures import Lost
from storage.lease import abandoned
from storage.trials import StudyLine, find_study, study_lines
from studies.errors import BadInput
from studies.study import shipped_studies
from sweep.machine import versions
from sweep.report import live
from sweep.results import StudyResult, read_results
from sweep.service import api
from sweep.service.guard import COOKIE, FAULT, PAGE_POLICY, Guard, Token
from sweep.service.limits import Limits, TooLarge
from sweep.service.metrics import CONTENT_TYPE, metrics
from sweep.service.pages import installed_text, problem, refusal, shown

DASHBOARD = ("/dashboard", "/static", "/api", "/artifacts", "/csv")
"""The first parts of the addresses that Optuna's dashboard answers."""

NOTE = re.compile(r"/api/studies/\d+(/\d+)?/note")
"""What may be written in the dashboard: the notes of studies and trials."""

ONLY_NOTES = (
    "this dashboard shows copies of sweep's studies; write notes in it, and change or delete a "
    "study by sweep itself"
)

REPORTS_KEPT = 16
"""Live reports that are kept in memory, each with its page."""

SCRIPT = re.compile(r"<script[^>]*>(.*?)</script>", re.DOTALL)


def service(
    db: Database,
    *,
    hosts: frozenset[str],
    token: Token | None = None,
    limits: Limits = Limits(),  # noqa: B008
) -> ASGIApp:
    """The whole application, behind its guard; `hosts` are the names by which it may be asked."""
    app = FastAPI(
        title="sweep",
        version=versions()["sweep"],
        description=api.__doc__ or "",
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
    )
    _answer_errors(app)
    app.include_router(api.routes(db, limits))
    _pages(app, db, token, limits)
    _observed(app, db)
    reports, dashboard = _Reports(db), _dashboard(db)

    async def whole(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if path.startswith("/reports/"):
            await reports(scope, receive, send)
        elif any(path == first or path.startswith(f"{first}/") for first in DASHBOARD):
            await dashboard(scope, receive, send)
        else:
            await app(scope, receive, send)

    return Guard(whole, hosts, token, limits)


def _answer_errors(app: FastAPI) -> None:
    """What goes wrong is said in one form, and never with a traceback."""

    def say(status: int) -> Callable[[Request, Exception], Response]:
        return lambda request, error: refusal(request.scope, status, str(error))

    def away(request: Request, error: Exception) -> Response:
        return refusal(request.scope, 503, not_now(error))

    def fault(request: Request, error: Exception) -> Response:
        return refusal(request.scope, 500, FAULT)

    def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query"))
        return refusal(request.scope, 400, f"{where}: {first['msg']}")

    def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        said = {404: f"there is nothing at {request.url.path}"}.get(error.status_code, error.detail)
        return refusal(request.scope, error.status_code, said, error.headers)

    app.add_exception_handler(Exception, fault)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(BadInput, say(400))
    app.add_exception_handler(api.NotThere, say(404))
    app.add_exception_handler(TooLarge, say(413))
    app.add_exception_handler(StorageFailure, away)
    app.add_exception_handler(RequestValidationError, invalid)


def not_now(error: Exception) -> str:
    """A storage's failure in words for who asks a server, and has no command that goes on."""
    cause = error.__cause__ if isinstance(error, Lost) else None
    return f"{cause or error}; ask again in a while"


def _pages(app: FastAPI, db: Database, token: Token | None, limits: Limits) -> None:
    shipped = [name for name, _ in shipped_studies()]

    def state() -> dict[str, Any]:
        there = queue.entries(db, most=200)
        busy = [entry for entry in there if entry.state in ("running", "waiting")]
        over = [entry for entry in there if entry.state not in ("running", "waiting")][:10]
        now = {entry.name: entry.progress for entry in busy if entry.state == "running"}
        lines = [_up_to(line, now.get(line.name, {})) for line in study_lines(db)]
        lines.sort(key=lambda line: line.updated, reverse=True)
        return {"busy": busy, "over": over, "studies": lines, "quote": lambda t: quote(t, safe="")}

    def front(
        status: int = 200, wrong: str = "", chosen: str = "", name: str = "", trials: str = ""
    ) -> Response:
        given = {"shipped": chosen, "name": name, "trials": trials}
        facts = {"storage": db.url, "shipped": shipped, "signed": token is not None}
        return shown("start", status, problem=wrong, given=given, **facts, **state())

    @app.get("/", include_in_schema=False)
    def start() -> Response:
        return front()

    @app.get("/parts", include_in_schema=False)
    def parts() -> Response:
        return shown("state", **state())

    @app.post("/submit", include_in_schema=False)
    def submit(
        shipped: Annotated[str, Form()] = "",
        name: Annotated[str, Form()] = "",
        trials: Annotated[str, Form()] = "",
        study: UploadFile | None = None,
        csv: UploadFile | None = None,
    ) -> Response:
        try:
            text, data = api.read_text("study", study), api.read_text("csv", csv)
            if trials and not (trials.isascii() and trials.isdecimal() and len(trials) < 10):
                raise BadInput(f"trials {trials!r}: must be a whole number")
            asked = api.Submission(
                name=name or None,
                shipped=None if text is not None else shipped,
                study=text,
                csv=data,
                csv_name=((csv.filename if csv else None) or "data.csv")[-200:],
                trials=int(trials) if trials else None,
            )
            api.take(db, asked, limits)
        except BadInput as error:
            return front(400, str(error), shipped, name, trials)
        return RedirectResponse("/", 303)

    @app.post("/cancel", include_in_schema=False)
    def cancel(name: Annotated[str, Form()]) -> Response:
        try:
            queue.cancel(db, name)
        except BadInput as error:
            return problem(404, str(error))
        return RedirectResponse("/", 303)

    @app.get("/login", include_in_schema=False)
    def login(next: str = "/") -> Response:
        return shown("login", wrong=False, next=next, signed=token is not None)

    @app.post("/login", include_in_schema=False)
    def enter(
        request: Request,
        given: Annotated[str, Form(alias="token")],
        next: Annotated[str, Form()] = "/",
    ) -> Response:
        if token is None or not token.is_right(given.strip()):
            return shown("login", 401, wrong=True, next=next, signed=token is not None)
        # To a page of this server only: an address with a host of its own begins otherwise.
        here = next.startswith("/") and not next.startswith(("//", "/\\"))
        answer = RedirectResponse(quote(next, safe="/") if here else "/", 303)
        answer.set_cookie(
            COOKIE,
            token.cookie,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    @app.post("/logout", include_in_schema=False)
    def leave() -> Response:
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    @app.get("/assets/{name}", include_in_schema=False)
    def asset(name: str) -> Response:
        if name == "service.css":
            report = installed_text("sweep.report", "report.css")
            own = installed_text("sweep.service", "service.css")
            return Response(report + own, media_type="text/css")
        if name == "service.js":
            script = installed_text("sweep.service", "service.js")
            return Response(script, media_type="text/javascript")
        raise HTTPException(404)

    @app.get("/favicon.ico", include_in_schema=False)
    def icon() -> Response:
        return Response(status_code=204)


def _up_to(line: StudyLine, progress: Mapping[str, Any]) -> StudyLine:
    """A study's counts with what its worker has finished, which comes in when trials before it are
    done."""
    keys = ("trials", "runs", "solved_runs")
    return replace(line, **{key: max(getattr(line, key), progress.get(key, 0)) for key in keys})


def _observed(app: FastAPI, db: Database) -> None:
    @app.get("/health", responses={503: {"description": "The storage cannot be read."}})
    def health() -> Response:
        """Whether the server can read its storage; asks for no token."""
        try:
            db.check()
        except (BadInput, StorageFailure):
            return JSONResponse({"status": "the storage cannot be read"}, 503)
        return JSONResponse({"status": "ok"})

    @app.get("/metrics", response_class=Response)
    def measured() -> Response:
        """What the workers do, in Prometheus's text format."""
        return Response(metrics(db), headers={"Content-Type": CONTENT_TYPE})


def _dashboard(db: Database) -> ASGIApp:
    from a2wsgi import WSGIMiddleware
    from optuna_dashboard import wsgi

    from sweep.dashboard import Artifacts

    application: Any = wsgi(db.optuna_storage(), artifact_store=Artifacts(db))
    dashboard: Any = WSGIMiddleware(application)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        reads = scope["method"] in ("GET", "HEAD")
        if not (reads or (scope["method"] == "PUT" and NOTE.fullmatch(scope["path"]))):
            await JSONResponse({"reason": ONLY_NOTES}, 403)(scope, receive, send)
            return
        # It fails where a program, unlike a browser, does not say which encodings it takes.
        MutableHeaders(scope=scope).setdefault("Accept-Encoding", "identity")
        await dashboard(scope, receive, send)

    return answer


class _Reports:
    """The live report of every study, at /reports/NAME/; the last that were asked for are kept."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._apps: OrderedDict[str, ASGIApp] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path", b"").decode("ascii", "replace").partition("?")[0]
        name, slash, rest = raw.removeprefix("/reports/").partition("/")
        if not slash:
            await RedirectResponse(f"/reports/{name}/")(scope, receive, send)
            return
        name = unquote(name)
        try:
            known = await asyncio.to_thread(self._is_known, name)
        except StorageFailure as error:
            await refusal(scope, 503, not_now(error))(scope, receive, send)
            return
        if not known:
            await refusal(scope, 404, f"there is no study {name}")(scope, receive, send)
            return
        if name not in self._apps:
            self._apps[name] = live.report_app(_source(self._db, name))
        self._apps.move_to_end(name)
        while len(self._apps) > REPORTS_KEPT:
            self._apps.popitem(last=False)
        inner = {**scope, "path": f"/{rest}", "raw_path": f"/{rest}".encode(), "root_path": ""}
        await self._apps[name](inner, receive, _with_policy(send))

    def _is_known(self, name: str) -> bool:
        there = find_study(self._db, name) is not None
        return there or bool(queue.entries(self._db, name=name, most=1))


def _source(db: Database, name: str) -> live.Source:
    """A study of this server's storage, and how far its worker says that it is."""

    def read() -> StudyResult | None:
        try:
            return read_results(db, name)
        except BadInput:
            return None

    def stamp() -> str:
        found = find_study(db, name)
        return "" if found is None else f"{found.uuid} {found.revision} {found.updated.isoformat()}"

    def progress() -> dict[str, Any]:
        entry = next(iter(queue.entries(db, name=name, most=1)), None)
        if entry is None or entry.state != "running":
            idle = db.read(lambda connection: name in abandoned(db, connection, [name]))
            return {"idle": True} if idle else {}
        if "text" not in entry.progress:
            return {}
        told = entry.progress
        return {"text": told["text"], "done": told["runs"], "total": told["runs_asked"]}

    def absent() -> str:
        entry = next(iter(queue.entries(db, name=name, most=1)), None)
        if entry is None or entry.state == "running":
            return live.OPENING
        if entry.state == "waiting":
            return f"{name} waits in the queue; its report appears here."
        if entry.state == "done":
            return f"{name} was done, and is no longer in the storage."
        why = f": {entry.message}" if entry.message else ""
        return f"{name} is {entry.state}{why}; there is no report of it."

    return live.Source(read, stamp, progress, absent=absent, home="/")


def _with_policy(send: Send) -> Send:
    """Sends a page with a policy that allows the scripts which are in it, and no others."""
    start: Message | None = None
    body = b""

    async def answer(message: Message) -> None:
        nonlocal start, body
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if not headers.get("content-type", "").startswith("text/html"):
                headers["Content-Security-Policy"] = PAGE_POLICY
                await send(message)
                return
            start = message
            return
        if start is None:
            await send(message)
            return
        body += message.get("body", b"")
        if not message.get("more_body", False):
            MutableHeaders(scope=start)["Content-Security-Policy"] = policy(body.decode())
            await send(start)
            await send({"type": "http.response.body", "body": body})

    return answer


def policy(page: str) -> str:
    """The content security policy of a report: its own scripts by their digests.

    Its figures set styles of their own, so styles are not held to digests.
    """
    digests = [
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        for script in SCRIPT.findall(page)
    ]
    scripts = " ".join(f"'sha256-{digest}'" for digest in digests) or "'none'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; "
        "connect-src 'self'; img-src data: blob:; font-src data:; frame-ancestors 'none'; "
        "base-uri 'none'; form-action 'none'"
    )
