"""Pages with 1,000 machines known: how long a list of 50 rows takes, and the sign-in meanwhile.

The real web process behind a socket; clients with kept-alive connections on the same two cores.
The peer's figures were measured on this kind of machine with the same number of machines.
"""

from __future__ import annotations

import http.client
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench._database import settle
from bench._report import percentile, report
from ovcadmin.models import Image, Machine, Nic, Pool, User
from ovcadmin.security.headers import SESSION_COOKIE
from ovcadmin.services import hosts, images, people, pools, sessions
from tests import rig
from tests.functional.world import FACTS
from tests.rig.base import wait_until
from tests.rig.console import Console, console
from tests.rig.network import free_ports

MACHINES = 1000
POOLS = 20
LIST = "/machines?sort=name&page=7"
WARM = 15
PEER = {"list p50": 2700, "list p95": 3400, "size": 3670, "1": 0.34, "8": 0.69, "sign-in": 7000}
"""ms, kB, requests per second; the sign-in page while 8 clients load the list."""


def populate(on: Console, machines: int = MACHINES) -> str:
    """Put machines into 20 pools; return the cookie of an administrator's session."""
    with on.work(write=True) as work:
        root, user = pools.root(work), people.get(work, work.actor.user_id or 0)
        host = hosts.enroll(work, root, name="kvm-a", uri="test:///bench")
        hosts.answered(work, host.id, FACTS)
        raw = images.Raw(path="/starter.raw", size=10**7, checksum="0" * 64)
        image = images.register(work, root, name="Debian 12", raw=raw)
        spaces = [pools.create(work, root, name=f"Space {number}") for number in range(POOLS)]
        for number in range(machines):
            made = _machine(number, spaces[number % POOLS], user, image)
            made.host_id = host.id
            work.db.add(made)
        return f"{SESSION_COOKIE}={sessions.begin(work, user)}"


def _machine(number: int, pool: Pool, owner: User, image: Image) -> Machine:
    name = f"machine-{number:04}"
    return Machine(
        uuid=str(uuid.uuid4()),
        pool_id=pool.id,
        owner_id=owner.id,
        name=name,
        name_key=name,
        image_id=image.id,
        size_name="small",
        vcpus=2,
        memory=262144,
        storage=15 * 10**9,
        state="running" if number % 3 else "stopped",
        nics=[Nic(mac=f"52:54:00:00:{number // 256:02x}:{number % 256:02x}", network=None)],
    )


class Client:
    """One browser with a kept-alive connection; notes how long each answer took."""

    def __init__(self, port: int, path: str, cookie: str = "") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._path, self._headers = path, {"Cookie": cookie} if cookie else {}
        self.times: list[float] = []
        self.size = 0

    def load(self) -> None:
        begun = time.perf_counter()
        self._connection.request("GET", self._path, headers=self._headers)
        answer = self._connection.getresponse()
        self.size = len(answer.read())
        if answer.status != http.client.OK:
            raise RuntimeError(f"{self._path} answered {answer.status}")
        self.times.append(1000 * (time.perf_counter() - begun))

    def load_until(self, end: threading.Event) -> None:
        while not end.is_set():
            self.load()


@contextmanager
def hammering(clients: list[Client]) -> Iterator[None]:
    """Let all clients load their page as fast as they are answered."""
    end = threading.Event()
    threads = [threading.Thread(target=one.load_until, args=(end,)) for one in clients]
    for thread in threads:
        thread.start()
    yield
    end.set()
    for thread in threads:
        thread.join()


def measure(port: int, cookie: str, label: str) -> None:
    alone = Client(port, LIST, cookie)
    for _ in range(WARM):
        alone.load()
    alone.times.clear()
    for _ in range(200):
        alone.load()
    p95 = percentile(alone.times, 95)
    report(f"{label} list p50", percentile(alone.times, 50), "ms", aim=50, peer=PEER["list p50"])
    report(f"{label} list p95", p95, "ms", aim=50, peer=PEER["list p95"])
    report(f"{label} list size", alone.size / 1000, "kB", aim=100, peer=PEER["size"])
    report(f"{label} list 1 client", 1000 / _mean(alone.times), "requests/s", peer=PEER["1"])
    _crowd(port, cookie, label)


def _crowd(port: int, cookie: str, label: str) -> None:
    crowd = [Client(port, LIST, cookie) for _ in range(8)]
    visitor = Client(port, "/signin")
    begun = time.perf_counter()
    with hammering(crowd):
        while time.perf_counter() - begun < 10:
            visitor.load()
            time.sleep(0.02)
    seconds = time.perf_counter() - begun
    answered = sum(len(one.times) for one in crowd)
    times = [ms for one in crowd for ms in one.times]
    report(f"{label} list 8 clients", answered / seconds, "requests/s", aim=50, peer=PEER["8"])
    report(f"{label} list 8 clients p95", percentile(times, 95), "ms")
    report(
        f"{label} sign-in page meanwhile p95",
        percentile(visitor.times, 95),
        "ms",
        aim=100,
        peer=PEER["sign-in"],
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def bench(database_url: str, directory: Path, label: str) -> None:
    (port,) = free_ports(1)
    listen = f"127.0.0.1:{port}"
    with console(directory, database_url, web_listen=listen, log_level="warning") as on:
        cookie = populate(on)
        settle(on.database)
        on.start(sys.executable, "-m", "ovcadmin.manage.web", on.ini)
        wait_until(lambda: _answers(port), "the web process")
        measure(port, cookie, label)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        bench(f"sqlite:///{directory}/bench.db", directory, "SQLite")
    with rig.postgres() as server, tempfile.TemporaryDirectory() as name:
        bench(server.new_database(), Path(name), "PostgreSQL")


if __name__ == "__main__":
    main()
