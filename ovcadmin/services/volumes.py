"""Volumes: which one a machine gets, and whose they are while no machine has them.

A new disk is *attached or created*: (1) a free volume of exactly the wanted size in the storage
pools that serve the machine's pool; else (2) a new one in the first of them that can make volumes
and has room; else (3) `StorageUnavailable` with the reason of every storage pool.  The choice is
written down at once, so that of two requests in the same moment each gets a volume of its own.

What a machine has counts as the machine's storage; what no machine has counts by a reservation of
its own, in the pool whose it is.  A volume that a machine wrote on stays its pool's: nobody else
is to read it.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_, select, update

from ovcadmin.domain.amounts import show_storage
from ovcadmin.domain.resources import Resources
from ovcadmin.domain.storage_kinds import CREATING
from ovcadmin.drivers.storage.base import whole_sectors
from ovcadmin.errors import Conflict, NotFound, StorageUnavailable
from ovcadmin.models import (
    HostStoragePool,
    Lineage,
    Machine,
    Operation,
    Pool,
    Reservation,
    StoragePool,
    Volume,
)
from ovcadmin.models.database import announce, lock_rows
from ovcadmin.services import reservations, rivals
from ovcadmin.services.reservations import Claim
from ovcadmin.work import Work


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a machine wants.  Its storage must have been reserved by who asks."""

    machine: Machine
    target: str
    """Its place in the machine: `vdb`."""
    host_id: int | None = None
    """Only storage that this host reaches; the machine's own when not given."""
    skip: Collection[int] = ()
    """Storage pools that were tried and had no room after all."""
    swap: bool = False
    """Scratch space: always a new volume, on storage that only its host has."""
    operation_id: int | None = None
    """The operation that wants it: what was promised to it comes first."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    volume: Volume
    """The machine's from now on; its `key` is None until a driver has made it."""
    attached: bool
    """It existed: nothing is to be made."""


def choose(work: Work, pool: Pool, size: int, wish: Wish) -> Choice:
    """Give the machine a volume of `size` bytes, or raise `StorageUnavailable`.

    Undone by `give_back`.  `operations.volumes.provide` also makes it.
    """
    size = whole_sectors(size)
    stores = serving(work, pool, wish.host_id or wish.machine.host_id)
    if wish.swap:
        stores = [store for store in stores if len(store.hosts) == 1]
    for volume in () if wish.swap else [*_promised(work, wish), *_free(work, pool, size, stores)]:
        if _take(work, volume, wish):
            return Choice(volume=volume, attached=True)
    reasons = []
    for store in stores:
        why = _why_not(work, store, size, wish)
        if not why:
            return Choice(volume=_new(work, store, size, wish), attached=False)
        reasons.append(f"{store.name} {why}")
    raise StorageUnavailable(
        f"There is no storage of {show_storage(size)} for {wish.machine.name}: no free volume of "
        f"that size, and {'; '.join(reasons) or f'no storage pool serves {pool.name}'}.",
        size=size,
        storage_pools=reasons,
    )


def promise(work: Work, machine: Machine, size: int, operation: Operation) -> bool:
    """Keep for the operation a free volume that counts in the machine's pool already.

    Returns whether it is one that `choose` would take, so that no more storage is needed.  Ends
    with `unpromise`; when it is taken, what it counts for goes over to the operation.
    """
    stores = serving(work, machine.pool, machine.host_id)
    volume = next(_free(work, machine.pool, size, stores), None)
    if volume is None or volume.pool_id is None:
        return False
    kept = work.db.execute(
        update(Volume)
        .where(Volume.id == volume.id, is_free(machine.pool_id))
        .values(operation_id=operation.id)
    )
    return bool(kept.rowcount)  # type: ignore[attr-defined]


def unpromise(work: Work, operation: Operation) -> None:
    """What was promised to the operation and not taken is free again."""
    mine = update(Volume).where(Volume.operation_id == operation.id, Volume.machine_id.is_(None))
    work.db.execute(mine.values(operation_id=None))


def attach(work: Work, volume: Volume, wish: Wish) -> None:
    """Give the machine this very volume, or raise `Conflict` when it is not free for it."""
    stores = {store.id for store in serving(work, wish.machine.pool, wish.machine.host_id)}
    statement = select(Volume.id).where(Volume.id == volume.id, is_free(wish.machine.pool_id))
    free = volume.storage_pool_id in stores and work.db.scalar(statement) is not None
    if free and (user := rivals.user_of(work, volume)) is not None:
        raise Conflict(
            f"{volume.name} cannot be attached to {wish.machine.name}: {user.words} has it, and "
            "two guests would destroy the data. Take it away from that one first.",
            volume_id=volume.id,
        )
    if not free or not _take(work, volume, wish):
        raise Conflict(
            f"{volume.name} cannot be attached to {wish.machine.name}: it is in use, belongs to "
            "another pool, or lies where the machine's host does not reach it.",
            volume_id=volume.id,
        )


