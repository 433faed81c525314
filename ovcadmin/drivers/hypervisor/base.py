"""What the console asks of a hypervisor: plain data at the border, verbs of the field.

Every method may raise `HostUnresponsive` (deadline passed or circuit open), `HypervisorFailed`
(refused, with libvirt's own text) or, where a domain is named, `DomainMissing`.  Every call has a
deadline of its own; none blocks another host.  All verbs are idempotent in the sense that an
operation needs: asking for a state that is already there is a success.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from ovcadmin.domain.adoption import Described
from ovcadmin.drivers.hypervisor.devices import Devices
from ovcadmin.drivers.hypervisor.migration import Migrations
from ovcadmin.drivers.hypervisor.migration import Route as Route


class PowerState(StrEnum):
    """libvirt's domain states, as far as the console tells them apart."""

    RUNNING = "running"
    PAUSED = "paused"
    SHUTOFF = "shutoff"
    SHUTTING_DOWN = "shutting_down"
    CRASHED = "crashed"
    SAVED = "saved"
    """Shut off with a managed save image: the next start restores memory."""


class VirtType(StrEnum):
    KVM = "kvm"
    QEMU = "qemu"
    """Emulation (TCG): works everywhere, slow."""


@dataclass(frozen=True, kw_only=True)
class HostFacts:
    """What a host says of itself.  Memory in KiB, versions as libvirt's integers made dotted."""

    hostname: str
    uuid: str
    arch: str
    cpu_model: str
    cpus: int
    memory: int
    libvirt_version: str
    qemu_version: str
    virt_type: VirtType
    """What really boots guests here: hardware KVM only when a probe guest ran on it."""
    virt_note: str
    """Why it is so, for the host page."""
    session: bool
    """True for an unprivileged `qemu:///session` connection (no bridges)."""
    networks: tuple[str, ...] = ()
    """Names of the libvirt networks that are active."""
    storage_kinds: tuple[str, ...] = ()
    """Types of storage pools that its libvirt has a backend for; empty where it does not tell."""


@dataclass(frozen=True, kw_only=True)
class Lease:
    """An address that the DHCP server of a libvirt network gave to a card."""

    mac: str
    address: str
    network: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One step of the way to a host: what was tried and how it went."""

    passed: bool
    text: str


@dataclass(frozen=True, kw_only=True)
class DiskSpec:
    """One raw disk.  `source` is a file path or block device on the host."""

    source: str
    target: str
    """Guest device name such as `vda`."""
    boot_order: int | None = None
    kind: str = "file"
    """libvirt's disk type: `file`, `block`, `volume` of a pool, `network` (OpenvStorage's edge)."""
    pool: str = ""
    """The pool whose volume `source` names, where that is the kind."""
    server: tuple[str, int] | None = None
    """Address and port of the edge that serves `source`, where that is the kind."""
    bytes_limit: int | None = None
    """Bytes a second, read and written together."""
    iops_limit: int | None = None


@dataclass(frozen=True, kw_only=True)
class CdromSpec:
    """A CD-ROM drive, empty or with an image of the host's file system."""

    target: str
    """`hda`, `hdb`."""
    source: str | None = None
    boot_order: int | None = None


@dataclass(frozen=True, kw_only=True)
class NicSpec:
    mac: str
    network: str | None
    """Name of a libvirt network, or `bridge:` and a bridge of the host; None is QEMU's own
    user-mode network."""
    model: str = "virtio"
    boot_order: int | None = None
    receive_limit: int | None = None
    """Bytes a second towards the guest."""
    send_limit: int | None = None
    address: str | None = None
    """The one IPv4 address that the guest may send from; None is any."""


