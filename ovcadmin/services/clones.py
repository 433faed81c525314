"""Copies of stopped machines: another machine like it, or a template for many."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from ovcadmin.domain import names
from ovcadmin.domain.resources import Resources
from ovcadmin.domain.states import State
from ovcadmin.errors import Forbidden, InvalidInput, NameTaken, PlacementFailed, StateConflict
from ovcadmin.models import Image, Machine, Nic, Operation, Pool, Volume
from ovcadmin.models.database import announce
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on
from ovcadmin.services import images, machine_states, machines, operations, pools, quotas
from ovcadmin.work import Work

CLONE, TEMPLATE = "machine.clone", "machine.template"
LIKE = ("description", "image_id", "size_name", "vcpus", "memory", "nic_count",
        "os_type", "boot", "cpu_limit", "shutdown_seconds", "cloud_init")  # fmt: skip
"""What a clone has of its source."""


@dataclass(frozen=True, kw_only=True)
class Copied:
    """A disk of the source and the new volume that is to hold the same."""

    source_id: int
    volume: Volume


def clone(work: Work, source: Machine, pool: Pool, name: str) -> Machine:
    """Accept a clone: its row, its storage reservation and the operation that copies the disks.

    It lives on the host of its source, in the same storage.  Raises `Forbidden`, `InvalidInput`,
    `NameTaken`, `StateConflict`, `Busy`, `PoolFrozen`, `QuotaExceeded` or `PlacementFailed`.
    """
    _ensure_may(work, pool, Privilege.CREATE)
    _ensure_plain(source)
    pools.ensure_open(work, pool)
    machines.ensure_reachable(source)
    _ensure_served(work, source, pool)
    made = _new(work, source, pool, name)
    operation = operations.submit(
        work,
        operations.Request(
            type=CLONE,
            pool=source.pool,
            name=f"{source.name} as {made.name}",
            machine=source,
            params={"machine_id": made.id, "name": made.name},
        ),
    )
    made.tail_id = operation.id
    quotas.reserve(work, pool, made, "storage", Resources(storage=made.storage), operation)
    return made


def template(work: Work, source: Machine, pool: Pool, name: str) -> Operation:
    """Accept a template: an image of the first disk, in the storage where that lies.

    Raises `Forbidden`, `InvalidInput`, `NameTaken`, `StateConflict`, `Busy`, `PlacementFailed`.
    """
    _ensure_may(work, pool, Privilege.MODIFY)
    _ensure_plain(source)
    machines.ensure_reachable(source)
    _ensure_served(work, source, pool)
    disk = _disks(source)[0]
    raw = images.Raw(path="", size=disk.size, checksum="")
    image = images.register(
        work, pool, name=name, raw=raw, os_type=source.os_type,
        description=f"Made from the machine {source.name}.",
    )  # fmt: skip
    volume = Volume(
        storage_pool_id=disk.storage_pool_id,
        name=f"image-{image.id}-{uuid.uuid4().hex[:12]}",
        size=disk.size,
        image_id=image.id,
        created_at=work.now(),
    )
    work.db.add(volume)
    work.db.flush()
    return operations.submit(
        work,
        operations.Request(
            type=TEMPLATE,
            pool=source.pool,
            name=f"{image.name} from {source.name}",
            machine=source,
            params={"image_id": image.id, "copies": [[disk.id, volume.id]]},
        ),
    )


def copies(work: Work, operation: Operation, machine: Machine) -> list[Copied]:
    """Write down a volume for each disk of the source: what its operation is to make.

    Raises `QuotaExceeded` when the queue made the source larger than what was reserved.
    """
    source = machine_states.machine_of(operation)
    if not machine.volumes:
        machine.host_id = source.host_id
        for disk in _disks(source):
            work.db.add(
                Volume(
                    storage_pool_id=disk.storage_pool_id,
                    name=f"machine-{machine.uuid}-{disk.target}",
                    size=disk.size,
                    machine_id=machine.id,
                    target=disk.target,
                    created_at=work.now(),
                )
            )
        work.db.flush()
        work.db.expire(machine, ["volumes", "host"])
        more = sum(volume.size for volume in machine.volumes) - machine.storage
        if more > 0:
            wanted = Resources(storage=more)
            quotas.reserve(work, machine.pool, machine, "storage", wanted, operation)
        machine.storage += more
    by_target = {disk.target: disk.id for disk in _disks(source)}
    return [Copied(source_id=by_target[one.target], volume=one) for one in machine.volumes]


# --- the ends of the operations ------------------------------------------------------------------
def cloned(work: Work, operation: Operation) -> None:
    """Both are there now; what was reserved for the clone is held by it."""
    made = _made(work, operation)
    machine_states.succeeded(work, operation)
    made.tail_id = None if made.tail_id == operation.id else made.tail_id
    machine_states.enter(work, made, State.STOPPED, operation=operation)
    made.power = "shutoff"
    made.power_source, made.power_at = "operation", work.now()


def not_cloned(work: Work, operation: Operation) -> None:
    made = _made(work, operation)
    machine_states.failed(work, operation)
    made.tail_id = None if made.tail_id == operation.id else made.tail_id
    machine_states.enter(work, made, State.CREATE_FAILED, operation=operation)


def templated(work: Work, operation: Operation) -> None:
    machine_states.succeeded(work, operation)
    image = work.db.get_one(Image, operation.params["image_id"])
    announce(work.db, "image", image.id, image.pool_id)


def not_templated(work: Work, operation: Operation) -> None:
    """Nothing is left of it."""
    machine_states.failed(work, operation)
    image = work.db.get_one(Image, operation.params["image_id"])
    for volume in work.db.scalars(select(Volume).where(Volume.image_id == image.id)):
        work.db.delete(volume)
    work.db.flush()
    announce(work.db, "image", image.id, image.pool_id)
    work.db.expire(image, ["volumes"])
    work.db.delete(image)


def _made(work: Work, operation: Operation) -> Machine:
    return work.db.get_one(Machine, operation.params["machine_id"])


def _new(work: Work, source: Machine, pool: Pool, name: str) -> Machine:
    try:
        cleaned = names.clean(name)
    except ValueError as error:
        told = {"name": str(error)}
        raise InvalidInput("The clone cannot have this name.", fields=told) from None
    machines.ensure_name_free(work, pool, cleaned)
    assert work.actor.user_id is not None
    made = Machine(
        uuid=str(uuid.uuid4()),
        pool_id=pool.id,
        owner_id=work.actor.user_id,
        name=cleaned,
        name_key=names.key(cleaned),
        storage=sum(disk.size for disk in _disks(source)),
        created_at=work.now(),
        state_since=work.now(),
        nics=[Nic(mac=machines.free_mac(work), network=nic.network) for nic in source.nics],
        **{word: getattr(source, word) for word in LIKE},
    )
    pool_name = pool.name
    work.db.add(made)
    try:
        work.db.flush()
    except IntegrityError:
        raise NameTaken(
            f"There is already a machine {cleaned} in {pool_name}.", field="name"
        ) from None
    announce(work.db, "machine", made.id, pool.id)
    return made


def _disks(source: Machine) -> list[Volume]:
    found = [volume for volume in source.volumes if volume.key and not volume.swap]
    if not found:
        raise StateConflict(f"{source.name} has no disk to be copied.", machine_id=source.id)
    return sorted(found, key=lambda volume: volume.target)


def _ensure_plain(source: Machine) -> None:
    """Raise `StateConflict` when a copy would not boot: copies have firmware of the usual kind."""
    if "<loader" in source.definition or "firmware=" in source.definition:
        raise StateConflict(
            f"{source.name} was adopted with firmware of its own (such as UEFI): a copy that the "
            "console makes of its disks would not start.",
            machine_id=source.id,
        )


def _ensure_served(work: Work, source: Machine, pool: Pool) -> None:
    """The pool of the copy must be served by the storage and the host of its source."""
    chain = pools.ids_above(work, pool)
    lacking = {
        f"storage pool {volume.storage_pool.name}"
        for volume in source.volumes
        if volume.storage_pool.pool_id not in chain
    }
    if source.host is not None and source.host.pool_id not in chain:
        lacking.add(f"host {source.host.name}")
    if lacking:
        raise PlacementFailed(
            f"A copy of {source.name} cannot be in {pool.name}: "
            f"{', '.join(sorted(lacking))} does not serve that pool.",
            hosts={},
        )


def _ensure_may(work: Work, pool: Pool, privilege: Privilege) -> None:
    user_id = work.actor.user_id
    if user_id is not None and privilege not in privileges_on(work.db, user_id, pool.id):
        raise Forbidden(
            f"It needs the privilege “{privilege}” on {pool.name}.", privilege=privilege.value
        )
