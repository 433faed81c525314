"""What a machine consists of: asking for changes, and what is pending until it was off.

Size, drives and cards count for the quota: what is wanted more is reserved in the transaction that
accepts the request, and once more looked at when the operation runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from ovcadmin.domain import amounts, devices, states
from ovcadmin.domain.images import ImageKind
from ovcadmin.domain.resources import Resources
from ovcadmin.errors import (
    Conflict,
    HostUnresponsive,
    InvalidInput,
    MachineTooLarge,
    NameTaken,
    StateConflict,
)
from ovcadmin.models import Image, Machine, Nic, Operation, Reservation, Volume
from ovcadmin.models.database import announce
from ovcadmin.services import holdings, images, operations, placement, pools, quotas
from ovcadmin.work import Work

LEAST_MEMORY = 4 * 1024
"""KiB: less starts no firmware."""
MOST_VCPUS = 240
LEAST_LIMIT = 1024
"""Bytes a second; libvirt counts bandwidth in KiB."""


@dataclass(frozen=True, kw_only=True)
class Pending:
    """A change that the running guest will only see after it was off."""

    name: str
    label: str
    now: str
    coming: str


_LABELS = {
    "vcpus": "vCPUs",
    "memory": "Memory",
    "boot": "Boot order",
    "os_type": "OS type",
    "serial": "Serial port",
    "graphics": "Screen",
    "agent": "Port of the guest agent",
    "cdrom": "CD-ROM drive",
}


def pending(machine: Machine) -> list[Pending]:
    return [
        Pending(name=name, label=_LABELS[name], now=show(name, now), coming=show(name, to))
        for name, (now, to) in sorted(machine.pending.items())
    ]


def show(name: str, value: Any) -> str:
    return amounts.show_memory(int(value)) if name == "memory" else str(value)


def note_pending(machine: Machine, name: str, now: Any, coming: Any) -> None:
    """Mark a difference between the running guest and its definition, or take the mark away."""
    marks = {key: value for key, value in machine.pending.items() if key != name}
    if now != coming:
        marks[name] = [now, coming]
    machine.pending = marks


# --- size --------------------------------------------------------------------------------------


def resize(work: Work, machine: Machine, *, vcpus: int, memory: int) -> Operation:
    """Ask for another size; memory in KiB.

    Raises `InvalidInput`, `StateConflict`, `Busy`, `PoolFrozen`, `MachineTooLarge`,
    `QuotaExceeded`, `PlacementFailed` or `HostUnresponsive`.
    """
    wrong = {}
    if not 1 <= vcpus <= MOST_VCPUS:
        wrong["vcpus"] = f"Write a number from 1 to {MOST_VCPUS}."
    if memory < LEAST_MEMORY:
        wrong["memory"] = f"Give it at least {amounts.show_memory(LEAST_MEMORY)}."
    if not wrong and (vcpus, memory) == (machine.vcpus, machine.memory):
        wrong["vcpus"] = f"{machine.name} has this size already."
    if wrong:
        raise InvalidInput("The size was not changed.", fields=wrong)
    if vcpus > machine.vcpus or memory > machine.memory:
        pools.ensure_open(work, machine.pool)
        _ensure_fits_a_host(machine, vcpus, memory)
    coming = operations.state_to_come(machine)
    operation = ask(work, machine, "machine.resize", {"vcpus": vcpus, "memory": memory})
    reserve_running(work, machine, operation, coming, vcpus=vcpus, memory=memory)
    return operation


def reserve_running(
    work: Work,
    machine: Machine,
    operation: Operation,
    state: states.State,
    *,
    vcpus: int = 0,
    memory: int = 0,
    nics: int = 0,
) -> None:
    """Reserve what a machine in `state` takes when it has at least these; nothing when it is off.

    Raises `QuotaExceeded` or `PlacementFailed`.
    """
    if state not in states.HOLDS_RUNNING:
        return
    now = machine.running_resources
    due = Resources(
        vcpus=max(now.vcpus, vcpus),
        memory=max(now.memory, memory),
        nics=max(now.nics, nics),
        machines=now.machines,
        redundancy=now.redundancy,
    )
    holdings.reserve_more(work, machine, "running", due, operation)
    if vcpus > now.vcpus or memory > now.memory:
        placement.ensure_room(work, machine)


def _ensure_fits_a_host(machine: Machine, vcpus: int, memory: int) -> None:
    """Raise `MachineTooLarge` when its own host is too small, whatever the quota leaves."""
    host = machine.host
    if host is None or host.cpus == 0 or (vcpus <= host.cpus and memory <= host.memory):
        return
    raise MachineTooLarge(
        f"{machine.name} would have {vcpus} vCPUs and {amounts.show_memory(memory)} of memory; "
        f"its host {host.name} has {host.cpus} CPUs and {amounts.show_memory(host.memory)}.",
        vcpus=host.cpus,
        memory=host.memory,
    )


# --- boot order, OS type, limits -----------------------------------------------------------------


def configure(
    work: Work, machine: Machine, *, boot: str | None = None, os_type: str | None = None
) -> Operation:
    """Ask for another boot order or OS type; both are for the next start."""
    values: dict[str, Any] = {}
    if boot is not None:
        try:
            values["boot"] = ",".join(devices.boot_order(boot))
        except ValueError as error:
            raise InvalidInput("Nothing was changed.", fields={"boot": str(error)}) from None
    if os_type is not None:
        if os_type not in devices.OS_TYPES:
            raise InvalidInput(
                "Nothing was changed.",
                fields={"os_type": f"Choose one of {', '.join(devices.OS_TYPES)}."},
            )
        values["os_type"] = os_type
    return ask(work, machine, "machine.configure", _values("machine", machine.id, values))


def limit_cpu(work: Work, machine: Machine, percent: int | None) -> Operation:
    """Ask for a hard limit of CPU time, percent of one CPU; None takes it away."""
    if percent is not None and not 1 <= percent <= 100 * machine.vcpus:
        text = f"Write a number from 1 to {100 * machine.vcpus}: 100 is one whole CPU."
        raise InvalidInput("The limit was not changed.", fields={"cpu_limit": text})
    return ask(
        work, machine, "machine.limit", _values("machine", machine.id, {"cpu_limit": percent})
    )


def limit_drive(
    work: Work, machine: Machine, volume: Volume, *, byte_rate: int | None, iops: int | None
) -> Operation:
    """Ask for limits of a drive: bytes and operations a second; None is no limit."""
    _ensure_rates(bytes_limit=byte_rate, iops_limit=iops)
    given = {"bytes_limit": byte_rate, "iops_limit": iops}
    return ask(work, machine, "machine.limit", _values("volume", volume.id, given))


def limit_card(
    work: Work, machine: Machine, nic: Nic, *, receive: int | None, send: int | None
) -> Operation:
    """Ask for limits of a card, bytes a second each way; None is no limit."""
    if receive or send:
        _ensure_on_a_network(nic, "nothing can be limited")
    _ensure_rates(receive_limit=receive, send_limit=send)
    given = {"receive_limit": receive, "send_limit": send}
    return ask(work, machine, "machine.limit", _values("nic", nic.id, given))


def assign_address(work: Work, machine: Machine, nic: Nic, address: str | None) -> Operation:
    """Ask for the one IPv4 address that a card may send from; None lets it send from any.

    Raises `InvalidInput`, `NameTaken` for the address of another card on that network,
    `Conflict`, `StateConflict`, `Busy` or `HostUnresponsive`.
    """
    chosen = None
    if address is not None:
        _ensure_on_a_network(nic, "no address can be held")
        try:
            chosen = devices.address(address)
        except ValueError as error:
            told = {"address": str(error)}
            raise InvalidInput("The address was not assigned.", fields=told) from None
        others = select(Nic.id).where(Nic.address == chosen, Nic.network == nic.network)
        if work.db.scalar(others.where(Nic.id != nic.id)) is not None:
            text = f"Another card on {nic.network} has the address {chosen}."
            raise NameTaken(text, field="address")
    return ask(work, machine, "machine.limit", _values("nic", nic.id, {"address": chosen}))


def _ensure_on_a_network(nic: Nic, what_not: str) -> None:
    if nic.network is None:
        raise Conflict(
            f"The card {nic.mac} hangs on QEMU's user-mode network, where {what_not}. "
            "Give the machine a card on a network instead."
        )


def _ensure_rates(**rates: int | None) -> None:
    bad = {
        name: "Write one or more, or leave it blank for no limit."
        if name == "iops_limit"
        else f"Write {LEAST_LIMIT} bytes a second or more, or leave it blank for no limit."
        for name, rate in rates.items()
        if rate is not None and rate < (1 if name == "iops_limit" else LEAST_LIMIT)
    }
    if bad:
        raise InvalidInput("The limit was not changed.", fields=bad)


def _values(table: str, row_id: int, values: dict[str, Any]) -> dict[str, Any]:
    if not values:
        raise InvalidInput("Nothing was asked for.")
    return {"table": table, "row": row_id, "values": values}


# --- CD-ROM --------------------------------------------------------------------------------------


def insert(work: Work, machine: Machine, image: Image | None, target: str = "hda") -> Operation:
    """Ask for an ISO image in a CD-ROM drive, or for an empty drive."""
    drives = devices.cdrom_targets(machine.os_type)
    if target not in drives:
        raise InvalidInput(
            "Nothing was changed.", fields={"drive": f"It has {' and '.join(drives)}."}
        )
    if image is not None:
        _ensure_iso(machine, image)
    params = {"target": target, "image_id": image.id if image else None}
    return ask(work, machine, "machine.insert", params)


def isos(work: Work, machine: Machine) -> list[Image]:
    """Return the ISO images that serve the machine's pool."""
    return images.offered(work, machine.pool, ImageKind.ISO)


