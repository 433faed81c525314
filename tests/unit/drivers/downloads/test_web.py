"""Fault 33: a fetch is led nowhere but where the list allows, whatever names and servers say."""

from __future__ import annotations

import io
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ovcadmin.domain import image_sources
from ovcadmin.drivers.downloads import web
from ovcadmin.drivers.downloads.web import WebDownloads
from ovcadmin.errors import DownloadFailed, DownloadRefused

CONTENT = bytes(range(256)) * 4096
LARGEST = 2 * len(CONTENT)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        where, _, what = self.path.partition("?to=")
        if where.endswith("/redirect"):
            self.send_response(302)
            self.send_header("Location", what)
            self.end_headers()
            return
        self.send_response(404 if where.endswith("/absent") else 200)
        if where.endswith("/endless"):
            self.end_headers()
            self._endless()
            return
        length = len(CONTENT) * (2 if where.endswith("/short") else 1)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(CONTENT)

    def _endless(self) -> None:
        try:
            while True:
                self.wfile.write(CONTENT)
        except OSError:
            self.server.hung_up.set()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.asked, made.hung_up = [], threading.Event()
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture
def base(server) -> str:
    return f"http://127.0.0.1:{server.server_address[1]}/images"


def fetch(url: str, *sources: str) -> bytes:
    into = io.BytesIO()
    WebDownloads(sources).fetch(url, into, largest=LARGEST, progress=lambda _: None)
    return into.getvalue()


def test_what_is_allowed_is_fetched_also_by_redirects_that_stay_allowed(base):
    assert fetch(f"{base}/d12.raw", f"{base}/ private") == CONTENT
    assert fetch(f"{base}/redirect?to={base}/d12.raw", f"{base} private") == CONTENT
    assert fetch(f"{base}/redirect?to=/images/d12.raw", f"{base} private") == CONTENT


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost/",
        "http://127.0.0.1:22/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://images.example.org@127.0.0.1/cloud/x",
        "http://images.example.org.evil.test/cloud/x",
        "https://images.example.org/cloud/../../private",
        "https://images.example.org/cloud/%2e%2e/private",
        "https://images.example.org/cloudy",
        "https://images.example.org:444/cloud/x",
        "http://images.example.org/cloud/x",
        "",
        "http://[::1",
    ],
)
def test_fault_33_what_is_below_no_line_is_not_asked_for(url):
    with pytest.raises(DownloadRefused):
        fetch(url, "https://images.example.org/cloud/")


@pytest.mark.parametrize(
    "to",
    ["file:///etc/passwd", "http://169.254.169.254/", "http://localhost:1/", "//evil.test/x"],
)
def test_fault_33_a_redirect_is_judged_like_the_first_address(base, server, to):
    with pytest.raises(DownloadRefused):
        fetch(f"{base}/redirect?to={to}", f"{base} private")
    assert len(server.asked) == 1


def test_fault_33_a_ring_of_redirects_ends(base):
    with pytest.raises(DownloadFailed, match="more than 5 redirects"):
        fetch(f"{base}/redirect?to={base}/redirect", f"{base} private")


def test_fault_33_a_name_that_leads_into_ones_own_network_needs_the_word_for_it(base, server):
    with pytest.raises(DownloadRefused, match="not on the public network"):
        fetch(f"{base}/d12.raw", base)
    assert server.asked == []


@pytest.mark.parametrize("number", ["169.254.169.254", "0.0.0.0", "224.0.0.1", "fe80::1", "::"])
@pytest.mark.parametrize("private", [True, False])
def test_fault_33_some_addresses_are_closed_whatever_the_line_says(number, private):
    assert image_sources.closed(number, private=private)


@pytest.mark.parametrize(
    "number", ["10.1.2.3", "127.0.0.1", "::1", "::ffff:127.0.0.1", "fc00::1", "2002:7f00:1::"]
)
def test_fault_33_ones_own_network_is_closed_without_the_word(number):
    assert image_sources.closed(number, private=False)


def test_fault_33_a_name_is_resolved_once_and_that_address_is_used(base, server, monkeypatch):
    """DNS rebinding: the second answer would be another machine."""
    port = server.server_address[1]
    answers = iter(["127.0.0.1", "127.0.0.2"])
    asked = []

    def resolve(host, port, **_):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    monkeypatch.setattr(web.socket, "getaddrinfo", _only("images.test", resolve))
    url = f"http://images.test:{port}/images"
    assert fetch(f"{url}/d12.raw", f"{url} private") == CONTENT
    assert asked == ["images.test"]


def test_fault_33_one_closed_address_among_open_ones_closes_the_name(monkeypatch):
    def resolve(_host, port, **_):
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (number, port))
            for number in ("93.184.215.14", "127.0.0.1")
        ]

    monkeypatch.setattr(web.socket, "getaddrinfo", _only("images.test", resolve))
    with pytest.raises(DownloadRefused, match=r"is 127.0.0.1"):
        fetch("https://images.test/x", "https://images.test/")


def test_fault_33_an_endless_stream_ends_at_the_largest_image(base, server):
    with pytest.raises(DownloadFailed, match="is larger than"):
        fetch(f"{base}/endless", f"{base} private")
    assert server.hung_up.wait(10)


def test_a_stream_that_breaks_off_or_an_error_page_is_no_image(base):
    for name in ("short", "absent"):
        with pytest.raises(DownloadFailed):
            fetch(f"{base}/{name}", f"{base} private")


def _only(name, answer):
    """Resolve one name as the test says, all else as ever."""
    real = socket.getaddrinfo

    def resolve(host, *more, **named):
        return answer(host, *more, **named) if host == name else real(host, *more, **named)

    return resolve
