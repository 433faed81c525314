"""Guests that the console does not run, and the disks that they have in common with its machines.

One disk must never have two running guests: both write, and the data is lost.  A second one can
only be started behind the console's back: by hand on another host while the machine's own was
silent, by a host that comes back and starts what it still has, or from what a move could not tidy
away.  So whatever lets a guest run or changes its disks looks here first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import joinedload

from ovcadmin.errors import RunsElsewhere
from ovcadmin.models import Host, HostStoragePool, Machine, StoragePool, UnmanagedDomain, Volume
from ovcadmin.security.visibility import visible
from ovcadmin.work import Work

RUNS = ("running", "paused", "shutting_down")


@dataclass(frozen=True, kw_only=True)
class User:
    """A domain that has a volume and is no machine on its host."""

    uuid: str
    name: str
    host: str

    @property
    def words(self) -> str:
        return f"the guest {self.name} on {self.host}"


def of(work: Work, machine: Machine) -> list[UnmanagedDomain]:
    """Return the guests that run beside the machine with its uuid or one of its disks.

    As their hosts told it last: the word of a silent host counts until it says something else.
    """
    mine = {
        (volume.storage_pool_id, name)
        for volume in machine.volumes
        for name in (volume.name, volume.key)
        if name
    }
    reaching = select(HostStoragePool.host_id).where(
        HostStoragePool.storage_pool_id.in_({store for store, _ in mine})
    )
    near = UnmanagedDomain.facts.is_not(None) & UnmanagedDomain.host_id.in_(reaching)
    rows = work.db.scalars(
        select(UnmanagedDomain)
        .where(
            UnmanagedDomain.power.in_(RUNS),
            or_(UnmanagedDomain.machine_id == machine.id, near),
        )
        .options(joinedload(UnmanagedDomain.host))
        .order_by(UnmanagedDomain.id)
    ).all()
    sharing = {row.id for row, place in _drives(work, rows) if place in mine}
    return [row for row in rows if row.machine_id == machine.id or row.id in sharing]


def ensure_none(work: Work, machine: Machine) -> None:
    """Raise `RunsElsewhere` when a second guest would write to the machine's disks, or does."""
    found = of(work, machine)
    if found:
        told = User(uuid=found[0].uuid, name=found[0].name, host=found[0].host.name)
        raise RunsElsewhere(
            f"{machine.name} cannot be worked on: {told.words} runs with its disks, and two would "
            "destroy the data. Power one of them off first.",
            host=told.host,
            domain=told.name,
        )


def listing(work: Work) -> list[tuple[Machine, str]]:
    """Return the machines that the actor may see of which another guest runs, and on which host."""
    statement = (
        select(Machine, Host.name)
        .join(UnmanagedDomain, UnmanagedDomain.machine_id == Machine.id)
        .join(Host, Host.id == UnmanagedDomain.host_id)
        .where(UnmanagedDomain.power.in_(RUNS), Machine.deleted_at.is_(None))
        .order_by(Machine.id, Host.name)
    )
    if work.actor.user_id is not None:
        statement = statement.where(visible(work.actor.user_id, Machine.pool_id))
    return [(machine, host) for machine, host in work.db.execute(statement).unique()]


def users(work: Work, store_ids: Collection[int]) -> dict[tuple[int, str], list[User]]:
    """Return which volumes of these storage pools domains have that are no machines.

    Those that are off count as well: nobody would ask the console before starting them.
    """
    rows = work.db.scalars(
        select(UnmanagedDomain)
        .where(
            UnmanagedDomain.facts.is_not(None),
            UnmanagedDomain.host_id.in_(
                select(HostStoragePool.host_id).where(
                    HostStoragePool.storage_pool_id.in_(store_ids)
                )
            ),
        )
        .options(joinedload(UnmanagedDomain.host))
        .order_by(UnmanagedDomain.id)
    ).all()
    found: dict[tuple[int, str], list[User]] = {}
    for row, place in _drives(work, rows):
        user = User(uuid=row.uuid, name=row.name, host=row.host.name)
        found.setdefault(place, []).append(user)
    return found


def user_of(work: Work, volume: Volume) -> User | None:
    """Return a domain that is no machine and has the volume."""
    taken = users(work, [volume.storage_pool_id])
    places = [(volume.storage_pool_id, name) for name in (volume.name, volume.key) if name]
    return next((user for place in places for user in taken.get(place, ())), None)


def _drives(
    work: Work, rows: Sequence[UnmanagedDomain]
) -> Iterator[tuple[UnmanagedDomain, tuple[int, str]]]:
    """Return each row with each volume that it writes to: its storage pool and name."""
    if not rows:
        return
    named: dict[tuple[int, str], int] = {}
    lying: dict[tuple[int, str], int] = {}
    for host_id, target, path, store_id in work.db.execute(
        select(HostStoragePool.host_id, StoragePool.target, StoragePool.path, StoragePool.id)
        .join(StoragePool, StoragePool.id == HostStoragePool.storage_pool_id)
        .where(
            HostStoragePool.host_id.in_({row.host_id for row in rows}),
            StoragePool.cluster_id.is_(None),
        )
    ):
        named[host_id, target] = store_id
        if path:
            lying[host_id, path.rstrip("/")] = store_id
    for row in rows:
        facts: dict[str, Any] = row.facts or {"drives": ()}
        for drive in facts["drives"]:
            # What another host made there, this one's libvirt may not have listed yet.
            directory, _, file = drive["source"].rpartition("/")
            by_name = named.get((row.host_id, drive["store"])) if drive["store"] else None
            store = by_name or lying.get((row.host_id, directory))
            if store is not None and drive["plain"]:
                yield row, (store, drive["volume"] if by_name else file)