def iso(work: Work, machine: Machine, image_id: int | None) -> Image | None:
    """Return an ISO image that the machine may use; raises `InvalidInput` for any other."""
    if image_id is None:
        return None
    return images.choose(work, machine.pool, image_id, ImageKind.ISO)


def _ensure_iso(machine: Machine, image: Image) -> None:
    reached = [
        copy for copy in image.volumes
        if copy.key and machine.host in copy.storage_pool.hosts
    ]  # fmt: skip
    if machine.host is not None and not reached:
        raise Conflict(
            f"{image.name} is in no storage pool that {machine.host.name} reaches. "
            "Copy it there first, on the image's page."
        )


def complete(work: Work, machine: Machine) -> Operation:
    """Ask for the devices that the domain lacks: serial port, screen, CD-ROM drive."""
    if machine.definition:
        raise StateConflict(
            f"{machine.name} was adopted: its definition stays as it was made. Add what it lacks "
            "on its host.",
            machine_id=machine.id,
        )
    return ask(work, machine, "machine.complete", {})


# --- what they share -----------------------------------------------------------------------------


def ask(work: Work, machine: Machine, kind: str, params: dict[str, Any]) -> Operation:
    """Queue a change.  Raises `StateConflict`, `Busy` or `HostUnresponsive`."""
    ensure_reachable(machine)
    operation = operations.submit(
        work,
        operations.Request(
            type=kind, pool=machine.pool, name=machine.name, machine=machine, params=params
        ),
    )
    announce(work.db, "machine", machine.id, machine.pool_id)
    return operation


