"""Adoption: a guest that somebody made on a host becomes a machine, and goes on as it is.

Asking reserves its quota on the whole chain of its pool.  A worker then looks at it once more and
writes down its drives and cards in one transaction; on the host nothing is done at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError

from ovcadmin.domain import names, states
from ovcadmin.domain.adoption import Described, Ground, network_of, obstacles
from ovcadmin.domain.devices import OS_TYPES
from ovcadmin.domain.resources import Resources
from ovcadmin.domain.states import HOLDS_RUNNING, State
from ovcadmin.drivers.hypervisor.base import DomainState
from ovcadmin.errors import AdoptionRefused, Conflict, Forbidden, InvalidInput, NotFound
from ovcadmin.models import (
    Host,
    HostStoragePool,
    Lineage,
    Machine,
    Nic,
    Operation,
    Pool,
    StoragePool,
    UnmanagedDomain,
    Volume,
)
from ovcadmin.models.database import announce
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on
from ovcadmin.services import (
    devices,
    hosts,
    lease_defaults,
    machine_states,
    machines,
    operations,
    pools,
    quotas,
    rivals,
    strangers,
    volumes,
)
from ovcadmin.work import Work

TYPE = "machine.adopt"
SIZE = "adopted"
"""Name of the size of a machine whose size nobody chose here."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A domain on a host with what stands against its adoption."""

    row: UnmanagedDomain
    found: Described | None
    """None before a worker could read it."""
    obstacles: Sequence[str]

    @property
    def id(self) -> int:
        """Its place in lists."""
        return self.row.id

    @property
    def fits(self) -> bool:
        return not self.obstacles


@dataclass(frozen=True, kw_only=True)
class Wish:
    """As what a domain is to be adopted."""

    name: str
    os_type: str = ""
    """What is guessed from its definition when blank."""


def listing(work: Work, host: Host) -> list[Finding]:
    """Return the domains on the host that are no machines there, judged for the host's own pool."""
    ground = _ground(work, host, host.pool)
    users = rivals.users(work, ground.stores.values())
    return [_judged(row, _apart(ground, users, row.uuid)) for row in hosts.strangers(work, host)]


def judge(work: Work, host: Host, uuid: str, pool: Pool) -> Finding:
    """Judge one domain for a pool; raises `NotFound`."""
    row = strangers.find(work, host.id, uuid)
    if row is None:
        raise NotFound(f"{host.name} has no such domain that is no machine.", uuid=uuid)
    ground = _ground(work, host, pool)
    return _judged(row, _apart(ground, rivals.users(work, ground.stores.values()), uuid))


def adopt(work: Work, host: Host, uuid: str, pool: Pool, wish: Wish) -> Machine:
    """Accept an adoption: the machine's row, its reservations, the operation that looks again.

    Raises `NotFound`, `Forbidden`, `Conflict`, `AdoptionRefused`, `InvalidInput`, `NameTaken`,
    `PoolFrozen`, `QuotaExceeded` or `HostUnresponsive`.
    """
    _ensure_may(work, pool)
    _ensure_new(work, uuid)
    finding = judge(work, host, uuid, pool)
    ensure_fits(finding)
    assert finding.found is not None
    pools.ensure_open(work, pool)
    machine = _new(work, host, pool, finding, wish)
    machines.ensure_reachable(machine)
    operation = operations.submit(
        work,
        operations.Request(
            type=TYPE, pool=pool, name=machine.name, machine=machine,
            params={"domain": finding.row.name, "uuid": uuid},
        ),
    )  # fmt: skip
    coming = states.observed(finding.row.power, State.STOPPED)
    operation.to_state = coming.value
    amount = Resources(storage=machine.storage)
    quotas.reserve(work, pool, machine, "storage", amount, operation)
    lease_defaults.begin_keeping(work, machine)
    if coming in HOLDS_RUNNING:
        quotas.reserve(work, pool, machine, "running", machine.running_resources, operation)
        lease_defaults.begin_running(work, machine)
    strangers.forget(work, uuid)
    announce(work.db, "host", host.id, host.pool_id)
    return machine


