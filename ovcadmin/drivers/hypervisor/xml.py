"""Domain XML: built with lxml from a `MachineSpec`, read with a parser that trusts nothing."""

from __future__ import annotations

import re
from typing import Any

from lxml import etree
from lxml.builder import E

from ovcadmin.domain import devices as rules
from ovcadmin.domain.adoption import BRIDGE
from ovcadmin.drivers.hypervisor.base import CdromSpec, DiskSpec, MachineSpec, NicSpec, VirtType
from ovcadmin.errors import InvalidInput

Element = Any
"""An `lxml.etree._Element`."""

MACHINE = "pc"
"""The i440FX board boots as fast as q35 and takes hot-plugged devices without reserved ports."""

AGENT = "org.qemu.guest_agent.0"
"""Name of the port on which the agent in a guest listens."""
BALLOON_SECONDS = 10
ADDRESS_FILTER = "openvcloud-address"
"""The network filter that holds a card to one address."""

_NOT_XML = re.compile("[^\t\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(text: str) -> str:
    """Replace what XML cannot carry (control characters, newlines, lone surrogates)."""
    return _NOT_XML.sub("\ufffd", text)


def read(text: str | bytes) -> Element:
    """Parse XML from outside; raises `InvalidInput`.

    No document type is accepted, so there are no entities; nothing is fetched.
    """
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    raw = text.encode() if isinstance(text, str) else text
    try:
        root = etree.fromstring(raw, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise InvalidInput(f"This is no well-formed XML: {error}.") from error
    info: Any = root.getroottree().docinfo
    if info.doctype:
        raise InvalidInput("XML with a document type (DOCTYPE) is not accepted.")
    return root


def domain(spec: MachineSpec, *, machine: str = MACHINE) -> str:
    """Build the definition of a machine."""
    root = E.domain(
        {"type": spec.virt_type.value},
        E.name(clean(spec.name)),
        E.uuid(spec.uuid),
        E.title(clean(spec.title)),
        *_room(spec.memory),
        E.memory({"unit": "KiB"}, str(spec.memory)),
        E.vcpu(
            {"placement": "static", "current": str(spec.vcpus)}, str(rules.most_vcpus(spec.vcpus))
        ),
        *_cpu_limit(spec),
        E.os(E.type({"arch": "x86_64", "machine": machine}, "hvm")),
        _features(spec),
        _cpu(spec),
        _clock(spec),
        E.on_poweroff("destroy"),
        E.on_reboot("restart"),
        E.on_crash("destroy"),
        _devices(spec),
    )
    return etree.tostring(root, encoding="unicode")


def _room(memory: int) -> list[Element]:
    """Leave room for memory that is plugged in later."""
    if not rules.has_room(memory):
        return []
    slots = {"unit": "KiB", "slots": str(rules.DIMM_SLOTS)}
    return [E.maxMemory(slots, str(rules.most_memory(memory)))]


def _features(spec: MachineSpec) -> Element:
    """Tell Windows under KVM that it is a guest: it then spares itself a lot of waiting."""
    features = E.features(E.acpi(), E.apic())
    if spec.os_type == "windows" and spec.virt_type is VirtType.KVM:
        names = ("relaxed", "vapic")
        features.append(E.hyperv(*[E(name, {"state": "on"}) for name in names]))
    return features


def _clock(spec: MachineSpec) -> Element:
    """Keep the clock as the guest expects it: Windows takes it for local time."""
    if spec.os_type != "windows":
        return E.clock({"offset": "utc"})
    return E.clock(
        {"offset": "localtime"},
        E.timer({"name": "rtc", "tickpolicy": "catchup"}),
        E.timer({"name": "pit", "tickpolicy": "delay"}),
        E.timer({"name": "hpet", "present": "no"}),
    )


def _cpu(spec: MachineSpec) -> Element:
    """All that the accelerator can give, in one cell: without a cell no memory can be added."""
    cpu = _model(spec.virt_type)
    if not rules.has_room(spec.memory):
        return cpu
    last = rules.most_vcpus(spec.vcpus) - 1
    cell = {"id": "0", "cpus": f"0-{last}", "memory": str(spec.memory), "unit": "KiB"}
    cpu.append(E.numa(E.cell(cell)))
    return cpu


def _model(virt_type: VirtType) -> Element:
    """Choose the processor; under KVM in a form that can migrate."""
    return E.cpu({"mode": "host-model" if virt_type is VirtType.KVM else "maximum"})


def _cpu_limit(spec: MachineSpec) -> list[Element]:
    if spec.cpu_limit is None:
        return []
    quota = cpu_quota(spec.cpu_limit)
    return [E.cputune(E.global_period(str(CPU_PERIOD)), E.global_quota(str(quota)))]


CPU_PERIOD = 100_000
"""Microseconds over which a CPU limit is kept."""


def cpu_quota(percent: int) -> int:
    """Return the microseconds of CPU time in each period."""
    return percent * CPU_PERIOD // 100


def _devices(spec: MachineSpec) -> Element:
    windows = spec.os_type == "windows"
    return E.devices(
        # Without this libvirt adds a USB controller; only the pointer of Windows needs one.
        E.controller({"type": "usb", "model": "qemu-xhci" if windows else "none"}),
        *[disk(one) for one in spec.disks],
        *[cdrom(one) for one in spec.cdroms],
        *[nic(one) for one in spec.nics],
        E.serial({"type": "pty"}, E.target({"type": "isa-serial", "port": "0"})),
        E.console({"type": "pty"}, E.target({"type": "serial", "port": "0"})),
        *([E.input({"type": "tablet", "bus": "usb"})] if windows else []),
        E.graphics(
            {"type": "vnc", "autoport": "yes", "listen": "127.0.0.1"},
            E.listen({"type": "address", "address": "127.0.0.1"}),
        ),
        E.video(E.model({"type": "vga", "vram": "16384"})),
        E.channel({"type": "unix"}, E.target({"type": "virtio", "name": AGENT})),
        # The guest tells every so often how much of its memory it uses.
        E.memballoon({"model": "virtio"}, E.stats({"period": str(BALLOON_SECONDS)})),
        E.rng({"model": "virtio"}, E.backend({"model": "random"}, "/dev/urandom")),
    )


def text_of(element: Element) -> str:
    return str(etree.tostring(element, encoding="unicode"))


def disk(disk: DiskSpec) -> Element:
    """Build a raw disk.  The format is always said, so that nothing ever probes it."""
    element = E.disk(
        {"type": disk.kind, "device": "disk"},
        E.driver({"name": "qemu", "type": "raw", "cache": "none", "discard": "unmap"}),
        _source(disk),
        E.target({"dev": disk.target, "bus": "virtio"}),
    )
    limits = {"total_bytes_sec": disk.bytes_limit, "total_iops_sec": disk.iops_limit}
    if any(limits.values()):
        element.append(E.iotune(*[E(name, str(value)) for name, value in limits.items() if value]))
    return _bootable(element, disk.boot_order)


def _source(disk: DiskSpec) -> Element:
    if disk.kind == "network":
        assert disk.server is not None
        address, port = disk.server
        return E.source(
            {"protocol": "openvstorage", "name": disk.source},
            E.host({"name": address, "port": str(port), "transport": "tcp"}),
        )
    where = {"file": {"file": disk.source}, "block": {"dev": disk.source}}
    return E.source(where.get(disk.kind, {"pool": disk.pool, "volume": disk.source}))


def cdrom(drive: CdromSpec) -> Element:
    element = E.disk(
        {"type": "file", "device": "cdrom"},
        E.driver({"name": "qemu", "type": "raw"}),
        E.target({"dev": drive.target, "bus": "ide"}),
        E.readonly(),
    )
    if drive.source is not None:
        element.append(E.source({"file": drive.source}))
    return _bootable(element, drive.boot_order)


def nic(nic: NicSpec) -> Element:
    kind, name = "network" if nic.network else "user", nic.network
    if name and name.startswith(BRIDGE):
        kind, name = "bridge", name.removeprefix(BRIDGE)
    element = E.interface({"type": kind}, E.mac({"address": nic.mac}), E.model({"type": nic.model}))
    if name:
        element.append(E.source({kind: name}))
    ways = {"inbound": nic.receive_limit, "outbound": nic.send_limit}
    if any(ways.values()):
        averages = [E(way, {"average": str(kib(limit))}) for way, limit in ways.items() if limit]
        element.append(E.bandwidth(*averages))
    hold_address(element, nic.address)
    return _bootable(element, nic.boot_order)


def held_address(card: Element) -> str | None:
    """Return the one address that a card may send from, if it is held to one."""
    path = f"filterref[@filter='{ADDRESS_FILTER}']/parameter[@name='IP']"
    found = card.find(path)
    return None if found is None else str(found.get("value"))


def hold_address(card: Element, address: str | None) -> None:
    """Hold a card to an address, or to none any more; a filter of somebody else's stays then."""
    for held in card.findall("filterref"):
        if address is not None or held.get("filter") == ADDRESS_FILTER:
            card.remove(held)
    if address is not None:
        parameter = E.parameter({"name": "IP", "value": address})
        card.append(E.filterref({"filter": ADDRESS_FILTER}, parameter))


def kib(limit: int) -> int:
    """Return libvirt's unit of bandwidth, at least one of it."""
    return max(limit // 1024, 1)


def dimm(memory: int) -> str:
    """Build a piece of memory, KiB."""
    target = E.target(E.size({"unit": "KiB"}, str(memory)), E.node("0"))
    return text_of(E.memory({"model": "dimm"}, target))


def _bootable(element: Element, order: int | None) -> Element:
    if order is not None:
        element.append(E.boot({"order": str(order)}))
    return element


def machine_type(text: str) -> str:
    """Return the board a definition names, such as `pc-i440fx-7.2`."""
    return board(read(text))


def board(root: Element) -> str:
    return str(root.find("os/type").get("machine", MACHINE))


def without_direct_io(text: str) -> str:
    """Return the definition with the host's page cache switched on for every disk."""
    root = read(text)
    for driver in root.iterfind("devices/disk/driver[@cache='none']"):
        driver.set("cache", "writeback")
    return etree.tostring(root, encoding="unicode")


def probe(name: str, virt_type: VirtType) -> str:
    """Build a guest without disks whose firmware talks on the serial line.

    It has the processor of any other machine: by its sign of life a host's KVM is judged.
    """
    root = E.domain(
        {"type": virt_type.value},
        E.name(name),
        E.memory({"unit": "MiB"}, "32"),
        E.vcpu("1"),
        E.os(
            E.type({"arch": "x86_64", "machine": MACHINE}, "hvm"),
            E.bios({"useserial": "yes"}),
        ),
        _model(virt_type),
        E.devices(
            E.controller({"type": "usb", "model": "none"}),
            E.serial({"type": "pty"}, E.target({"type": "isa-serial", "port": "0"})),
            E.console({"type": "pty"}, E.target({"type": "serial", "port": "0"})),
            E.memballoon({"model": "none"}),
        ),
    )
    return etree.tostring(root, encoding="unicode")
