"""What an error is to the web: its status, its words, and where its article stands.

Shared by pages and REST, which otherwise know nothing of each other.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import structlog
from pyramid.exceptions import PredicateMismatch
from pyramid.httpexceptions import HTTPClientError, HTTPForbidden, HTTPNotFound
from pyramid.response import Response

from ovcadmin import errors, refused
from ovcadmin.errors import DomainError
from ovcadmin.models.database import AWAY, is_full

log = structlog.get_logger(__name__)

STATUS: tuple[tuple[type[DomainError], HTTPStatus], ...] = (
    (errors.RequestTooLarge, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (errors.MethodNotAllowed, HTTPStatus.METHOD_NOT_ALLOWED),
    (errors.PreconditionMissing, HTTPStatus.PRECONDITION_REQUIRED),
    (errors.RateExceeded, HTTPStatus.TOO_MANY_REQUESTS),
    (errors.RequestRefused, HTTPStatus.BAD_REQUEST),
    (errors.SignInThrottled, HTTPStatus.TOO_MANY_REQUESTS),
    (errors.SignInFailed, HTTPStatus.UNPROCESSABLE_ENTITY),
    (errors.InvalidInput, HTTPStatus.UNPROCESSABLE_ENTITY),
    (errors.NotSignedIn, HTTPStatus.UNAUTHORIZED),
    (errors.Forbidden, HTTPStatus.FORBIDDEN),
    (errors.TicketRefused, HTTPStatus.FORBIDDEN),
    (errors.NotFound, HTTPStatus.NOT_FOUND),
    (errors.Outdated, HTTPStatus.PRECONDITION_FAILED),
    (errors.Conflict, HTTPStatus.CONFLICT),
    (errors.DatabaseUnavailable, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.HostUnresponsive, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.DirectoryUnreachable, HTTPStatus.SERVICE_UNAVAILABLE),
    (errors.OutsideError, HTTPStatus.BAD_GATEWAY),
)
"""First match wins, so the special stands before the general."""


def status_of(error: DomainError) -> HTTPStatus:
    for kind, status in STATUS:
        if isinstance(error, kind):
            return status
    return HTTPStatus.INTERNAL_SERVER_ERROR


def article_path(code: str) -> str:
    """Return the path of the article on an error code (a route of the pages)."""
    return f"/help/errors/{code}"


def as_domain_error(error: BaseException, request: Any) -> DomainError:
    """Return what happened as an error of our own tree; what nobody foresaw is logged here."""
    found = _as_domain_error(error, request)
    refused.note(request, found)
    return found


def _as_domain_error(error: BaseException, request: Any) -> DomainError:
    if isinstance(error, DomainError):
        log.info("refused", code=error.code, text=error.text)
        return error
    if isinstance(error, HTTPNotFound):
        return _not_found(error, request)
    if isinstance(error, HTTPForbidden):
        return _forbidden(request)
    if isinstance(error, HTTPClientError | UnicodeError):
        return errors.RequestRefused("The console cannot read this request.")
    log.error("unexpected", exc_info=error)
    if (away := _of_the_database(error)) is not None:
        return away
    return errors.Unexpected(
        f"Something went wrong in the console itself. Its log tells more under {request.id}.",
        request=request.id,
    )


def _of_the_database(error: BaseException) -> DomainError | None:
    if is_full(error):
        return errors.DatabaseFull(
            "The disk of the console's database is full. Nothing was changed, and machines keep "
            "running; it can be read until somebody makes room."
        )
    if isinstance(error, AWAY) or getattr(error, "connection_invalidated", False):
        return errors.DatabaseUnavailable(
            "The console's database does not answer. Nothing was changed; try again in a minute."
        )
    return None


def _not_found(error: HTTPNotFound, request: Any) -> DomainError:
    if isinstance(error, PredicateMismatch):
        methods = _methods(request)
        if methods and request.method not in methods:
            return errors.MethodNotAllowed(
                f"This address does not take {request.method[:20]}.", allow=sorted(methods)
            )
    return errors.NotFound("There is nothing here, or nothing that you may see.")


def _forbidden(request: Any) -> DomainError:
    if request.identity is None:
        return errors.NotSignedIn("Sign in first.")
    return errors.Forbidden(
        "You may see this, but not do that with it. Somebody with more rights on its pool can."
    )


def _methods(request: Any) -> set[str]:
    """Return the methods that the matched route takes."""
    route = request.matched_route.name if request.matched_route else None
    views = request.registry.introspector.get_category("views") or ()
    found: set[str] = set()
    for view in views:
        if route is not None and view["introspectable"].get("route_name") == route:
            given = view["introspectable"]["request_methods"] or ()
            found.update((given,) if isinstance(given, str) else given)
    return found | {"HEAD"} if "GET" in found else found


def problem(error: DomainError, request: Any) -> dict[str, Any]:
    """Return the error as problem+json (RFC 9457) with our code, fields and article."""
    status = status_of(error)
    body: dict[str, Any] = {
        "type": article_path(error.code),
        "title": status.phrase,
        "status": status.value,
        "code": error.code,
        "detail": error.text,
        "request": request.id,
        "context": error.context,
    }
    if isinstance(error, errors.InvalidInput) and error.fields:
        body["fields"] = [{"field": name, "text": text} for name, text in error.fields.items()]
    return body


def problem_response(error: DomainError, request: Any) -> Response:
    status = status_of(error)
    response = Response(
        json.dumps(problem(error, request), default=str).encode(),
        status=status.value,
        content_type="application/problem+json",
    )
    set_headers(response, error)
    return response


def set_headers(response: Any, error: DomainError) -> None:
    """Set the headers that the status asks for."""
    if isinstance(error, errors.SignInThrottled | errors.RateExceeded):
        response.headers["Retry-After"] = str(error.context.get("retry_after", 60))
    if isinstance(error, errors.MethodNotAllowed):
        response.headers["Allow"] = ", ".join(error.context["allow"])
