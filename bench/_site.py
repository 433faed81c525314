"""A whole console for benchmarks: real host, all three processes, one signed-in browser."""

from __future__ import annotations

import http.client
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ovcadmin.security.headers import SESSION_COOKIE
from ovcadmin.services import people, sessions
from tests import rig
from tests.rig.base import wait_until
from tests.rig.cloud import Cloud, cloud
from tests.rig.network import LOOPBACK, free_ports


class Site:
    """Pages come from the web process itself, live events from the gateway."""

    def __init__(self, on: Cloud, web: int, gateway: int) -> None:
        self.cloud = on
        self.web, self.gateway = web, gateway
        with on.work(write=True) as work:
            self.key = sessions.begin(work, people.get(work, work.actor.user_id or 0))
        self._headers = {"Cookie": f"{SESSION_COOKIE}={self.key}"}
        self._connection = http.client.HTTPConnection(LOOPBACK, web, timeout=60)

    def another(self) -> Site:
        """A second browser, for another thread."""
        return Site(self.cloud, self.web, self.gateway)

    def load(self, path: str) -> tuple[str, float]:
        """Return a page's text and how many milliseconds it took."""
        begun = time.perf_counter()
        self._connection.request("GET", path, headers=self._headers)
        answer = self._connection.getresponse()
        text = answer.read().decode()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{path} answered {answer.status}")
        return text, 1000 * (time.perf_counter() - begun)

    def live(self) -> Iterator[str]:
        """Yield the lines of the live events, as they come."""
        connection = http.client.HTTPConnection(LOOPBACK, self.gateway, timeout=60)
        connection.request("GET", "/live/events", headers=self._headers)
        answer = connection.getresponse()
        if answer.status != http.client.OK:
            raise RuntimeError(f"live events answered {answer.status}")
        while line := answer.readline():
            yield line.decode().strip()


@contextmanager
def site(host: rig.LibvirtHost, **settings: object) -> Iterator[Site]:
    web, gateway = free_ports(2)
    listens = {"web_listen": f"{LOOPBACK}:{web}", "gateway_listen": f"{LOOPBACK}:{gateway}"}
    with (
        tempfile.TemporaryDirectory() as name,
        cloud(
            Path(name), f"sqlite:///{name}/bench.db", host, rig.starter_image(),
            **{"log_level": "warning", **listens, **settings},
        ) as on,
    ):  # fmt: skip
        on.start(sys.executable, "-m", "ovcadmin.worker", on.ini)
        on.start(sys.executable, "-m", "ovcadmin.manage.web", on.ini)
        on.start(sys.executable, "-m", "ovcadmin.gateway", on.ini)
        on.ready()
        for port in (web, gateway):
            wait_until(lambda port=port: answers(port), "web and gateway")  # type: ignore[misc]
        yield Site(on, web, gateway)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0
