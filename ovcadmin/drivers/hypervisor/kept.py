"""Definitions that the console did not write: only what it was told to change is changed in them.

An adopted guest keeps its board, firmware, processor, addresses of devices and whatever else
somebody gave it.  What is wanted otherwise than it stands there is altered, piece by piece.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from lxml import etree
from lxml.builder import E

from ovcadmin.drivers.hypervisor import xml
from ovcadmin.drivers.hypervisor.base import CdromSpec, MachineSpec
from ovcadmin.errors import HypervisorFailed

Element = Any

_BOOT = {"hd": "disk", "cdrom": "cdrom", "network": "network"}
"""libvirt's words of what is booted from, and ours."""
BOARDS_WITHOUT_IDE = ("q35",)


def altered(definition: str, spec: MachineSpec) -> str:
    """Return the definition with what `spec` wants otherwise; its name and uuid stay.

    Raises `HypervisorFailed` where a change cannot be written into it.
    """
    root = xml.read(definition)
    _title(root, spec.title)
    _vcpus(root, spec.vcpus)
    _memory(root, spec.memory)
    _cpu_limit(root, spec.cpu_limit)
    _drives(root, spec)
    _cdroms(root, spec.cdroms)
    _cards(root, spec)
    _boot(root, spec)
    return etree.tostring(root, encoding="unicode")


# --- reading ---------------------------------------------------------------------------------


def target(disk: Element) -> str:
    return str(disk.find("target").get("dev"))


def vcpus(root: Element) -> int:
    """Return how many vcpus a guest with this definition starts with."""
    vcpu = root.find("vcpu")
    return int(vcpu.get("current") or vcpu.text) if vcpu is not None else 1


def boot(root: Element) -> list[str]:
    """Return the kinds of devices that it boots from, in order, each once."""
    kinds = [_BOOT.get(one.get("dev"), "") for one in root.iterfind("os/boot")]
    numbered = sorted(
        (int(one.get("order")), _kind(one.getparent())) for one in root.iterfind("devices/*/boot")
    )
    return [kind for kind in dict.fromkeys([*kinds, *(kind for _, kind in numbered)]) if kind]


def has_firmware(root: Element) -> bool:
    """Whether it boots by firmware of its own choice, such as UEFI."""
    system = root.find("os")
    return system is not None and (
        system.get("firmware") is not None or system.find("loader") is not None
    )


def _kind(device: Element) -> str:
    if device.tag == "interface":
        return "network"
    return {"disk": "disk", "cdrom": "cdrom"}.get(device.get("device", "disk"), "")


# --- altering --------------------------------------------------------------------------------


def _title(root: Element, title: str) -> None:
    """Name it as people call it, where it had a name for people."""
    element = root.find("title")
    if element is not None:
        element.text = xml.clean(title)


def _vcpus(root: Element, wanted: int) -> None:
    if vcpus(root) == wanted:
        return
    vcpu = root.find("vcpu")
    if vcpu is None:
        vcpu = E.vcpu("1")
        root.find("memory").addprevious(vcpu)
    if wanted > int(vcpu.text):
        vcpu.text = str(wanted)
        # How they are arranged in sockets and cores was said for the number before.
        _remove(root.findall("cpu/topology"))
    vcpu.set("current", str(wanted))
    _remove(root.findall("vcpus"))


def _memory(root: Element, wanted: int) -> None:
    memory = root.find("memory")
    if int(memory.text) == wanted:
        return
    cells = root.findall("cpu/numa/cell")
    if len(cells) > 1 or root.find("devices/memory") is not None:
        raise HypervisorFailed(
            "The memory of this guest is divided in pieces by a definition that was not made "
            "here; change it on the host."
        )
    for element in (memory, root.find("currentMemory"), root.find("maxMemory")):
        if element is None or (element.tag == "maxMemory" and int(element.text) >= wanted):
            continue
        element.set("unit", "KiB")
        element.text = str(wanted)
    for cell in cells:
        cell.set("memory", str(wanted))
        cell.set("unit", "KiB")