@dataclass(frozen=True, kw_only=True)
class MachineSpec:
    """All that a domain's XML is built from.  `memory` in KiB."""

    uuid: str
    name: str
    """The domain's name on the host: unique there, derived by the console, never typed."""
    title: str
    """The machine's name as people know it (any text; escaped by the XML builder)."""
    vcpus: int
    memory: int
    virt_type: VirtType
    disks: tuple[DiskSpec, ...]
    nics: tuple[NicSpec, ...]
    cdroms: tuple[CdromSpec, ...] = ()
    os_type: str = "linux"
    cpu_limit: int | None = None
    """Percent of one CPU for all vcpus together."""
    kept: str = ""
    """The definition of an adopted guest, as it was last seen; only what is wanted otherwise is
    altered in the one that the host has, or in this one where it has none."""


@dataclass(frozen=True, kw_only=True)
class DomainState:
    uuid: str
    name: str
    power: PowerState


@dataclass(frozen=True, kw_only=True)
class HostEvent:
    """A hint that something happened; the receiver reads the real state again.

    `uuid` is None when the connection itself changed (`kind` "connected" or "closed").
    """

    kind: str
    uuid: str | None
    detail: str
    received: float
    """Unix time at which the event reached this process."""


class ConsoleEnd(StrEnum):
    """Why a console stream ended: the reasons that `on_close` is called with."""

    CLOSED = "closed"
    """By `close()`."""
    STOPPED = "The machine does not run any more."
    TAKEN_OVER = "Another session took the console over."
    LOST = "The connection to the host was lost."
    DEAF = "The guest does not read what is typed."


class ConsoleStream(Protocol):
    """A guest's serial console.  One reader at a time: opening takes it over.

    `on_data(chunk)` gets what the guest prints, `on_close(reason)` (a `ConsoleEnd`) is called once,
    after all output, in every case.  Both run in a greenlet of the process's event hub, never in
    libvirt's thread.  `pause()` stops reading at the source (back-pressure: nothing is lost, the
    guest waits) and calls nothing until `resume()`.
    """

    def write(self, data: bytes) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def close(self) -> None: ...


class Graphics(Protocol):
    """Screens of guests."""

    def open_graphics(self, uuid: str) -> int:
        """Return a connected descriptor that speaks RFB with the guest's screen.

        It is the caller's to close.  Raises `ConsoleUnavailable` when the guest is off, has no
        screen, or lives on a host from which none can be had.
        """
        ...


class Hypervisor(Graphics, Migrations, Devices, Protocol):
    """One host."""

    def facts(self) -> HostFacts: ...

    def leases(self) -> tuple[Lease, ...]:
        """Addresses that its networks have given out and that hold now."""
        ...

    def states(self) -> Mapping[str, DomainState]:
        """All domains by uuid, in one call that never waits for a hung guest."""
        ...

    def state(self, uuid: str) -> DomainState | None:
        """One domain, or None when the host does not know it."""
        ...

    def xml(self, uuid: str) -> str: ...

    def describe(self, uuid: str) -> Described:
        """Say what a domain consists of that somebody else made."""
        ...

    def define(self, spec: MachineSpec) -> None:
        """Define, or define again with the same uuid."""
        ...

    def undefine(self, uuid: str) -> None:
        """Remove the definition with all that belongs to it (managed save). Absent is success."""
        ...

    def start(self, uuid: str) -> None:
        """Start a shut-off domain, from its managed save image if it has one."""
        ...

    def shutdown(self, uuid: str) -> None:
        """Press the ACPI power button; returns at once."""
        ...

    def destroy(self, uuid: str) -> None:
        """Pull the plug."""
        ...

    def reset(self, uuid: str) -> None: ...

    def reboot(self, uuid: str) -> None: ...

    def suspend(self, uuid: str) -> None: ...

    def resume(self, uuid: str) -> None: ...

    def save(self, uuid: str) -> None:
        """Managed save: memory to disk, domain shut off."""
        ...

    def open_console(
        self,
        uuid: str,
        *,
        on_data: Callable[[bytes], None],
        on_close: Callable[[str], None],
    ) -> ConsoleStream: ...

    def subscribe(self, callback: Callable[[HostEvent], None]) -> Callable[[], None]:
        """Deliver events to `callback` in the process's event hub, from now until `close`.

        The answer ends it before that.
        """
        ...

    def close(self) -> None: ...
