"""What still fits in a pool, and when it is full at the present trend."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from ovcadmin.domain import rooms
from ovcadmin.domain.forecast import Fit, HostRoom, Moment, daily, days_to_full, how_many, slope
from ovcadmin.domain.quota import room
from ovcadmin.domain.resources import Resources
from ovcadmin.domain.sizes import Size
from ovcadmin.models import (
    Host,
    HostStoragePool,
    Lineage,
    Machine,
    MachineEvent,
    Pool,
    StoragePool,
)
from ovcadmin.services import placement, quotas, sizes
from ovcadmin.work import Work

DAYS = 30
"""How far back the trend looks."""
TRENDS = ("vcpus", "memory", "machines", "storage")


@dataclass(frozen=True, kw_only=True)
class SizeFit:
    size: Size
    fit: Fit


@dataclass(frozen=True, kw_only=True)
class Trend:
    """One resource of a pool.  Amounts in the resource's own unit."""

    resource: str
    taken: int
    limit: int | None
    bound: str
    """Where it comes from: the pool itself, what a tighter one above leaves, or its hosts."""
    growth: float
    """A day."""
    days: float | None
    """Until it is full; None is not in sight."""
    full_at: datetime | None


def fits(work: Work, pool: Pool, owner_id: int | None = None) -> list[SizeFit]:
    """Return for each size how many more running machines of it fit in the pool."""
    left = room(quotas.levels(work, pool, owner_id))
    places = _host_rooms(work, pool)
    return [
        SizeFit(size=size, fit=how_many(_taken_by(size), left, places))
        for size in sizes.listing(work.settings)
    ]


def trends(work: Work, pool: Pool) -> list[Trend]:
    """Return where each resource is heading, from the recorded life of the pool's machines."""
    now = work.now()
    own, *above = quotas.levels(work, pool)
    left = room([own, *above])
    capacity = _capacity(work, pool)
    moments = [now - timedelta(days=back) for back in range(DAYS, -1, -1)]
    history = daily(_lives(work, pool, moments[0]), moments)
    found = []
    for name in TRENDS:
        taken = getattr(own.taken, name)
        limit, bound = capacity.get(name), "what its hosts have"
        if name in left:
            limit = max(taken + left[name].amount, 0)
            tightest = left[name].level
            bound = f"limit of {tightest}" if tightest == own.label else f"what {tightest} leaves"
        growth = slope([getattr(amounts, name) for amounts in history])
        days = None if limit is None else days_to_full(taken, limit, growth)
        found.append(
            Trend(
                resource=name,
                taken=taken,
                limit=limit,
                bound=bound,
                growth=growth,
                days=days,
                full_at=None if days is None else now + timedelta(days=days),
            )
        )
    return found


def _taken_by(size: Size) -> Resources:
    return Resources(vcpus=size.vcpus, memory=size.memory, nics=1, machines=1, storage=size.storage)


def _serving(work: Work, pool: Pool) -> list[Host]:
    """Return the hosts that could be given a machine of the pool now."""
    chain = select(Lineage.ancestor_id).where(Lineage.pool_id == pool.id)
    statement = select(Host).where(
        Host.pool_id.in_(chain), Host.enabled, Host.state == "up", Host.maintenance == "",
        Host.retired_at.is_(None),
    )  # fmt: skip
    return list(work.db.scalars(statement))


def _stores(work: Work, pool: Pool) -> list[tuple[int, StoragePool]]:
    """Return (host, storage pool) of what serves the pool."""
    chain = select(Lineage.ancestor_id).where(Lineage.pool_id == pool.id)
    rows = work.db.execute(
        select(HostStoragePool.host_id, StoragePool)
        .join(StoragePool, StoragePool.id == HostStoragePool.storage_pool_id)
        .where(StoragePool.pool_id.in_(chain), StoragePool.active)
    )
    return [(row[0], row[1]) for row in rows]


def _host_rooms(work: Work, pool: Pool) -> list[HostRoom]:
    serving = _serving(work, pool)
    held = placement.committed(work, [host.id for host in serving])
    nothing = placement.Committed()
    best: dict[int, StoragePool] = {}
    for host_id, store in _stores(work, pool):
        if host_id not in best or store.available > best[host_id].available:
            best[host_id] = store
    return [
        HostRoom(
            cpus=host.cpus,
            vcpus=rooms.vcpus(host) - held.get(host.id, nothing).vcpus,
            memory=rooms.memory(host) - held.get(host.id, nothing).memory,
            storage_pool_id=best[host.id].id if host.id in best else None,
            storage=best[host.id].available if host.id in best else 0,
        )
        for host in serving
    ]


def _capacity(work: Work, pool: Pool) -> dict[str, int]:
    """Return what may be promised on the hosts that serve the pool; others use it as well."""
    serving = {host.id: host for host in _serving(work, pool)}
    if not serving:
        return {}
    stores = {store.id: store for number, store in _stores(work, pool) if number in serving}
    return {
        "vcpus": sum(rooms.vcpus(host) for host in serving.values()),
        "memory": sum(rooms.memory(host) for host in serving.values()),
        "storage": sum(store.capacity for store in stores.values()),
    }


def _lives(work: Work, pool: Pool, since: datetime) -> list[list[Moment]]:
    """Return what each machine of the subtree held, event by event; the long gone are left out."""
    below = select(Lineage.pool_id).where(Lineage.ancestor_id == pool.id)
    statement = (
        select(MachineEvent)
        .join(Machine, Machine.id == MachineEvent.machine_id)
        .where(
            Machine.pool_id.in_(below),
            Machine.deleted_at.is_(None) | (Machine.deleted_at >= since),
        )
        .order_by(MachineEvent.at, MachineEvent.id)
    )
    found: dict[int, list[Moment]] = {}
    for row in work.db.scalars(statement):
        runs = 1 if row.running else 0
        held = Resources(
            vcpus=runs * row.vcpus,
            memory=runs * row.memory,
            machines=runs,
            storage=row.storage,
        )
        found.setdefault(row.machine_id, []).append(Moment(at=row.at, amounts=held))
    return list(found.values())
