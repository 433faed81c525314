"""Headers of every answer, and what is believed of the headers of a request."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from ovcadmin.config import Settings
from ovcadmin.errors import HostRefused

SESSION_COOKIE = "ovc_session"
SOURCES = {
    "default-src": "'self'",
    "script-src": "'self'",
    "style-src": "'self'",
    "connect-src": "'self'",
    "img-src": "'self' data:",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
}
FIXED = {
    "Content-Security-Policy": "; ".join(f"{of} {source}" for of, source in SOURCES.items()),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not `no-referrer`: under it browsers send `Origin: null` with the forms of our own pages.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")
YEAR = 365 * 24 * 3600
STATIC_PREFIX = "/static/"


def add_to(response: Any, request: Any) -> None:
    """Set the security headers; only files with their version in the path may be kept."""
    for name, value in FIXED.items():
        response.headers.setdefault(name, value)
    if request.scheme == "https":
        response.headers["Strict-Transport-Security"] = f"max-age={YEAR}"
    kept = request.environ["PATH_INFO"].startswith(STATIC_PREFIX)
    if not (kept and response.status_int in (200, 206, 304)):
        response.headers["Cache-Control"] = "no-store"


def believe_proxy(environ: dict[str, Any], trusted: tuple[str, ...]) -> None:
    """Take address, scheme and host of the browser from the headers of a trusted proxy.

    X-Forwarded-For is read from its end: the last address that is no trusted proxy is the
    browser's; what stands before it, the browser may have made up.  From anybody else the headers
    count for nothing.
    """
    said = {name: environ.pop(f"HTTP_X_FORWARDED_{name}", "") for name in ("FOR", "PROTO", "HOST")}
    networks = _networks(trusted)
    peer = environ.get("REMOTE_ADDR", "")
    if not _within(peer, networks):
        return
    addresses = [part.strip() for part in said["FOR"].split(",") if part.strip()]
    for address in reversed(addresses):
        if not _is_address(address):
            break
        environ["REMOTE_ADDR"] = address
        if not _within(address, networks):
            break
    if said["PROTO"] in ("http", "https"):
        environ["wsgi.url_scheme"] = said["PROTO"]
    if said["HOST"]:
        environ["HTTP_HOST"] = said["HOST"]


def check_host(request: Any, settings: Settings) -> None:
    """Raise `HostRefused` unless the request names the console's public address (where one is set).

    A name that merely leads here (a foreign domain, an address) must not get pages: links, cookies
    and origin checks hang on it.
    """
    host = request.host
    if not _HOST.fullmatch(host):
        raise HostRefused("The request names no host that could be one.")
    if settings.public_url and host.lower() != urlsplit(settings.public_url).netloc.lower():
        raise HostRefused(f"This console answers at {settings.public_url} only.", host=host)


def own_origin(request: Any) -> str:
    """Return the origin under which browsers see the console, as they write it in `Origin`."""
    return str(request.settings.public_url or request.host_url).lower()


def secure_cookie(request: Any) -> bool:
    """Whether cookies get the mark Secure."""
    return own_origin(request).startswith("https:")


@lru_cache
def _networks(trusted: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(ip_network(text) for text in trusted)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _within(text: str, networks: tuple[Any, ...]) -> bool:
    return _is_address(text) and any(ip_address(text) in network for network in networks)
