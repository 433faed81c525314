"""Machines: asking for one, acting on one, and showing what is true of it."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.exc import IntegrityError

from ovcadmin.domain import names, states
from ovcadmin.domain.devices import OS_TYPES, cdrom_targets
from ovcadmin.domain.images import ImageKind
from ovcadmin.domain.resources import Resources
from ovcadmin.domain.sizes import Size
from ovcadmin.domain.states import Action, State
from ovcadmin.engine import types
from ovcadmin.errors import (
    HostUnresponsive,
    InvalidInput,
    MachineProtected,
    NameTaken,
    NotFound,
    StateConflict,
)
from ovcadmin.models import Host, Image, Lineage, Machine, Medium, Nic, Operation, Pool
from ovcadmin.models.database import announce
from ovcadmin.services import (
    cloud_init,
    hand_picks,
    images,
    kickstarts,
    lease_defaults,
    machine_states,
    operations,
    placement,
    pools,
    quotas,
)
from ovcadmin.work import Work

INSTALLER_DRIVE = "hda"
LONGEST_NETWORK = 60

# Built once: building them costs more than running them.
_HAS_NAME = select(
    select(Machine.id)
    .where(
        Machine.pool_id == bindparam("in_pool"),
        Machine.name_key == bindparam("key"),
        Machine.deleted_at.is_(None),
        Machine.binned_at.is_(None),
    )
    .exists()
)
_HAS_NAME_OR_MAC = _HAS_NAME.add_columns(select(Nic.id).where(Nic.mac == bindparam("mac")).exists())

observe = machine_states.observe
is_known = machine_states.is_known
observe_one = machine_states.observe_one


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a new machine is to be."""

    name: str
    image: Image
    size: Size
    start: bool = False
    description: str = ""
    network: str | None = None
    """A libvirt network for its card; None is QEMU's user-mode network."""
    host_id: int | None = None
    """The host that was chosen by hand; placement chooses when None."""
    cloud_init: cloud_init.Kept | None = None
    """What its first boot is told, as `cloud_init.keep` returns it."""


@dataclass(frozen=True, kw_only=True)
class Badge:
    """A machine's state as it is shown: word, shape and tone, never colour alone."""

    word: str
    shape: str
    """circle, square, bars, tray, ring, triangle or diamond."""
    tone: str
    """running, stopped, warning, busy, error or unknown."""
    percent: int | None = None
    since: datetime | None = None
    """Since when it is so, where that matters: unknown and missing."""


_BADGES = {
    State.NEW: ("new", "square", "stopped"),
    State.RUNNING: ("running", "circle", "running"),
    State.STOPPED: ("stopped", "square", "stopped"),
    State.SUSPENDED: ("suspended", "bars", "warning"),
    State.SAVED: ("saved", "tray", "stopped"),
    State.CREATE_FAILED: ("create failed", "triangle", "error"),
    State.BINNED: ("in the bin", "tray", "stopped"),
    State.DELETED: ("deleted", "square", "stopped"),
}


def get(work: Work, machine_id: int) -> Machine:
    machine = work.db.get(Machine, machine_id)
    if machine is None or machine.deleted_at is not None:
        raise NotFound("There is no such machine.", machine_id=machine_id)
    return machine


def create(work: Work, pool: Pool, order: Order) -> Machine:
    """Accept a new machine: its row, its storage reservation and its create operation.

    Raises `InvalidInput`, `NameTaken`, `PoolFrozen`, `MachineTooLarge`, `QuotaExceeded`,
    `PlacementFailed`, and `Forbidden` when the host was chosen without the right to.
    """
    if order.host_id is not None:
        hand_picks.ensure_allowed(work, order.host_id)
    machine = _new_machine(work, pool, order)
    lease_defaults.begin_keeping(work, machine)
    wanted = placement.wanted_for(machine)
    # All that needs no lock comes before the reservation; what is refused may take longer.
    has_place = order.host_id is None and placement.is_easy(work, pool, wanted)
    if not has_place:
        placement.ensure_possible(work, pool, machine)
    operation = operations.submit(
        work,
        operations.Request(
            type="machine.create",
            pool=pool,
            name=machine.name,
            machine=machine,
            params={
                "image": order.image.name,
                "size": order.size.name,
                **({"host_id": order.host_id} if order.host_id is not None else {}),
            },
        ),
    )
    quotas.reserve(work, pool, machine, "storage", Resources(storage=machine.storage), operation)
    if not has_place:
        placement.choose(work, pool, wanted, host_id=order.host_id)
    if order.start:
        act(work, machine, Action.START)
    return machine


