"""OpenvStorage clusters: how each is reached, what was seen of it, which host stands on which node.

Talking to a cluster is the worker's: `contact` reads what is needed into plain values, and what
was seen comes back by `observed` or `silent`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload, selectinload

from ovcadmin.domain import clusters as reading
from ovcadmin.domain import names
from ovcadmin.drivers.storage.base import ClusterFacts
from ovcadmin.errors import DomainError, InvalidInput, NameTaken, NotFound, ObjectInUse, Outdated
from ovcadmin.models import Host, Pool, StorageCluster, StoragePool, StorageRouter
from ovcadmin.models.database import announce
from ovcadmin.security.visibility import visible
from ovcadmin.services import audit, hosts, seals, vpools
from ovcadmin.work import Work

EVERY = timedelta(seconds=30)
AGAIN = timedelta(seconds=10)
"""A cluster that did not answer is asked again this soon."""


@dataclass(frozen=True, kw_only=True)
class Contact:
    """How a cluster is reached: plain values that outlive the transaction they were read in."""

    cluster_id: int
    name: str
    addresses: tuple[str, ...]
    client_id: str
    secret: str = field(repr=False)
    authority: str
    fingerprints: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Draft:
    """What somebody typed of a cluster."""

    name: str
    addresses: str
    client_id: str
    secret: str = field(default="", repr=False)
    """Blank keeps the one that is sealed."""
    authority: str = ""
    fingerprints: str = ""


def listing(work: Work) -> list[StorageCluster]:
    """Return the clusters that the actor may see, by name."""
    statement = (
        select(StorageCluster)
        .options(
            joinedload(StorageCluster.pool),
            selectinload(StorageCluster.routers).joinedload(StorageRouter.host),
        )
        .order_by(StorageCluster.name)
    )
    if work.actor.user_id is not None:
        statement = statement.where(visible(work.actor.user_id, StorageCluster.pool_id))
    return list(work.db.scalars(statement).unique())


def get(work: Work, cluster_id: int) -> StorageCluster:
    found = work.db.get(StorageCluster, cluster_id)
    if found is None:
        raise NotFound("There is no such storage cluster.", cluster_id=cluster_id)
    return found


def create(work: Work, pool: Pool, draft: Draft) -> StorageCluster:
    """Write a cluster down; a worker asks it within seconds."""
    if not draft.secret:
        raise _wrong("secret", "Enter the client's secret.")
    cluster = StorageCluster(
        pool_id=pool.id, sealed_secret=seals.seal(work, draft.secret), created_at=work.now(),
        look_at=work.now(), state_since=work.now(), **_values(draft),
    )  # fmt: skip
    work.db.add(cluster)
    _flush(work, cluster)
    announce(work.db, "storage_cluster", cluster.id, pool.id)
    audit.record(
        work, "storage_cluster.create", "storage_cluster", cluster.id, cluster.name,
        pool_id=pool.id, after=_told(cluster),
    )  # fmt: skip
    return cluster


def edit(work: Work, cluster: StorageCluster, *, version: int, draft: Draft) -> None:
    """Change how it is reached.  The sealed secret is never sent to addresses that are new."""
    if version != cluster.version:
        raise Outdated(
            f"Somebody else changed {cluster.name} since you opened this form. Load it again."
        )
    before = _told(cluster)
    values = _values(draft)
    moved = any(values[name] != before[name] for name in ("addresses", "fingerprints"))
    moved = moved or values["authority"] != cluster.authority
    if moved and not draft.secret:
        raise _wrong("secret", "Enter it again: it would be sent to other addresses.")
    for name, value in values.items():
        setattr(cluster, name, value)
    if draft.secret:
        cluster.sealed_secret = seals.seal(work, draft.secret)
    cluster.version += 1
    _flush(work, cluster)
    look_again(work, cluster)
    audit.record(
        work, "storage_cluster.edit", "storage_cluster", cluster.id, cluster.name,
        pool_id=cluster.pool_id, before=before, after=_told(cluster),
    )  # fmt: skip


def remove(work: Work, cluster: StorageCluster) -> None:
    """Forget a cluster; refused while a storage pool of ours is one of its vPools."""
    used = list(
        work.db.scalars(
            select(StoragePool.name)
            .where(StoragePool.cluster_id == cluster.id)
            .order_by(StoragePool.name)
        )
    )
    if used:
        raise ObjectInUse(
            f"{cluster.name} holds {', '.join(used)}: remove these storage pools first.",
            storage_pools=used,
        )
    announce(work.db, "storage_cluster", cluster.id, cluster.pool_id)
    audit.record(
        work, "storage_cluster.remove", "storage_cluster", cluster.id, cluster.name,
        pool_id=cluster.pool_id, before=_told(cluster),
    )  # fmt: skip
    work.db.delete(cluster)


def router(cluster: StorageCluster, guid: str) -> StorageRouter:
    for one in cluster.routers:
        if one.guid == guid:
            return one
    raise InvalidInput(
        "Nothing was changed.", fields={"router": f"{cluster.name} has no such storage router."}
    )


def look_again(work: Work, cluster: StorageCluster) -> None:
    """Have a worker ask the cluster now."""
    cluster.look_at = work.now()
    announce(work.db, "storage_cluster", cluster.id, cluster.pool_id)


def place(work: Work, router: StorageRouter, host_id: int | None) -> None:
    """Say which host stands on a storage router; None lets names and addresses tell again."""
    cluster = get(work, router.cluster_id)
    seen = {host.id for host in hosts.listing(work)}
    if host_id is not None and host_id not in seen:
        raise InvalidInput("Nothing was changed.", fields={"host_id": "There is no such host."})
    router.chosen, router.host_id = host_id is not None, host_id
    work.db.flush()
    work.db.expire(router, ["host"])
    _match(work, cluster)
    audit.record(
        work, "storage_cluster.place", "storage_cluster", cluster.id, cluster.name,
        pool_id=cluster.pool_id, after={"router": router.name, "host_id": router.host_id},
    )  # fmt: skip


# what workers use


def contact(work: Work, cluster: StorageCluster) -> Contact:
    return Contact(
        cluster_id=cluster.id,
        name=cluster.name,
        addresses=tuple(cluster.addresses),
        client_id=cluster.client_id,
        secret=seals.unseal(work, cluster.sealed_secret),
        authority=cluster.authority,
        fingerprints=tuple(cluster.fingerprints),
    )


def due(work: Work) -> list[StorageCluster]:
    """Return the clusters whose turn it is, and put off their next turn."""
    statement = (
        select(StorageCluster)
        .where(StorageCluster.look_at <= work.now())
        .order_by(StorageCluster.id)
    )
    found = list(work.db.scalars(statement))
    for cluster in found:
        cluster.look_at = work.now() + EVERY
    return found


def observed(work: Work, cluster_id: int, facts: ClusterFacts) -> None:
    """Take in what a cluster says of itself."""
    cluster = work.db.get(StorageCluster, cluster_id)
    if cluster is None:
        return
    _enter(work, cluster, "up", "")
    cluster.observed_at = work.now()
    cluster.seen = {
        "release": facts.release,
        "roles": list(facts.roles),
        "vpools": [asdict(pool) for pool in facts.vpools],
    }
    known = {router.guid: router for router in cluster.routers}
    for told in facts.routers:
        router = known.pop(told.guid, None)
        if router is None:
            router = StorageRouter(guid=told.guid)
            cluster.routers.append(router)
        router.name, router.ip, router.status = told.name, told.ip, told.status
    for gone in known.values():
        cluster.routers.remove(gone)
    work.db.flush()
    _match(work, cluster)


def silent(work: Work, cluster_id: int, error: DomainError) -> None:
    """Note that a cluster did not answer, or refused."""
    cluster = work.db.get(StorageCluster, cluster_id)
    if cluster is not None:
        _enter(work, cluster, "down", error.text)
        cluster.look_at = work.now() + AGAIN


# how


def _enter(work: Work, cluster: StorageCluster, state: str, reason: str) -> None:
    if (cluster.state, cluster.state_reason) != (state, reason):
        if cluster.state != state:
            cluster.state_since = work.now()
        cluster.state, cluster.state_reason = state, reason
        announce(work.db, "storage_cluster", cluster.id, cluster.pool_id)


def _match(work: Work, cluster: StorageCluster) -> None:
    """Find the host on each storage router, and bring the vPools' hosts in line."""
    known = list(work.db.scalars(select(Host).where(Host.retired_at.is_(None)).order_by(Host.id)))
    for router in cluster.routers:
        if not router.chosen:
            here = (h for h in known if _stands_on(h, router))
            router.host = next(here, None)
    work.db.flush()
    vpools.bring_in_line(work, cluster)


