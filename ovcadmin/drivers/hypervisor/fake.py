"""A host in memory: thousands of machines for benches, quick ones for tests of the worker.

It keeps the promises of `base.Hypervisor` and passes the same contract suite as a real host.  Its
guests "boot" at once and run a tiny shell on their console.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from time import time
from uuid import NAMESPACE_DNS, uuid5

from ovcadmin import green
from ovcadmin.domain.adoption import Card, Described
from ovcadmin.drivers.hypervisor import xml
from ovcadmin.drivers.hypervisor.base import (
    ConsoleEnd,
    ConsoleStream,
    DomainState,
    HostEvent,
    HostFacts,
    Lease,
    MachineSpec,
    PowerState,
    VirtType,
)
from ovcadmin.drivers.hypervisor.fake_devices import FakeDevices
from ovcadmin.drivers.hypervisor.fake_graphics import FakeGraphics
from ovcadmin.drivers.hypervisor.fake_migration import FakeMigrations
from ovcadmin.errors import DomainMissing, HostUnresponsive, HypervisorFailed

PROMPT = b"starter:~# "
CHUNK = 4096


@dataclass(eq=False)
class FakeGuest:
    spec: MachineSpec
    power: PowerState = PowerState.SHUTOFF
    saved: bool = False
    console: FakeConsole | None = None
    booted: MachineSpec | None = None
    """What it was started with."""
    live: MachineSpec | None = None
    """What it has now."""

    @property
    def active(self) -> bool:
        return self.power in (PowerState.RUNNING, PowerState.PAUSED)

    @property
    def state(self) -> DomainState:
        saved = self.saved and not self.active
        return DomainState(
            uuid=self.spec.uuid,
            name=self.spec.name,
            power=PowerState.SAVED if saved else self.power,
        )


class FakeHypervisor(FakeMigrations, FakeDevices, FakeGraphics):
    """`cpus` and `memory` (KiB) are what it claims to have.

    `silent` makes it a host that hangs: every call takes `deadline` seconds and fails.
    """

    def __init__(
        self,
        name: str = "fake",
        *,
        cpus: int = 64,
        memory: int = 256 * 2**20,
        deadline: float = 8.0,
        shutdown_seconds: float = 0.05,
    ) -> None:
        self.name = name
        self.cpus = cpus
        self.memory = memory
        self.deadline = deadline
        self.shutdown_seconds = shutdown_seconds
        self.silent = False
        self._guests: dict[str, FakeGuest] = {}
        self._subscribers: list[Callable[[HostEvent], None]] = []
        self._box: green.Mailbox[HostEvent] = green.Mailbox(self._deliver)

    def facts(self) -> HostFacts:
        self._answer()
        return HostFacts(
            hostname=self.name,
            uuid=str(uuid5(NAMESPACE_DNS, self.name)),
            arch="x86_64",
            cpu_model="none",
            cpus=self.cpus,
            memory=self.memory,
            libvirt_version="9.0.0",
            qemu_version="7.2.0",
            virt_type=VirtType.QEMU,
            virt_note="A host in memory: its guests do nothing.",
            session=False,
        )

    def leases(self) -> tuple[Lease, ...]:
        """Give none out: its guests have no network."""
        self._answer()
        return ()

    def guest_says(self, uuid: str) -> None:
        """Say nothing: no guest here has an agent."""
        self._find(uuid)

    def counters(self) -> None:
        """Keep none: nothing is busy here."""
        self._answer()

    def states(self) -> Mapping[str, DomainState]:
        self._answer()
        return {uuid: guest.state for uuid, guest in self._guests.items()}

    def state(self, uuid: str) -> DomainState | None:
        self._answer()
        guest = self._guests.get(uuid)
        return guest.state if guest else None

    def xml(self, uuid: str) -> str:
        return xml.domain(self._find(uuid).spec)

    def describe(self, uuid: str) -> Described:
        spec = self._find(uuid).spec
        networks = {nic.mac: nic.network for nic in spec.nics}
        return Described(
            name=spec.name, title=spec.title, type=spec.virt_type.value,
            vcpus=spec.vcpus, memory=spec.memory,
            running_vcpus=spec.vcpus, running_memory=spec.memory,
            cards=tuple(
                Card(mac=mac, kind="network" if name else "user", source=name or "")
                for mac, name in networks.items()
            ),
            cpu_limit=spec.cpu_limit, os_type=spec.os_type, definition=self.xml(uuid),
        )  # fmt: skip

    def define(self, spec: MachineSpec) -> None:
        self._answer()
        for guest in self._guests.values():
            if (guest.spec.uuid == spec.uuid) != (guest.spec.name == spec.name):
                raise HypervisorFailed(
                    f"Host {self.name} refused: machine {guest.spec.name} exists already "
                    f"with uuid {guest.spec.uuid}.",
                    host=self.name,
                )
        known = self._guests.setdefault(spec.uuid, FakeGuest(spec))
        known.spec = replace(spec)
        self._tell("defined", spec.uuid)

    def undefine(self, uuid: str) -> None:
        self._answer()
        guest = self._guests.get(uuid)
        if guest and guest.active:
            raise HypervisorFailed(f"Machine {guest.spec.name} still runs.", domain=uuid)
        if guest:
            del self._guests[uuid]
            self._tell("undefined", uuid)

    def start(self, uuid: str) -> None:
        guest = self._find(uuid)
        if not guest.active:
            if not guest.saved:
                guest.booted = guest.live = guest.spec
            guest.saved = False
            self._turn(guest, PowerState.RUNNING, "started")

    def shutdown(self, uuid: str) -> None:
        guest = self._find(uuid)
        if guest.active:
            green.later(self.shutdown_seconds, lambda: self._stop(guest))

    def destroy(self, uuid: str) -> None:
        self._stop(self._find(uuid))

    def reset(self, uuid: str) -> None:
        self._running(uuid)
        self._tell("rebooted", uuid)

    def reboot(self, uuid: str) -> None:
        self.reset(uuid)

    def suspend(self, uuid: str) -> None:
        guest = self._running(uuid)
        if guest.power is not PowerState.PAUSED:
            self._turn(guest, PowerState.PAUSED, "suspended")

    def resume(self, uuid: str) -> None:
        guest = self._running(uuid)
        if guest.power is PowerState.PAUSED:
            self._turn(guest, PowerState.RUNNING, "resumed")

    def save(self, uuid: str) -> None:
        guest = self._find(uuid)
        if not guest.saved:
            self._running(uuid)
            guest.saved = True
            self._stop(guest)

    def open_console(
        self,
        uuid: str,
        *,
        on_data: Callable[[bytes], None],
        on_close: Callable[[str], None],
    ) -> ConsoleStream:
        guest = self._running(uuid)
        if guest.console:
            guest.console.end(ConsoleEnd.TAKEN_OVER)
        guest.console = FakeConsole(on_data, on_close, lambda: self._stop(guest))
        return guest.console

    def subscribe(self, callback: Callable[[HostEvent], None]) -> Callable[[], None]:
        self._subscribers.append(callback)
        return partial(self._subscribers.remove, callback)

    def close(self) -> None:
        self._subscribers.clear()

    def _answer(self) -> None:
        if self.silent:
            green.sleep(self.deadline)
            raise HostUnresponsive(
                f"Host {self.name} did not answer within {self.deadline:g} seconds.",
                host=self.name,
            )

    def _find(self, uuid: str) -> FakeGuest:
        self._answer()
        if uuid not in self._guests:
            raise DomainMissing(f"Host {self.name} does not know the machine {uuid}.", domain=uuid)
        return self._guests[uuid]

    def _running(self, uuid: str) -> FakeGuest:
        guest = self._find(uuid)
        if not guest.active:
            raise HypervisorFailed(f"Host {self.name} refused: domain is not running.", domain=uuid)
        return guest

    def _stop(self, guest: FakeGuest) -> None:
        if guest.active:
            self._turn(guest, PowerState.SHUTOFF, "stopped")
        if guest.console:
            guest.console.end(ConsoleEnd.STOPPED)
            guest.console = None

    def _turn(self, guest: FakeGuest, power: PowerState, kind: str) -> None:
        guest.power = power
        self._tell(kind, guest.spec.uuid)

    def _tell(self, kind: str, uuid: str) -> None:
        self._box.put(HostEvent(kind=kind, uuid=uuid, detail="", received=time()))

    def _deliver(self, event: HostEvent) -> None:
        if not self.silent:
            for callback in list(self._subscribers):
                callback(event)


class FakeConsole:
    """The console of a guest whose shell knows `echo`, `seq`, `uname` and `poweroff`.

    It shows a prompt to whoever opens it.
    """

    def __init__(
        self,
        on_data: Callable[[bytes], None],
        on_close: Callable[[str], None],
        power_off: Callable[[], None],
    ) -> None:
        self._on_data = on_data
        self._on_close = on_close
        self._power_off = power_off
        self._line = bytearray()
        self._output: list[Iterator[bytes]] = []
        self._paused = False
        self._end = ""
        self._over = False
        self._box: green.Mailbox[None] = green.Mailbox(self._pump)
        self._print([PROMPT])

    def write(self, data: bytes) -> None:
        for byte in data.replace(b"\r", b"\n"):
            key = bytes([byte])
            if key == b"\n":
                self._print([b"\r\n", *self._run(self._line.decode(errors="replace")), PROMPT])
                self._line.clear()
            else:
                self._line += key
                self._print([key])

    def pause(self) -> None:
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._box.put(None)

    def close(self) -> None:
        self._output.clear()
        self._paused = False
        self.end(ConsoleEnd.CLOSED)

    def end(self, reason: str) -> None:
        self._end = self._end or reason
        self._box.put(None)

    def _run(self, line: str) -> Iterable[bytes]:
        words = line.split()
        match words:
            case []:
                return []
            case ["echo", *rest]:
                return [" ".join(rest).encode() + b"\r\n"]
            case ["uname", *_]:
                return [b"Linux starter 6.1.0 x86_64 GNU/Linux\r\n"]
            case ["seq", first, last] if first.isdecimal() and last.isdecimal():
                return (b"%d\r\n" % number for number in range(int(first), int(last) + 1))
            case ["poweroff"]:
                self._power_off()
                return []
            case _:
                return [f"-sh: {words[0]}: not found\r\n".encode()]

    def _print(self, parts: Iterable[bytes]) -> None:
        if not self._end:
            self._output.append(iter(parts))
            self._box.put(None)

    def _pump(self, _fact: None) -> None:
        """Hand output on chunk by chunk, and let others have their turn in between."""
        while not self._paused and not self._over:
            chunk = self._next_chunk()
            if chunk:
                self._on_data(chunk)
                green.sleep(0)
                continue
            if self._end:
                self._over = True
                self._on_close(self._end)
            return

    def _next_chunk(self) -> bytes:
        chunk = bytearray()
        while self._output and len(chunk) < CHUNK:
            with suppress(StopIteration):
                while len(chunk) < CHUNK:
                    chunk += next(self._output[0])
                break
            self._output.pop(0)
        return bytes(chunk)