def act(work: Work, machine: Machine, action: Action) -> Operation:
    """Queue an action.

    Raises `StateConflict`, `Busy`, `PoolFrozen`, `MachineTooLarge`, `QuotaExceeded`,
    `PlacementFailed` or `HostUnresponsive`.
    """
    if action not in states.plain():
        raise StateConflict(
            f"“{states.TABLE[action].label}” of {machine.name} cannot be asked for in this way.",
            machine_id=machine.id,
        )
    ensure_reachable(machine)
    if action in (Action.BIN, Action.DELETE):
        _ensure_not_locked(machine)
    operation = operations.submit(
        work,
        operations.Request(
            type=types.for_action(action).name,
            pool=machine.pool,
            name=machine.name,
            machine=machine,
        ),
    )
    if action is Action.UNBIN:
        _take_name_back(work, machine)
    if action in (Action.START, Action.RESTORE):
        placement.ensure_possible(work, machine.pool, machine)
        quotas.reserve(work, machine.pool, machine, "running", machine.running_resources, operation)
        placement.ensure_room(work, machine)
        lease_defaults.begin_running(work, machine)
    return operation


def allowed(machine: Machine) -> list[Action]:
    """Return the actions that the state to come allows, create aside.

    Those of `states.plain()` can be asked for by `act`; the others are forms of their own.
    """
    coming = operations.state_to_come(machine)
    return [
        action
        for action in states.allowed(coming)
        if action is not Action.CREATE and not types.done_by_none(action)
    ]


def privilege(action: Action) -> str:
    """Return the privilege that the action needs on the machine's pool."""
    return types.for_action(action).privilege


def current_operation(work: Work, machine: Machine) -> Operation | None:
    """Return the operation that runs, or waits first in the machine's queue."""
    return current_operations(work, [machine]).get(machine.id)


def current_operations(work: Work, machines: list[Machine]) -> dict[int, Operation]:
    busy = [machine.id for machine in machines if machine.tail_id is not None]
    if not busy:
        return {}
    found = work.db.scalars(
        select(Operation)
        .where(Operation.machine_id.in_(busy), Operation.state.in_(("queued", "running")))
        .order_by(Operation.id.desc())
    )
    # The oldest of each machine wins: it is the one that runs.
    return {operation.machine_id: operation for operation in found if operation.machine_id}


def badge(machine: Machine, current: Operation | None) -> Badge:
    """Say what is true of the machine: what it is doing, else what its host said last.

    A silent host makes its machines unknown, whatever they were; unknown is never shown green.
    """
    host = machine.host
    if host is not None and host.state == "unresponsive":
        return Badge(word="unknown", shape="diamond", tone="unknown", since=host.state_since)
    if current is not None:
        action = types.get(current.type).action
        word = states.TABLE[action].during if action else current.title
        if current.state == "queued":
            return Badge(word=f"{word} (queued)", shape="ring", tone="busy")
        return Badge(word=word, shape="ring", tone="busy", percent=current.progress)
    if machine.missing_at is not None:
        return Badge(word="missing", shape="triangle", tone="error", since=machine.missing_at)
    word, shape, tone = _BADGES[machine.stable]
    return Badge(word=word, shape=shape, tone=tone)


def _new_machine(work: Work, pool: Pool, order: Order) -> Machine:
    try:
        name = names.clean(order.name)
    except ValueError as error:
        raise InvalidInput(
            "The machine cannot have this name.", fields={"name": str(error)}
        ) from None
    if len(order.description) > 2000:
        raise InvalidInput(
            "The description is too long.", fields={"description": "Use at most 2000 characters."}
        )
    mac = _free_name_and_mac(work, pool, name)
    assert work.actor.user_id is not None
    machine = Machine(
        uuid=str(uuid.uuid4()),
        pool_id=pool.id,
        owner_id=work.actor.user_id,
        name=name,
        name_key=names.key(name),
        description=order.description.strip(),
        image_id=order.image.id,
        size_name=order.size.name,
        vcpus=order.size.vcpus,
        memory=order.size.memory,
        storage=_disk_size(order),
        nic_count=1,
        created_at=work.now(),
        state_since=work.now(),
        nics=[Nic(mac=mac, network=_network(order.network))],
        cloud_init=order.cloud_init,
        **_start(work, pool, order),
    )
    taken = _name_taken(pool, name)  # before the flush: afterwards nothing can be read any more
    work.db.add(machine)
    try:
        work.db.flush()
    except IntegrityError:
        raise taken from None
    announce(work.db, "machine", machine.id, pool.id)
    return machine


