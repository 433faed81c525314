"""Devices of running guests, through libvirt.

The functions run in a native thread of the host; the mixin is the part of `LibvirtHypervisor` that
calls them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import libvirt

from ovcadmin import green
from ovcadmin.domain import devices as rules
from ovcadmin.domain.rates import GuestRates
from ovcadmin.drivers.hypervisor import addresses, xml
from ovcadmin.drivers.hypervisor.base import CdromSpec, DiskSpec, MachineSpec, NicSpec
from ovcadmin.drivers.hypervisor.connection import Connection, Lane
from ovcadmin.drivers.hypervisor.devices import Present
from ovcadmin.errors import GuestTimeout

Conn = Any
Domain = Any
Device = DiskSpec | NicSpec
Pair = tuple[int | None, int | None]
T = TypeVar("T")

PLUG_SECONDS = 45.0
"""Longer than libvirt waits for a guest that is to give a CPU back."""
LET_GO_SECONDS = 20.0
"""How long a guest may take to let a device go; one that still boots never answers."""
LOOK_SECONDS = 0.2
LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
_XML = {LIVE: 0, libvirt.VIR_DOMAIN_AFFECT_CONFIG: libvirt.VIR_DOMAIN_XML_INACTIVE}
BOTH = (LIVE, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
"""One after the other: libvirt's Python reads what is there by the same flags, and refuses both."""


def _find(conn: Conn, uuid: str) -> Domain:
    return conn.lookupByUUIDString(uuid)


def present(conn: Conn, uuid: str) -> Present:
    domain = _find(conn, uuid)
    root = xml.read(domain.XMLDesc())
    vcpu = root.find("vcpu")
    drives = root.findall("devices/disk")
    return Present(
        running=bool(domain.isActive()),
        vcpus=int(vcpu.get("current") or vcpu.text),
        memory=int(root.findtext("memory")),
        disks=frozenset(_target(one) for one in drives if one.get("device") != "cdrom"),
        nics=frozenset(one.get("address", "") for one in root.iterfind("devices/interface/mac")),
        media={_target(one): _source(one) for one in drives if one.get("device") == "cdrom"},
        serial=root.find("devices/serial") is not None,
        graphics=root.find("devices/graphics") is not None,
        agent=root.find(f"devices/channel/target[@name='{xml.AGENT}']") is not None,
    )


def _target(drive: Any) -> str:
    return str(drive.find("target").get("dev"))


def _source(drive: Any) -> str | None:
    source = drive.find("source")
    return None if source is None else source.get("file")


def resize(conn: Conn, uuid: str, vcpus: int, memory: int) -> Present:
    found = present(conn, uuid)
    if not found.running:
        return found
    domain, refused = _find(conn, uuid), []
    if vcpus != found.vcpus and (why := _refusal(lambda: domain.setVcpusFlags(vcpus, LIVE))):
        refused.append(why)
    if memory != found.memory and (why := _plug_memory(domain, found.memory, memory)):
        refused.append(why)
    return replace(present(conn, uuid), refused=tuple(refused))


def _plug_memory(domain: Domain, now: int, wanted: int) -> str:
    """Add memory in one piece; return why not, if so."""
    if wanted < now:
        return "a running guest cannot be made to give memory back"
    if not rules.pluggable(now, wanted):
        return "a running guest takes memory in pieces of 128 MiB only"
    return _refusal(lambda: domain.attachDeviceFlags(xml.dimm(wanted - now), LIVE))


def _refusal(verb: Callable[[], object]) -> str:
    try:
        verb()
    except libvirt.libvirtError as error:
        return error.get_error_message() or str(error)
    return ""


def _has(found: Present, device: Device) -> bool:
    if isinstance(device, DiskSpec):
        return device.target in found.disks
    return device.mac in found.nics


def _text(device: Device) -> str:
    """Describe it for a running guest, which has booted already."""
    bare = replace(device, boot_order=None)
    return xml.text_of(xml.disk(bare) if isinstance(bare, DiskSpec) else xml.nic(bare))


def attach(conn: Conn, uuid: str, device: Device) -> None:
    found = present(conn, uuid)
    if not found.running or _has(found, device):
        return
    domain, text = _find(conn, uuid), _text(device)
    try:
        addresses.prepare(conn, text)
        domain.attachDeviceFlags(text, LIVE)
    except libvirt.libvirtError as error:
        # As when a machine starts: not every file system knows direct I/O.
        if "O_DIRECT" not in str(error):
            raise
        domain.attachDeviceFlags(text.replace('cache="none"', 'cache="writeback"'), LIVE)


def begin_detach(conn: Conn, uuid: str, device: Device) -> bool:
    """Ask the guest to let go; False when there is nothing to let go of."""
    found = present(conn, uuid)
    if not found.running or not _has(found, device):
        return False
    domain = _find(conn, uuid)
    try:
        domain.detachDeviceFlags(_text(device), LIVE)
    except libvirt.libvirtError as error:
        # Asked before, by an attempt that died or gave up: it is still under way.
        if "unplug of that device" not in str(error):
            raise
    return True


