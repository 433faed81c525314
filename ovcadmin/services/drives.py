"""Drives and cards of a machine: asking for more, larger and fewer of them."""

from __future__ import annotations

from sqlalchemy import select

from ovcadmin.domain import amounts, devices
from ovcadmin.domain.resources import Resources
from ovcadmin.domain.states import HOLDS_RUNNING
from ovcadmin.drivers.storage.base import whole_sectors
from ovcadmin.errors import Conflict, InvalidInput, NameTaken, ObjectInUse
from ovcadmin.models import Machine, Nic, Operation, Reservation, Volume
from ovcadmin.services import holdings, machines, operations, pools, quotas, volumes
from ovcadmin.services.devices import ask, pending_storage
from ovcadmin.work import Work

LEAST_SIZE = 1_000_000


def add(work: Work, machine: Machine, size: int, *, swap: bool = False) -> Operation:
    """Ask for a drive of `size` bytes: a free volume of that size is attached, else one is made.

    `swap` is scratch space on the host's own storage, in no snapshot and no template.

    Raises `InvalidInput`, `StateConflict`, `Busy`, `PoolFrozen`, `QuotaExceeded` or
    `HostUnresponsive`.
    """
    size = whole_sectors(size)
    if size < LEAST_SIZE:
        text = f"Make it {amounts.show_storage(LEAST_SIZE)} or more."
        raise InvalidInput("No drive was added.", fields={"size": text})
    pools.ensure_open(work, machine.pool)
    taken = [volume.target for volume in machine.volumes]
    queued = _queued_targets(work, machine)
    try:
        target = devices.free_target([*taken, *queued])
    except ValueError as error:
        raise Conflict(str(error)) from None
    coming = machine.storage_held + pending_storage(work, machine) + size
    operation = ask(
        work, machine, "machine.drive_add", {"size": size, "target": target, "swap": swap}
    )
    if swap or not volumes.promise(work, machine, size, operation):
        _reserve_storage(work, machine, operation, coming)
    return operation


def ensure_reserved(work: Work, machine: Machine, operation: Operation, size: int) -> None:
    """Reserve what the drive takes beyond what was promised: its volume may be another one now.

    Raises `QuotaExceeded`.
    """
    lacking = size - quotas.total(work, Reservation.operation_id == operation.id).storage
    if lacking > 0:
        quotas.own_row(work, machine)
        more = Resources(storage=lacking)
        quotas.reserve(work, machine.pool, machine, "storage", more, operation)


def grow(work: Work, machine: Machine, volume: Volume, size: int) -> Operation:
    """Ask for more bytes on a drive; a drive cannot shrink."""
    size = whole_sectors(size)
    if size <= volume.size:
        raise InvalidInput(
            "The drive was not changed.",
            fields={
                "size": f"It has {amounts.show_storage(volume.size)}; a drive can only grow, "
                "because its file system would be cut off."
            },
        )
    if volume.found:
        raise Conflict(f"{volume.name} was made outside the console and is grown there.")
    pools.ensure_open(work, machine.pool)
    coming = machine.storage_held + pending_storage(work, machine) + size - volume.size
    params = {"volume_id": volume.id, "target": volume.target, "size": size}
    operation = ask(work, machine, "machine.drive_grow", params)
    _reserve_storage(work, machine, operation, coming)
    return operation


def remove(work: Work, machine: Machine, volume: Volume, *, keep: bool = False) -> Operation:
    """Ask for the end of a drive: its volume is deleted, or kept for the machine's pool."""
    if len(machine.volumes) == 1:
        raise ObjectInUse(
            f"{volume.target} is the only drive of {machine.name}. Delete the machine instead."
        )
    keep = keep or volume.found
    if keep and volume.swap:
        raise InvalidInput("A swap disk holds nothing worth keeping.")
    params = {"volume_id": volume.id, "target": volume.target, "keep": keep}
    return ask(work, machine, "machine.drive_remove", params)


def _reserve_storage(work: Work, machine: Machine, operation: Operation, coming: int) -> None:
    holdings.reserve_more(work, machine, "storage", Resources(storage=coming), operation)


def _queued_targets(work: Work, machine: Machine) -> list[str]:
    """Return the drive names that operations before this one will take."""
    waiting = operations.listing(work, operations.Filter(machine_id=machine.id, running=True))
    return [str(one.params.get("target", "")) for one in waiting]


# --- cards ---------------------------------------------------------------------------------------


def add_card(
    work: Work, machine: Machine, *, network: str | None = None, mac: str | None = None
) -> Operation:
    """Ask for a network card, with a MAC of one's own choice or a random one.

    `network` is the name of a libvirt network; None is QEMU's user-mode network.

    Raises `InvalidInput`, `NameTaken`, `StateConflict`, `Busy`, `PoolFrozen`, `QuotaExceeded` or
    `HostUnresponsive`.
    """
    if machine.nic_count >= devices.MOST_CARDS:
        raise Conflict(f"A machine has at most {devices.MOST_CARDS} network cards.")
    if network is not None and (not network.strip() or len(network) > 100):
        raise InvalidInput("No card was added.", fields={"network": "Write a network's name."})
    chosen = _chosen_mac(work, mac) if mac else machines.free_mac(work)
    pools.ensure_open(work, machine.pool)
    coming = operations.state_to_come(machine)
    params = {"mac": chosen, "network": network}
    operation = ask(work, machine, "machine.card_add", params)
    if coming in HOLDS_RUNNING:
        quotas.reserve(work, machine.pool, machine, "running", Resources(nics=1), operation)
    return operation


def remove_card(work: Work, machine: Machine, nic: Nic) -> Operation:
    return ask(work, machine, "machine.card_remove", {"nic_id": nic.id, "mac": nic.mac})


def _chosen_mac(work: Work, text: str) -> str:
    try:
        chosen = devices.mac(text)
    except ValueError as error:
        raise InvalidInput("No card was added.", fields={"mac": str(error)}) from None
    ensure_mac_free(work, chosen)
    return chosen


def ensure_mac_free(work: Work, mac: str) -> None:
    """Raise `NameTaken` when a card has this MAC: two of them would take each other's packets."""
    if work.db.scalar(select(Nic.id).where(Nic.mac == mac)) is not None:
        raise NameTaken(f"Another card has the MAC {mac} already.", field="mac")