def _cpu_limit(root: Element, percent: int | None) -> None:
    tune = root.find("cputune")
    if tune is not None:
        _remove([*tune.findall("global_period"), *tune.findall("global_quota")])
    if percent is None:
        return
    if tune is None:
        tune = E.cputune()
        root.find("os").addprevious(tune)
    tune.append(E.global_period(str(xml.CPU_PERIOD)))
    tune.append(E.global_quota(str(xml.cpu_quota(percent))))


def _drives(root: Element, spec: MachineSpec) -> None:
    wanted = {disk.target: disk for disk in spec.disks}
    for element in root.findall("devices/disk"):
        if element.get("device", "disk") != "disk":
            continue
        disk = wanted.pop(target(element), None)
        if disk is None:
            _remove([element])
            continue
        limits = {"total_bytes_sec": disk.bytes_limit, "total_iops_sec": disk.iops_limit}
        _limit(element, "iotune", limits)
    for disk in wanted.values():
        root.find("devices").append(xml.disk(replace(disk, boot_order=None)))


def _limit(element: Element, name: str, limits: dict[str, int | None]) -> None:
    held = element.find(name)
    if held is None:
        if not any(limits.values()):
            return
        held = etree.SubElement(element, name)
    for key, value in limits.items():
        _remove(held.findall(key))
        if value:
            held.append(E(key, str(value)))
    if not len(held):
        _remove([held])


def _cdroms(root: Element, drives: Iterable[CdromSpec]) -> None:
    """Put in what is wanted.  What somebody else put into an unused drive stays there."""
    held = {target(one): one for one in root.iterfind("devices/disk[@device='cdrom']")}
    for drive in drives:
        element = held.get(drive.target)
        if drive.source is None:
            continue
        if element is None:
            made = xml.cdrom(replace(drive, boot_order=None))
            if any(board in xml.board(root) for board in BOARDS_WITHOUT_IDE):
                made.find("target").set("bus", "sata")
            root.find("devices").append(made)
            continue
        element.set("type", "file")
        _remove(element.findall("source"))
        element.find("target").addprevious(E.source({"file": drive.source}))


def _cards(root: Element, spec: MachineSpec) -> None:
    wanted = {nic.mac: nic for nic in spec.nics}
    for element in root.findall("devices/interface"):
        mac = element.find("mac")
        nic = wanted.pop(mac.get("address", "").lower() if mac is not None else "", None)
        if nic is None:
            _remove([element])
            continue
        held = element.find("bandwidth")
        ways = {"inbound": nic.receive_limit, "outbound": nic.send_limit}
        if held is None and any(ways.values()):
            held = etree.SubElement(element, "bandwidth")
        for way, limit in ways.items() if held is not None else ():
            _remove(held.findall(way))
            if limit:
                held.append(E(way, {"average": str(xml.kib(limit))}))
        xml.hold_address(element, nic.address)
    for nic in wanted.values():
        root.find("devices").append(xml.nic(replace(nic, boot_order=None)))


def _boot(root: Element, spec: MachineSpec) -> None:
    """Write the order in which kinds of devices are tried, if another one is wanted."""
    orders = [
        (device.boot_order, kind)
        for kind, devices in (
            ("disk", spec.disks), ("cdrom", spec.cdroms), ("network", spec.nics)
        )
        for device in devices
        if device.boot_order is not None
    ]  # fmt: skip
    kinds = list(dict.fromkeys(kind for _, kind in sorted(orders)))
    if not kinds or kinds == boot(root):
        return
    _remove([*root.findall("os/boot"), *root.findall("devices/*/boot")])
    devices = [one for one in root.iterfind("devices/*") if one.tag in ("disk", "interface")]
    ordered = [one for kind in kinds for one in devices if _kind(one) == kind]
    for number, device in enumerate(ordered, start=1):
        device.append(E.boot({"order": str(number)}))


def _remove(elements: Iterable[Element]) -> None:
    for element in elements:
        element.getparent().remove(element)
