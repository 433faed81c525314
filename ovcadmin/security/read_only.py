"""Whoever views as somebody else changes nothing: every unsafe request is refused, pages and REST.

Consoles and tokens begin with such a request, so they are out of reach as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ovcadmin.errors import ViewingOnly
from ovcadmin.security.csrf import SAFE_METHODS

WAYS_OUT = frozenset({"view_as_end", "sign_out"})


def deriver(view: Callable[..., Any], info: Any) -> Callable[..., Any]:
    """Pyramid view deriver: refuse what is not safe while the request's user is looked through."""
    if info.exception_only:
        return view

    def guarded(context: Any, request: Any) -> Any:
        if request.method not in SAFE_METHODS:
            _check(request)
        return view(context, request)

    return guarded


def _check(request: Any) -> None:
    identity = request.identity
    if identity is None or identity.viewing is None:
        return
    if request.matched_route is None or request.matched_route.name not in WAYS_OUT:
        raise ViewingOnly(
            f"You view as {identity.label}, so nothing was changed. Stop viewing, then act in your "
            "own name."
        )
