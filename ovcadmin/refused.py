"""Refused requests, noted while they are refused and written down afterwards.

The transaction of such a request is rolled back, so the note has one of its own, after it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import structlog

from ovcadmin.errors import DomainError, Forbidden, LastSuperAdmin, SignInThrottled
from ovcadmin.security.contexts import about
from ovcadmin.services import attempts
from ovcadmin.services.attempts import Attempt

log = structlog.get_logger(__name__)

TOLD = (Forbidden, LastSuperAdmin, SignInThrottled)
_NOTE = "_refused"
LONGEST = 200


def note(request: Any, error: DomainError) -> None:
    """Remember that the request was refused, while its object can still be read."""
    if not isinstance(error, TOLD) or _NOTE in request.__dict__:
        return
    context = getattr(request, "context", None)
    kind, row = about(context)
    pool = getattr(context, "pool", None)
    request.__dict__[_NOTE] = Attempt(
        kind=kind,
        object_id=row.id if row is not None else None,
        name=str(getattr(row, "name", "")) if row is not None else "",
        pool_id=pool.id if pool is not None else None,
        method=request.method,
        path=request.environ.get("PATH_INFO", "")[:LONGEST],
        code=error.code,
    )


def write_down(request: Any) -> None:
    """Write what was noted into the audit log; the answer stands, whatever becomes of it."""
    tried: Attempt | None = request.__dict__.get(_NOTE)
    if tried is None:
        return
    named = tried if tried.kind else replace(tried, name=tried.path)
    try:
        with request.work_apart(write=False) as work:
            news = attempts.is_news(work, named)
        if news:
            with request.work_apart(write=True) as work:
                attempts.record(work, named)
    except Exception:
        log.exception("a refusal was not written down")
