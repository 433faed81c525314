"""Screens through the gateway and through websockify: the same client, the same server behind.

Both carry the bytes of TCP in WebSocket, in turn and on the same machine.  In front of websockify
stands nothing; at the gateway each connection is asked for its ticket, session, origin and rights.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import psutil

from bench._report import percentile, report
from ovcadmin.config import Settings
from ovcadmin.domain.states import State
from ovcadmin.gateway.app import Gateway
from ovcadmin.services import consoles
from ovcadmin.work import Work
from tests.integration.gateway import GatewayRig, Visitor, gateway_rig
from tests.rig.base import ROOT, wait_until
from tests.rig.network import LOOPBACK, free_port
from tests.rig.websocket import WebSocketClient

SESSIONS = 200
ROUNDS = 3
KEYS = 1000
OPENINGS = 20
CHUNK = 32 * 1024
OUTPUT = 256 * 2**20
INPUT = 64 * 2**20
MASK = b"\x11\x22\x33\x44"
FRAME = (
    b"\x82\xfe" + CHUNK.to_bytes(2, "big") + MASK + bytes(120 ^ one for one in MASK) * (CHUNK // 4)
)
"""A masked frame of many `x`, as a browser sends it."""
LOCK = ROOT / "requirements/bench.txt"
HOME = ROOT / "var/bench"

Open = Callable[[], WebSocketClient]


# --- what both lead to ----------------------------------------------------------------------------


def serve(taken: socket.socket) -> None:
    """Do what the first byte says: send much, take much and say so, or echo."""
    taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    wish = taken.recv(1)
    if wish == b"O":
        for _ in range(OUTPUT // CHUNK):
            taken.sendall(bytes(CHUNK))
    elif wish == b"I":
        left = INPUT
        while left:
            left -= len(taken.recv(min(left, CHUNK)))
        taken.sendall(b"k")
    while data := taken.recv(CHUNK):
        taken.sendall(data)


def serve_all() -> None:
    listener = socket.create_server((LOOPBACK, 0), backlog=SESSIONS)
    print(listener.getsockname()[1], flush=True)
    while True:
        taken, _ = listener.accept()
        Thread(target=serve, args=(taken,), daemon=True).start()


@contextmanager
def far_side() -> Iterator[int]:
    """The server in a process of its own; its port."""
    command = (sys.executable, __file__, "--serve")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


class Hosts:
    """Every screen is the far side."""

    def __init__(self, port: int) -> None:
        self._port = port

    def open_graphics(self, _place: Any) -> int:
        made = socket.create_connection((LOOPBACK, self._port))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made.detach()

    def close(self) -> None:
        pass


# --- the two ways ---------------------------------------------------------------------------------


def gateway_way(bench: GatewayRig, anna: Visitor, machine: Any) -> Open:
    def made() -> WebSocketClient:
        with bench.world.database.writing() as db:
            work = Work(db=db, actor=anna.work_actor(), settings=bench.settings)
            key = consoles.issue(work, db.get_one(type(machine), machine.id), consoles.GRAPHICS)
        client = bench.socket(anna)
        client.say(ticket=key, kind=consoles.GRAPHICS)
        assert isinstance(client.receive(), str)  # that it is attached
        return client

    return made


def installed() -> Path:
    """Return websockify's program, in an environment of its own."""
    said = HOME / "lock"
    if not said.exists() or said.read_text() != LOCK.read_text():
        venv.create(HOME, clear=True, with_pip=True)
        pip = (HOME / "bin/pip", "--disable-pip-version-check", "--quiet", "install")
        subprocess.run((*pip, "--require-hashes", "--requirement", LOCK), check=True)
        said.write_text(LOCK.read_text())
    return HOME / "bin/websockify"


