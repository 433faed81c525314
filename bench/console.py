"""Consoles of real guests: echo and bytes per second beside a direct libvirt stream; idle memory.

Two guests alike are typed into in turn, one directly and one through the gateway: a console can
be open once, and the gateway keeps its own.  An emulated guest needs milliseconds for an echo:
what the gateway alone adds is in console_gateway.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any, Protocol

import libvirt

from bench._report import percentile, report
from ovcadmin.domain.states import State
from ovcadmin.models import Host
from tests import rig as services
from tests.integration.gateway import GatewayRig, Guest, Visitor, gateway_rig
from tests.rig.terminal import Terminal

PROMPT = b"starter:~# "
KEYS = 300
THINK = 0.02
"""Seconds between two keys: a guest that never rests answers faster than one at rest."""
LINES = 60_000
ROUNDS = 3
SESSIONS = 20
CHUNK = 64 * 1024


class Tty(Protocol):
    """A way to one guest's console."""

    def write(self, data: bytes) -> None: ...

    def read(self) -> bytes: ...


class Direct:
    """A blocking libvirt stream, as virsh uses it."""

    def __init__(self, uri: str, uuid: str) -> None:
        self.connection = libvirt.open(uri)
        self.stream = self.connection.newStream(0)
        domain = self.connection.lookupByUUIDString(uuid)
        domain.openConsole(None, self.stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)

    def write(self, data: bytes) -> None:
        self.stream.send(data)

    def read(self) -> bytes:
        found: bytes = self.stream.recv(CHUNK)
        return found

    def close(self) -> None:
        self.stream.abort()
        self.connection.close()


class Through:
    """The same console through the gateway."""

    def __init__(self, terminal: Terminal) -> None:
        self.terminal = terminal
        terminal.expect_state("connected")

    def write(self, data: bytes) -> None:
        self.terminal.type(data)

    def read(self) -> bytes:
        before = len(self.terminal.screen)
        while len(self.terminal.screen) == before:
            if not self.terminal.read():
                raise ConnectionError(self.terminal.socket.close_reason)
        return bytes(self.terminal.screen[before:])


def settle(tty: Tty) -> None:
    """Bring the guest to a fresh prompt."""
    tty.write(b"\r")
    _until(tty, PROMPT)


def _until(tty: Tty, mark: bytes) -> int:
    size, tail = 0, b""
    while mark not in tail:
        data = tty.read()
        if not data:
            raise ConnectionError("the console was closed")
        size += len(data)
        tail = (tail + data)[-len(data) - len(mark) :]
    return size


def echoes(tty: Tty, keys: int = KEYS) -> list[float]:
    """Milliseconds from a key to its echo."""
    settle(tty)
    found = []
    for number in range(keys):
        key = b"abcdefghij"[number % 10 : number % 10 + 1]
        time.sleep(THINK)
        begun = time.perf_counter()
        tty.write(key)
        _until(tty, key)
        found.append((time.perf_counter() - begun) * 1000)
        if number % 50 == 49:  # the guest's line is finite
            tty.write(b"\x15")
            time.sleep(0.05)
            settle(tty)
    return found


def stream_rate(tty: Tty) -> float:
    """Kilobytes per second of what the guest prints."""
    settle(tty)
    begun = time.perf_counter()
    tty.write(f"seq 1 {LINES}; echo e''nd\r".encode())
    size = _until(tty, b"\nend\r\n")
    return size / 1000 / (time.perf_counter() - begun)


def machine_of(bench: GatewayRig, host: Any, name: str) -> Any:
    pool = bench.world.root()
    return bench.world.machine(name, pool, host=host, state=State.RUNNING)


def prepare(bench: GatewayRig) -> Visitor:
    bench.world.host("with-storage")
    bench.world.image()
    return bench.visitor("anna", "Super Admin")


def against_libvirt(
    bench: GatewayRig, host: services.LibvirtHost, enrolled: Host, image: Path
) -> None:
    anna = prepare(bench)
    near, far = (machine_of(bench, enrolled, name) for name in ("direct", "through"))
    for machine in (near, far):
        Guest(host, machine, image)
    # Both are open before the guests have booted: what is printed before is not seen.
    direct, terminal = Direct(host.uri, near.uuid), bench.open(anna, far)
    _until(direct, PROMPT)
    terminal.expect(PROMPT, 120)
    through = Through(terminal)
    ours: dict[str, list[float]] = {"echo": [], "rate": []}
    theirs: dict[str, list[float]] = {"echo": [], "rate": []}
    for _ in range(ROUNDS):
        for tty, found in ((direct, theirs), (through, ours)):
            found["echo"] += echoes(tty)
            found["rate"].append(stream_rate(tty))
    direct.close()
    terminal.close()
    for percent in (50, 99):
        mine, peer = (percentile(one["echo"], percent) for one in (ours, theirs))
        report(f"guest_echo_p{percent}", mine, "ms", peer=peer)
        report(f"guest_echo_added_p{percent}", mine - peer, "ms", aim=1)
    report("guest_output", max(ours["rate"]), "kB/s", peer=max(theirs["rate"]))


def real_sessions(
    bench: GatewayRig, host: services.LibvirtHost, enrolled: Host, image: Path
) -> None:
    """What an idle session on a real, suspended guest costs the gateway."""
    anna = bench.visitor("bert", "Super Admin")
    machines = [machine_of(bench, enrolled, f"idle-{number}") for number in range(SESSIONS)]
    for machine in machines:
        guest = Guest(host, machine, image)
        host.virsh("suspend", guest.name)
    bench.open(anna, machines[0]).expect_state("connected")
    before = bench.memory
    for machine in machines[1:]:
        bench.open(anna, machine).expect_state("connected")
    cost = (bench.memory - before) / (SESSIONS - 1)
    report("memory_per_idle_session_on_libvirt", cost / 1e6, "MB", aim=0.3)


def main() -> None:
    more = {"consoles_per_user": SESSIONS + 2, "log_level": "info"}
    with (
        tempfile.TemporaryDirectory(prefix="ovcadmin-bench-") as name,
        services.libvirt_host("bench") as host,
        gateway_rig(Path(name), f"sqlite:///{name}/bench.db", **more) as bench,
    ):
        bench.start()
        enrolled, image = bench.host(host.uri), services.starter_image()
        against_libvirt(bench, host, enrolled, image)
        real_sessions(bench, host, enrolled, image)


if __name__ == "__main__":
    main()
