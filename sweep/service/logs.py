"""What the service says while it works: lines for people, or a JSON document a line for programs.

    log("study begins", study="hello-lstm")

Neither a token nor a password is ever among what is said.
"""

import json
import logging
import os
import sys
from datetime import UTC, datetime
from typing import Any, Literal

Format = Literal["text", "json"]

LOGGER = logging.getLogger("sweep.service")


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] = getattr(record, "facts", {})
        said = " · ".join(
            [record.getMessage(), *(f"{key} {value}" for key, value in facts.items())]
        )
        moment = datetime.fromtimestamp(record.created).strftime("%Y-%m-%d %H:%M:%S")
        return f"{moment} {said}" + self._trace(record)

    def _trace(self, record: logging.LogRecord) -> str:
        return "" if record.exc_info is None else "\n" + self.formatException(record.exc_info)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] = getattr(record, "facts", {})
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        document = {"time": moment, "level": record.levelname.lower(), "event": record.getMessage()}
        document |= facts
        if record.exc_info is not None:
            document["traceback"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False, default=str)


def begin(form: Format) -> None:
    """From now on what the service says goes to standard error, in this form."""
    # A descriptor of its own: the engine turns that of standard error away while it is loaded.
    stream = os.fdopen(os.dup(sys.stderr.fileno()), "w", encoding="utf-8", errors="replace")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Json() if form == "json" else _Lines())
    LOGGER.handlers = [handler]
    LOGGER.propagate = False
    LOGGER.setLevel(logging.INFO)


def log(event: str, *, fault: bool = False, **facts: Any) -> None:
    """Says that something happened; a `fault` with the traceback of the exception at hand."""
    level = logging.ERROR if fault else logging.INFO
    LOGGER.log(level, event, extra={"facts": facts}, exc_info=fault or None)