def ensure_reachable(machine: Machine) -> None:
    host = machine.host
    if host is not None and host.state == "unresponsive":
        raise HostUnresponsive(
            f"{host.name} does not answer ({host.state_reason}); {machine.name} can be changed "
            "again when it does.",
            host_id=host.id,
        )


def drive(work: Work, machine: Machine, target: str) -> Volume:
    """Return a drive of the machine by its name; raises `Conflict` when it has none such."""
    found = work.db.scalar(
        select(Volume)
        .where(Volume.machine_id == machine.id, Volume.target == target)
        .options(joinedload(Volume.storage_pool))
    )
    if found is None:
        raise Conflict(f"{machine.name} has no drive {target[:20]}.", machine_id=machine.id)
    return found


def card(work: Work, machine: Machine, mac: str) -> Nic:
    """Return a card of the machine by its MAC; raises `Conflict` when it has none such."""
    found = work.db.scalar(
        select(Nic).where(Nic.machine_id == machine.id, Nic.mac == mac.lower()[:20])
    )
    if found is None:
        raise Conflict(f"{machine.name} has no card {mac[:20]}.", machine_id=machine.id)
    return found


def pending_storage(work: Work, machine: Machine) -> int:
    """Return the bytes that queued operations of the machine were promised."""
    mine = (Reservation.machine_id == machine.id) & Reservation.operation_id.is_not(None)
    return quotas.total(work, mine).storage
