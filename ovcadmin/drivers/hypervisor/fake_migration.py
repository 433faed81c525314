"""Guests of hosts in memory move too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ovcadmin import green
from ovcadmin.drivers.hypervisor import xml
from ovcadmin.drivers.hypervisor.base import (
    CdromSpec,
    DiskSpec,
    Hypervisor,
    MachineSpec,
    NicSpec,
    VirtType,
)
from ovcadmin.drivers.hypervisor.migration import Route
from ovcadmin.drivers.hypervisor.moving import moved
from ovcadmin.errors import HypervisorFailed

if TYPE_CHECKING:
    from ovcadmin.drivers.hypervisor.fake import FakeGuest

STEPS = 4


class FakeMigrations:
    """Mixed into `FakeHypervisor`."""

    name: str
    _guests: dict[str, FakeGuest]
    _running: Callable[[str], FakeGuest]
    _answer: Callable[[], None]
    _tell: Callable[[str, str], None]
    define: Callable[[MachineSpec], None]
    undefine: Callable[[str], None]

    def migrate(
        self, uuid: str, to: Hypervisor, route: Route, *, progress: Callable[[float], None]
    ) -> None:
        assert isinstance(to, FakeMigrations)
        guest = self._running(uuid)
        to.receive(guest, arrived=False)
        for step in range(STEPS):
            progress(step / STEPS)
            green.sleep(0)
        guest.spec = _spec(moved(xml.domain(guest.spec), route, running=True))
        to.receive(guest, arrived=True)
        del self._guests[uuid]
        self._tell("stopped", uuid)

    def receive(self, guest: FakeGuest, *, arrived: bool) -> None:
        """Agree to take a guest of another host; take it over when it has arrived."""
        self._answer()
        uuid = guest.spec.uuid
        if arrived:
            self._guests[uuid] = guest
            self._tell("started", uuid)
        elif uuid in self._guests and self._guests[uuid].active:
            raise HypervisorFailed(f"Host {self.name} refused: the guest is active there already.")

    def define_moved(self, definition: str, route: Route) -> None:
        self.define(_spec(moved(definition, route)))


def _spec(definition: str) -> MachineSpec:
    """Read a definition that `xml.domain` wrote."""
    root: Any = xml.read(definition)
    return MachineSpec(
        uuid=root.findtext("uuid"),
        name=root.findtext("name"),
        title=root.findtext("title", ""),
        vcpus=int(root.find("vcpu").get("current")),
        memory=int(root.findtext("memory")),
        virt_type=VirtType(root.get("type")),
        disks=tuple(_disk(disk) for disk in root.iterfind("devices/disk[@device='disk']")),
        cdroms=tuple(_cdrom(disk) for disk in root.iterfind("devices/disk[@device='cdrom']")),
        nics=tuple(_nic(nic) for nic in root.iterfind("devices/interface")),
    )


def _disk(disk: Any) -> DiskSpec:
    source, boot, server = disk.find("source"), disk.find("boot"), disk.find("source/host")
    return DiskSpec(
        source=source.get("file") or source.get("dev") or source.get("name"),
        target=disk.find("target").get("dev"),
        boot_order=int(boot.get("order")) if boot is not None else None,
        kind=disk.get("type"),
        server=(server.get("name"), int(server.get("port"))) if server is not None else None,
    )


def _cdrom(drive: Any) -> CdromSpec:
    source, boot = drive.find("source"), drive.find("boot")
    return CdromSpec(
        source=source.get("file") if source is not None else None,
        target=drive.find("target").get("dev"),
        boot_order=int(boot.get("order")) if boot is not None else None,
    )


def _nic(nic: Any) -> NicSpec:
    source = nic.find("source")
    return NicSpec(
        mac=nic.find("mac").get("address"),
        network=source.get("network") if source is not None else None,
    )
