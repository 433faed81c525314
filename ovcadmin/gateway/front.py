"""The embedded front: passes everything that is not the gateway's own on to the web process.

For one machine without a reverse proxy.  Bodies are streamed both ways.  The web process believes
the X-Forwarded headers of this machine, so they are written here from what the gateway sees
itself, whatever the browser claims.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any

import gevent.socket
import structlog
import urllib3
from gevent.lock import BoundedSemaphore
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError, NewConnectionError, ProtocolError

log = structlog.get_logger(__name__)

Start = Callable[[str, list[tuple[str, str]]], Any]

CONNECTIONS = 64
"""Requests that are at the web process at the same time; more wait here."""
CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 60.0
"""How long the web process may say nothing."""
CHUNK = 64 * 1024
BODY_LIMIT = 16 * 1024 * 1024
"""Longest body of a request, bytes."""

_OF_ONE_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_OURS = frozenset({"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class BodyRefused(Exception):
    """The body is too long, or not what its headers say.  Carries the answer's status and text."""


_TOO_LARGE = ("413 Content Too Large", "The request is too large.")
_BROKEN = ("400 Bad Request", "The body of the request is broken.")
_AWAY = (
    "502 Bad Gateway",
    "The pages of the console are not available at the moment. Try again in a few seconds.",
)


class _Connection(HTTPConnection):
    """A connection whose waiting lets the hub go on."""

    def _new_conn(self) -> Any:
        try:
            made = gevent.socket.create_connection((self.host, self.port), self.timeout)
        except OSError as error:
            raise NewConnectionError(self, str(error)) from error
        made.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        return made


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class Front:
    def __init__(self, web_listen: str) -> None:
        host, _, port = web_listen.rpartition(":")
        self._pool = _Pool(host.strip("[]"), int(port), maxsize=CONNECTIONS, retries=False)
        self._slots = BoundedSemaphore(CONNECTIONS)

    def serve(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        """Answer with what the web process answers."""
        self._slots.acquire()
        answer = None
        try:
            answer = self._ask(environ, _body(environ))
        except BodyRefused as refused:
            return _refuse(environ, start, *refused.args)
        except HTTPError as error:
            log.warning("front.web_away", why=type(error).__name__)
            return _refuse(environ, start, *_AWAY)
        finally:
            if answer is None:
                self._slots.release()
        return self._pass_on(environ, start, answer)

    def _ask(self, environ: dict[str, Any], body: Iterator[bytes] | None) -> Any:
        """Send the request; one that changes nothing is tried again on a connection that broke.

        The web process closes idle connections, possibly in this very moment.
        """
        try:
            return self._send(environ, body)
        except ProtocolError:
            if body is not None or environ["REQUEST_METHOD"] not in _SAFE:
                raise
            return self._send(environ, body)

    def _send(self, environ: dict[str, Any], body: Iterator[bytes] | None) -> Any:
        return self._pool.urlopen(
            environ["REQUEST_METHOD"],
            environ["gateway.target"],
            body=body,
            headers=_headers(environ),
            redirect=False,
            retries=False,
            assert_same_host=False,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=ANSWER_SECONDS),
            chunked=body is not None and "CONTENT_LENGTH" not in environ,
            preload_content=False,
            decode_content=False,
        )

    def _pass_on(self, environ: dict[str, Any], start: Start, answer: Any) -> Iterator[bytes]:
        start(f"{answer.status} {answer.reason or ''}", _one_way(answer.headers.items()))
        finished = False
        try:
            if environ["REQUEST_METHOD"] != "HEAD":
                yield from answer.stream(CHUNK, decode_content=False)
            finished = True
        finally:
            # A connection with a rest of an answer in it is of no use to the next request.
            with suppress(HTTPError, OSError):
                (answer.release_conn if finished else answer.close)()
            self._slots.release()


def _headers(environ: dict[str, Any]) -> urllib3.HTTPHeaderDict:
    found = urllib3.HTTPHeaderDict()
    for name, value in _one_way(environ["gateway.headers"]):
        if name.lower() not in _OURS:
            found.add(name, value)
    found["X-Forwarded-For"] = environ.get("REMOTE_ADDR", "")
    found["X-Forwarded-Proto"] = environ["wsgi.url_scheme"]
    found["X-Forwarded-Host"] = environ.get("HTTP_HOST", "")
    return found


def _one_way(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Leave out what is between two neighbours only, and what `Connection` names as such."""
    kept = list(pairs)
    named = {
        word.strip().lower()
        for name, value in kept
        if name.lower() == "connection"
        for word in value.split(",")
    }
    return [pair for pair in kept if pair[0].lower() not in _OF_ONE_HOP | named]


def _body(environ: dict[str, Any]) -> Iterator[bytes] | None:
    """Return the body to stream, None when there is none; raises `BodyRefused`."""
    length = environ.get("CONTENT_LENGTH")
    if length is None and "chunked" not in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        return None
    if int(length or 0) > BODY_LIMIT:
        raise BodyRefused(*_TOO_LARGE)
    return _read(environ["wsgi.input"])


def _read(source: Any) -> Iterator[bytes]:
    total = 0
    while chunk := _chunk(source):
        total += len(chunk)
        if total > BODY_LIMIT:
            raise BodyRefused(*_TOO_LARGE)
        yield chunk


def _chunk(source: Any) -> bytes:
    try:
        chunk: bytes = source.read(CHUNK)
    except OSError as error:
        raise BodyRefused(*_BROKEN) from error
    return chunk


def _refuse(environ: dict[str, Any], start: Start, status: str, text: str) -> Iterable[bytes]:
    """Answer in place of the web process: a page, or problem+json to the API."""
    if environ["PATH_INFO"].startswith("/api/"):
        kind = "application/problem+json"
        number, _, title = status.partition(" ")
        body = json.dumps({"title": title, "status": int(number), "detail": text})
    else:
        kind = "text/html; charset=utf-8"
        body = (
            "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'>"
            f"<title>OpenvCloud</title></head><body><h1>OpenvCloud</h1><p>{html.escape(text)}</p>"
            "</body></html>\n"
        )
    start(
        status,
        [
            ("Content-Type", kind),
            ("Cache-Control", "no-store"),
            ("Retry-After", "5"),
            ("X-Content-Type-Options", "nosniff"),
        ],
    )
    return [body.encode()]