def _disk_size(order: Order) -> int:
    """Return the bytes of the first disk: what is copied onto it fits."""
    copied = order.image.size if order.image.kind == ImageKind.DISK else 0
    return max(order.size.storage, copied)


def _network(name: str | None) -> str | None:
    if name is not None and (len(name) > LONGEST_NETWORK or not name.isprintable()):
        told = {"network": f"Use a network of the host, at most {LONGEST_NETWORK} characters."}
        raise InvalidInput("The machine cannot be made.", fields=told)
    return name or None


def networks(work: Work, pool: Pool) -> list[str]:
    """Return the libvirt networks that hosts which serve the pool offer, by name."""
    chain = select(Lineage.ancestor_id).where(Lineage.pool_id == pool.id)
    rows = work.db.scalars(
        select(Host.networks).where(Host.pool_id.in_(chain), Host.retired_at.is_(None))
    )
    return sorted({name for row in rows for name in row})


def _start(work: Work, pool: Pool, order: Order) -> dict[str, Any]:
    """Say how a machine that starts from the image begins: a disk that is empty is passed over."""
    image = order.image
    kickstarts.ensure_alone(image, order.cloud_init)
    os_type = image.os_type if image.os_type in OS_TYPES else next(iter(OS_TYPES))
    found: dict[str, Any] = {"os_type": os_type, "media": _drivers(work, pool, os_type)}
    if (installer := kickstarts.installer(work, pool, image)) is not None:
        found["media"].append(Medium(target=INSTALLER_DRIVE, image_id=installer.id))
    elif image.kind == ImageKind.NETWORK:
        found["boot"] = "network,disk"
    return found


def _drivers(work: Work, pool: Pool, os_type: str) -> list[Medium]:
    """Put the virtio drivers into the drive that Windows has for them, if there are any."""
    free = [drive for drive in cdrom_targets(os_type) if drive != INSTALLER_DRIVE]
    if not free:
        return []
    wanted = names.key(work.settings.windows_drivers)
    offered = images.offered(work, pool, ImageKind.ISO)
    found = [image for image in offered if image.name_key.startswith(wanted)]
    return [Medium(target=free[0], image_id=found[-1].id)] if found else []


def new_mac() -> str:
    """Return a random MAC in QEMU's own range, 52:54:00."""
    return "52:54:00:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3))


def free_mac(work: Work) -> str:
    """Return a MAC that no card has: of 16 million, ten thousand machines hold enough to meet."""
    mac = new_mac()
    while work.db.scalar(select(Nic.id).where(Nic.mac == mac)) is not None:
        mac = new_mac()
    return mac


def ensure_name_free(work: Work, pool: Pool, name: str) -> None:
    if work.db.scalar(_HAS_NAME, {"in_pool": pool.id, "key": names.key(name)}):
        raise _name_taken(pool, name)


def _free_name_and_mac(work: Work, pool: Pool, name: str) -> str:
    """Ensure the name and return a MAC that no card has, with one look at both."""
    mac = new_mac()
    asked = {"in_pool": pool.id, "key": names.key(name), "mac": mac}
    name_taken, mac_taken = work.db.execute(_HAS_NAME_OR_MAC, asked).one()
    if name_taken:
        raise _name_taken(pool, name)
    return free_mac(work) if mac_taken else mac


def _take_name_back(work: Work, machine: Machine) -> None:
    """Out of the bin: its name counts again from now on, unless another one has it."""
    pools.ensure_open(work, machine.pool)
    ensure_name_free(work, machine.pool, machine.name)
    taken = _name_taken(machine.pool, machine.name)
    machine.binned_at = None
    try:
        work.db.flush()
    except IntegrityError:
        raise taken from None


def _name_taken(pool: Pool, name: str) -> NameTaken:
    return NameTaken(
        f"There is already a machine {name} in {pool.name}; choose another name.", field="name"
    )


def _ensure_not_locked(machine: Machine) -> None:
    if machine.locked:
        raise MachineProtected(
            f"{machine.name} is protected against deletion. Take the protection away on its Edit "
            "page first.",
            machine_id=machine.id,
        )


def ensure_reachable(machine: Machine) -> None:
    """Raise `HostUnresponsive` when the machine's host is silent."""
    host = machine.host
    if host is not None and host.state == "unresponsive":
        raise HostUnresponsive(
            f"{host.name} does not answer ({host.state_reason}); {machine.name} can be worked on "
            "again when it does.",
            host_id=host.id,
        )
