"""A host reached through libvirt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial

from ovcadmin import green
from ovcadmin.drivers.hypervisor import facts, guest
from ovcadmin.drivers.hypervisor.agent import LibvirtAgents
from ovcadmin.drivers.hypervisor.base import (
    ConsoleStream,
    DomainState,
    HostEvent,
    HostFacts,
    Lease,
    MachineSpec,
    VirtType,
)
from ovcadmin.drivers.hypervisor.connection import Connection, Lane, Link
from ovcadmin.drivers.hypervisor.console import LibvirtConsole
from ovcadmin.drivers.hypervisor.describing import LibvirtDescriptions
from ovcadmin.drivers.hypervisor.events import EventFeed
from ovcadmin.drivers.hypervisor.graphics import LibvirtGraphics
from ovcadmin.drivers.hypervisor.line import Dialler
from ovcadmin.drivers.hypervisor.moving import LibvirtMigrations
from ovcadmin.drivers.hypervisor.plugging import LibvirtDevices
from ovcadmin.drivers.hypervisor.stats import LibvirtStatistics
from ovcadmin.errors import DomainError

FACTS_SECONDS = 60.0
"""A fresh daemon looks at QEMU first, and a probe guest boots."""
DEFINE_SECONDS = 60.0
"""Measured up to 50 s where libvirt cannot open /dev/kvm and asks QEMU again and again."""
START_SECONDS = 90.0
DESTROY_SECONDS = 45.0
"""libvirt asks QEMU politely for 10 s, kills it and waits up to 30 s for its end."""
MEMORY_SECONDS = 1800.0
"""Memory goes to disk, or comes back from it."""
RECONNECT_SECONDS = 1.0
CONSOLES_AT_ONCE = 4
"""Consoles that are being opened at the same time; open ones are not bounded here."""


class LibvirtHypervisor(
    LibvirtMigrations,
    LibvirtDevices,
    LibvirtGraphics,
    LibvirtStatistics,
    LibvirtAgents,
    LibvirtDescriptions,
):
    """Implements `base.Hypervisor`.  `deadline` is that of an ordinary call, seconds."""

    def __init__(
        self,
        name: str,
        uri: str,
        *,
        deadline: float = 8.0,
        virt_type: VirtType | None = None,
    ) -> None:
        self.name = name
        self.connection = Connection(name, uri, deadline=deadline)
        self._consoles = Dialler(name, uri, at_once=CONSOLES_AT_ONCE)
        self._feed = EventFeed()
        reads = self.link(Lane.READ)
        reads.setup, reads.lost = self._feed.listen, self._feed.lost
        self._prober = facts.Prober(virt_type)
        self._stop_watching: Callable[[], None] = lambda: None

    def link(self, lane: Lane) -> Link:
        """Return one lane of the host, for storage drivers."""
        return self.connection.links[lane]

    # --- what the host is ----------------------------------------------------------------------

    def facts(self) -> HostFacts:
        read = partial(facts.read, prober=self._prober)
        return self.connection.call(read, deadline=FACTS_SECONDS)

    def leases(self) -> tuple[Lease, ...]:
        return self.connection.call(facts.leases)

    def states(self) -> Mapping[str, DomainState]:
        return self.connection.call(guest.states)

    def state(self, uuid: str) -> DomainState | None:
        return self.connection.call(partial(guest.state, uuid=uuid))

    def xml(self, uuid: str) -> str:
        return self.connection.call(partial(guest.read_xml, uuid=uuid))

    # --- what is done to a guest -----------------------------------------------------------------

    def define(self, spec: MachineSpec) -> None:
        define = partial(guest.define, spec=spec)
        self.connection.call(define, lane=Lane.ACT, deadline=DEFINE_SECONDS)

    def undefine(self, uuid: str) -> None:
        self._act(guest.undefine, uuid)

    def start(self, uuid: str) -> None:
        if self.connection.call(partial(guest.has_saved_memory, uuid=uuid)):
            self._act(guest.start, uuid, lane=Lane.MEMORY, deadline=MEMORY_SECONDS)
        else:
            self._act(guest.start, uuid, deadline=START_SECONDS)

    def shutdown(self, uuid: str) -> None:
        self._act(guest.shutdown, uuid)

    def destroy(self, uuid: str) -> None:
        self._act(guest.destroy, uuid, deadline=DESTROY_SECONDS)

    def reset(self, uuid: str) -> None:
        self._act(guest.reset, uuid)

    def reboot(self, uuid: str) -> None:
        self._act(guest.reboot, uuid)

    def suspend(self, uuid: str) -> None:
        self._act(guest.suspend, uuid)

    def resume(self, uuid: str) -> None:
        self._act(guest.resume, uuid)

    def save(self, uuid: str) -> None:
        self._act(guest.save, uuid, lane=Lane.MEMORY, deadline=MEMORY_SECONDS)

    def _act(
        self,
        verb: Callable[[guest.Conn, str], None],
        uuid: str,
        *,
        lane: Lane = Lane.ACT,
        deadline: float | None = None,
    ) -> None:
        self.connection.call(lambda conn: verb(conn, uuid), lane=lane, deadline=deadline)

    # --- what it tells ----------------------------------------------------------------------------

    def open_console(
        self,
        uuid: str,
        *,
        on_data: Callable[[bytes], None],
        on_close: Callable[[str], None],
    ) -> ConsoleStream:
        console = LibvirtConsole(on_data, on_close)
        return console.open(self._consoles, uuid, deadline=self.connection.deadline)

    def subscribe(self, callback: Callable[[HostEvent], None]) -> Callable[[], None]:
        first = not self._feed.subscribers
        self._feed.subscribers.append(callback)
        if first:
            self._stop_watching = green.background(self._watch)
        return partial(self._unsubscribe, callback)

    def _unsubscribe(self, callback: Callable[[HostEvent], None]) -> None:
        with suppress(ValueError):  # it was closed meanwhile
            self._feed.subscribers.remove(callback)
        if not self._feed.subscribers:
            self._stop_watching()

    def close(self) -> None:
        self._stop_watching()
        self._feed.subscribers.clear()
        self.connection.close()

    def _watch(self) -> None:
        """Keep the connection that brings events open, also when nobody calls."""
        while True:
            # Tried again and again; who calls the host meanwhile is told why it fails.
            with suppress(DomainError):
                self.link(Lane.READ).open()
            green.sleep(RECONNECT_SECONDS)
