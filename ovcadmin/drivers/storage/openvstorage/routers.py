"""HTTPS to the storage routers of one cluster: any of them will do, so the next one is asked.

At most `AT_ONCE` calls of a cluster are under way and a bounded number waits: a cluster that hangs
holds up its own callers and nobody else.  A storage router that did not answer is left alone for a
while; when all are, calls fail at once.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.exceptions import TimeoutError as TimedOut

from ovcadmin.drivers.storage.openvstorage.settings import ClusterSettings, tls
from ovcadmin.errors import StorageRefused, StorageUnreachable

AT_ONCE = 8
WAITING = 256
LARGEST = 64 * 2**20
"""Bytes of an answer: a list of tens of thousands of volumes stays below."""
NOT_SENT = (ConnectTimeoutError, NewConnectionError, SSLError)
"""What happens before a request is on its way."""
GATEWAY_TROUBLE = (444, 502, 503, 504)
SERVER_ERROR = 500


@dataclass(frozen=True, kw_only=True)
class Answer:
    status: int
    body: Any
    """The JSON read; text when it is none."""

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


class _Pinned(HTTPSConnection):
    """Accepts the certificates whose fingerprints are known, and no others."""

    fingerprints: tuple[str, ...] = ()

    def connect(self) -> None:
        super().connect()
        assert isinstance(self.sock, ssl.SSLSocket)
        shown = self.sock.getpeercert(binary_form=True) or b""
        found = hashlib.sha256(shown).hexdigest()
        if found not in self.fingerprints:
            self.close()
            raise SSLError(f"its certificate has the unknown fingerprint {found}")
        self.is_verified = True


class _Router:
    """One storage router, and until when it is left alone."""

    def __init__(self, address: str, settings: ClusterSettings, context: ssl.SSLContext) -> None:
        parts = urlsplit(address)
        patience = settings.patience
        self.address = address
        self.until = 0.0
        self.failures = 0
        self.trouble = ""
        self._patience = patience
        self._pool = urllib3.HTTPSConnectionPool(
            parts.hostname or "",
            parts.port,
            maxsize=AT_ONCE,
            ssl_context=context,
            retries=False,
            timeout=urllib3.Timeout(connect=patience.connect, read=patience.answer),
        )
        if settings.fingerprints:
            kind = type("Pinned", (_Pinned,), {"fingerprints": settings.fingerprints})
            self._pool.ConnectionCls = kind

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: str | None
    ) -> Answer:
        answer = self._pool.request(
            method, path, body=body, headers=dict(headers), redirect=False, preload_content=False
        )
        try:
            raw = self._read(answer)
        finally:
            answer.release_conn()
        try:
            return Answer(status=answer.status, body=json.loads(raw))
        except ValueError:
            return Answer(status=answer.status, body=raw[:500].decode(errors="replace"))

    @property
    def left_alone(self) -> bool:
        return time.monotonic() < self.until

    def asked(self) -> None:
        """One caller tries a router that was silent; the others do not wait for it meanwhile."""
        if self.failures:
            self.until = time.monotonic() + self._patience.answer + self._patience.connect

    def answered(self) -> None:
        self.until, self.failures, self.trouble = 0.0, 0, ""

    def silent(self, trouble: str, *, slow: bool) -> None:
        """Leave it alone for a while if it cost time to find out; a quick no may be asked for."""
        self.trouble = trouble
        self.failures += 1
        self.until = time.monotonic() + self._patience.longest_pause if slow else 0.0

    def close(self) -> None:
        self._pool.close()

    def _read(self, answer: urllib3.BaseHTTPResponse) -> bytes:
        """Read the body within the deadline, however slowly it drips."""
        end = time.monotonic() + self._patience.answer
        parts: list[bytes] = []
        size = 0
        for part in answer.stream(2**16):
            parts.append(part)
            size += len(part)
            if size > LARGEST or time.monotonic() > end:
                answer.close()
                raise TimedOut("its answer does not end")
        return b"".join(parts)


class Routers:
    """Raises `StorageUnreachable` when nobody answers, `StorageRefused` for certificates."""

    def __init__(self, settings: ClusterSettings) -> None:
        self.name = settings.name
        context = tls(settings)
        self._routers = [_Router(address, settings, context) for address in settings.addresses]
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self._room = threading.BoundedSemaphore(WAITING)
        self._patience = settings.patience

    def call(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: str | None = None,
        *,
        once: bool = False,
    ) -> Answer:
        """Ask one storage router after the other until one answers without trouble of its own.

        Whoever calls may be sure only of what an answer says: a call without one may have been
        carried out, so a change must stand being asked for twice, or is sent `once`.
        """
        if not self._room.acquire(blocking=False):
            raise StorageUnreachable(f"Too many calls to storage cluster {self.name} wait already.")
        try:
            if not self._places.acquire(timeout=self._patience.task):
                raise StorageUnreachable(f"Storage cluster {self.name} is busy. Try again later.")
            try:
                return self._ask_around(method, path, headers, body, once=once)
            finally:
                self._places.release()
        finally:
            self._room.release()

    def close(self) -> None:
        for router in self._routers:
            router.close()

    def _ask_around(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: str | None,
        *,
        once: bool,
    ) -> Answer:
        last: Answer | None = None
        for router in sorted(self._routers, key=lambda router: router.failures):
            if router.left_alone:
                continue
            router.asked()
            try:
                answer = router.request(method, path, headers, body)
            except (HTTPError, OSError) as error:
                router.silent(_why(error), slow=isinstance(error, TimedOut))
                if once and not isinstance(error, NOT_SENT):
                    raise StorageUnreachable(
                        f"The answer of storage cluster {self.name} was lost: {router.trouble}.",
                        unsure=True,
                    ) from error
                continue
            if answer.status in GATEWAY_TROUBLE:
                router.silent(f"it answers {answer.status}", slow=False)
                continue
            router.answered()
            if answer.status != SERVER_ERROR:
                return answer
            last = answer  # perhaps only this one is ill
        if last is not None:
            return last
        raise self._nobody()

    def _nobody(self) -> StorageUnreachable | StorageRefused:
        said = {router.address: router.trouble for router in self._routers}
        told = "; ".join(f"{address}: {trouble}" for address, trouble in said.items())
        if all("certificate" in trouble for trouble in said.values()):
            return StorageRefused(
                f"The certificate of storage cluster {self.name} is not trusted: {told}.",
                routers=said,
            )
        return StorageUnreachable(
            f"No storage router of {self.name} answers: {told}.", routers=said
        )


def _why(error: BaseException) -> str:
    """Say in few words what went wrong on the way."""
    if isinstance(error, ConnectTimeoutError):
        return "no connection in time"
    if isinstance(error, ReadTimeoutError):
        return "no answer in time"
    if isinstance(error, ProtocolError):
        return "it hung up"
    text = str(error)
    if "certificate" in text.lower():
        return text if "fingerprint" in text else f"its certificate is not trusted ({text})"
    return text.rpartition(": ")[2] or type(error).__name__
