"""The server's own pages, and what it answers to who may not have what is asked for."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Scope

from sweep.machine import versions


def shown(part: str, status: int = 200, **more: Any) -> HTMLResponse:
    """A page of ours: `start`, `state` (a part of it), `login` or `error`."""
    values = {"part": part, "version": versions()["sweep"], **more}
    headers = {"Cache-Control": "no-store"}
    return HTMLResponse(_template().render(values), status, headers=headers)


def problem(status: int, message: str) -> HTMLResponse:
    """A page that says what is wrong."""
    titles = {404: "There is nothing here", 503: "Not just now"}
    title = titles.get(status, "That cannot be done")
    return shown("error", status, message=message, title=title)


def refusal(
    scope: Scope, status: int, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    """What is wrong, as a page to a person who opens an address, and as JSON to a program."""
    accepted = Headers(scope=scope).get("accept", "")
    if "text/html" in accepted and not of_programs(scope):
        return problem(status, message)
    return JSONResponse({"error": message}, status, headers=headers)


def of_programs(scope: Scope) -> bool:
    """Whether an address is the API's, which answers in JSON whoever asks."""
    return scope["path"].startswith("/v1/")


@cache
def text(package: str, name: str) -> str:
    """A file that is installed with a package of ours."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(text("sweep.service", "page.html.j2"))
