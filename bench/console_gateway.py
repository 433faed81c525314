"""The gateway alone, on guests in its own memory: what it adds to an echo, what a session costs.

Beside it a bare TCP echo in the same run: the least that any process in between adds.  One guest
prints a gigabyte to a page that is slow: all of it must come, and the gateway must not grow.
"""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench._report import percentile, report
from ovcadmin.domain.states import State
from tests.integration import printing_gateway
from tests.integration.gateway import GatewayRig, gateway_rig
from tests.integration.printing_gateway import CHUNK, FLOODS, printed
from tests.rig.terminal import Terminal

ROUNDS = 3
KEYS = 2000
SESSIONS = 200
LOOK = 8 * 2**20
"""After so many bytes the slow reader looks at the gateway's memory."""
REST = 64 * 2**20
"""After so many it draws nothing for a second."""


def echo_for_ever() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    taken, _ = listener.accept()
    taken.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while data := taken.recv(CHUNK):
        taken.sendall(data)


@contextmanager
def bare_echo() -> Iterator[socket.socket]:
    """A connection to a bare echo in a process of its own."""
    command = (sys.executable, __file__, "--echo")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)) as plain:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield plain


def tcp_echoes(plain: socket.socket) -> list[float]:
    found = []
    for _ in range(KEYS):
        begun = time.perf_counter()
        plain.sendall(b"x")
        plain.recv(1)
        found.append((time.perf_counter() - begun) * 1000)
    return found


def gateway_echoes(terminal: Terminal) -> list[float]:
    """Milliseconds from a key to its echo, on the socket that both have in common."""
    terminal.draws = False
    found = []
    for _ in range(KEYS):
        begun = time.perf_counter()
        terminal.type(b"x")
        terminal.read()
        found.append((time.perf_counter() - begun) * 1000)
    return found


def echoes(terminal: Terminal) -> None:
    with bare_echo() as plain:
        mine, peer = [], []
        for _ in range(ROUNDS):
            mine += gateway_echoes(terminal)
            peer += tcp_echoes(plain)
    for percent in (50, 99):
        ours, theirs = percentile(mine, percent), percentile(peer, percent)
        report(f"gateway_echo_p{percent}", ours, "ms", peer=theirs)
        report(f"gateway_echo_added_p{percent}", ours - theirs, "ms", aim=1)


def flood_rate(terminal: Terminal) -> float:
    """Megabytes per second out of the gateway, read as raw bytes and acknowledged."""
    plain = terminal.socket.socket
    terminal.type(b"F")
    begun = time.perf_counter()
    size = told = 0
    buffer = bytearray(1024 * 1024)
    while size < FLOODS[b"F"]:
        size += plain.recv_into(buffer)
        if size - told >= CHUNK:
            terminal.socket.say(drawn=size - told)
            told = size
    return size / 1e6 / (time.perf_counter() - begun)


def slow_reader(bench: GatewayRig, terminal: Terminal) -> None:
    """Read a gigabyte slowly; stop at what is lost, report how much the gateway grew meanwhile."""
    before = most = bench.memory
    wanted, got = hashlib.blake2b(), hashlib.blake2b()
    for number in range(FLOODS[b"G"] // CHUNK):
        wanted.update(printed(number))
    terminal.type(b"G")
    begun = time.perf_counter()
    size = 0
    while size < FLOODS[b"G"]:
        data = terminal.socket.receive(60)
        assert isinstance(data, bytes), data
        got.update(data)
        last, size = size, size + len(data)
        if size // REST > last // REST:
            time.sleep(1)
        if size // LOOK > last // LOOK:
            most = max(most, bench.memory)
        time.sleep(0.001)
        terminal.socket.say(drawn=len(data))
    assert got.digest() == wanted.digest(), "something was lost on the way"
    report("slow_reader_got", size / 1e9, "GB")
    report("slow_reader_took", time.perf_counter() - begun, "s")
    report("slow_reader_gateway_grew", (most - before) / 1e6, "MB", aim=8)


def measure(bench: GatewayRig) -> None:
    host = bench.world.host("kvm-a")
    bench.world.image()
    pool = bench.world.root()
    anna = bench.visitor("anna", "Super Admin")
    machines = [
        bench.world.machine(f"m{number}", pool, host=host, state=State.RUNNING)
        for number in range(SESSIONS + 2)
    ]
    first, slow = (bench.open(anna, machine) for machine in machines[:2])
    for page in (first, slow):
        page.expect_state("connected")
    echoes(first)
    before = bench.memory
    pages = [bench.open(anna, machine) for machine in machines[2:]]
    for page in pages:
        page.expect_state("connected")
    cost = (bench.memory - before) / SESSIONS
    report(f"memory_per_idle_session_of_{SESSIONS}", cost / 1e6, "MB", aim=0.3)
    report(f"memory_with_{SESSIONS}_idle_sessions", bench.memory / 1e6, "MB")
    beside = percentile(gateway_echoes(first), 99)
    report(f"gateway_echo_p99_beside_{SESSIONS}_idle", beside, "ms")
    report("gateway_output", flood_rate(first), "MB/s", aim=400)
    slow_reader(bench, slow)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ovcadmin-bench-") as name:
        place = Path(name)
        more = {"consoles_per_user": SESSIONS + 2, "log_level": "info"}
        with gateway_rig(place, f"sqlite:///{place}/bench.db", **more) as bench:
            bench.start(Path(printing_gateway.__file__))
            measure(bench)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--echo"]:
        echo_for_ever()
    else:
        main()
