"""Fault 33 as somebody meets it who gives the console an address: page, REST, and the operation."""

from __future__ import annotations

import socket
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from ovcadmin.drivers.downloads import web
from ovcadmin.models import Image
from ovcadmin.services import library
from tests.functional.outside import Outside, nothing_waits, run_all
from tests.functional.world import Api, form
from tests.unit.drivers.downloads.test_web import _only

LARGEST = 2**20
CLOSED = (
    "http://169.254.169.254/latest/meta-data/",
    "http://localhost/disk.raw",
    "http://127.0.0.1:22/",
    "file:///etc/passwd",
)


class Handler(BaseHTTPRequestHandler):
    """Redirects to what stands behind `to=`; all else has no end."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        _, led, to = self.path.partition("?to=")
        self.send_response(302 if led else 200)
        self.send_header("Location", to)
        self.end_headers()
        try:
            while not led:
                self.wfile.write(bytes(2**16))
        except OSError:
            self.server.hung_up.set()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def served():
    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.asked, made.hung_up = [], threading.Event()
    thread = threading.Thread(target=made.serve_forever, args=(0.05,))
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture
def server(served):
    served.asked.clear()
    served.hung_up.clear()
    return served


@pytest.fixture
def port(server) -> int:
    return server.server_address[1]


class Site:
    """A console that may fetch images from some addresses, and a worker's part of it."""

    apps: ClassVar[dict[tuple[str, ...], object]] = {}
    """Made once: it takes a second or two."""

    def __init__(self, world, *sources):
        self.world, self.sources = world, sources
        if sources not in self.apps:
            self.apps[sources] = world.app_with(image_sources="\n".join(sources))
        self.app = self.apps[sources]
        self.key = world.api(world.admin()).headers["Authorization"].removeprefix("Bearer ")
        self.pool = world.root().id

    def asked(self, url):
        """By REST."""
        body = {"name": "Debian", "kind": "disk", "url": url}
        return Api(self.app, self.key)("POST", f"/pools/{self.pool}/image-fetches", body)

    def ended(self, url):
        """The operation, as REST tells it when the worker is done with it."""
        number = self.asked(url).json["operation"]["id"]
        run_all(self.world, Outside(*self.sources))
        return Api(self.app, self.key)("GET", f"/operations/{number}").json

    def left(self):
        """What there is of any image."""
        with self.world.work() as work:
            return [*work.db.query(Image), *library.directory(self.world.settings).iterdir()]


@pytest.fixture
def site(sqlite_world, port, monkeypatch):
    nothing_waits(sqlite_world)
    settings = replace(sqlite_world.settings, largest_image=LARGEST)
    monkeypatch.setattr(sqlite_world, "settings", settings)
    return Site(sqlite_world, f"http://127.0.0.1:{port}/ private", f"http://images.test:{port}/")


@pytest.mark.parametrize("url", CLOSED)
def test_fault_33_what_is_not_on_the_list_is_refused_at_once_with_its_article(site, url):
    refused = site.asked(url)
    assert (refused.status_int, refused.json["code"]) == (403, "image.source")
    assert refused.json["type"].endswith("/help/errors/image.source")
    assert "ovc.image_sources" in refused.json["detail"]
    assert site.left() == []


def test_fault_33_the_page_says_it_beside_the_address_and_links_the_article(site):
    browser = site.world.signed_in(site.world.admin())
    browser.app = site.app
    for url in CLOSED:
        asked = form(browser.get("/images/fetch"))
        asked["name"], asked["url"] = "Debian", url
        answer = asked.submit(expect_errors=True)
        assert answer.status_int == 403
        assert "below none of the addresses" in answer
        assert "/help/errors/image.source" in answer
    assert site.left() == []


@pytest.mark.parametrize(
    "to", ["file:///etc/passwd", "http://169.254.169.254/", "http://localhost:1/"]
)
def test_fault_33_a_redirect_elsewhere_ends_the_fetch(site, server, port, to):
    ended = site.ended(f"http://127.0.0.1:{port}/images?to={to}")
    assert (ended["state"], ended["error"]["code"]) == ("failed", "image.source")
    assert len(server.asked) == 1, "nobody else was asked"
    assert site.left() == []


def test_fault_33_a_name_that_turns_into_ones_own_network_is_not_asked(
    site, server, port, monkeypatch
):
    """DNS rebinding: what the list allows by its name has an address of this machine."""

    def inside(_host, port, **_):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(web.socket, "getaddrinfo", _only("images.test", inside))
    ended = site.ended(f"http://images.test:{port}/disk.raw")
    assert (ended["state"], ended["error"]["code"]) == ("failed", "image.source")
    assert "not on the public network" in ended["error"]["text"]
    assert server.asked == []
    assert site.left() == []


def test_fault_33_an_endless_stream_ends_at_the_largest_image(site, server, port):
    ended = site.ended(f"http://127.0.0.1:{port}/endless")
    assert (ended["state"], ended["error"]["code"]) == ("failed", "image.download")
    assert "is larger than" in ended["error"]["text"]
    assert server.hung_up.wait(10)
    assert site.left() == []
    told = site.world.signed_in(site.world.admin()).get(f"/operations/{ended['id']}")
    assert "/help/errors/image.download" in told
