"""Placement: the facts that the rules of domain/placement need, from the tables."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, false, func, or_, select

from ovcadmin.domain import rooms
from ovcadmin.domain.amounts import show_memory
from ovcadmin.domain.choice import choose as best_of
from ovcadmin.domain.choice import pick
from ovcadmin.domain.images import ImageKind
from ovcadmin.domain.placement import Candidate, Verdict, Wanted, judge, smallest_change
from ovcadmin.errors import MachineTooLarge, PlacementFailed
from ovcadmin.models import (
    Host,
    HostStoragePool,
    Image,
    Lineage,
    Machine,
    Pool,
    Volume,
)
from ovcadmin.security.visibility import visible
from ovcadmin.services import company, pools, rivals
from ovcadmin.services.placement_facts import (
    COMMITTED,
    FACTS,
    LEAST_LOADED,
    STORAGE,
    of_hosts,
)
from ovcadmin.work import Work


@dataclass(frozen=True, kw_only=True)
class Committed:
    """What is promised on a host: machines that run, are about to, or are on their way to it."""

    vcpus: int = 0
    memory: int = 0

    def __add__(self, other: Committed) -> Committed:
        return Committed(vcpus=self.vcpus + other.vcpus, memory=self.memory + other.memory)

    def __sub__(self, other: Committed) -> Committed:
        return Committed(vcpus=self.vcpus - other.vcpus, memory=self.memory - other.memory)


def wanted_for(machine: Machine) -> Wanted:
    """Return what a new machine wants of a host."""
    return Wanted(
        vcpus=machine.vcpus,
        memory=machine.memory,
        storage=machine.storage,
        **image_wanted(machine.image),
        networks=frozenset(nic.network for nic in machine.nics if nic.network),
    )


def image_wanted(image: Image | None) -> dict[str, Any]:
    """Name the image whose copy the host must reach: of a kickstart its ISO, or none at all."""
    if image is None or image.kind == ImageKind.NETWORK:
        return {"image_id": image.id if image else None, "image": ""}
    copied = image.installer or image
    return {"image_id": copied.id, "image": copied.name}


def verdicts(
    work: Work, pool: Pool, wanted: Wanted, machine: Machine | None = None
) -> list[Verdict]:
    """Judge every host that serves the pool or that the actor may see: the dry run."""
    return best_of(candidates(work, pool, wanted, machine), wanted)[1]


def choose(
    work: Work, pool: Pool, wanted: Wanted, machine: Machine | None = None, *,
    host_id: int | None = None,
) -> Candidate:  # fmt: skip
    """Return the best host with its storage pool, or raise `PlacementFailed` with every why.

    With `host_id` that host, if it passes every rule: a choice by hand breaks none.
    """
    found = [
        candidate
        for candidate in candidates(work, pool, wanted, machine)
        if host_id in (None, candidate.host_id)
    ]
    best = pick(found, wanted)
    if best is None:
        raise refusal([judge(candidate, wanted) for candidate in found])
    return best


def is_easy(work: Work, pool: Pool, wanted: Wanted) -> bool:
    """Whether one of the least loaded hosts that serve the pool takes a new machine.

    A quick look at a few, by the same rules as all: False says nothing about the others.
    """
    hosts = list(work.db.execute(LEAST_LOADED, {"of": pool.id}))
    serving = {host.pool_id for host in hosts}
    return pick(_described(work, pool, hosts, serving, wanted), wanted) is not None


def refusal(judged: list[Verdict]) -> PlacementFailed:
    reasons = ". ".join(verdict.summary for verdict in judged if not verdict.fits)
    return PlacementFailed(
        f"No host can take the machine: {reasons or 'no host serves this pool'}.",
        hosts={v.candidate.host: list(v.reasons) for v in judged},
        smallest_change=list(smallest_change(judged)),
    )


def ensure_room(work: Work, machine: Machine) -> None:
    """Raise `PlacementFailed` when the machine's own host has no room to run it.

    Or `RunsElsewhere` when a second guest would write to its disks.  Called after the machine's
    running reservation was made, which therefore counts already.
    """
    host = machine.host
    if host is None:
        return
    rivals.ensure_none(work, machine)
    held = committed(work, [host.id]).get(host.id, Committed())
    chain = select(Lineage.ancestor_id).where(Lineage.pool_id == machine.pool_id)
    candidate = replace(
        _candidate(
            host,
            held - Committed(vcpus=machine.vcpus, memory=machine.memory),
            serves=host.pool_id in set(work.db.scalars(chain)),
            storage_pool_id=0,
            storage_available=0,
            has_image=True,
        ),
        responsive=True,
        enabled=True,
    )
    verdict = judge(candidate, replace(wanted_for(machine), storage=0, networks=frozenset()))
    if not verdict.fits:
        raise PlacementFailed(
            f"{machine.name} cannot run: {verdict.summary}. Stop other machines of "
            "this host first, or move it to another host.",
            hosts={host.name: list(verdict.reasons)},
        )


def candidates(
    work: Work, pool: Pool, wanted: Wanted, machine: Machine | None = None
) -> list[Candidate]:
    """Return the hosts that serve the pool, and others that the actor may see.

    Whoever may not see a host does not read its name in a refusal either.  With a machine that
    exists, what it holds and whom it must live with or without counts too.
    """
    chain = pools.ids_above(work, pool)
    hosts = work.db.execute(
        select(*FACTS)
        .where(or_(Host.pool_id.in_(chain), _seen(work)), Host.retired_at.is_(None))
        .order_by(Host.id)
    )
    return _described(work, pool, list(hosts), chain, wanted, machine)


def _described(
    work: Work,
    pool: Pool,
    hosts: list[Any],
    serving: set[int],
    wanted: Wanted,
    machine: Machine | None = None,
) -> list[Candidate]:
    """Return these hosts as the rules see them: each is a row of `FACTS`.

    `serving` has the pools of hosts that serve this one.
    """
    numbers = [host.id for host in hosts]
    held = committed(work, numbers, leaving_out=machine)
    storage = _storage(work, pool, wanted.image_id, numbers)
    here = _reached(work, machine) if machine is not None else {}
    rivals, companions = company.of(work, machine) if machine is not None else ({}, {})
    nothing = Committed()
    return [
        _candidate(
            host,
            held.get(host.id, nothing),
            serves=host.pool_id in serving,
            **_stored(storage.get(host.id), wanted),
            storage_here=here.get(host.id, 0),
            rivals=tuple(rivals.get(host.id, ())),
            companions=company.elsewhere(companions, host.id) if companions else (),
        )
        for host in hosts
    ]


def only_seen(work: Work, statement: Any, pool_id: Any) -> Any:
    """Narrow a statement to rows of pools that the actor may see."""
    if work.actor.user_id is None:
        return statement
    return statement.where(visible(work.actor.user_id, pool_id))


def ensure_possible(work: Work, pool: Pool, machine: Machine) -> None:
    """Raise `MachineTooLarge` when no host that serves the pool could ever run the machine.

    Whatever the quota leaves: one guest runs on one host.  Hosts that never answered are unknown.
    """
    chain = select(Lineage.ancestor_id).where(Lineage.pool_id == pool.id)
    known = list(
        work.db.scalars(
            select(Host).where(
                Host.pool_id.in_(chain), Host.cpus > 0, Host.retired_at.is_(None)
            )
        )
    )  # fmt: skip
    if not known or any(
        machine.vcpus <= host.cpus and machine.memory <= host.memory_room for host in known
    ):
        return
    cpus, memory = max(host.cpus for host in known), max(host.memory_room for host in known)
    raise MachineTooLarge(
        f"{machine.name} wants {machine.vcpus} vCPUs and {show_memory(machine.memory)} of memory; "
        f"the largest host that serves {pool.name} has {cpus} CPUs and {show_memory(memory)}.",
        vcpus=cpus,
        memory=memory,
    )


def committed(
    work: Work, hosts: list[int], *, leaving_out: Machine | None = None
) -> dict[int, Committed]:
    """Return what is promised on each of the hosts; not where one machine is on its way to."""
    statement, named = of_hosts(COMMITTED, hosts)
    values = {"but": leaving_out.id if leaving_out else None, **named}
    found: dict[int, Committed] = {}
    for host_id, vcpus, memory in work.db.execute(statement, values):
        assert host_id is not None
        held = Committed(vcpus=int(vcpus), memory=int(memory))
        found[host_id] = found.get(host_id, Committed()) + held
    return found


def _seen(work: Work) -> ColumnElement[bool]:
    if work.actor.user_id is None:
        return false()
    return visible(work.actor.user_id, Host.pool_id)


def _candidate(host: Any, held: Committed, **more: Any) -> Candidate:
    """Return what its row says of the host; `more` is storage and company, by who knows them."""
    return Candidate(
        host_id=host.id,
        host=host.name,
        responsive=host.state == "up",
        enabled=host.enabled,
        maintenance=bool(host.maintenance),
        retired=host.retired_at is not None,
        cpus=host.cpus,
        vcpu_room=rooms.vcpus(host),
        vcpus_committed=held.vcpus,
        memory=rooms.memory(host),
        memory_committed=held.memory,
        networks=frozenset(host.networks),
        cpu_model=host.cpu_model,
        load=host.load,
        trend=host.load_trend,
        **more,
    )


def _storage(work: Work, pool: Pool, image_id: int | None, hosts: list[int]) -> dict[int, Any]:
    """Return for each host its best active storage pool and whether the image is there."""
    statement, named = of_hosts(STORAGE, hosts)
    found: dict[int, Any] = {}
    for store in work.db.execute(statement, {"of": pool.id, "image": image_id, **named}):
        held = found.get(store.host_id)
        if held is None or _preference(store) > _preference(held):
            found[store.host_id] = store
    return found


def _preference(store: Any) -> tuple[bool, int, int]:
    return (store.copied, store.available, -store.id)


def _stored(store: Any, wanted: Wanted) -> dict[str, Any]:
    """Say which storage a host would use: a row of `_storage`, or None where it has none."""
    return {
        "storage_pool_id": store.id if store else None,
        "storage_available": store.available if store else 0,
        "has_image": bool(store and store.copied) or not wanted.image,
    }


def _reached(work: Work, machine: Machine) -> dict[int, int]:
    """Return how many bytes of the machine's volumes each host reaches."""
    statement = (
        select(HostStoragePool.host_id, func.sum(Volume.size))
        .join(Volume, Volume.storage_pool_id == HostStoragePool.storage_pool_id)
        .where(Volume.machine_id == machine.id)
        .group_by(HostStoragePool.host_id)
    )
    return {host_id: int(size) for host_id, size in work.db.execute(statement)}
