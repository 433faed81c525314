"""What the operations on machines share: the machine's place, its domain and its disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from ovcadmin.domain import devices
from ovcadmin.drivers.hypervisor.base import (
    CdromSpec,
    DiskSpec,
    Hypervisor,
    MachineSpec,
    NicSpec,
    VirtType,
)
from ovcadmin.drivers.storage.base import Shares, StorageDriver
from ovcadmin.engine.run import Run
from ovcadmin.errors import HostUnresponsive, HypervisorFailed, StorageInUse
from ovcadmin.models import Host, Image, Machine, Nic, Volume
from ovcadmin.operations import seeds
from ovcadmin.services import rate_parts, volumes


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a machine lives.  Plain values: they outlive the transaction they were read in."""

    machine_id: int
    uuid: str
    name: str
    host_id: int
    host: str
    virt_type: VirtType
    answers: bool


@dataclass(frozen=True, kw_only=True)
class Disk:
    """A volume of the machine and where its driver finds it."""

    volume_id: int
    storage_pool_id: int
    name: str
    key: str | None
    size: int
    target: str
    found: bool
    """It is not ours to delete."""
    swap: bool
    """In no snapshot and no template."""
    bytes_limit: int | None
    iops_limit: int | None


class DiskMemo:
    """The lasting notes of one disk: each has a task or a name of its own."""

    def __init__(self, run: Run, volume_id: int) -> None:
        self._run = run
        self._start = f"{volume_id} "

    def get(self, key: str) -> str | None:
        return self._run.get(self._start + key)

    def set(self, key: str, value: str) -> None:
        self._run.set(self._start + key, value)


def place(run: Run) -> Place:
    """Read where the machine is; raises `HostUnresponsive` when its host is known to be silent."""
    found = placed(run)
    if found is None:
        raise HypervisorFailed("The machine was never placed on a host.")
    if not found.answers:
        raise HostUnresponsive(
            f"{found.host} does not answer, so nothing can be done with {found.name} now.",
            host_id=found.host_id,
        )
    return found


def placed(run: Run) -> Place | None:
    """Read where the machine is, or None before it was placed."""
    with run.database.reading() as session:
        machine = session.get_one(Machine, run.machine_id)
        host = machine.host
        if host is None:
            return None
        return Place(
            machine_id=machine.id,
            uuid=machine.uuid,
            name=machine.name,
            host_id=host.id,
            host=host.name,
            virt_type=VirtType(host.virt_type or VirtType.QEMU),
            answers=host.answers,
        )


def hypervisor(run: Run) -> tuple[Hypervisor, str]:
    """Return the hypervisor of the machine's host and the domain's uuid."""
    found = place(run)
    return run.outside.hypervisor(found.host_id), found.uuid


def disks(run: Run) -> list[Disk]:
    """Return the drives of the machine in the order of their names."""
    with run.database.reading() as session:
        machine = session.get_one(Machine, run.machine_id)
        due = rate_parts.due_of(session, machine.id)
        return [_disk(volume, due) for volume in machine.volumes]


def storage(run: Run, disk: Disk, host_id: int) -> StorageDriver:
    return run.outside.storage(disk.storage_pool_id, host_id)


def ensure_unneeded(run: Run, disk: Disk, host_id: int) -> None:
    """Raise `StorageInUse` while machines or templates live on what the disk holds."""
    if not disk.found:
        driver = storage(run, disk, host_id)
        ensure_childless(run, driver, disk.storage_pool_id, disk.key or disk.name)


def ensure_childless(run: Run, driver: StorageDriver, storage_pool_id: int, key: str) -> None:
    """Raise `StorageInUse` while machines or templates live on a volume or a snapshot."""
    with in_words(run, storage_pool_id):
        if isinstance(driver, Shares) and (children := driver.children(key)):
            raise StorageInUse("", children=children)


@contextmanager
def in_words(run: Run, storage_pool_id: int) -> Iterator[None]:
    """Have a refusal name the machines and images that live on a volume, not their volumes."""
    try:
        yield
    except StorageInUse as error:
        if not error.context.get("children"):
            raise  # in the words of the storage, which names none
        with run.writing() as (work, _):
            users = volumes.in_words(work, storage_pool_id, error.context["children"])
        raise StorageInUse(
            f"What is to go is still needed: {', '.join(users)} "
            f"{'was' if len(users) == 1 else 'were'} made from it. Delete "
            f"{'that' if len(users) == 1 else 'these'} first.",
            children=users,
        ) from error


