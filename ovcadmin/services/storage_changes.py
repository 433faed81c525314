"""Storage pools come and go, and what is found in them is written down."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select

from ovcadmin.domain import names
from ovcadmin.domain.storage_kinds import KINDS, StorageKind
from ovcadmin.drivers.storage.base import VolumeFacts
from ovcadmin.errors import Conflict, InvalidInput, ObjectInUse
from ovcadmin.models import (
    Host,
    Operation,
    Pool,
    StoragePool,
    Volume,
)
from ovcadmin.models.database import announce
from ovcadmin.services import (
    audit,
    hosts,
    operations,
    pools,
    seals,
    storage,
    storage_usage,
    volumes,
)
from ovcadmin.services.storage_usage import Traffic
from ovcadmin.work import Work

FIELDS = ("host", "port", "device", "format", "initiator", "user", "portals")
"""Of a storage pool's source, besides its path and its password."""
_PORTAL = re.compile(r"([\w.-]+|\[[0-9a-fA-F:]+\])(:\d{1,5})?")
LISTED = tuple(kind for kind in KINDS.values() if kind.libvirt_type is not None)


@dataclass(frozen=True, kw_only=True)
class Draft:
    name: str
    driver: str
    path: str = ""
    source: dict[str, Any] = field(default_factory=dict)
    password: str = field(default="", repr=False)


def add(work: Work, pool: Pool, host: Host, draft: Draft) -> tuple[StoragePool, Operation]:
    """Write a storage pool down and queue its log-in; it goes again when that fails."""
    cleaned = _checked(draft)
    _ensure_can(host, KINDS[draft.driver])
    # Another console on the same host has names of its own.
    target = f"ovc-storage-{secrets.token_hex(6)}"
    where = storage.Target(driver=draft.driver, target=target, path=draft.path)
    store = storage.attach(work, pool, host, name=cleaned, where=where)
    store.source = {key: draft.source[key] for key in FIELDS if draft.source.get(key)}
    if draft.password:
        store.sealed_secret = seals.seal(work, draft.password)
    work.db.flush()
    operation = operations.submit(
        work,
        operations.Request(
            type="storage.connect",
            pool=pool,
            name=store.name,
            host=host,
            params={"storage_pool_id": store.id},
        ),
    )
    return store, operation


def host_to_modify(work: Work, host_id: int) -> Host:
    """Return a host that the actor may change; one that he does not see is not there."""
    host = hosts.get(work, host_id)
    pools.to_modify(work, host.pool_id)
    return host


def lacking(work: Work) -> list[StorageKind]:
    """Return the kinds for which no host has a backend; those of hosts that tell none may work."""
    known = [host.storage_kinds for host in hosts.listing(work)]
    return [
        kind for kind in LISTED
        if known and all(told and kind.libvirt_type not in told for told in known)
    ]  # fmt: skip


def _ensure_can(host: Host, kind: StorageKind) -> None:
    if host.storage_kinds and kind.libvirt_type not in host.storage_kinds:
        why = (
            f"{host.name} has no backend of libvirt for {kind.label}. Install it there (Debian: "
            f"{kind.package}), and restart libvirtd."
        )
        raise InvalidInput("The storage pool cannot be added.", fields={"driver": why})


def _wrong_portals(kind: StorageKind, portals: Iterable[str]) -> dict[str, str]:
    for portal in portals:
        if not kind.asks_for("portals"):
            return {"portals": f"{kind.label} has no portals."}
        if not _PORTAL.fullmatch(portal):
            return {"portals": f"{portal[:60]} is no server or server:port."}
    return {}


def _checked(draft: Draft) -> str:
    wrong, cleaned = {}, ""
    kind = KINDS.get(draft.driver)
    if kind is None or kind not in LISTED:
        raise InvalidInput("The storage pool cannot be added.", fields={"driver": "Choose one."})
    try:
        cleaned = names.clean(draft.name)
    except ValueError as error:
        wrong["name"] = str(error)
    given = {**draft.source, "path": draft.path}
    for need in kind.needs:
        if not str(given.get(need) or "").strip():
            wrong[need] = f"{kind.label} needs this."
    if draft.path and not draft.path.startswith("/"):
        wrong["path"] = "Write the whole path, from / on."
    wrong |= _wrong_portals(kind, given.get("portals") or ())
    if bool(draft.password) != bool(given.get("user")):
        wrong["user"] = "Write a user with a password, or neither."
    if wrong:
        raise InvalidInput("The storage pool cannot be added.", fields=wrong)
    return cleaned


def refresh(work: Work, store: StoragePool) -> Operation:
    """Queue a look at what is there."""
    return _ask(work, store, "storage.refresh")


def remove(work: Work, store: StoragePool) -> Operation:
    """Queue the log-out of a storage pool in which nothing of ours is left."""
    ensure_empty(work, store)
    return _ask(work, store, "storage.remove")


