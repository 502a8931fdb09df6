"""The server's own pages, and its answer where what is asked for cannot be had."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Scope

from sweep.machine import versions

TITLES = {
    404: "There is nothing here",
    421: "Not by this name",
    500: "Something went wrong",
    503: "Not just now",
}
"""What stands above a problem, if not that it cannot be done."""


def shown(part: str, status: int = 200, **more: Any) -> HTMLResponse:
    """A page of ours: `start`, `state` (a part of it), `login` or `error`."""
    values = {"part": part, "version": versions()["sweep"], **more}
    headers = {"Cache-Control": "no-store"}
    return HTMLResponse(_template().render(values), status, headers=headers)


def problem(status: int, message: str) -> HTMLResponse:
    """A page that says what is wrong."""
    title = TITLES.get(status, "That cannot be done")
    # By another name the first page would be refused as well.
    return shown("error", status, message=message, title=title, leads_home=status != 421)


def refusal(
    scope: Scope, status: int, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    """What is wrong: a page for a browser, and JSON for a program, or for whoever asks the API."""
    if not wants_page(scope) or is_api(scope):
        return JSONResponse({"error": message}, status, headers=headers)
    page = problem(status, message)
    page.headers.update(headers or {})
    return page


def wants_page(scope: Scope) -> bool:
    """Whether a browser asks for something to show, or sends a form."""
    return "text/html" in Headers(scope=scope).get("accept", "")


def is_api(scope: Scope) -> bool:
    """Whether an address is the HTTP API's."""
    return scope["path"].startswith("/v1/")


@cache
def installed_text(package: str, name: str) -> str:
    """A file that is installed with a package of ours."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(installed_text("sweep.service", "page.html.j2"))
