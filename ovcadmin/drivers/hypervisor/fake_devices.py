"""Devices of the guests in memory: what a running one has, and what it can be given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ovcadmin.domain import devices as rules
from ovcadmin.domain.rates import GuestRates
from ovcadmin.drivers.hypervisor.base import CdromSpec, DiskSpec, MachineSpec, NicSpec
from ovcadmin.drivers.hypervisor.devices import Present

Device = DiskSpec | NicSpec


class FakeDevices:
    """The verbs of `devices.Devices`.  A guest has `spec`, its definition, and `live`."""

    def _find(self, uuid: str) -> Any:
        raise NotImplementedError

    def present(self, uuid: str) -> Present:
        guest = self._find(uuid)
        now: MachineSpec = guest.live if guest.active else guest.spec
        return Present(
            running=guest.active,
            vcpus=now.vcpus,
            memory=now.memory,
            disks=frozenset(disk.target for disk in now.disks),
            nics=frozenset(nic.mac for nic in now.nics),
            media={drive.target: drive.source for drive in now.cdroms},
        )

    def resize(self, uuid: str, *, vcpus: int, memory: int) -> Present:
        guest, refused = self._find(uuid), []
        if guest.active:
            room = guest.booted
            if vcpus <= rules.most_vcpus(room.vcpus):
                guest.live = replace(guest.live, vcpus=vcpus)
            else:
                refused.append("there is no room for so many vcpus")
            fits = memory <= rules.most_memory(room.memory)
            if fits and rules.pluggable(guest.live.memory, memory):
                guest.live = replace(guest.live, memory=memory)
            elif memory != guest.live.memory:
                refused.append("this change of memory needs a restart")
        return replace(self.present(uuid), refused=tuple(refused))

    def attach(self, uuid: str, device: Device) -> None:
        self.detach(uuid, device)
        guest = self._find(uuid)
        if guest.active and isinstance(device, DiskSpec):
            guest.live = replace(guest.live, disks=(*guest.live.disks, device))
        elif guest.active and isinstance(device, NicSpec):
            guest.live = replace(guest.live, nics=(*guest.live.nics, device))

    def detach(self, uuid: str, device: Device) -> None:
        guest = self._find(uuid)
        if not guest.active:
            return
        disks, nics = guest.live.disks, guest.live.nics
        if isinstance(device, DiskSpec):
            disks = tuple(one for one in disks if one.target != device.target)
        else:
            nics = tuple(one for one in nics if one.mac != device.mac)
        guest.live = replace(guest.live, disks=disks, nics=nics)

    def insert(self, uuid: str, cdrom: CdromSpec) -> bool:
        guest = self._find(uuid)
        if not guest.active:
            return True
        drives = {drive.target: drive for drive in guest.live.cdroms}
        if cdrom.target not in drives:
            return False
        drives[cdrom.target] = cdrom
        guest.live = replace(guest.live, cdroms=tuple(drives.values()))
        return True

    def grow_disk(self, uuid: str, target: str, size: int) -> None:
        self._find(uuid)

    def limit(self, uuid: str, spec: MachineSpec) -> None:
        guest = self._find(uuid)
        if guest.active:
            guest.live = replace(guest.live, cpu_limit=spec.cpu_limit)

    def set_rates(self, uuid: str, rates: GuestRates) -> tuple[str, ...]:
        guest = self._find(uuid)
        if guest.active:
            guest.live = replace(guest.live, cpu_limit=rates.cpu)
            guest.spec = replace(guest.spec, cpu_limit=rates.cpu)
        return ()
