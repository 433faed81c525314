"""Messages for the next page, such as “Pool web created”.

They travel in a cookie that only the session's owner can have made: it is signed with the
session's CSRF token.  The database is not touched for them, so a page that shows one stays a read.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import asdict, dataclass
from typing import Any

from ovcadmin.security.headers import secure_cookie

COOKIE = "ovc_flash"
MOST = 5
LONGEST = 500


@dataclass(frozen=True, kw_only=True)
class Flash:
    text: str
    kind: str = "success"
    """`success`, `warning` or `error`."""
    href: str = ""
    """A path for more, such as the operation that was queued."""
    code: str = ""
    """Of an error: its article opens by it."""


def add(request: Any, text: str, *, kind: str = "success", href: str = "", code: str = "") -> None:
    """Leave a message for the next page that the user sees."""
    waiting = [*_waiting(request), Flash(text=text[:LONGEST], kind=kind, href=href, code=code)][
        -MOST:
    ]
    request.flashes_waiting = waiting
    value = _signed(json.dumps([asdict(flash) for flash in waiting]), _key(request))
    request.add_response_callback(
        lambda _request, response: response.set_cookie(
            COOKIE, value, httponly=True, samesite="Lax", secure=secure_cookie(request)
        )
    )


def pop(request: Any) -> list[Flash]:
    """Return the messages left by earlier requests; they are told once."""
    waiting = _waiting(request)
    if waiting:
        request.flashes_waiting = []
        request.add_response_callback(lambda _request, response: response.delete_cookie(COOKIE))
    return waiting


def _waiting(request: Any) -> list[Flash]:
    kept: list[Flash] | None = request.__dict__.get("flashes_waiting")
    if kept is not None:
        return kept
    text = _unsigned(request.cookies.get(COOKIE, ""), _key(request))
    return [Flash(**values) for values in json.loads(text)] if text else []


def _key(request: Any) -> bytes:
    identity = request.identity
    return identity.csrf_token.encode() if identity else b""


def _signed(text: str, key: bytes) -> str:
    body = base64.urlsafe_b64encode(text.encode()).decode()
    return f"{body}.{_mark(body, key)}"


def _unsigned(value: str, key: bytes) -> str:
    """Return the signed text, empty when the signature is not ours."""
    body, _, mark = value.partition(".")
    if not key or not mark.isascii() or not hmac.compare_digest(mark, _mark(body, key)):
        return ""
    return base64.urlsafe_b64decode(body).decode()


def _mark(body: str, key: bytes) -> str:
    return hmac.new(key, body.encode(), hashlib.sha256).hexdigest()


def includeme(config: Any) -> None:
    config.add_request_method(add, "flash")
    config.add_request_method(pop, "pop_flashes")
