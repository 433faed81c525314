"""What a domain consists of that somebody else made: read, never changed."""

from __future__ import annotations

from functools import partial
from typing import Any

import libvirt

from ovcadmin.domain import adoption
from ovcadmin.domain.adoption import Card, Described, Drive
from ovcadmin.drivers.hypervisor import kept, xml
from ovcadmin.drivers.hypervisor.connection import Connection

Conn = Any
Element = Any

UNMANAGED = {
    "hostdev": "a device of the host that is passed through",
    "filesystem": "a folder of the host that is shared with it",
    "tpm": "a TPM",
    "redirdev": "a redirected USB device",
    "shmem": "shared memory",
}
"""Devices that the console does not manage, as they are called."""


def describe(conn: Conn, uuid: str) -> Described:
    domain = conn.lookupByUUIDString(uuid)
    lasting = bool(domain.isPersistent())
    live = xml.read(domain.XMLDesc())
    definition = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE) if lasting else domain.XMLDesc()
    root = xml.read(definition)
    drives = tuple(_drive(conn, one) for one in _disks(root))
    cards = tuple(_card(one) for one in root.iterfind("devices/interface"))
    return Described(
        name=str(root.findtext("name")),
        title=str(root.findtext("title") or ""),
        type=str(root.get("type")),
        vcpus=kept.vcpus(root),
        memory=int(root.findtext("memory")),
        running_vcpus=kept.vcpus(live),
        running_memory=int(live.findtext("memory")),
        drives=drives,
        cards=cards,
        cpu_limit=_cpu_limit(root),
        boot=",".join(kept.boot(root)) or "disk",
        os_type=_os_type(root),
        lasting=lasting,
        differs=lasting and _shape(root) != _shape(live),
        kept=tuple(_kept(root)),
        definition=definition,
    )


def _disks(root: Element) -> list[Element]:
    return [one for one in root.iterfind("devices/disk") if one.get("device", "disk") == "disk"]


def _shape(root: Element) -> tuple[set[str], set[str]]:
    macs = {str(one.get("address")) for one in root.iterfind("devices/interface/mac")}
    return {kept.target(one) for one in _disks(root)}, macs


def _drive(conn: Conn, disk: Element) -> Drive:
    source, driver = disk.find("source"), disk.find("driver")
    volume = _volume(conn, disk.get("type"), source) if source is not None else None
    special = ("shareable", "readonly", "transient")
    return Drive(
        target=kept.target(disk),
        source=_told(source),
        format=driver.get("type", "raw") if driver is not None else "raw",
        store=str(volume.storagePoolLookupByVolume().name()) if volume is not None else "",
        volume=str(volume.name()) if volume is not None else "",
        size=int(volume.info()[1]) if volume is not None else 0,
        plain=all(disk.find(name) is None for name in special),
        bytes_limit=_limit(disk, "total_bytes_sec"),
        iops_limit=_limit(disk, "total_iops_sec"),
    )


def _told(source: Element | None) -> str:
    if source is None:
        return ""
    names = ("file", "dev", "volume", "name", "dir")
    return next((str(source.get(name)) for name in names if source.get(name)), "")


def _volume(conn: Conn, kind: str, source: Element) -> Any:
    """Return the volume of a libvirt pool behind a drive, or None where no pool knows it."""
    try:
        if kind == "volume":
            return conn.storagePoolLookupByName(source.get("pool")).storageVolLookupByName(
                source.get("volume")
            )
        path = source.get("file") or source.get("dev")
        return conn.storageVolLookupByPath(path) if path else None
    except libvirt.libvirtError as error:
        if error.get_error_code() in (
            libvirt.VIR_ERR_NO_STORAGE_VOL,
            libvirt.VIR_ERR_NO_STORAGE_POOL,
        ):
            return None
        raise


def _limit(disk: Element, name: str) -> int | None:
    return int(disk.findtext(f"iotune/{name}") or 0) or None


def _card(card: Element) -> Card:
    source, mac = card.find("source"), card.find("mac")
    kind = str(card.get("type"))
    return Card(
        mac=str(mac.get("address")).lower() if mac is not None else "",
        kind=kind,
        source=str(source.get(kind) or "") if source is not None else "",
    )


def _cpu_limit(root: Element) -> int | None:
    quota = int(root.findtext("cputune/global_quota") or 0)
    period = int(root.findtext("cputune/global_period") or xml.CPU_PERIOD)
    return max(100 * quota // period, 1) if quota > 0 else None


def _os_type(root: Element) -> str:
    """Guess: Windows keeps local time, and who made the domain may have written down what it is."""
    told = " ".join(str(one.get("id", "")) for one in root.iterfind("metadata//*")).lower()
    if "microsoft" in told or root.find("clock[@offset='localtime']") is not None:
        return "windows"
    return "freebsd" if "freebsd" in told else "linux"


def _kept(root: Element) -> list[str]:
    """Name what stays as it is, without the console managing it."""
    found = [text for tag, text in UNMANAGED.items() if root.find(f"devices/{tag}") is not None]
    for disk in root.iterfind("devices/disk"):
        source = _told(disk.find("source"))
        if disk.get("device") in ("cdrom", "floppy") and source:
            found.append(f"what is in the drive {kept.target(disk)}: {source}")
    if kept.has_firmware(root):
        found.append("its firmware; it cannot be cloned or made a template")
    if root.find("devices/serial") is None:
        found.append("that it has no serial console")
    if root.find("devices/graphics[@type='vnc']") is None:
        found.append("that it has no VNC screen")
    return found


class LibvirtDescriptions:
    """The part of `LibvirtHypervisor` that reads strangers."""

    connection: Connection

    def describe(self, uuid: str) -> adoption.Described:
        return self.connection.call(partial(describe, uuid=uuid))
