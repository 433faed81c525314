"""Downloads by HTTP(S) that cannot be led astray.

The address is judged by the list before anything is asked, and so is every redirect.  The name is
resolved once and the connection goes to exactly the address that was judged, so a name that
answers differently the next moment (DNS rebinding) gains nothing.  Nothing is unpacked.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from ovcadmin.domain import image_sources
from ovcadmin.domain.image_sources import Source
from ovcadmin.drivers.downloads.base import Progress
from ovcadmin.errors import DownloadFailed, DownloadRefused

CONNECT_SECONDS = 10.0
STALL_SECONDS = 30.0
"""A server that sends no byte for this long is given up."""
WHOLE_SECONDS = 12 * 3600.0
REDIRECTS = 5
CHUNK = 1 << 20
MOVED = (301, 302, 303, 307, 308)
OK = 200


class WebDownloads:
    def __init__(self, sources: Sequence[str], *, authorities: str | None = None) -> None:
        self._sources = sources
        self._authorities = authorities

    def fetch(self, url: str, into: BinaryIO, *, largest: int, progress: Progress) -> int:
        for _ in range(REDIRECTS + 1):
            source = image_sources.allowing(self._sources, url)
            if source is None:
                raise DownloadRefused(
                    f"Images may not be fetched from {url[:200]}: it is below none of the "
                    "addresses of the setting ovc.image_sources.",
                    url=url[:200],
                )
            with self._asked(url, source) as answer:
                if answer.status in MOVED:
                    url = urljoin(url, answer.headers.get("Location", ""))
                    continue
                return _write(answer, url, into, largest, progress)
        raise DownloadFailed(f"{url[:200]} leads on and on: more than {REDIRECTS} redirects.")

    @contextmanager
    def _asked(self, url: str, source: Source) -> Iterator[Any]:
        address = image_sources.parse(url)
        number = _resolve(address.host, address.port, private=source.private)
        more: dict[str, Any] = {}
        kind: Any = urllib3.HTTPConnectionPool
        if address.scheme == "https":
            kind = urllib3.HTTPSConnectionPool
            more = {
                "server_hostname": address.host,
                "assert_hostname": address.host,
                "cert_reqs": "CERT_REQUIRED",
                "ca_certs": self._authorities,
            }
        timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=STALL_SECONDS)
        pool = kind(number, address.port, timeout=timeout, retries=False, **more)
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {
            "Host": parts.netloc,
            "Accept-Encoding": "identity",
            "User-Agent": "openvcloud",
        }
        try:
            with _told(url):
                answer = pool.urlopen(
                    "GET", target, headers=headers, redirect=False, preload_content=False,
                    decode_content=False, assert_same_host=False,
                )  # fmt: skip
            yield answer
        finally:
            pool.close()


def _write(answer: Any, url: str, into: BinaryIO, largest: int, progress: Progress) -> int:
    if answer.status != OK:
        raise DownloadFailed(f"{url[:200]} answers {answer.status}.", url=url[:200])
    announced = int(answer.headers.get("Content-Length") or 0)
    _ensure_size(url, announced, largest)
    done, end = 0, time.monotonic() + WHOLE_SECONDS
    with _told(url):
        for chunk in answer.stream(CHUNK, decode_content=False):
            done += len(chunk)
            _ensure_size(url, done, largest)
            if time.monotonic() > end:
                raise DownloadFailed(f"{url[:200]} took longer than {WHOLE_SECONDS / 3600:g} h.")
            into.write(chunk)
            progress(done / (announced or largest))
    if announced and done != announced:
        raise DownloadFailed(f"{url[:200]} ended after {done} of {announced} bytes.")
    return done


def _ensure_size(url: str, size: int, largest: int) -> None:
    if size > largest:
        raise DownloadFailed(
            f"{url[:200]} is larger than {largest} bytes, the most that an image may have.",
            url=url[:200],
        )


def _resolve(host: str, port: int, *, private: bool) -> str:
    """Return the address to connect to; raises `DownloadRefused` when any of them is closed."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DownloadFailed(f"The name {host} cannot be resolved: {error}.") from error
    numbers = [str(entry[4][0]) for entry in found]
    for number in numbers:
        why = image_sources.closed(number, private=private)
        if why:
            raise DownloadRefused(f"{host} is {number}, which {why}.", url=host)
    return numbers[0]


@contextmanager
def _told(url: str) -> Iterator[None]:
    try:
        yield
    except (HTTPError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None and error.filename is None:
            raise DownloadFailed(f"{url[:200]}: {error.strerror or error}.") from error
        raise DownloadFailed(f"{url[:200]} does not answer as it should: {error}.") from error
