"""What a host tells unasked: lifecycle events and the fate of its connection."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import libvirt

from ovcadmin import green
from ovcadmin.drivers.hypervisor.base import HostEvent
from ovcadmin.drivers.hypervisor.line import Line

KINDS = {
    libvirt.VIR_DOMAIN_EVENT_DEFINED: "defined",
    libvirt.VIR_DOMAIN_EVENT_UNDEFINED: "undefined",
    libvirt.VIR_DOMAIN_EVENT_STARTED: "started",
    libvirt.VIR_DOMAIN_EVENT_SUSPENDED: "suspended",
    libvirt.VIR_DOMAIN_EVENT_RESUMED: "resumed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED: "stopped",
    libvirt.VIR_DOMAIN_EVENT_SHUTDOWN: "shutting_down",
    libvirt.VIR_DOMAIN_EVENT_PMSUSPENDED: "suspended",
    libvirt.VIR_DOMAIN_EVENT_CRASHED: "crashed",
}
STOPPED_DETAILS = {
    libvirt.VIR_DOMAIN_EVENT_STOPPED_SHUTDOWN: "the guest shut down",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_DESTROYED: "powered off from outside",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_CRASHED: "the guest crashed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_MIGRATED: "moved to another host",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_SAVED: "saved",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_FAILED: "QEMU failed",
    libvirt.VIR_DOMAIN_EVENT_STOPPED_FROM_SNAPSHOT: "rolled back to an offline snapshot",
}

_now: Callable[[], float] = green.native("time", "time")


class EventFeed:
    """Passes a host's events from libvirt's thread to subscribers in the hub."""

    def __init__(self) -> None:
        self.subscribers: list[Callable[[HostEvent], None]] = []
        self._box: green.Mailbox[HostEvent] = green.Mailbox(self._deliver)

    def listen(self, line: Line) -> None:
        """Register on a fresh connection, in its opening thread."""
        for kind, heard in (
            (libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._lifecycle),
            (libvirt.VIR_DOMAIN_EVENT_ID_REBOOT, self._rebooted),
        ):
            number = line.conn.domainEventRegisterAny(None, kind, heard, None)
            line.farewells.append(partial(line.conn.domainEventDeregisterAny, number))
        self._note("connected", None, "")

    def lost(self, reason: str) -> None:
        self._note("closed", None, reason)

    def _note(self, kind: str, uuid: str | None, detail: str) -> None:
        self._box.put(HostEvent(kind=kind, uuid=uuid, detail=detail, received=_now()))

    def _lifecycle(self, _conn: Any, domain: Any, event: int, detail: int, _opaque: Any) -> None:
        """Run in libvirt's thread: copy the facts, nothing else."""
        stopped = event == libvirt.VIR_DOMAIN_EVENT_STOPPED
        self._note(
            KINDS.get(event, "changed"),
            domain.UUIDString(),
            STOPPED_DETAILS.get(detail, "") if stopped else "",
        )

    def _rebooted(self, _conn: Any, domain: Any, _opaque: Any) -> None:
        self._note("rebooted", domain.UUIDString(), "")

    def _deliver(self, event: HostEvent) -> None:
        for callback in list(self.subscribers):
            callback(event)
