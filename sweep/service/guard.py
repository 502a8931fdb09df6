"""Who may ask the server: the right host, no other site's pages, and a token where one is needed.

A browser gets a cookie for the token, which it sends to this server only; programs send
`Authorization: Bearer TOKEN`. The token is never part of an address, and never logged.
"""

import hashlib
import hmac
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from studies.errors import BadInput
from sweep.service.limits import Limits, TooLarge, check_size
from sweep.service.logs import log
from sweep.service.pages import is_api, refusal, wants_page

COOKIE = "sweep_session"

SHORTEST = 16
"""Characters of a token, at least."""

FAULT = "a fault in sweep; the server's log says which"

OPEN = ("/health", "/login", "/assets/service.css")
"""What may be seen without a token."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""The content security policy of every answer that has no other."""


@dataclass(frozen=True)
class Token:
    """A secret that is compared in constant time."""

    secret: str

    def is_right(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.secret.encode())

    @property
    def cookie(self) -> str:
        """What a browser keeps, from which the token cannot be told."""
        return hmac.new(self.secret.encode(), b"sweep session", hashlib.sha256).hexdigest()

    def is_cookie(self, given: str) -> bool:
        return hmac.compare_digest(given.encode(), self.cookie.encode())


def token_from(file: Path | None, environment: Mapping[str, str] = os.environ) -> Token | None:
    """The token in a file, else that of SWEEP_TOKEN; None where neither is given.

    Raises BadInput for a file that cannot be read, or a token that is too short or not plain.
    """
    where, text = "SWEEP_TOKEN", environment.get("SWEEP_TOKEN", "")
    if file is not None:
        where = f"--token-file {file}"
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"{where}: cannot be read: {error}") from None
    elif not text:
        return None
    secret = text.strip()
    if len(secret) < SHORTEST or not secret.isascii() or not secret.isprintable():
        raise BadInput(
            f"{where}: a token is {SHORTEST} or more printable ASCII characters; "
            "`openssl rand -hex 32` makes one"
        )
    return Token(secret)


class Guard:
    """An ASGI application behind the checks of this module; `hosts` are names without a port."""

    def __init__(
        self, app: ASGIApp, hosts: frozenset[str], token: Token | None, limits: Limits
    ) -> None:
        self._app, self._hosts, self._token, self._limits = app, hosts, token, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        began, status, received = time.monotonic(), 0, 0
        over: TooLarge | None = None
        request = Request(scope)

        async def answer(message: Message) -> None:
            nonlocal status
            if over is not None and not status:
                # Whoever read the body may have taken its end for a fault.
                return
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("Content-Security-Policy", PAGE_POLICY)
                # The dashboard lets any site read its files.
                del headers["Access-Control-Allow-Origin"]
            await send(message)

        async def take() -> Message:
            nonlocal received, over
            message = await receive()
            received += len(message.get("body", b""))
            try:
                check_size(received, self._limits)
            except TooLarge as error:
                over = error
                raise
            return message

        refused = self._refused(request)
        try:
            if refused is not None:
                await refused(scope, receive, answer)
            else:
                try:
                    await self._app(scope, take, answer)
                except (TooLarge, ClientDisconnect):
                    pass
                except Exception:
                    log("fault", fault=True, method=scope["method"], path=scope["path"])
                    if not status:
                        await refusal(scope, 500, FAULT)(scope, receive, answer)
            if over is not None and not status:
                said, over = str(over), None
                await refusal(scope, 413, said)(scope, receive, answer)
        finally:
            if scope["path"] not in ("/health", "/parts", "/metrics"):
                milliseconds = round(1000 * (time.monotonic() - began))
                log(
                    "request",
                    method=scope["method"],
                    path=scope["path"],
                    status=status,
                    milliseconds=milliseconds,
                )

    def _refused(self, request: Request) -> Response | None:
        """What is answered to who may not ask this; None to who may."""
        headers, scope = request.headers, request.scope
        name = _name(headers.get("host", ""))
        if name not in self._hosts and name != _reached(scope):
            return refusal(
                scope,
                421,
                f"this server is not known as {name[:200]!r}; whoever serves it can name it: "
                "--allowed-host",
            )
        if request.method not in ("GET", "HEAD", "OPTIONS") and _from_elsewhere(headers):
            return refusal(scope, 403, "a page of another site must not send this")
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            return refusal(scope, 400, "Content-Length is no number")
        try:
            check_size(int(length[:18]), self._limits)
        except TooLarge as error:
            return refusal(scope, 413, str(error))
        if self._token is None or scope["path"] in OPEN or self._is_known(request):
            return None
        if wants_page(scope):
            if request.method in ("GET", "HEAD"):
                asked = quote(scope["path"], safe="/")
                return RedirectResponse("/login" + (f"?next={asked}" if asked != "/" else ""), 303)
            if request.method == "POST" and not is_api(scope):
                # What the form sent is lost; it can be filled in again after the sign-in.
                return RedirectResponse("/login", 303)
        wrong = "that is not the token" if "authorization" in headers else "a token is needed"
        message = f"{wrong}: Authorization: Bearer TOKEN"
        return refusal(scope, 401, message, {"WWW-Authenticate": "Bearer"})

    def _is_known(self, request: Request) -> bool:
        assert self._token is not None
        kind, _, given = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._token.is_right(given.strip()):
            return True
        return self._token.is_cookie(request.cookies.get(COOKIE, ""))


def _reached(scope: Scope) -> str:
    """The address of this machine that a request came to. Asked for by that, no name was made to
    lead here."""
    address = str((scope.get("server") or ("",))[0])
    return address.removeprefix("::ffff:").lower()


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _from_elsewhere(headers: Headers) -> bool:
    """Whether a browser sends this for a page that is not this server's."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    if origin is None:
        return False
    try:
        return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    except ValueError:
        return True
