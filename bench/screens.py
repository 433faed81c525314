"""Screens and terminals of real guests: pictures per second, what idling costs.

The same QEMU is asked for whole pictures in turn by its own socket, as libvirt hands it over, and
through the gateway.
"""

from __future__ import annotations

import shutil
import socket
import struct
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil

from bench._report import report
from ovcadmin.domain.states import State
from ovcadmin.drivers.hypervisor.libvirt_host import LibvirtHypervisor
from ovcadmin.gateway import rfb
from ovcadmin.models import Machine
from ovcadmin.services import consoles
from ovcadmin.work import Work
from tests import rig as services
from tests.integration.gateway import GatewayRig, Guest, Visitor, gateway_rig
from tests.rig.base import wait_until

PICTURES = 40
SCREENS = 20
TERMINALS = 9
ROUNDS = 3


class Page:
    """What noVNC does with the gateway, as a socket: bytes in and out of WebSocket messages."""

    def __init__(self, bench: GatewayRig, visitor: Visitor, machine: Machine) -> None:
        with bench.world.database.writing() as db:
            work = Work(db=db, actor=visitor.work_actor(), settings=bench.settings)
            key = consoles.issue(work, work.db.get_one(Machine, machine.id), consoles.GRAPHICS)
        self.wire = bench.socket(visitor)
        self.wire.say(ticket=key, kind=consoles.GRAPHICS)
        self._held = bytearray()
        self.wire.receive()  # that it is attached

    def sendall(self, data: bytes) -> None:
        self.wire.send(data)

    def recv(self, size: int) -> bytes:
        while not self._held:
            more = self.wire.receive()
            assert isinstance(more, bytes), more
            self._held += more
        got, self._held = bytes(self._held[:size]), self._held[size:]
        return got


def greet(sock: Any) -> tuple[int, int]:
    """Shake hands and ask for raw pictures; return the size of the screen."""
    rfb.enter(sock)
    sock.sendall(b"\x01")
    width, height, rest = struct.unpack(">HH16xI", rfb.receive(sock, 24))
    rfb.receive(sock, rest)
    sock.sendall(struct.pack(">BxHi", 2, 1, 0))
    return width, height


def pictures(sock: Any) -> float:
    """Megabytes per second of whole pictures."""
    width, height = greet(sock)
    size = 0
    begun = time.perf_counter()
    for _ in range(PICTURES):
        sock.sendall(struct.pack(">BBHHHH", 3, 0, 0, 0, width, height))
        _, count = struct.unpack(">BxH", rfb.receive(sock, 4))
        for _ in range(count):
            _, _, wide, high, _ = struct.unpack(">HHHHi", rfb.receive(sock, 12))
            left = wide * high * 4
            size += left
            while left:
                left -= len(sock.recv(min(left, 1 << 20)))
    return size / 1e6 / (time.perf_counter() - begun)


def measure(bench: GatewayRig, host: services.LibvirtHost, image: Path) -> None:
    enrolled = bench.host(host.uri)
    bench.world.host("with-storage")
    bench.world.image()
    anna = bench.visitor("anna", "Super Admin")
    machine = bench.world.machine("m", bench.world.root(), host=enrolled, state=State.RUNNING)
    Guest(host, machine, image)

    _compare_pictures(bench, host, anna, machine)
    _idle_screens(bench, anna, machine)
    _idle_terminals(bench, anna)


def _compare_pictures(
    bench: GatewayRig, host: services.LibvirtHost, anna: Visitor, machine: Machine
) -> None:
    driver = LibvirtHypervisor(host.name, host.uri)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        with socket.socket(fileno=driver.open_graphics(machine.uuid)) as direct:
            theirs.append(pictures(direct))
        page = Page(bench, anna, machine)
        ours.append(pictures(page))
        page.wire.close()
    driver.close()
    report("screen_output", max(ours), "MB/s", peer=max(theirs))


def _idle_screens(bench: GatewayRig, anna: Visitor, machine: Machine) -> None:
    first = Page(bench, anna, machine)
    before = bench.memory
    pages = [Page(bench, anna, machine) for _ in range(SCREENS)]
    for page in pages:
        page.recv(12)
    report("memory_per_idle_screen", (bench.memory - before) / SCREENS / 1e6, "MB", aim=0.3)
    for page in (first, *pages):
        page.wire.close()


def _idle_terminals(bench: GatewayRig, anna: Visitor) -> None:
    """Memory that each terminal has for itself: what the forks share is counted once."""
    for number in range(1, TERMINALS + 1):
        bench.terminal(anna, number).expect(b"\x1b[?2004h")
    hosts = psutil.Process(bench.process.pid).children()
    made = [child for host in hosts for child in host.children()]
    wait_until(lambda: len(made) == TERMINALS, "all terminals")
    own = sum(one.memory_full_info().uss for one in made) / TERMINALS
    report("memory_per_idle_terminal", own / 1e6, "MB")


def main() -> None:
    with ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="ovcadmin-bench-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        url = f"sqlite:///{directory}/bench.db"
        host = stack.enter_context(services.libvirt_host("bench"))
        bench = stack.enter_context(
            gateway_rig(directory, url, consoles_per_user=100, log_level="info")
        )
        bench.start()
        measure(bench, host, services.starter_image())


if __name__ == "__main__":
    main()
