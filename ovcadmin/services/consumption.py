"""Consumption reports: what the machines of an account used in a month, from their life events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func, or_, select

from ovcadmin.domain.consumption import LifeEvent, Month, Used, used
from ovcadmin.models import Lineage, Machine, MachineEvent, Pool
from ovcadmin.security.visibility import visible
from ovcadmin.work import Work


@dataclass(frozen=True, kw_only=True)
class Row:
    """One machine in one month in one pool.  Times are None outside the machine's life."""

    machine: Machine
    created: datetime
    destroyed: datetime | None
    used: Used


@dataclass(frozen=True, kw_only=True)
class Space:
    """A pool with the machines that lived in it."""

    pool: Pool
    rows: list[Row]

    @property
    def used(self) -> Used:
        return sum((row.used for row in self.rows), Used())


@dataclass(frozen=True, kw_only=True)
class Account:
    """A top-level pool (or the cloud itself, for machines right under the root)."""

    pool: Pool
    spaces: list[Space]

    @property
    def used(self) -> Used:
        return sum((space.used for space in self.spaces), Used())


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the overview: a month that has something to report."""

    month: Month
    machines: int


def overview(work: Work) -> list[Entry]:
    """Return the months in which visible machines lived, newest first."""
    statement = select(func.min(Machine.created_at)).where(*_visible(work))
    first = work.db.scalar(statement)
    if first is None:
        return []
    month, last = Month.of(work.now()), Month.of(first)
    found = []
    while (month.year, month.month) >= (last.year, last.month):
        count = work.db.scalar(
            select(func.count(Machine.id)).where(*_visible(work), *_lived(month))
        )
        found.append(Entry(month=month, machines=count or 0))
        month = month.previous()
    return found


def report(work: Work, month: Month) -> list[Account]:
    """Return what every visible machine used in the month, by account and cloud space.

    A month that has not ended is summed up to now.
    """
    machines = list(
        work.db.scalars(
            select(Machine)
            .where(*_visible(work), *_lived(month))
            .order_by(Machine.name_key, Machine.id)
        )
    )
    events = _events(work, machines, month)
    end = min(month.end, work.now())
    spaces: dict[int, list[Row]] = defaultdict(list)
    for machine in machines:
        for pool_id, amounts in used(events[machine.id], month.start, end).items():
            spaces[pool_id].append(
                Row(
                    machine=machine,
                    created=machine.created_at,
                    destroyed=machine.deleted_at,
                    used=amounts,
                )
            )
    return _accounts(work, spaces)


def events_of(work: Work, machine: Machine) -> list[MachineEvent]:
    """Return the events that a machine's figures are summed from, oldest first."""
    statement = (
        select(MachineEvent)
        .where(MachineEvent.machine_id == machine.id)
        .order_by(MachineEvent.at, MachineEvent.id)
    )
    return list(work.db.scalars(statement))


def _events(work: Work, machines: Sequence[Machine], month: Month) -> dict[int, list[LifeEvent]]:
    found: dict[int, list[LifeEvent]] = defaultdict(list)
    statement = (
        select(MachineEvent)
        .where(
            MachineEvent.machine_id.in_([machine.id for machine in machines]),
            MachineEvent.at < month.end,
        )
        .order_by(MachineEvent.at, MachineEvent.id)
    )
    for row in work.db.scalars(statement):
        found[row.machine_id].append(
            LifeEvent(
                at=row.at,
                kind=row.kind,
                pool_id=row.pool_id,
                running=row.running,
                vcpus=row.vcpus,
                memory=row.memory,
                storage=row.storage,
            )
        )
    return found


def _accounts(work: Work, spaces: dict[int, list[Row]]) -> list[Account]:
    pools = {
        pool.id: pool for pool in work.db.scalars(select(Pool).order_by(Pool.name_key)).unique()
    }
    seen = _seen(work, list(spaces))
    accounts: dict[int, list[Space]] = defaultdict(list)
    for pool_id, above in _account_ids(work, seen).items():
        accounts[above].append(Space(pool=pools[pool_id], rows=spaces[pool_id]))
    return [
        Account(pool=pool, spaces=sorted(accounts[pool.id], key=lambda space: space.pool.name_key))
        for pool in pools.values()
        if pool.id in accounts
    ]


def _account_ids(work: Work, pool_ids: list[int]) -> dict[int, int]:
    """Map each pool to the top-level pool above it; the root is its own account."""
    root = select(Pool.id).where(Pool.parent_id.is_(None)).scalar_subquery()
    statement = (
        select(Lineage.pool_id, Lineage.ancestor_id)
        .join(Pool, Pool.id == Lineage.ancestor_id)
        .where(
            Lineage.pool_id.in_(pool_ids),
            or_(Pool.parent_id == root, (Lineage.pool_id == root) & (Lineage.ancestor_id == root)),
        )
    )
    return {row[0]: row[1] for row in work.db.execute(statement)}


def _seen(work: Work, pool_ids: list[int]) -> list[int]:
    """Leave out pools in which the machines were, or went to, and that the actor may not see."""
    statement = select(Pool.id).where(Pool.id.in_(pool_ids))
    if work.actor.user_id is not None:
        statement = statement.where(visible(work.actor.user_id, Pool.id))
    return list(work.db.scalars(statement))


def _visible(work: Work) -> list[ColumnElement[bool]]:
    """Machines that used something in a pool that the actor sees, wherever they are now."""
    # A machine whose creation failed never held anything.
    lived = select(MachineEvent.id).where(MachineEvent.machine_id == Machine.id)
    if work.actor.user_id is not None:
        lived = lived.where(visible(work.actor.user_id, MachineEvent.pool_id))
    return [lived.exists()]


def _lived(month: Month) -> list[ColumnElement[bool]]:
    return [
        Machine.created_at < month.end,
        or_(Machine.deleted_at.is_(None), Machine.deleted_at >= month.start),
    ]
