"""Logging of every process: one line an event, `time level event key=value …`, on stdout.

Ours goes through structlog, libraries' goes through the standard library, both end in the same
chain.  What `bound` adds (request, operation, user) stands in every line of that request or
operation.  No secret ever gets through: values of suspicious names are hidden here, so that no
caller has to think of it.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.contextvars import bound_contextvars as bound

__all__ = ["bound", "configure", "without_password"]

Event = MutableMapping[str, Any]

_SECRET_NAME = re.compile(
    r"passw|secret|token|cookie|authorization|csrf|ticket|credential|(^|_)key(_|$)", re.IGNORECASE
)
_SECRET_IN_ADDRESS = re.compile(r"(://[^\s:/@]+:)[^\s@]+@")
HIDDEN = "[hidden]"

# What these say below warning is of use to their own developers only.
_CHATTY = (
    "alembic", "amqp", "asyncio", "celery", "httpcore", "httpx", "kombu", "sqlalchemy", "waitress",
)  # fmt: skip


def configure(level: str) -> None:
    """Set up logging of this process; `level` is a value of the setting `log_level`.

    Harmless twice.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = _Handler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                hide_secrets,
                render,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [h for h in root.handlers if not isinstance(h, _Handler)] + [handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(root.level, logging.WARNING))


class _Handler(logging.Handler):
    """Writes to standard output as it is at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stdout.write(self.format(record) + "\n")
            sys.stdout.flush()
        except Exception:  # noqa: BLE001 - logging's own way: trouble with a line ends no program
            self.handleError(record)


def hide_secrets(_logger: Any, _method: str, event: Event) -> Event:
    """Hide values of suspicious names, and passwords inside addresses anywhere."""
    for name, value in event.items():
        if name not in ("event", "exception") and _SECRET_NAME.search(name):
            event[name] = HIDDEN
        elif isinstance(value, str):
            event[name] = without_password(value)
    return event


def without_password(text: str) -> str:
    """Hide the password in every address that the text holds."""
    return _SECRET_IN_ADDRESS.sub(rf"\1{HIDDEN}@", text)


def render(_logger: Any, _method: str, event: Event) -> str:
    """Write the event as one line; a traceback follows, indented."""
    time = event.pop("timestamp")
    level = event.pop("level")
    trace = event.pop("exception", None)
    name = _value(event.pop("event"))
    words = [time, f"{level:<8}", name, *(f"{key}={_value(value)}" for key, value in event.items())]
    line = " ".join(words)
    if trace:
        line += "".join(f"\n    {row}" for row in trace.splitlines())
    return line


def _value(value: Any) -> str:
    """Write a value so that it can break neither the line nor the reader's terminal."""
    text = str(value)
    if text and text.isprintable() and not set(text) & set(' "='):
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())
