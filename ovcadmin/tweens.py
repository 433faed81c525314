"""The outermost layer of every request: its id, what is believed of it, its line in the log."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

import pyramid_tm
import structlog
from pyramid.httpexceptions import HTTPNotFound
from pyramid.response import Response
from pyramid_retry import mark_error_retryable
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import ObjectDeletedError

from ovcadmin import refused
from ovcadmin.security import headers, inputs, visibility

log = structlog.get_logger(__name__)

REQUEST_ID = "ovc.request_id"


def ingress(handler: Callable[[Any], Any], registry: Any) -> Callable[[Any], Any]:
    """Tween factory: everything else, the transaction included, happens inside."""
    settings = registry["settings"]

    def tween(request: Any) -> Any:
        started = time.perf_counter()
        _introduce(request)
        headers.believe_proxy(request.environ, settings.trusted_proxies)
        response = _answer(handler, request, settings)
        refused.write_down(request)
        headers.add_to(response, request)
        response.headers["X-Request-Id"] = request.id
        _note(request, response, time.perf_counter() - started)
        return response

    return tween


def commit_veto(request: Any, response: Any) -> bool:
    """Whether the transaction is rolled back: an answer that says "refused" changes nothing.

    pyramid_tm asks this before it looks at an error that a view has already answered; so what
    makes the error worth another attempt (a lost race in the database) is noted here.
    """
    raised = getattr(request, "exc_info", None)
    if raised is not None:
        pyramid_tm.maybe_tag_retryable(request, raised)
        if isinstance(raised[1], IntegrityError | ObjectDeletedError):
            # What it refers to went, or its name was taken, in the same moment: the next attempt
            # sees that and says so.
            mark_error_retryable(raised[1])
    vetoed: bool = pyramid_tm.default_commit_veto(request, response)
    return vetoed


def _introduce(request: Any) -> None:
    # A request that is tried again after a lost race keeps its id.
    request.id = request.environ.setdefault(REQUEST_ID, uuid.uuid4().hex)
    structlog.contextvars.clear_contextvars()
    visibility.narrow(None)  # threads are used again
    structlog.contextvars.bind_contextvars(request=request.id)


def _answer(handler: Callable[[Any], Any], request: Any, settings: Any) -> Any:
    try:
        headers.check_host(request, settings)
        inputs.check_sizes(request)
        inputs.check_text(request)
        return handler(request)
    except Exception:  # noqa: BLE001 - whatever it is, the browser gets an answer
        return _error_page(request)


def _error_page(request: Any) -> Any:
    """Show what was raised outside the views; plain words when even that fails."""
    raised = sys.exc_info()
    try:
        return request.invoke_exception_view(raised, reraise=False)
    except HTTPNotFound:
        log.exception("no error view", exc_info=raised)
    except Exception:
        log.exception("error view failed", exc_info=raised)
    return Response(
        f"Something went wrong in the console. Request {request.id}\n",
        status=500,
        content_type="text/plain",
    )


def _note(request: Any, response: Any, seconds: float) -> None:
    path = request.environ.get("PATH_INFO", "")
    write = log.debug if path.startswith(headers.STATIC_PREFIX) else log.info
    write(
        "answered",
        method=request.method,
        # Without the query: what people search for is theirs.
        path=path[:200],
        status=response.status_int,
        ms=round(seconds * 1000, 1),
        size=response.content_length,
        address=request.client_addr,
    )