def _ask(work: Work, store: StoragePool, kind: str) -> Operation:
    return operations.submit(
        work,
        operations.Request(
            type=kind,
            pool=store.pool,
            name=store.name,
            host=storage.way_to(store),
            params={"storage_pool_id": store.id},
        ),
    )


def ensure_empty(work: Work, store: StoragePool) -> None:
    ours = work.db.scalar(
        select(func.count()).where(
            Volume.storage_pool_id == store.id,
            (Volume.machine_id.is_not(None))
            | (Volume.image_id.is_not(None))
            | (Volume.pool_id.is_not(None)),
        )
    )
    if ours:
        raise ObjectInUse(
            f"{store.name} still holds {ours} volumes of machines, images or pools. Delete or "
            "move them first.",
            volumes=ours,
        )


def forget(work: Work, storage_pool_id: int) -> None:
    """Drop the rows of a storage pool that its host was not told of, or not any more."""
    store = work.db.get(StoragePool, storage_pool_id)
    if store is None:
        return
    for volume in work.db.scalars(select(Volume).where(Volume.storage_pool_id == store.id)):
        work.db.delete(volume)
    store.hosts.clear()
    work.db.flush()
    announce(work.db, "storage_pool", store.id, store.pool_id)
    audit.record(
        work, "storage_pool.remove", "storage_pool", store.id, store.name, pool_id=store.pool_id
    )
    work.db.delete(store)


def found(work: Work, storage_pool_id: int, seen: Collection[VolumeFacts]) -> None:
    """Take in what the storage shows: what came, what changed, and what went."""
    store = storage.get(work, storage_pool_id)
    kind = KINDS[store.driver]
    rows = {
        row.key or row.name: row
        for row in work.db.scalars(select(Volume).where(Volume.storage_pool_id == store.id))
    }
    for facts in seen:
        row = rows.pop(facts.key, None)
        if row is None:
            work.db.add(
                Volume(
                    storage_pool_id=store.id,
                    name=facts.name,
                    key=facts.key,
                    size=facts.size,
                    address=facts.address,
                    allocated=facts.allocated,
                    found=True,
                    offered=kind.preallocated,
                    created_at=work.now(),
                )
            )
        else:
            _compare(row, facts)
    there = {facts.key for facts in seen}
    for row in rows.values():
        if _holder(row.key or "") not in there:
            _gone(work, row)
    announce(work.db, "storage_pool", store.id, store.pool_id)


def _holder(key: str) -> str:
    """Return the volume that a key is about: a template of a machine is a snapshot of its disk."""
    return key.partition("@")[0]


def _compare(row: Volume, facts: VolumeFacts) -> None:
    row.address, row.allocated, row.missing_at = facts.address, facts.allocated, None
    if row.found and row.machine_id is None and row.pool_id is None:
        row.size = facts.size


def _gone(work: Work, row: Volume) -> None:
    if row.key is None:
        return  # still to be made
    free = row.machine_id is None and row.image_id is None and row.pool_id is None
    if row.found and free:
        work.db.delete(row)
    elif row.missing_at is None:
        row.missing_at = work.now()


def measured(
    work: Work, storage_pool_id: int, seen: Iterable[VolumeFacts], traffic: Traffic | None = None
) -> None:
    """Take in what the volumes take, and which of those that are known came back or went.

    `traffic` is what the guests of one host have read and written.

    What is new is written down by `found` alone, when somebody asks for it.
    """
    store = storage.get(work, storage_pool_id)
    facts = {one.key: one for one in seen}
    for row in work.db.scalars(select(Volume).where(Volume.storage_pool_id == store.id)):
        if row.key is None:
            continue
        now = facts.get(row.key)
        gone = now is None and _holder(row.key) not in facts
        if gone is (row.missing_at is None) or (now and now.allocated != row.allocated):
            announce(work.db, "storage_pool", store.id, store.pool_id)
        row.missing_at = (row.missing_at or work.now()) if gone else None
        if now is not None:
            row.allocated, row.address = now.allocated, now.address
    storage_usage.note(work, store, facts, traffic or {})


def set_offered(work: Work, volume: Volume, *, offered: bool) -> None:
    """Say whether machines may take a volume that was found.

    One that is kept back is its pool's no longer, and counts for none.
    """
    if volume.machine_id is not None or volume.image_id is not None:
        raise Conflict(f"{volume.name} is in use.")
    before = volume.pool.name if volume.pool else None
    volume.offered = offered
    if volume.found and not offered:
        volumes.take_back(work, volume)
    store = volume.storage_pool
    announce(work.db, "storage_pool", store.id, store.pool_id)
    audit.record(
        work, "volume.offer", "storage_pool", store.id, store.name, pool_id=store.pool_id,
        before={"pool": before}, after={"volume": volume.name, "offered": offered},
    )  # fmt: skip
