"""Consoles of real guests: echo and kilobytes per second beside `virsh console`; idle memory.

Three guests alike are typed into in turn: through the gateway, by virsh on a terminal of its own,
and by a bare libvirt stream, which is the least that any of them can take.  A console can be open
once, and the gateway keeps its own.  An emulated guest needs milliseconds for an echo: what the
gateway alone adds is in console_gateway.
"""

from __future__ import annotations

import os
import pty
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
KEYS = 200
THINK = 0.02
"""Seconds between two keys: a guest that never rests answers faster than one at rest."""
LINES = 40_000
"""What the guest prints."""
INPUT = 32 * 1024
"""Bytes that the guest takes in, in lines: no terminal takes one of any length."""
INPUT_LINE = b"x" * 63 + b"\n"
ROUNDS = 3
SESSIONS = 20
CHUNK = 64 * 1024
PIECE = 16 * 1024
"""Bytes that a page sends together."""


class Tty(Protocol):
    """A way to one guest's console."""

    def write(self, data: bytes) -> None: ...

    def read(self) -> bytes: ...

    def close(self) -> None: ...


class Virsh:
    """`virsh console` as a person has it: on the terminal that controls it."""

    def __init__(self, uri: str, name: str) -> None:
        words = ("virsh", "--connect", uri, "console", "--force", name)
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.execvp(words[0], words)

    def write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self.terminal, data) :]

    def read(self) -> bytes:
        return os.read(self.terminal, CHUNK)

    def close(self) -> None:
        self.write(b"\x1d")  # Ctrl-]
        os.waitpid(self.process, 0)
        os.close(self.terminal)


class Direct:
    """A blocking libvirt stream."""

    def __init__(self, uri: str, uuid: str) -> None:
        self.connection = libvirt.open(uri)
        self.stream = self.connection.newStream(0)
        domain = self.connection.lookupByUUIDString(uuid)
        domain.openConsole(None, self.stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)

    def write(self, data: bytes) -> None:
        while data:
            data = data[self.stream.send(data) :]

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
        for start in range(0, len(data), PIECE):
            self.terminal.type(data[start : start + PIECE])

    def close(self) -> None:
        self.terminal.close()

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


def output_rate(tty: Tty) -> float:
    """Kilobytes per second of what the guest prints."""
    settle(tty)
    begun = time.perf_counter()
    tty.write(f"seq 1 {LINES}; echo e''nd\r".encode())
    size = _until(tty, b"\nend\r\n")
    return size / 1000 / (time.perf_counter() - begun)


def input_rate(tty: Tty) -> float:
    """Kilobytes per second of what the guest takes in, until it has all."""
    settle(tty)
    take = f"head -c {INPUT} > /dev/null"
    tty.write(f"stty -echo; echo b''egin; {take}; stty echo; echo e''nd\r".encode())
    _until(tty, b"\nbegin\r\n")
    begun = time.perf_counter()
    tty.write(INPUT_LINE * (INPUT // len(INPUT_LINE)))
    _until(tty, b"end\r\n")
    return INPUT / 1000 / (time.perf_counter() - begun)


def machine_of(bench: GatewayRig, host: Any, name: str) -> Any:
    pool = bench.world.root()
    return bench.world.machine(name, pool, host=host, state=State.RUNNING)


def prepare(bench: GatewayRig) -> Visitor:
    bench.world.host("with-storage")
    bench.world.image()
    return bench.visitor("anna", "Super Admin")


def against_virsh(
    bench: GatewayRig, host: services.LibvirtHost, enrolled: Host, image: Path
) -> None:
    anna = prepare(bench)
    names = ("gateway", "virsh", "stream")
    machines = {name: machine_of(bench, enrolled, name) for name in names}
    for machine in machines.values():
        Guest(host, machine, image)
    # All are open before the guests have booted: what is printed before is not seen.
    terminal = bench.open(anna, machines["gateway"])
    ways: dict[str, Tty] = {
        "stream": Direct(host.uri, machines["stream"].uuid),
        "virsh": Virsh(host.uri, machines["virsh"].domain_name),
        "gateway": Through(terminal),
    }
    terminal.expect(PROMPT, 120)
    for name in ("stream", "virsh"):
        _until(ways[name], PROMPT)
    echo: dict[str, list[float]] = {name: [] for name in names}
    output: dict[str, list[float]] = {name: [] for name in names}
    taken: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name, tty in ways.items():
            echo[name] += echoes(tty)
            output[name].append(output_rate(tty))
            taken[name].append(input_rate(tty))
    for tty in ways.values():
        tty.close()
    for percent in (50, 99):
        mine, peer, least = (percentile(echo[name], percent) for name in names)
        report(f"guest_echo_p{percent}", mine, "ms", peer=peer)
        report(f"guest_echo_added_p{percent}", mine - least, "ms", aim=1)
    for title, rates in (("output", output), ("input", taken)):
        report(f"guest_{title}", max(rates["gateway"]), "kB/s", peer=max(rates["virsh"]))


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
        against_virsh(bench, host, enrolled, image)
        real_sessions(bench, host, enrolled, image)


if __name__ == "__main__":
    main()