def spec(run: Run, found: Place, *, without: str = "") -> MachineSpec:
    """Build the whole description of the domain from the machine's rows.

    `without` names a drive or a card (by its MAC) that is left out.
    """
    attached = [
        attachment(run, disk, found.host_id)
        for disk in disks(run)
        if disk.key and disk.target != without
    ]
    sources = media(run, found)
    with run.database.reading() as session:
        machine = session.get_one(Machine, run.machine_id)
        due = rate_parts.due_of(session, machine.id)
        drives = devices.cdrom_targets(machine.os_type)
        made = MachineSpec(
            uuid=machine.uuid,
            name=machine.domain_name,
            title=machine.name,
            vcpus=machine.vcpus,
            memory=machine.memory,
            virt_type=found.virt_type,
            disks=tuple(attached),
            nics=tuple(nic_spec(nic, due) for nic in machine.nics if nic.mac != without),
            cdroms=tuple(CdromSpec(target=one, source=sources.get(one)) for one in drives),
            os_type=machine.os_type,
            cpu_limit=rate_parts.lower(machine.cpu_limit, due.get(rate_parts.CPU)),
            kept=machine.definition,
        )
        made = _bootable(made, devices.boot_order(machine.boot))
    # Nothing boots from the seed.
    return replace(made, cdroms=(*made.cdroms, *seeds.drives(run, found.host_id)))


def attachment(run: Run, disk: Disk, host_id: int) -> DiskSpec:
    """Say how the host attaches a drive, with its limits."""
    bare = storage(run, disk, host_id).disk(
        disk.key or disk.name, target=disk.target, boot_order=None
    )
    return replace(bare, bytes_limit=disk.bytes_limit, iops_limit=disk.iops_limit)


def nic_spec(nic: Nic, due: Mapping[str, Any]) -> NicSpec:
    """Describe a card, with its own limits or what is `due` to it of shared ones."""
    receive, send = rate_parts.pair(due, nic.mac, nic.receive_limit, nic.send_limit)
    return NicSpec(
        mac=nic.mac,
        network=nic.network,
        receive_limit=receive,
        send_limit=send,
        address=nic.address,
    )


def media(run: Run, found: Place) -> dict[str, str]:
    """Return where the host finds the image in each CD-ROM drive.

    An image whose copy is not there (any more) is as no image.
    """
    with run.database.reading() as session:
        machine = session.get_one(Machine, run.machine_id)
        copies = {medium.target: iso_copy(medium.image, found.host_id) for medium in machine.media}
        keys = {
            target: (copy.storage_pool_id, copy.key or "")
            for target, copy in copies.items()
            if copy is not None
        }
    return {
        target: run.outside.storage(store_id, found.host_id)
        .disk(key, target=target, boot_order=None)
        .source
        for target, (store_id, key) in keys.items()
    }


def iso_copy(image: Image, host_id: int) -> Volume | None:
    """Return the image's copy that the host reaches."""
    for copy in sorted(image.volumes, key=lambda volume: volume.id):
        if copy.key and any(host.id == host_id for host in copy.storage_pool.hosts):
            return copy
    return None


def _bootable(made: MachineSpec, order: list[str]) -> MachineSpec:
    """Number what it boots from: all of one kind, then all of the next."""
    kinds: dict[str, tuple[Any, ...]] = {
        "disk": made.disks, "cdrom": made.cdroms, "network": made.nics,
    }  # fmt: skip
    numbered: dict[str, list[Any]] = {}
    number = 0
    for kind in order:
        for device in kinds[kind]:
            number += 1
            numbered.setdefault(kind, []).append(replace(device, boot_order=number))
    return replace(
        made,
        disks=tuple(numbered.get("disk", made.disks)),
        cdroms=tuple(numbered.get("cdrom", made.cdroms)),
        nics=tuple(numbered.get("network", made.nics)),
    )


def keep_key(run: Run, disk: Disk, key: str, said: str) -> None:
    """Write down where a disk was made, and say so in the operation's log."""
    with run.writing() as (work, operation):
        work.db.get_one(Volume, disk.volume_id).key = key
        run.tell(work, operation, said)


def hostname(run: Run, found: Place) -> str:
    with run.database.reading() as session:
        return session.get_one(Host, found.host_id).hostname


def _disk(volume: Volume, due: Mapping[str, Any]) -> Disk:
    byte_rate, iops = rate_parts.pair(due, volume.target, volume.bytes_limit, volume.iops_limit)
    return Disk(
        volume_id=volume.id,
        storage_pool_id=volume.storage_pool_id,
        name=volume.name,
        key=volume.key,
        size=volume.size,
        target=volume.target,
        found=volume.found,
        swap=volume.swap,
        bytes_limit=byte_rate,
        iops_limit=iops,
    )
