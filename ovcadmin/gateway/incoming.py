"""What a request brought along, and whether it may come in at all."""

from __future__ import annotations

from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from ovcadmin.config import Settings
from ovcadmin.errors import Forbidden
from ovcadmin.security.headers import SESSION_COOKIE, believe_proxy

_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who knocks: keys that are secret, and the address for log and audit."""

    address: str
    session_key: str | None
    token_key: str | None

    def __repr__(self) -> str:
        return f"Caller({self.address})"


def settle(environ: dict[str, Any], settings: Settings) -> None:
    """Put the browser's own address, scheme and host into the environ.

    In front of everything nobody's X-Forwarded headers count; behind a proxy the trusted one's do.
    """
    if settings.gateway_front:
        for name in _FORWARDED:
            environ.pop(name, None)
        environ["wsgi.url_scheme"] = urlsplit(settings.public_url).scheme or "http"
    else:
        believe_proxy(environ, settings.trusted_proxies)


def caller(environ: dict[str, Any]) -> Caller:
    """Read the keys that the request carries."""
    kind, _, key = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    return Caller(
        address=environ.get("REMOTE_ADDR", ""),
        session_key=_cookie(environ.get("HTTP_COOKIE", "")),
        token_key=key.strip() if kind.lower() == "bearer" else None,
    )


def check_origin(environ: dict[str, Any], settings: Settings, *, needed: bool) -> None:
    """Raise `Forbidden` when a foreign page made the browser send this.

    `needed`: a request that may carry a cookie must name its origin, as browsers do on WebSocket.
    They do not on a plain same-origin GET; there they say in Sec-Fetch-Site where it comes from.
    A request by another name than the public one is foreign whatever it says.
    """
    host = environ.get("HTTP_HOST", "").lower()
    if settings.public_url and host != urlsplit(settings.public_url).netloc.lower():
        raise Forbidden(f"This console answers at {settings.public_url} only.")
    origin = environ.get("HTTP_ORIGIN")
    if origin is None:
        site = environ.get("HTTP_SEC_FETCH_SITE", "same-origin")
        foreign = needed or site not in ("same-origin", "none")
    else:
        foreign = _plain(origin) != _own_origin(environ, settings)
    if foreign:
        raise Forbidden("This address is for the console's own pages.")


def _own_origin(environ: dict[str, Any], settings: Settings) -> str:
    asked = f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST', '')}"
    return _plain(settings.public_url or asked)


def _plain(origin: str) -> str:
    """Return the origin as browsers write it: lower case, without the scheme's own port."""
    origin = origin.strip().lower()
    port = _DEFAULT_PORTS.get(origin.partition(":")[0])
    return origin.removesuffix(port) if port else origin


def _cookie(header: str) -> str | None:
    try:
        found = SimpleCookie(header).get(SESSION_COOKIE)
    except CookieError:
        return None
    return found.value if found is not None else None
