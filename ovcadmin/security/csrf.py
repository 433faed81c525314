"""No foreign page acts in a user's name.

Every request that may change something must come from our own origin (the browser says so in
Sec-Fetch-Site and Origin) and, where a session cookie speaks for the user, carry that session's
token in the field `csrf_token` or the header X-CSRF-Token.  A bearer token is not sent by
browsers on their own, so it needs neither.

Sign-in has no session yet and hence no token; its origin is checked all the same, which stops a
foreign page from signing a visitor in under another name.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

from ovcadmin.errors import CsrfFailed
from ovcadmin.security.headers import own_origin
from ovcadmin.security.policy import bearer_key

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
FIELD = "csrf_token"
HEADER = "X-CSRF-Token"


def check_origin(request: Any) -> None:
    """Raise `CsrfFailed` when the browser says that another origin's page made the request."""
    site = request.headers.get("Sec-Fetch-Site")
    origin = request.headers.get("Origin")
    if site not in (None, "same-origin", "none") or (
        origin is not None and origin.lower() != own_origin(request)
    ):
        raise CsrfFailed(
            "This request came from another site's page, so nothing was done. Open the console's "
            "own page and try again."
        )


def check_token(request: Any) -> None:
    """Raise `CsrfFailed` unless the request carries its session's token."""
    identity = request.identity
    if identity is None:
        return
    given = request.headers.get(HEADER) or request.POST.get(FIELD, "")
    if not isinstance(given, str) or not _same(given, identity.csrf_token):
        raise CsrfFailed(
            "This page was opened before you signed in again, so nothing was done. Load the page "
            "again and repeat what you wanted."
        )


def _same(given: str, token: str) -> bool:
    return bool(token) and hmac.compare_digest(given.encode(), token.encode())


def deriver(view: Callable[..., Any], info: Any) -> Callable[..., Any]:
    """Pyramid view deriver: guard every view that can be reached with an unsafe method.

    The view option `csrf_token=False` drops the token check (sign-in only), never the origin's.
    """
    if info.exception_only:
        return view
    with_token = info.options.get("csrf_token", True)

    def guarded(context: Any, request: Any) -> Any:
        if request.method not in SAFE_METHODS and bearer_key(request) is None:
            check_origin(request)
            if with_token:
                check_token(request)
        return view(context, request)

    return guarded


deriver.options = ("csrf_token",)  # type: ignore[attr-defined]