def take(work: Work, machine: Machine, found: Described, seen: DomainState) -> None:
    """Write down what the machine consists of, as its host tells it now.

    A second time it writes the same.  Raises `AdoptionRefused` when it does not fit any more, or
    holds more than what was reserved.
    """
    assert machine.host is not None
    ground = _ground(work, machine.host, machine.pool, machine)
    users = rivals.users(work, ground.stores.values())
    told = obstacles(found, _apart(ground, users, machine.uuid))
    grown = (
        max(found.vcpus, found.running_vcpus) > machine.running_resources.vcpus
        or max(found.memory, found.running_memory) > machine.running_resources.memory
        or found.storage > machine.storage
        or len(found.cards) > machine.nic_count
    )
    if grown:
        told.append("It has grown since it was listed; adopt it as it is now.")
    refuse(machine.name, told)
    machine.definition = found.definition
    machine.power = seen.power.value
    _size(machine, found)
    machine.storage, machine.nic_count = found.storage, len(found.cards)
    machine.boot, machine.cpu_limit = found.boot, found.cpu_limit
    _drives(work, machine, found)
    known = {nic.mac for nic in machine.nics}
    for card in found.cards:
        if card.mac not in known:
            machine.nics.append(Nic(mac=card.mac, network=network_of(card)))
    work.db.flush()


def adopted(work: Work, operation: Operation) -> None:
    """It is a machine from now on, in the state in which it was found."""
    machine = machine_states.machine_of(operation)
    quotas.hold(work, operation)
    state = states.observed(machine.power, State.STOPPED)
    machine_states.enter(work, machine, state, operation=operation)
    machine_states.settle(work, machine)


def not_adopted(work: Work, operation: Operation) -> None:
    """It never was a machine: its host lists it again, and it may be adopted later."""
    machine_states.failed(work, operation)
    machine = machine_states.machine_of(operation)
    if machine.deleted_at is None:
        machine_states.forget(work, operation)
    machine.uuid = str(uuid4())


def refuse(name: str, told: Sequence[str]) -> None:
    """Raise `AdoptionRefused` when there is anything to tell."""
    if told:
        raise AdoptionRefused(f"{name} cannot be adopted. {' '.join(told)}", reasons=list(told))


def ensure_fits(finding: Finding) -> None:
    refuse(finding.row.name, finding.obstacles)


def _judged(row: UnmanagedDomain, ground: Ground) -> Finding:
    found = Described.from_row(row.facts) if row.facts is not None else None
    if row.machine_id is not None:
        told = ["A machine that lives on another host left it behind."]
    elif found is None:
        told = ["It could not be read yet: a worker looks at it every few seconds."]
    else:
        told = obstacles(found, ground)
    return Finding(row=row, found=found, obstacles=told)


def _ground(work: Work, host: Host, pool: Pool, machine: Machine | None = None) -> Ground:
    """Return what the console knows already, `machine` itself left aside."""
    chain = select(Lineage.ancestor_id).where(Lineage.pool_id == pool.id)
    stores = work.db.execute(
        select(StoragePool.target, StoragePool.id)
        .join(HostStoragePool, HostStoragePool.storage_pool_id == StoragePool.id)
        .where(
            HostStoragePool.host_id == host.id,
            StoragePool.pool_id.in_(chain),
            StoragePool.cluster_id.is_(None),
        )
    )
    known = {str(target): int(number) for target, number in stores}
    own = machine.id if machine is not None else None
    cards = work.db.execute(
        select(Nic.mac, Machine.name)
        .join(Machine, Machine.id == Nic.machine_id)
        .where(Machine.id.is_distinct_from(own))
    )
    rows = work.db.scalars(
        select(Volume).where(
            Volume.storage_pool_id.in_(known.values()),
            or_(
                Volume.image_id.is_not(None),
                Volume.machine_id.is_not(None),
                Volume.operation_id.is_not(None),
                Volume.pool_id != pool.id,
            ),
            Volume.machine_id.is_distinct_from(own),
        )
    )
    return Ground(
        stores=known,
        macs={str(mac): f"the machine {name}" for mac, name in cards},
        volumes={
            (volume.storage_pool_id, name): _whose(volume)
            for volume in rows
            for name in (volume.name, volume.key)
            if name
        },
    )


