"""Snapshots of all disks of a machine at one moment: taken, rolled back to, deleted."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select

from ovcadmin.domain.resources import Resources
from ovcadmin.errors import InvalidInput, NotFound, StateConflict
from ovcadmin.models import Machine, Operation, Snapshot, SnapshotPart, Volume
from ovcadmin.models.database import announce
from ovcadmin.services import machine_states, machines, operations, pools, quotas
from ovcadmin.work import Work

LONGEST_NAME = 100
MOST = 200
"""Snapshots of one machine."""
BY_DIFFERENCE = frozenset({"openvstorage"})
"""Storage that keeps of a snapshot only what changes afterwards; elsewhere it is a whole copy.

Going back to one removes those that came after it.
"""
TAKE, ROLL_BACK, DELETE = "snapshot.take", "snapshot.roll_back", "snapshot.delete"


def get(work: Work, snapshot_id: int) -> Snapshot:
    snapshot = work.db.get(Snapshot, snapshot_id)
    if snapshot is None or snapshot.machine.deleted_at is not None:
        raise NotFound("There is no such snapshot.", snapshot_id=snapshot_id)
    return snapshot


def listing(work: Work, machine: Machine) -> list[Snapshot]:
    """Return the snapshots of a machine, newest first; those being taken are among them."""
    statement = (
        select(Snapshot)
        .where(Snapshot.machine_id == machine.id)
        .order_by(Snapshot.created_at.desc(), Snapshot.id.desc())
    )
    return list(work.db.scalars(statement))


def take(work: Work, machine: Machine, name: str, *, scheduled: bool = False) -> Operation:
    """Queue a snapshot of all disks; its copies are reserved first.

    Raises `InvalidInput`, `StateConflict`, `Busy`, `PoolFrozen`, `QuotaExceeded` or
    `HostUnresponsive`.
    """
    name = _clean(name)
    pools.ensure_open(work, machine.pool)
    machines.ensure_reachable(machine)
    if len(listing(work, machine)) >= MOST:
        raise StateConflict(
            f"{machine.name} has {MOST} snapshots; delete some first.", machine_id=machine.id
        )
    snapshot = Snapshot(
        machine_id=machine.id,
        name=name,
        created_at=work.now(),
        scheduled=scheduled,
        user_id=work.actor.user_id,
        parts=[_part(volume) for volume in disks(machine)],
    )
    work.db.add(snapshot)
    work.db.flush()
    operation = _submit(work, TAKE, snapshot)
    if snapshot.counted:
        wanted = Resources(storage=snapshot.counted)
        quotas.reserve(work, machine.pool, machine, "storage", wanted, operation)
    return operation


def roll_back(work: Work, snapshot: Snapshot) -> Operation:
    """Queue the return of every disk to the snapshot.  What a disk grows by is reserved.

    Raises `StateConflict`, `Busy`, `PoolFrozen`, `QuotaExceeded` or `HostUnresponsive`.
    """
    machine = snapshot.machine
    _ensure_taken(snapshot)
    pools.ensure_open(work, machine.pool)
    machines.ensure_reachable(machine)
    operation = _submit(work, ROLL_BACK, snapshot)
    growth = sum(max(part.size - part.volume.size, 0) for part in snapshot.parts)
    if growth:
        wanted = Resources(storage=growth)
        quotas.reserve(work, machine.pool, machine, "storage", wanted, operation)
    return operation


def delete(work: Work, snapshot: Snapshot) -> Operation:
    """Queue the end of a snapshot.  Raises `StateConflict`, `Busy` or `HostUnresponsive`."""
    _ensure_taken(snapshot)
    machines.ensure_reachable(snapshot.machine)
    return _submit(work, DELETE, snapshot)


def disks(machine: Machine) -> list[Volume]:
    """Return the disks that a snapshot holds."""
    return [volume for volume in machine.volumes if volume.key and not volume.swap]


def not_in(snapshot: Snapshot) -> list[Volume]:
    """Return the disks that the machine got since: rolling back leaves them as they are."""
    held = {part.volume_id for part in snapshot.parts}
    return [volume for volume in disks(snapshot.machine) if volume.id not in held]


def removed_by(work: Work, snapshot: Snapshot) -> list[Snapshot]:
    """Return the later snapshots that a rollback removes, the oldest first."""
    if snapshot.taken_at is None:
        return []
    gone = {
        part.volume_id
        for part in snapshot.parts
        if part.volume.storage_pool.driver in BY_DIFFERENCE
    }
    return [
        row
        for row in reversed(listing(work, snapshot.machine))
        if row.taken_at is not None
        and row.taken_at > snapshot.taken_at
        and any(part.volume_id in gone for part in row.parts)
    ]


def remain(work: Work, volume_id: int, keys: Collection[str]) -> list[str]:
    """Forget what the storage of a disk has no longer; return the names of snapshots that went.

    One that holds other disks as well stays for these.
    """
    gone = []
    statement = select(SnapshotPart).where(SnapshotPart.volume_id == volume_id)
    for part in list(work.db.scalars(statement)):
        if part.key is None or part.key in keys:
            continue
        snapshot = work.db.get_one(Snapshot, part.snapshot_id)
        snapshot.parts.remove(part)
        if not snapshot.parts:
            gone.append(snapshot.name)
            work.db.delete(snapshot)
    return gone


# --- the ends of the operations ------------------------------------------------------------------
def measure(work: Work, operation: Operation) -> None:
    """Look at the disks again before they are taken: the queue may have made them larger.

    Raises `QuotaExceeded` when the copies then find no room.
    """
    snapshot = work.db.get_one(Snapshot, operation.params["snapshot_id"])
    more = 0
    for part in snapshot.parts:
        more += max(part.volume.size - part.size, 0) if part.counted else 0
        part.size = part.volume.size
    if more:
        machine = snapshot.machine
        wanted = Resources(storage=more)
        quotas.reserve(work, machine.pool, machine, "storage", wanted, operation)


def not_taken(work: Work, operation: Operation) -> None:
    """Nothing is left of it: its row goes."""
    machine_states.failed(work, operation)
    snapshot = _of(work, operation)
    if snapshot is not None:
        work.db.delete(snapshot)


def not_rolled_back(work: Work, operation: Operation) -> None:
    """Some disks may be back and others not; what they are now is what counts."""
    machine_states.failed(work, operation)
    machine_states.recount(work, operation)


def deleted(work: Work, operation: Operation) -> None:
    snapshot = _of(work, operation)
    if snapshot is not None:
        work.db.delete(snapshot)
        work.db.flush()
    machine_states.changed(work, operation)


def _of(work: Work, operation: Operation) -> Snapshot | None:
    return work.db.get(Snapshot, operation.params["snapshot_id"])


def _part(volume: Volume) -> SnapshotPart:
    return SnapshotPart(
        volume_id=volume.id,
        volume=volume,
        size=volume.size,
        counted=volume.storage_pool.driver not in BY_DIFFERENCE,
    )


def _submit(work: Work, kind: str, snapshot: Snapshot) -> Operation:
    machine = snapshot.machine
    announce(work.db, "machine", machine.id, machine.pool_id)
    return operations.submit(
        work,
        operations.Request(
            type=kind,
            pool=machine.pool,
            name=f"{snapshot.name} of {machine.name}",
            machine=machine,
            params={"snapshot_id": snapshot.id, "snapshot": snapshot.name},
        ),
    )


def _ensure_taken(snapshot: Snapshot) -> None:
    if snapshot.taken_at is None:
        raise StateConflict(f"The snapshot {snapshot.name} is still being taken.")


def _clean(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise InvalidInput(
            "The snapshot cannot have this name.",
            fields={"name": f"Use 1 to {LONGEST_NAME} printable characters."},
        )
    return name
