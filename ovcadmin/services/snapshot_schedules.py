"""Snapshots that are made by themselves, and how many of them stay."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import structlog
from sqlalchemy import ColumnElement, func, select
from sqlalchemy import delete as delete_rows

from ovcadmin.domain import schedules
from ovcadmin.domain.states import State
from ovcadmin.errors import DomainError, InvalidInput
from ovcadmin.models import Lineage, Machine, Pool, Snapshot, SnapshotSchedule
from ovcadmin.models.database import announce
from ovcadmin.services import audit, pools, snapshots
from ovcadmin.work import Work

logger = structlog.get_logger(__name__)

NAME = "scheduled"
MOST_KEPT = 100
LATE = timedelta(hours=1)
"""A moment that was missed by more (every worker was down) is left out."""
TAKEN_OF = (State.RUNNING, State.STOPPED)


def of(work: Work, thing: Machine | Pool) -> SnapshotSchedule | None:
    """Return the schedule that was set on this very machine or pool."""
    return work.db.scalar(select(SnapshotSchedule).where(_mine(thing)))


def effective(work: Work, machine: Machine) -> SnapshotSchedule | None:
    """Return the schedule that counts for the machine: its own, else the nearest above it."""
    own = of(work, machine)
    if own is not None:
        return own
    for pool in reversed(pools.above(work, machine.pool)):
        found = of(work, pool)
        if found is not None:
            return found
    return None


def put(work: Work, thing: Machine | Pool, *, times: str, keep: int) -> SnapshotSchedule:
    """Set when snapshots are made and how many stay; `keep` 0 makes none here.

    Raises `InvalidInput`.
    """
    try:
        read = schedules.read(times, work.now())
    except ValueError as error:
        raise InvalidInput("The schedule is not set.", fields={"times": str(error)}) from None
    if not 0 <= keep <= MOST_KEPT:
        told = {"keep": f"Keep 0 to {MOST_KEPT}."}
        raise InvalidInput("The schedule is not set.", fields=told)
    row = of(work, thing)
    if row is None:
        row = SnapshotSchedule(
            machine_id=thing.id if isinstance(thing, Machine) else None,
            pool_id=thing.id if isinstance(thing, Pool) else None,
        )
        work.db.add(row)
    row.times, row.keep = read.text, keep
    row.next_at = read.after(work.now())
    row.user_id = work.actor.user_id
    work.db.flush()
    _told(work, thing, "snapshot.schedule", {"times": row.times, "keep": row.keep})
    return row


def remove(work: Work, thing: Machine | Pool) -> None:
    """Take the schedule away; that of a pool above counts again."""
    work.db.execute(delete_rows(SnapshotSchedule).where(_mine(thing)))
    _told(work, thing, "snapshot.unschedule", {})


# --- the chore -----------------------------------------------------------------------------------
def due(work: Work) -> list[int]:
    """Return the schedules whose moment has come."""
    statement = select(SnapshotSchedule.id).where(SnapshotSchedule.next_at <= work.now())
    return list(work.db.scalars(statement.order_by(SnapshotSchedule.id)))


def begin(work: Work, schedule_id: int) -> list[int]:
    """Move a schedule to its next moment; return the machines to be taken now."""
    row = work.db.get(SnapshotSchedule, schedule_id)
    if row is None or row.next_at > work.now():
        return []
    late = row.next_at < work.now() - LATE
    row.next_at = schedules.read(row.times, work.now()).after(work.now())
    if late or row.keep == 0:
        return []
    return [one.id for one in _covered(work, row) if _counts(work, one, row)]


def take(work: Work, machine_id: int) -> None:
    """Take one machine's scheduled snapshot; a refusal is written down, never raised."""
    machine = work.db.get_one(Machine, machine_id)
    try:
        with work.db.begin_nested():
            snapshots.take(work, machine, NAME, scheduled=True)
    except DomainError as error:
        logger.warning("snapshot.refused", machine=machine.name, code=error.code)
        audit.record(
            work, "snapshot.scheduled", "machine", machine.id, machine.name,
            pool_id=machine.pool_id, after={"code": error.code, "text": error.text},
            outcome="refused",
        )  # fmt: skip


def superfluous(work: Work) -> list[int]:
    """Return the scheduled snapshots that are more than their schedules keep, oldest first."""
    counted = (
        select(Snapshot.machine_id)
        .where(Snapshot.scheduled, Snapshot.taken_at.is_not(None))
        .group_by(Snapshot.machine_id)
        .having(func.count(Snapshot.id) > 1)
    )
    found: list[int] = []
    statement = select(Machine).where(
        Machine.id.in_(counted), Machine.tail_id.is_(None), Machine.deleted_at.is_(None)
    )
    for machine in work.db.scalars(statement.order_by(Machine.id)):
        schedule = effective(work, machine)
        if schedule is not None and schedule.keep > 0:
            made = [one for one in snapshots.listing(work, machine) if one.scheduled]
            found += [one.id for one in made[schedule.keep :] if one.taken_at is not None][-1:]
    return found


def forget(work: Work, snapshot_id: int) -> None:
    """Delete one that is too many; where that is refused now, the next turn tries again."""
    try:
        with work.db.begin_nested():
            snapshots.delete(work, snapshots.get(work, snapshot_id))
    except DomainError as error:
        logger.info("snapshot.kept", snapshot=snapshot_id, code=error.code)


def _covered(work: Work, row: SnapshotSchedule) -> Iterable[Machine]:
    statement = select(Machine).where(
        Machine.deleted_at.is_(None), Machine.state.in_([state.value for state in TAKEN_OF])
    )
    if row.machine_id is not None:
        statement = statement.where(Machine.id == row.machine_id)
    else:
        below = select(Lineage.pool_id).where(Lineage.ancestor_id == row.pool_id)
        statement = statement.where(Machine.pool_id.in_(below))
    return work.db.scalars(statement.order_by(Machine.id)).all()


def _counts(work: Work, machine: Machine, row: SnapshotSchedule) -> bool:
    nearest = effective(work, machine)
    return nearest is not None and nearest.id == row.id


def _mine(thing: Machine | Pool) -> ColumnElement[bool]:
    if isinstance(thing, Machine):
        return SnapshotSchedule.machine_id == thing.id
    return SnapshotSchedule.pool_id == thing.id


def _told(work: Work, thing: Machine | Pool, action: str, after: dict[str, object]) -> None:
    kind = "machine" if isinstance(thing, Machine) else "pool"
    pool_id = thing.pool_id if isinstance(thing, Machine) else thing.id
    announce(work.db, kind, thing.id, pool_id)
    audit.record(work, action, kind, thing.id, thing.name, pool_id=pool_id, after=after)
