"""vPools as storage pools: which there are in a cluster, which of them serve a pool of ours."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from ovcadmin.domain import names
from ovcadmin.errors import InvalidInput, NameTaken, ObjectInUse
from ovcadmin.models import (
    HostStoragePool,
    Pool,
    StorageCluster,
    StoragePool,
    StorageRouter,
    Volume,
)
from ovcadmin.models.database import announce
from ovcadmin.services import audit
from ovcadmin.work import Work

DRIVER = "openvstorage"
FILE, EDGE = "file", "edge"
"""How guests open volumes: on the mount point of their host, or over the network."""


def seen(cluster: StorageCluster) -> list[dict[str, Any]]:
    """Return the vPools as the cluster last told them."""
    return list(cluster.seen.get("vpools", []))


def told_of(work: Work, store: StoragePool) -> dict[str, Any] | None:
    """Return what the cluster last told of a storage pool's vPool; None when it knows none."""
    cluster = work.db.get(StorageCluster, store.cluster_id) if store.cluster_id else None
    found = seen(cluster) if cluster else []
    return next((pool for pool in found if pool["guid"] == store.target), None)


def held(work: Work, cluster: StorageCluster) -> list[StoragePool]:
    """Return the storage pools of ours that are vPools of the cluster, by name."""
    statement = (
        select(StoragePool).where(StoragePool.cluster_id == cluster.id).order_by(StoragePool.name)
    )
    return list(work.db.scalars(statement))


def held_one(work: Work, cluster: StorageCluster, guid: str) -> StoragePool:
    """Return the storage pool of ours that is this vPool."""
    for store in held(work, cluster):
        if store.target == guid:
            return store
    raise InvalidInput(
        "Nothing was detached.",
        fields={"vpool": f"No storage pool is this vPool of {cluster.name}."},
    )


def add(
    work: Work,
    cluster: StorageCluster,
    pool: Pool,
    *,
    guid: str,
    name: str,
    declared: int = 0,
    access: str = FILE,
) -> StoragePool:
    """Attach a vPool to a pool: hosts that stand on its storage routers reach it."""
    told = next((one for one in seen(cluster) if one["guid"] == guid), None)
    if told is None:
        raise InvalidInput(
            "The vPool was not added.", fields={"vpool": "The cluster knows no such vPool."}
        )
    if any(store.target == guid for store in held(work, cluster)):
        raise NameTaken(f"{told['name']} is a storage pool already.", field="vpool")
    mounts = told["mounts"]
    store = StoragePool(
        name=_clean(name or told["name"]),
        driver=DRIVER,
        target=guid,
        path=mounts[0]["mountpoint"] if mounts else "",
        pool_id=pool.id,
        cluster_id=cluster.id,
        declared=declared,
        source={"access": access},
        created_at=work.now(),
    )
    work.db.add(store)
    try:
        work.db.flush()
    except IntegrityError:
        raise NameTaken(f"There is already a storage pool {store.name}.", field="name") from None
    bring_in_line(work, cluster)
    announce(work.db, "storage_pool", store.id, pool.id)
    audit.record(
        work, "storage_pool.attach", "storage_pool", store.id, store.name, pool_id=pool.id,
        after={"driver": DRIVER, "target": guid, "cluster": cluster.name},
    )  # fmt: skip
    return store


def remove(work: Work, store: StoragePool) -> None:
    """Detach a vPool; refused while a volume of ours is in it.  Nothing there is touched."""
    count = len(list(work.db.scalars(select(Volume.id).where(Volume.storage_pool_id == store.id))))
    if count:
        raise ObjectInUse(
            f"{store.name} holds {count} volume{'' if count == 1 else 's'} of machines and images: "
            "delete these first.",
            volumes=count,
        )
    audit.record(
        work, "storage_pool.detach", "storage_pool", store.id, store.name, pool_id=store.pool_id,
        before={"driver": DRIVER, "target": store.target},
    )  # fmt: skip
    announce(work.db, "storage_pool", store.id, store.pool_id)
    work.db.execute(delete(HostStoragePool).where(HostStoragePool.storage_pool_id == store.id))
    work.db.delete(store)


def routers(work: Work, store: StoragePool) -> dict[str, str]:
    """Return the guids of the storage routers by the hostnames of the hosts on them."""
    statement = (
        select(StorageRouter)
        .where(StorageRouter.cluster_id == store.cluster_id, StorageRouter.host_id.is_not(None))
        .order_by(StorageRouter.id)
    )
    return {
        router.host.hostname: router.guid
        for router in work.db.scalars(statement)
        if router.host is not None
    }


def bring_in_line(work: Work, cluster: StorageCluster) -> None:
    """Let exactly the hosts that stand on a vPool's storage routers reach it."""
    hosts = {router.guid: router.host_id for router in cluster.routers}
    mounts = {
        pool["guid"]: {hosts.get(mount["router"]) for mount in pool["mounts"]} - {None}
        for pool in seen(cluster)
    }
    for store in held(work, cluster):
        wanted = mounts.get(store.target, set())
        now = {host.id for host in store.hosts}
        for host_id in now - wanted:
            work.db.execute(
                delete(HostStoragePool).where(
                    HostStoragePool.storage_pool_id == store.id, HostStoragePool.host_id == host_id
                )
            )
        work.db.add_all(
            HostStoragePool(host_id=host_id, storage_pool_id=store.id) for host_id in wanted - now
        )
        if wanted != now:
            work.db.flush()
            work.db.expire(store, ["hosts"])
            announce(work.db, "storage_pool", store.id, store.pool_id)


def _clean(name: str) -> str:
    try:
        return names.clean(name)
    except ValueError as error:
        raise InvalidInput("The vPool was not added.", fields={"name": str(error)}) from None
