"""Storage pools: which there are, whom they serve, how full they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import case, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload, selectinload

from ovcadmin.domain.storage_kinds import CREATING
from ovcadmin.drivers.storage.base import StoragePoolFacts
from ovcadmin.errors import NameTaken, NotFound, StorageFailed
from ovcadmin.models import Host, HostStoragePool, Pool, StoragePool, Volume
from ovcadmin.models.database import announce
from ovcadmin.security.visibility import visible
from ovcadmin.services import audit, pools
from ovcadmin.services.volumes import is_left
from ovcadmin.work import Work


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a driver finds a storage pool."""

    driver: str
    target: str
    path: str = ""


@dataclass(frozen=True, kw_only=True)
class Space:
    """Of a storage pool, bytes: what its volumes may grow to, and what is free for further ones."""

    promised: int
    free: int


def get(work: Work, storage_pool_id: int) -> StoragePool:
    store = work.db.get(StoragePool, storage_pool_id)
    if store is None:
        raise NotFound("There is no such storage pool.", storage_pool_id=storage_pool_id)
    return store


def to_modify(work: Work, storage_pool_id: int) -> StoragePool:
    """Return one that the actor may change; raises as if it were not there where he sees it not."""
    store = get(work, storage_pool_id)
    pools.to_modify(work, store.pool_id)
    return store


def way_to(store: StoragePool) -> Host:
    """Return a host by which the storage pool is reached, one that answers if there is one."""
    hosts = sorted(store.hosts, key=lambda host: (not host.answers, host.id))
    if not hosts:
        raise StorageFailed(
            f"No host reaches storage pool {store.name}. {unreached(store)}".strip(),
            storage_pool_id=store.id,
        )
    return hosts[0]


def unreached(store: StoragePool) -> str:
    """Return what helps when no host reaches it; empty when one does, or nothing is known."""
    if store.hosts or store.cluster_id is None:
        return ""
    return (
        "None of its cluster's storage routers is known to stand on an enrolled host: say on the "
        "cluster's page, or with ovc clusters place, which host each one is."
    )


def listing(work: Work) -> list[StoragePool]:
    """Return the storage pools that the actor may see, by name."""
    statement = (
        select(StoragePool)
        .options(joinedload(StoragePool.pool), selectinload(StoragePool.hosts))
        .order_by(StoragePool.name)
    )
    if work.actor.user_id is not None:
        statement = statement.where(visible(work.actor.user_id, StoragePool.pool_id))
    return list(work.db.scalars(statement).unique())


def volumes(work: Work, store: StoragePool) -> list[Volume]:
    statement = (
        select(Volume)
        .options(joinedload(Volume.machine), joinedload(Volume.image))
        .where(Volume.storage_pool_id == store.id)
        .order_by(Volume.name)
    )
    return list(work.db.scalars(statement).unique())


def spaces(work: Work, stores: Sequence[StoragePool]) -> dict[int, Space]:
    """Return what of each of these is promised and free, by its id."""
    statement = (
        select(
            Volume.storage_pool_id,
            func.sum(Volume.size),
            func.sum(case((is_left(), Volume.size), else_=0)),
        )
        .where(Volume.storage_pool_id.in_([store.id for store in stores]))
        .group_by(Volume.storage_pool_id)
    )
    sums = {store_id: (int(all_), int(left)) for store_id, all_, left in work.db.execute(statement)}
    return {store.id: _space(store, *sums.get(store.id, (0, 0))) for store in stores}


def space(work: Work, store: StoragePool) -> Space:
    return spaces(work, [store])[store.id]


def _space(store: StoragePool, size: int, left: int) -> Space:
    """Where no volumes are made, those that nobody has are what is free."""
    if store.driver in CREATING:
        return Space(promised=size, free=store.available)
    return Space(promised=size - left, free=left)


def attach(work: Work, pool: Pool, host: Host, *, name: str, where: Target) -> StoragePool:
    """Write a storage pool down, reached by `host`."""
    store = StoragePool(
        name=name,
        driver=where.driver,
        target=where.target,
        path=where.path,
        pool_id=pool.id,
        created_at=work.now(),
    )
    work.db.add(store)
    try:
        work.db.flush()
    except IntegrityError:
        raise NameTaken(f"There is already a storage pool {name}.", field="name") from None
    work.db.add(HostStoragePool(host_id=host.id, storage_pool_id=store.id))
    announce(work.db, "storage_pool", store.id, pool.id)
    audit.record(
        work, "storage_pool.attach", "storage_pool", store.id, name, pool_id=pool.id,
        after={"driver": where.driver, "target": where.target, "host_id": host.id},
    )  # fmt: skip
    return store


def observed(work: Work, storage_pool_id: int, facts: StoragePoolFacts) -> None:
    """Take in what the driver says of capacity and free space."""
    store = get(work, storage_pool_id)
    available = facts.available
    if available is None:  # what was told last counts on
        available = store.available if store.observed_at else facts.capacity
    changed = (store.capacity, store.available, store.active) != (
        facts.capacity,
        available,
        facts.active,
    )
    store.capacity, store.available, store.active = facts.capacity, available, facts.active
    store.observed_at = work.now()
    paths = [asdict(path) for path in facts.paths]
    changed = changed or bool(store.trouble) or store.paths != paths
    store.paths = paths
    store.trouble, store.trouble_at = "", None
    if changed:
        announce(work.db, "storage_pool", store.id, store.pool_id)


def silent(work: Work, storage_pool_id: int, why: str) -> None:
    """It does not answer by its host: nothing is placed on it, its figures stay with their age."""
    store = get(work, storage_pool_id)
    if store.trouble != why:
        store.trouble, store.trouble_at = why, store.trouble_at or work.now()
        store.active = False
        announce(work.db, "storage_pool", store.id, store.pool_id)
