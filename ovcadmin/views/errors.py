"""Error pages: what happened, why, what to do, and the article that says more."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

from pyramid.httpexceptions import HTTPClientError, HTTPSeeOther, HTTPServerError
from pyramid.response import Response
from pyramid.view import exception_view_config

from ovcadmin.answers import (
    article_path,
    as_domain_error,
    problem_response,
    set_headers,
    status_of,
)
from ovcadmin.errors import DomainError, NotSignedIn

FORBIDDEN_NEXT = ("/signin", "/signout", "/static/", "/api/", "/live/")


@exception_view_config(DomainError, renderer="errors/page.pt")
@exception_view_config(HTTPClientError, renderer="errors/page.pt")
@exception_view_config(HTTPServerError, renderer="errors/page.pt")
@exception_view_config(Exception, renderer="errors/page.pt")
def failed(raised: Any, request: Any) -> dict[str, Any] | Response:
    error = as_domain_error(raised, request)
    if isinstance(error, NotSignedIn):
        return _ask_to_sign_in(error, request)
    if _wants_json(request):
        return problem_response(error, request)
    _ensure_identity(request)
    status = status_of(error)
    request.response.status_int = status.value
    set_headers(request.response, error)
    return {
        "error": error,
        "status": status,
        "article": article_path(error.code),
        "unexpected": not error.expected,
    }


def local_path(text: str | None) -> str:
    """Return a path of our own pages that may follow on sign-in, `/` for anything else."""
    if not text or not text.isprintable() or "\\" in text or not text.startswith("/"):
        return "/"
    parts = urlsplit(text)
    if text.startswith("//") or parts.scheme or parts.netloc:
        return "/"
    return "/" if parts.path.startswith(FORBIDDEN_NEXT) else text


def _ask_to_sign_in(error: NotSignedIn, request: Any) -> Response:
    """Lead a browser's own navigation to the sign-in page; tell scripts in the page to go there."""
    if "HX-Request" in request.headers:
        response = problem_response(error, request)
        here = urlsplit(request.headers.get("HX-Current-URL", ""))
        response.headers["HX-Redirect"] = _sign_in_path(request, here.path, here.query)
        return response
    if _wants_json(request):
        return problem_response(error, request)
    here = urlsplit(request.path_qs) if request.method == "GET" else urlsplit("/")
    return HTTPSeeOther(_sign_in_path(request, here.path, here.query))


def _sign_in_path(request: Any, path: str, query: str) -> str:
    following = local_path(f"{path}?{query}" if query else path)
    address: str = request.route_path("sign_in")
    return address if following == "/" else f"{address}?{urlencode({'next': following})}"


def _ensure_identity(request: Any) -> None:
    """Show the page as to a stranger when not even who asks can be found out."""
    try:
        _ = request.identity
    except Exception:  # noqa: BLE001 - it is logged as the reason for this page
        request.found_identity = None


def _wants_json(request: Any) -> bool:
    offered = ["text/html", "application/json"]
    best = request.accept.acceptable_offers(offered)
    return bool(best) and best[0][0] == "application/json"