def _stands_on(host: Host, router: StorageRouter) -> bool:
    return (
        reading.same_host(host.hostname, router.name)
        or reading.same_host(host.name, router.name)
        or f"@{router.ip}/" in host.uri
        or f"//{router.ip}/" in host.uri
    )


def _values(draft: Draft) -> dict[str, Any]:
    """Read what was typed; raises `InvalidInput` with every field that is wrong."""
    readers: dict[str, tuple[str, Callable[[str], Any]]] = {
        "name": (draft.name, names.clean),
        "addresses": (draft.addresses, reading.addresses),
        "client_id": (draft.client_id, _client_id),
        "authority": (draft.authority, reading.certificates),
        "fingerprints": (draft.fingerprints, reading.fingerprints),
    }
    values, wrong = {}, {}
    for name, (typed, read) in readers.items():
        try:
            values[name] = read(typed)
        except ValueError as error:
            wrong[name] = str(error)
    if wrong:
        raise InvalidInput("The storage cluster was not saved.", fields=wrong)
    return values


def _client_id(text: str) -> str:
    if not text.strip():
        raise ValueError("Enter the id of the client that was made for this console.")
    return text.strip()


def _flush(work: Work, cluster: StorageCluster) -> None:
    try:
        work.db.flush()
    except IntegrityError:
        raise NameTaken(
            f"There is already a storage cluster {cluster.name}.", field="name"
        ) from None


def _wrong(field_name: str, text: str) -> InvalidInput:
    return InvalidInput("The storage cluster was not saved.", fields={field_name: text})


def _told(cluster: StorageCluster) -> dict[str, Any]:
    """Return what the audit log may know; the secret is not among it."""
    return {
        "name": cluster.name,
        "addresses": list(cluster.addresses),
        "client_id": cluster.client_id,
        "fingerprints": list(cluster.fingerprints),
        "authority": bool(cluster.authority),
    }