def found(work: Work, machine: Machine, store_id: int, key: str, size: int) -> Volume:
    """Write down that the machine has a volume that was there before it.

    With the machine's end it is given back, never deleted.  Whoever asks has looked that nobody
    else has it.
    """
    volume = work.db.scalar(
        select(Volume).where(
            Volume.storage_pool_id == store_id, or_(Volume.key == key, Volume.name == key)
        )
    )
    if volume is None:
        volume = Volume(storage_pool_id=store_id, name=key, created_at=work.now())
        work.db.add(volume)
    volume.machine_id, volume.key, volume.size = machine.id, key, size
    volume.found, volume.missing_at = True, None
    work.db.flush()
    reservations.drop(work, Reservation.volume_id == volume.id)
    store = work.db.get_one(StoragePool, store_id)
    announce(work.db, "storage_pool", store.id, store.pool_id)
    return volume


def give_back(work: Work, volume: Volume) -> None:
    """Undo `choose` or `attach`: the volume is whose it was, a new one is forgotten.

    Whatever a driver made of a new one must be gone by now.
    """
    if volume.key is None:
        _forget(work, volume)
    else:
        _let_go(work, volume)


def keep(work: Work, volume: Volume) -> None:
    """The machine has it no longer; it stays, counted in the machine's pool and only for it.

    Who asks frees as much of the machine's storage in the same transaction.
    """
    if volume.machine is not None:
        volume.pool_id, volume.offered = volume.machine.pool_id, True
        _let_go(work, volume)


def take_back(work: Work, volume: Volume) -> None:
    """A volume that no machine has is no pool's any longer, and counts for none."""
    if volume.pool_id is None:
        return
    volume.pool_id = None
    reservations.drop(work, Reservation.volume_id == volume.id)
    work.db.expire(volume, ["pool"])


def _let_go(work: Work, volume: Volume) -> None:
    machine = volume.machine
    if machine is None:
        return
    volume.machine_id = None
    if volume.pool_id is not None:
        amounts = Resources(storage=volume.size)
        held = Claim(pool_id=volume.pool_id, volume_id=volume.id, kind="storage", amounts=amounts)
        reservations.add(work, [held])
    work.db.flush()
    work.db.expire(volume, ["machine", "pool"])
    work.db.expire(machine, ["volumes"])
    announce(work.db, "storage_pool", volume.storage_pool_id, volume.storage_pool.pool_id)


def get(work: Work, volume_id: int) -> Volume:
    volume = work.db.get(Volume, volume_id)
    if volume is None:
        raise NotFound("There is no such volume.", volume_id=volume_id)
    return volume


def serving(work: Work, pool: Pool, host_id: int | None = None) -> list[StoragePool]:
    """Return the active storage pools that serve a pool: the nearest first, then by name."""
    statement = (
        select(StoragePool)
        .join(Lineage, Lineage.ancestor_id == StoragePool.pool_id)
        .where(Lineage.pool_id == pool.id, StoragePool.active)
        .order_by(Lineage.distance, StoragePool.name, StoragePool.id)
    )
    if host_id is not None:
        statement = statement.where(
            StoragePool.id.in_(
                select(HostStoragePool.storage_pool_id).where(HostStoragePool.host_id == host_id)
            )
        )
    return list(work.db.scalars(statement))


def is_left(operation_id: int | None = None) -> ColumnElement[bool]:
    """Whether the volume is nobody's and may be taken, by an operation it may be promised to."""
    return and_(
        Volume.machine_id.is_(None),
        Volume.image_id.is_(None),
        or_(Volume.operation_id.is_(None), Volume.operation_id == operation_id),
        Volume.key.is_not(None),
        Volume.missing_at.is_(None),
        Volume.offered,
        Volume.use == "",
    )


def is_free(pool_id: int, operation_id: int | None = None) -> ColumnElement[bool]:
    """Whether a machine of this pool may take the volume, by an operation it may be promised to."""
    return is_left(operation_id) & or_(Volume.pool_id.is_(None), Volume.pool_id == pool_id)


def free(work: Work, pool: Pool, host_id: int | None = None) -> list[Volume]:
    """Return the volumes that a machine of the pool may take, by name."""
    stores = [store.id for store in serving(work, pool, host_id)]
    statement = (
        select(Volume)
        .where(Volume.storage_pool_id.in_(stores), is_free(pool.id))
        .order_by(Volume.name, Volume.id)
    )
    return _unshared(work, list(work.db.scalars(statement)))


