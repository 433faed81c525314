"""Every figure of the quotas worked out once more, from machines and volumes alone."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import and_, delete, func, insert, select

from ovcadmin.domain.resources import NAMES, Resources
from ovcadmin.domain.states import HOLDS_RUNNING, State
from ovcadmin.models import (
    ENDED,
    PENDING,
    Lineage,
    Loan,
    Machine,
    Operation,
    Pool,
    PoolUse,
    Reservation,
    Volume,
)
from ovcadmin.models.database import settle
from ovcadmin.services import holdings, machine_states, quotas, reservations
from ovcadmin.work import Work

STORED = frozenset(State) - {State.NEW, State.CREATE_FAILED, State.DELETED}


def differences(work: Work) -> list[str]:
    """Return each difference in words; none means that every figure is right."""
    return [
        *machine_states.reservation_differences(work),
        *_places(work),
        *_promises(work),
        *_volumes(work),
        *_kept(work),
        *_tree(work),
        *_counters(work),
        *_figures(work),
        *_loans(work),
    ]


def repair(work: Work) -> None:
    """Hold what machines take, and count it anew; machines at work are left alone."""
    quotas.lock_chain(work)
    ended = select(Operation.id).where(Operation.state.in_(ENDED))
    reservations.drop(work, Reservation.operation_id.in_(ended))
    for machine in work.db.scalars(select(Machine).where(Machine.tail_id.is_(None))):
        reservations.move(work, machine.id, machine.pool_id)
        for kind, amounts in machine_states.due(machine).items():
            holdings.match(work, machine, kind, amounts)
    settle(work.db)
    work.db.execute(delete(PoolUse))
    columns = ["pool_id", *NAMES, *PENDING.values()]
    work.db.execute(insert(PoolUse).from_select(columns, quotas.added_up()))


def counted(work: Work) -> dict[str, int]:
    """Return how much was looked at."""
    found = {"pools": Pool, "machines": Machine, "reservations": Reservation, "volumes": Volume}
    return {
        word: work.db.scalar(select(func.count()).select_from(model)) or 0
        for word, model in found.items()
    }


def _places(work: Work) -> list[str]:
    rows = work.db.execute(
        select(Machine.name, Machine.id, Machine.pool_id, Reservation.pool_id)
        .join(Reservation, Reservation.machine_id == Machine.id)
        .where(Machine.pool_id != Reservation.pool_id)
    )
    return [
        f"{name} ({number}) is in pool {pool}, what it holds is counted in pool {counted_in}"
        for name, number, pool, counted_in in rows
    ]


def _promises(work: Work) -> list[str]:
    """Pending amounts of operations that have ended."""
    rows = work.db.execute(
        select(Operation.title, Operation.id, Operation.state)
        .join(Reservation, Reservation.operation_id == Operation.id)
        .where(Operation.state.in_(ENDED))
    )
    return [
        f"operation {number} ({title}) is {state} and still holds what it was promised"
        for title, number, state in rows
    ]


def _volumes(work: Work) -> list[str]:
    """Storage of each machine against the sizes of its volumes; nothing may be under way."""
    size = func.coalesce(func.sum(Volume.size), 0)
    rows = work.db.execute(
        select(Machine.name, Machine.id, Machine.storage, size)
        .outerjoin(Volume, Volume.machine_id == Machine.id)
        .where(Machine.state.in_([state.value for state in STORED]), Machine.tail_id.is_(None))
        .group_by(Machine.id, Machine.name, Machine.storage)
        .having(size != Machine.storage)
    )
    return [
        f"{name} ({number}): its volumes have {int(has)} bytes, {storage} are counted"
        for name, number, storage, has in rows
    ]


def _kept(work: Work) -> list[str]:
    """Volumes that no machine has against what is counted for them in their pools."""
    held = Reservation.operation_id.is_(None)
    counted = func.coalesce(func.sum(Reservation.storage), 0)
    rows = work.db.execute(
        select(Volume.name, Volume.id, Volume.size, Volume.pool_id, counted)
        .outerjoin(Reservation, and_(Reservation.volume_id == Volume.id, held))
        .where(Volume.machine_id.is_(None), Volume.image_id.is_(None), Volume.key.is_not(None))
        .group_by(Volume.name, Volume.id, Volume.size, Volume.pool_id)
    )
    return [
        f"volume {name} ({number}): {int(has)} bytes are counted, due {due}"
        for name, number, size, pool_id, has in rows
        if int(has) != (due := size if pool_id is not None else 0)
    ]


def _tree(work: Work) -> list[str]:
    """The lineage table against the parents."""
    parents = _parents(work)
    wanted = {
        (ancestor, pool_id, distance)
        for pool_id in parents
        for distance, ancestor in enumerate(_up(parents, pool_id))
    }
    rows = work.db.execute(select(Lineage.ancestor_id, Lineage.pool_id, Lineage.distance))
    has = {(row[0], row[1], row[2]) for row in rows}
    return [
        f"lineage of pool {pool_id}: {word} ancestor {ancestor} at distance {distance}"
        for word, rows_ in (("lacks", wanted - has), ("has", has - wanted))
        for ancestor, pool_id, distance in sorted(rows_)
    ]


def _counters(work: Work) -> list[str]:
    """The counters of each pool against the sum of the reservations below it."""
    names = dict(work.db.execute(select(Pool.id, Pool.name)).all())
    sums = {row[0]: [int(amount) for amount in row[1:]]
            for row in work.db.execute(quotas.added_up())}  # fmt: skip
    columns = [*NAMES, *PENDING.values()]
    counters = {
        row.pool_id: [getattr(row, name) for name in columns]
        for row in work.db.scalars(select(PoolUse).execution_options(populate_existing=True))
    }
    none = [0] * len(columns)
    return [
        f"{names[pool_id]} ({pool_id}): {name.replace('_', ' ')} is counted as {has}, "
        f"its reservations come to {due}"
        for pool_id in names
        for name, has, due in zip(
            columns, counters.get(pool_id, none), sums.get(pool_id, none), strict=True
        )
        if has != due
    ]


def _figures(work: Work) -> list[str]:
    """What each pool is said to use against the sum over the machines below it."""
    parents = _parents(work)
    sums: dict[int, Resources] = defaultdict(Resources)
    for machine in work.db.scalars(select(Machine).where(Machine.deleted_at.is_(None))):
        held = _held(machine)
        for pool_id in _up(parents, machine.pool_id):
            sums[pool_id] += held
    for row in work.db.scalars(select(Reservation).where(Reservation.volume_id.is_not(None))):
        if row.operation_id is None:
            for pool_id in _up(parents, row.pool_id):
                sums[pool_id] += Resources(storage=row.storage)
    use = quotas.usage(work, parents)
    names = dict(work.db.execute(select(Pool.id, Pool.name)).all())
    return [
        f"{names[pool_id]} ({pool_id}): {name} used {getattr(use[pool_id][0], name)}, "
        f"by its machines {getattr(sums[pool_id], name)}"
        for pool_id in parents
        for name in NAMES
        if getattr(use[pool_id][0], name) != getattr(sums[pool_id], name)
    ]


def _held(machine: Machine) -> Resources:
    state = machine.stable
    held = Resources(storage=machine.storage_held) if state in STORED else Resources()
    return held + machine.running_resources if state in HOLDS_RUNNING else held


def _loans(work: Work) -> list[str]:
    rows = work.db.scalars(select(Loan).where(Loan.returned_at.is_not(None), Loan.lent != 0))
    return [f"loan {row.id} is returned and still lends {row.lent}" for row in rows]


def _parents(work: Work) -> dict[int, int | None]:
    return dict(work.db.execute(select(Pool.id, Pool.parent_id)).all())


def _up(parents: dict[int, int | None], pool_id: int) -> list[int]:
    """Return the pool and its ancestors, nearest first; a ring ends where it began."""
    found: list[int] = []
    step: int | None = pool_id
    while step is not None and step not in found:
        found.append(step)
        step = parents.get(step)
    return found