@contextmanager
def websockify(target: int) -> Iterator[tuple[Open, psutil.Process]]:
    port = free_port()
    words = (f"{LOOPBACK}:{port}", f"{LOOPBACK}:{target}")
    process = subprocess.Popen(
        (installed(), *words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((LOOPBACK, port)) == 0

    try:
        wait_until(listens, "websockify")
        yield lambda: WebSocketClient((LOOPBACK, port), "/"), psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


# --- figures --------------------------------------------------------------------------------------


def echoes(way: Open) -> list[float]:
    """Milliseconds from a byte to its echo."""
    client = way()
    client.send(b"E")
    found = []
    for _ in range(KEYS):
        begun = time.perf_counter()
        client.send(b"x")
        client.receive()
        found.append((time.perf_counter() - begun) * 1000)
    client.close()
    return found


def openings(way: Open) -> list[float]:
    """Milliseconds from asking for a screen to the first byte of it."""
    found = []
    for _ in range(OPENINGS):
        begun = time.perf_counter()
        client = way()
        client.send(b"E")
        client.send(b"x")
        client.receive()
        found.append((time.perf_counter() - begun) * 1000)
        client.close()
    return found


def output_rate(way: Open) -> float:
    """Megabytes per second to the client, which reads raw bytes."""
    client = way()
    begun = time.perf_counter()
    client.send(b"O")
    left, buffer = OUTPUT, bytearray(1024 * 1024)
    while left > 0:
        left -= client.socket.recv_into(buffer)
    taken = time.perf_counter() - begun
    client.socket.close()
    return OUTPUT / 1e6 / taken


def input_rate(way: Open) -> float:
    """Megabytes per second from the client, whose frames are made beforehand."""
    client = way()
    client.send(b"I")
    begun = time.perf_counter()
    for _ in range(INPUT // CHUNK):
        client.socket.sendall(FRAME)
    assert client.receive(120) == b"k"
    taken = time.perf_counter() - begun
    client.close()
    return INPUT / 1e6 / taken


def session_cost(way: Open, process: psutil.Process) -> float:
    """Private megabytes of all its processes for each idle session."""

    def memory() -> int:
        tree = (process, *process.children(recursive=True))
        return sum(one.memory_full_info().uss for one in tree)

    first = way()
    before = memory()
    clients = [way() for _ in range(SESSIONS)]
    for client in clients:
        client.send(b"Ex")
        client.receive()
    cost = (memory() - before) / SESSIONS / 1e6
    for client in (first, *clients):
        client.close()
    return cost


def compare(ours: Open, own: psutil.Process, theirs: Open, other: psutil.Process) -> None:
    both = (ours, theirs)
    for name, figure in (("echo", echoes), ("open", openings)):
        found: tuple[list[float], list[float]] = ([], [])
        for _ in range(ROUNDS):
            for way, times in zip(both, found, strict=True):
                times.extend(figure(way))
        for percent in (50, 99):
            mine, peer = (percentile(times, percent) for times in found)
            report(f"{name}_p{percent}", mine, "ms", peer=peer)
    for name, rate in (("output", output_rate), ("input", input_rate)):
        rates = [[rate(way) for way in both] for _ in range(ROUNDS)]
        mine, peer = (max(one) for one in zip(*rates, strict=True))
        report(name, mine, "MB/s", peer=peer)
    peer = session_cost(theirs, other)
    mine = session_cost(ours, own)
    report(f"memory_per_idle_session_of_{SESSIONS}", mine, "MB", aim=0.3, peer=peer)


def main() -> None:
    more = {"consoles_per_user": 1000, "log_level": "info"}
    with (
        tempfile.TemporaryDirectory(prefix="ovcadmin-bench-") as name,
        far_side() as port,
        gateway_rig(Path(name), f"sqlite:///{name}/bench.db", **more) as bench,
        websockify(port) as (theirs, other),
    ):
        bench.start(Path(__file__), "--gateway", str(port))
        host = bench.world.host("kvm-a")
        bench.world.image()
        anna = bench.visitor("anna", "Super Admin")
        machine = bench.world.machine("m", bench.world.root(), host=host, state=State.RUNNING)
        own = psutil.Process(bench.process.pid)
        compare(gateway_way(bench, anna, machine), own, theirs, other)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--gateway"]:
        Gateway(Settings.from_file(Path(sys.argv[3])), Hosts(int(sys.argv[2]))).run()
    elif sys.argv[1:2] == ["--serve"]:
        serve_all()
    else:
        main()