def _free(work: Work, pool: Pool, size: int, stores: list[StoragePool]) -> Iterator[Volume]:
    for store in stores:
        found = work.db.scalars(
            select(Volume)
            .where(Volume.storage_pool_id == store.id, Volume.size == size, is_free(pool.id))
            .order_by(Volume.pool_id.is_(None), Volume.id)  # the pool's own come first
        ).all()
        yield from _unshared(work, found)


def _unshared(work: Work, found: Sequence[Volume]) -> list[Volume]:
    """Leave out volumes that a guest has which is no machine."""
    stores = {volume.storage_pool_id for volume in found}
    taken = rivals.users(work, stores) if stores else {}
    return [
        volume
        for volume in found
        if not any((volume.storage_pool_id, name) in taken for name in (volume.name, volume.key))
    ]


def _promised(work: Work, wish: Wish) -> list[Volume]:
    if wish.operation_id is None:
        return []
    return list(work.db.scalars(select(Volume).where(Volume.operation_id == wish.operation_id)))


def _take(work: Work, volume: Volume, wish: Wish) -> bool:
    """Make the volume the machine's, unless somebody else took it in the same moment."""
    promised = volume.operation_id is not None
    taken = work.db.execute(
        update(Volume)
        .where(Volume.id == volume.id, is_free(wish.machine.pool_id, wish.operation_id))
        .values(machine_id=wish.machine.id, target=wish.target, operation_id=None)
        .execution_options(synchronize_session=False)
    )
    if taken.rowcount != 1:  # type: ignore[attr-defined]
        return False
    # From now on it counts as the machine's; one that was promised is all that was reserved.
    counted = reservations.drop(work, Reservation.volume_id == volume.id)
    if promised:
        mine: dict[str, Any] = {"machine_id": wish.machine.id, "operation_id": wish.operation_id}
        reservations.add(work, [replace(claim, volume_id=None, **mine) for claim in counted])
    work.db.refresh(volume)
    work.db.expire(wish.machine, ["volumes"])
    announce(work.db, "storage_pool", volume.storage_pool_id, volume.storage_pool.pool_id)
    return True


def _why_not(work: Work, store: StoragePool, size: int, wish: Wish) -> str:
    if store.driver not in CREATING:
        return "has volumes that are made elsewhere, and none that fits is free"
    if store.id in wish.skip:
        return "turned out to have no room"
    room = store.available - _pending(work, store)
    if room < size:
        return f"has {show_storage(max(room, 0))} free"
    return ""


def _pending(work: Work, store: StoragePool) -> int:
    """Return the bytes of volumes still to be made there; a second request waits for the first."""
    work.db.execute(
        lock_rows(work.db, select(StoragePool.id).where(StoragePool.id == store.id), StoragePool)
    )
    promised = select(func.coalesce(func.sum(Volume.size), 0)).where(
        Volume.storage_pool_id == store.id, Volume.key.is_(None)
    )
    return int(work.db.scalar(promised) or 0)


def _new(work: Work, store: StoragePool, size: int, wish: Wish) -> Volume:
    volume = Volume(
        storage_pool_id=store.id,
        # One that was kept may still have the machine's name and the same place.
        name=f"machine-{wish.machine.uuid}-{wish.target}-{secrets.token_hex(4)}",
        size=size,
        machine_id=wish.machine.id,
        target=wish.target,
        swap=wish.swap,
        created_at=work.now(),
    )
    work.db.add(volume)
    work.db.flush()
    work.db.expire(wish.machine, ["volumes"])
    announce(work.db, "storage_pool", store.id, store.pool_id)
    return volume


def _forget(work: Work, volume: Volume) -> None:
    machine = volume.machine
    announce(work.db, "storage_pool", volume.storage_pool_id, volume.storage_pool.pool_id)
    work.db.delete(volume)
    work.db.flush()
    if machine is not None:
        work.db.expire(machine, ["volumes"])


def in_words(work: Work, store_id: int, names: Collection[str]) -> list[str]:
    """Return who has the volumes of these names; the name itself where nobody of ours does."""
    statement = select(Volume).where(Volume.storage_pool_id == store_id, Volume.name.in_(names))
    rows = {row.name: row for row in work.db.scalars(statement)}
    told = []
    for name in names:
        row = rows.get(name)
        if row is not None and row.machine is not None:
            told.append(f"machine {row.machine.name}")
        elif row is not None and row.image is not None:
            told.append(f"image {row.image.name}")
        else:
            told.append(f"volume {name}")
    return sorted(set(told))


def busy(work: Work, volume: Volume, operation: Operation | None) -> None:
    """Note which operation works on the volume, or that none does any more."""
    volume.operation_id = operation.id if operation is not None else None
    announce(work.db, "storage_pool", volume.storage_pool_id, volume.storage_pool.pool_id)
