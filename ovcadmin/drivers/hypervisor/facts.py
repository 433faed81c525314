"""What a host is, and what really boots guests on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import libvirt

from ovcadmin import green
from ovcadmin.domain import host_versions
from ovcadmin.drivers.hypervisor import pools, xml
from ovcadmin.drivers.hypervisor.base import HostFacts, Lease, VirtType
from ovcadmin.drivers.hypervisor.guest import HIDDEN_PREFIX

Conn = Any

PROBE_SECONDS = 3.0
"""What a probe guest's firmware may take to come to its end; hardware takes under one.  There are
machines whose KVM starts guests, but crawls through the firmware and never boots a system."""
PROBE_AGAIN = 3600.0
"""Seconds for which a probe's result holds."""
FIRMWARE_ENDS = b"No bootable device"

_sleep: Callable[[float], None] = green.native("time", "sleep")
_clock: Callable[[], float] = green.native("time", "monotonic")


@dataclass(frozen=True)
class Virtualisation:
    type: VirtType
    note: str


class Prober:
    """Knows what boots guests on one host, by setting or by a probe that is not made too often."""

    def __init__(self, forced: VirtType | None) -> None:
        self._forced = forced
        self._found: Virtualisation | None = None
        self._good_until = 0.0

    def virtualisation(self, conn: Conn) -> Virtualisation:
        if self._forced:
            return _by_setting(self._forced)
        if self._found is None or _clock() > self._good_until:
            self._found = find_virtualisation(conn)
            self._good_until = _clock() + PROBE_AGAIN
        return self._found


def read(conn: Conn, prober: Prober) -> HostFacts:
    """Ask everything in one go; on a fresh daemon this waits for its look at QEMU (5 s)."""
    capabilities = xml.read(conn.getCapabilities())
    virt = prober.virtualisation(conn)
    return HostFacts(
        hostname=conn.getHostname(),
        uuid=capabilities.findtext("host/uuid", ""),
        arch=capabilities.findtext("host/cpu/arch", ""),
        cpu_model=capabilities.findtext("host/cpu/model", "unknown"),
        cpus=conn.getInfo()[2],
        memory=_memory(conn),
        libvirt_version=host_versions.dotted(conn.getLibVersion()),
        qemu_version=host_versions.dotted(conn.getVersion()),
        virt_type=virt.type,
        virt_note=virt.note,
        session=urlsplit(conn.getURI()).path == "/session",
        networks=tuple(sorted(_networks(conn))),
        storage_kinds=tuple(_storage_kinds(conn)),
    )


def _storage_kinds(conn: Conn) -> list[str]:
    """Return the types of storage pools whose backend is loaded; an old libvirt does not tell."""
    try:
        return sorted(kind for kind, has in pools.supported(conn).items() if has)
    except libvirt.libvirtError:
        return []


def leases(conn: Conn) -> tuple[Lease, ...]:
    """Ask each active network that has a DHCP server of its own."""
    found: list[Lease] = []
    for network in _active(conn):
        try:
            given = network.DHCPLeases()
        except libvirt.libvirtError:  # a bridge of the host: others give out addresses there
            continue
        found += [
            Lease(mac=one["mac"].lower(), address=one["ipaddr"], network=network.name())
            for one in given
            if one.get("mac") and one.get("ipaddr")
        ]
    return tuple(found)


def _networks(conn: Conn) -> list[str]:
    return [network.name() for network in _active(conn)]


def _active(conn: Conn) -> list[Any]:
    """Return the active networks; a session has none."""
    try:
        return list(conn.listAllNetworks(libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE))
    except libvirt.libvirtError:
        return []


def _memory(conn: Conn) -> int:
    """Return KiB.  `getInfo` rounds to MiB."""
    try:
        return int(conn.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)["total"])
    except libvirt.libvirtError:
        return int(conn.getInfo()[1]) * 1024


def _by_setting(virt_type: VirtType) -> Virtualisation:
    word = "Hardware KVM" if virt_type is VirtType.KVM else "Emulation (TCG)"
    return Virtualisation(virt_type, f"{word}, by the host's setting.")


def find_virtualisation(conn: Conn) -> Virtualisation:
    """Boot a probe guest with KVM; /dev/kvm alone proves nothing."""
    try:
        conn.getDomainCapabilities(None, "x86_64", xml.MACHINE, VirtType.KVM.value)
    except libvirt.libvirtError as error:
        return _emulation(f"libvirt offers no KVM here: {_short(error)}")
    try:
        ends = _firmware_ends(conn, VirtType.KVM)
    except libvirt.libvirtError as error:
        return _emulation(f"a probe guest did not start with KVM: {_short(error)}")
    if not ends:
        return _emulation(
            "a probe guest started with KVM, but its firmware did not come to its end in "
            f"{PROBE_SECONDS:g} s"
        )
    return Virtualisation(VirtType.KVM, "Hardware KVM: a probe guest ran on it.")


def _short(error: libvirt.libvirtError) -> str:
    """Return the first line: QEMU's own output follows on others."""
    lines = (error.get_error_message() or str(error)).splitlines()
    return lines[0] if lines else "unknown"


def _emulation(why: str) -> Virtualisation:
    return Virtualisation(VirtType.QEMU, f"Emulation (TCG), slow, because {why}.")


def _firmware_ends(conn: Conn, virt_type: VirtType) -> bool:
    """Tell whether the firmware of a guest without disks finds out in time that it has none."""
    name = HIDDEN_PREFIX + uuid4().hex[:12]
    # The daemon removes the guest by itself when this process dies.
    domain = conn.createXML(xml.probe(name, virt_type), libvirt.VIR_DOMAIN_START_AUTODESTROY)
    try:
        stream = conn.newStream(libvirt.VIR_STREAM_NONBLOCK)
        domain.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
        printed = b""
        end = _clock() + PROBE_SECONDS
        while FIRMWARE_ENDS not in printed and _clock() < end:
            got = stream.recv(4096)
            if got == b"":
                break
            if isinstance(got, bytes):
                printed += got
            else:
                _sleep(0.05)
        return FIRMWARE_ENDS in printed
    finally:
        domain.destroy()