def insert(conn: Conn, uuid: str, drive: CdromSpec) -> bool:
    found = present(conn, uuid)
    if not found.running:
        return True
    if drive.target not in found.media:
        return False
    if found.media[drive.target] != drive.source:
        text = xml.text_of(xml.cdrom(replace(drive, boot_order=None)))
        _find(conn, uuid).updateDeviceFlags(text, LIVE)
    return True


def grow_disk(conn: Conn, uuid: str, target: str, size: int) -> None:
    domain = _find(conn, uuid)
    if domain.isActive() and domain.blockInfo(target)[0] < size:
        domain.blockResize(target, size, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)


def limit(conn: Conn, uuid: str, spec: MachineSpec) -> None:
    found = present(conn, uuid)
    if not found.running:
        return
    domain = _find(conn, uuid)
    _limit_cpu(domain, spec.cpu_limit, LIVE)
    for disk in spec.disks:
        if disk.target in found.disks:
            _limit_drive(domain, disk.target, (disk.bytes_limit, disk.iops_limit), LIVE)
    for nic in spec.nics:
        # QEMU's own network has no queue that a limit could stand in.
        if nic.mac in found.nics and nic.network:
            _limit_nic(domain, nic.mac, (nic.receive_limit, nic.send_limit), LIVE)
            addresses.hold(conn, domain, nic)


def set_rates(conn: Conn, uuid: str, rates: GuestRates) -> tuple[str, ...]:
    """Limit what can be limited; each refusal stands by itself."""
    found = present(conn, uuid)
    if not found.running:
        return ()
    domain = _find(conn, uuid)
    verbs = [partial(_limit_cpu, domain, rates.cpu, flags) for flags in BOTH]
    verbs += [
        partial(_limit_drive, domain, target, limits, flags)
        for target, limits in rates.drives.items()
        if target in found.disks
        for flags in BOTH
    ]
    verbs += [
        partial(_limit_nic, domain, mac, limits, flags)
        for mac, limits in rates.cards.items()
        if mac in found.nics
        for flags in BOTH
    ]
    # A host without control groups refuses each time the same: once is enough.
    return tuple(dict.fromkeys(why for verb in verbs if (why := _refusal(verb))))


def _limit_cpu(domain: Domain, percent: int | None, flags: int) -> None:
    """Set the limit, or take away one that is there: a host without control groups has none."""
    if percent is not None:
        given = {"global_period": xml.CPU_PERIOD, "global_quota": xml.cpu_quota(percent)}
        domain.setSchedulerParametersFlags(given, flags)
    elif xml.read(domain.XMLDesc(_XML[flags])).find("cputune/global_quota") is not None:
        domain.setSchedulerParametersFlags({"global_quota": -1}, flags)


def _limit_drive(domain: Domain, target: str, limits: Pair, flags: int) -> None:
    given = dict(zip(("total_bytes_sec", "total_iops_sec"), limits, strict=True))
    domain.setBlockIoTune(target, {name: limit or 0 for name, limit in given.items()}, flags)


def _limit_nic(domain: Domain, mac: str, limits: Pair, flags: int) -> None:
    ways = zip(("inbound.average", "outbound.average"), limits, strict=True)
    given = {way: xml.kib(limit) if limit else 0 for way, limit in ways}
    has = domain.interfaceParameters(mac, flags)
    if any(has.get(name, 0) != value for name, value in given.items()):
        domain.setInterfaceParameters(mac, given, flags)


class LibvirtDevices:
    """The verbs of `devices.Devices` on a libvirt host."""

    name: str
    connection: Connection

    def present(self, uuid: str) -> Present:
        return self.connection.call(partial(present, uuid=uuid))

    def resize(self, uuid: str, *, vcpus: int, memory: int) -> Present:
        return self._plug(partial(resize, uuid=uuid, vcpus=vcpus, memory=memory))

    def attach(self, uuid: str, device: Device) -> None:
        self._plug(partial(attach, uuid=uuid, device=device))

    def detach(self, uuid: str, device: Device) -> None:
        asked = self._plug(partial(begin_detach, uuid=uuid, device=device))
        end = time.monotonic() + LET_GO_SECONDS
        while asked and _has(self.present(uuid), device):
            if time.monotonic() > end:
                raise GuestTimeout(
                    f"The guest did not let go of the device within {LET_GO_SECONDS:g} seconds. "
                    "Try again when it has booted and does not use it, or shut it down first.",
                    seconds=LET_GO_SECONDS,
                )
            green.sleep(LOOK_SECONDS)

    def insert(self, uuid: str, cdrom: CdromSpec) -> bool:
        return self._plug(partial(insert, uuid=uuid, drive=cdrom))

    def grow_disk(self, uuid: str, target: str, size: int) -> None:
        self._plug(partial(grow_disk, uuid=uuid, target=target, size=size))

    def limit(self, uuid: str, spec: MachineSpec) -> None:
        self._plug(partial(limit, uuid=uuid, spec=spec))

    def set_rates(self, uuid: str, rates: GuestRates) -> tuple[str, ...]:
        return self._plug(partial(set_rates, uuid=uuid, rates=rates))

    def _plug(self, work: Callable[[Conn], T]) -> T:
        return self.connection.call(work, lane=Lane.ACT, deadline=PLUG_SECONDS)