def _apart(
    ground: Ground, users: Mapping[tuple[int, str], Sequence[rivals.User]], uuid: str
) -> Ground:
    """Count as taken also what other domains have: each would write to it as well."""
    taken = {
        place: others[0].words
        for place, found in users.items()
        if (others := [user for user in found if user.uuid != uuid])
    }
    return replace(ground, volumes={**taken, **ground.volumes})


def _whose(volume: Volume) -> str:
    if volume.machine is not None:
        return f"the machine {volume.machine.name}"
    if volume.image is not None:
        return f"the image {volume.image.name}"
    return "another pool" if volume.operation_id is None else "an operation"


def _ensure_may(work: Work, pool: Pool) -> None:
    user_id = work.actor.user_id
    if user_id is None:
        return
    held = privileges_on(work.db, user_id, pool.id)
    if Privilege.VIEW not in held:
        raise NotFound("There is no such pool.", pool_id=pool.id)
    if Privilege.CREATE not in held:
        raise Forbidden(
            f"It needs the privilege “{Privilege.CREATE}” on {pool.name}.",
            privilege=Privilege.CREATE.value,
        )


def _ensure_new(work: Work, uuid: str) -> None:
    """Raise `Conflict` when the domain is a machine; one that was deleted lets go of the uuid."""
    known = work.db.scalar(select(Machine).where(Machine.uuid == uuid))
    if known is None:
        return
    if known.deleted_at is None:
        raise Conflict(f"It is the machine {known.name} already.", machine_id=known.id)
    known.uuid = str(uuid4())
    work.db.flush()


def _new(work: Work, host: Host, pool: Pool, finding: Finding, wish: Wish) -> Machine:
    found = finding.found
    assert found is not None
    assert work.actor.user_id is not None
    wrong: dict[str, Any] = {}
    name = ""
    try:
        name = names.clean(wish.name)
    except ValueError as error:
        wrong["name"] = str(error)
    if wish.os_type and wish.os_type not in OS_TYPES:
        wrong["os_type"] = f"Choose one of {', '.join(OS_TYPES)}."
    if wrong:
        raise InvalidInput("The domain is not adopted.", fields=wrong)
    machines.ensure_name_free(work, pool, name)
    machine = Machine(
        uuid=finding.row.uuid,
        pool_id=pool.id,
        owner_id=work.actor.user_id,
        name=name,
        name_key=names.key(name),
        description=found.title,
        host_id=host.id,
        size_name=SIZE,
        storage=found.storage,
        nic_count=len(found.cards),
        os_type=wish.os_type or found.os_type,
        created_at=work.now(),
        state_since=work.now(),
    )
    _size(machine, found)
    work.db.add(machine)
    try:
        work.db.flush()
    except IntegrityError:
        raise Conflict(f"{finding.row.name} or its name was taken in the same moment.") from None
    announce(work.db, "machine", machine.id, pool.id)
    return machine


def _size(machine: Machine, found: Described) -> None:
    """Its definition says what it is, a running guest may have something else meanwhile."""
    machine.vcpus, machine.memory = found.vcpus, found.memory
    machine.pending = {}
    devices.note_pending(machine, "vcpus", found.running_vcpus, found.vcpus)
    devices.note_pending(machine, "memory", found.running_memory, found.memory)


def _drives(work: Work, machine: Machine, found: Described) -> None:
    assert machine.host is not None
    stores = _ground(work, machine.host, machine.pool, machine).stores
    for drive in found.drives:
        volume = volumes.found(work, machine, stores[drive.store], drive.volume, drive.size)
        volume.target = drive.target
        volume.bytes_limit, volume.iops_limit = drive.bytes_limit, drive.iops_limit
    work.db.flush()
    work.db.expire(machine, ["volumes"])
