"""Moving a pool or a machine to another place of the tree, and what that would mean before.

The whole new chain is checked in the transaction of the move; levels that are above both the old
and the new place count nothing twice, because nothing changes for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.orm import joinedload

from ovcadmin.domain.quota import Block, Level, blocks, fits, room
from ovcadmin.domain.resources import Resources
from ovcadmin.errors import Busy, Conflict, Forbidden, InvalidInput, NameTaken, PoolBusy
from ovcadmin.models import (
    Host,
    Image,
    Lineage,
    Loan,
    Machine,
    Operation,
    Pool,
    Reservation,
    StoragePool,
    use,
)
from ovcadmin.models.database import announce, settle
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on
from ovcadmin.services import (
    audit,
    explanations,
    machine_states,
    placement,
    pools,
    quotas,
    reservations,
    shifts,
)
from ovcadmin.services.shifts import Shift
from ovcadmin.work import Work

OPEN = ("queued", "running")
STARTABLE = ("stopped", "saved")


@dataclass(frozen=True, kw_only=True)
class Impact:
    """What a move would mean.  Only machines and things that the actor may see are named."""

    blocks: list[Block] = field(default_factory=list)
    """Limits of the new chain that leave no room: the move would be refused."""
    busy: list[str] = field(default_factory=list)
    """Operations that run in it: the move is refused while they do."""
    shifts: list[Shift] = field(default_factory=list)
    """Who gains or loses rights."""
    stuck: list[Machine] = field(default_factory=list)
    """Machines that could be started now, and could not any more."""
    unserved: list[str] = field(default_factory=list)
    """Hosts, storage pools and images that would no longer serve."""

    @property
    def refused(self) -> bool:
        return bool(self.blocks or self.busy)


def targets(work: Work, pool: Pool) -> list[Pool]:
    """Return the pools under which the actor may move it, in tree order."""
    below = set(_below(work, pool))
    return [
        node.pool
        for node in pools.tree(work, Privilege.MODIFY)
        if node.pool.id not in below and node.pool.id != pool.parent_id
    ]


def impact(work: Work, pool: Pool, parent: Pool) -> Impact:
    """Say what moving the pool under `parent` would mean.  Changes nothing."""
    below = _below(work, pool)
    old, new = _chains(work, pool, parent)
    used, pending = quotas.usage(work, [pool.id])[pool.id]
    moved = used + pending
    within = Machine.pool_id.in_(below)
    return Impact(
        blocks=_share_blocks(work, old, new, below) or blocks(_only(new, old), moved),
        busy=running(work, Operation.pool_id.in_(below)),
        shifts=shifts.of(work, _ids(old) | {pool.id}, _ids(new) | {pool.id}),
        stuck=_stuck(work, within, old, new, moved, kept=set(below)),
        unserved=_unserved(work, old, new),
    )


def move(work: Work, pool: Pool, parent: Pool) -> None:
    """Move the pool with all that is below it.

    Raises `InvalidInput` for a cycle, `PoolBusy`, `PoolFrozen`, `NameTaken`, `QuotaExceeded`.
    """
    _ensure_may(work, parent, Privilege.MODIFY)
    quotas.lock_chain(work, pool, parent)
    work.db.refresh(pool)
    below = _below(work, pool)
    _ensure_movable(work, pool, parent, below)
    old, new = _chains(work, pool, parent)
    used, pending = quotas.usage(work, [pool.id])[pool.id]
    explanations.refuse(work, parent, _only(new, old), used + pending, pool.name)
    _ensure_shares(work, pool.name, old, new, below)
    before = pool.parent_id
    pool.parent_id, pool.version = parent.id, pool.version + 1
    pools.flush_unique(work, pool)
    _count(work, before, Resources() - used, Resources() - pending)
    _rewrite_lineage(work, pool, parent, below)
    _count(work, parent.id, used, pending)
    for number in {pool.id, *_ids(old), *_ids(new)}:
        announce(work.db, "pool", number, number)
    audit.record(
        work, "pool.move", "pool", pool.id, pool.name, pool_id=pool.id,
        before={"parent_id": before}, after={"parent_id": parent.id},
    )  # fmt: skip


def _count(work: Work, pool_id: int | None, used: Resources, pending: Resources) -> None:
    """Add what hangs below a pool to it and to every pool above it as the tree stands now."""
    assert pool_id is not None
    use.note(work.db, pool_id, used, pending=False)
    use.note(work.db, pool_id, pending, pending=True)
    settle(work.db)


def machine_targets(work: Work, machine: Machine) -> list[Pool]:
    return [
        node.pool for node in pools.tree(work, Privilege.CREATE) if node.pool.id != machine.pool_id
    ]


def machine_impact(work: Work, machine: Machine, pool: Pool) -> Impact:
    """Say what moving the machine into `pool` would mean.  Changes nothing."""
    old = quotas.levels(work, machine.pool, machine.owner_id)
    new = quotas.levels(work, pool, machine.owner_id)
    moved = quotas.total(work, Reservation.machine_id == machine.id)
    return Impact(
        blocks=blocks(_only(new, old), moved),
        busy=running(work, Operation.machine_id == machine.id),
        shifts=shifts.of(work, _ids(old), _ids(new)),
        stuck=_stuck(work, Machine.id == machine.id, old, new, moved, kept=set()),
        unserved=_unserved(work, old, new),
    )


def move_machine(work: Work, machine: Machine, pool: Pool) -> None:
    """Put the machine, with what it holds, into another pool."""
    _ensure_may(work, pool, Privilege.CREATE)
    quotas.lock_chain(work, machine.pool, pool, machine=machine)
    work.db.refresh(machine)
    if machine.pool_id == pool.id:
        raise InvalidInput("Nothing was moved.", fields={"to": f"It is in {pool.name} already."})
    pools.ensure_open(work, pool)
    _ensure_idle(machine.name, running(work, Operation.machine_id == machine.id))
    old = quotas.levels(work, machine.pool, machine.owner_id)
    new = quotas.levels(work, pool, machine.owner_id)
    moved = quotas.total(work, Reservation.machine_id == machine.id)
    explanations.refuse(work, pool, _only(new, old), moved, machine.name)
    before = machine.pool_id
    _put(work, machine, pool)
    for volume in machine.volumes:
        volume.pool_id = pool.id if volume.pool_id is not None else None
    reservations.move(work, machine.id, pool.id)
    machine_states.moved(work, machine)
    announce(work.db, "machine", machine.id, pool.id)
    audit.record(
        work, "machine.move_pool", "machine", machine.id, machine.name, pool_id=pool.id,
        before={"pool_id": before}, after={"pool_id": pool.id},
    )  # fmt: skip


def _put(work: Work, machine: Machine, pool: Pool) -> None:
    """Change its pool, unless an operation was accepted in the same moment."""
    taken_name = select(Machine.id).where(
        Machine.pool_id == pool.id,
        Machine.name_key == machine.name_key,
        Machine.deleted_at.is_(None),
    )
    if work.db.scalar(taken_name) is not None:
        raise NameTaken(f"There is already a machine {machine.name} in {pool.name}.", field="to")
    taken = work.db.execute(
        update(Machine)
        .where(Machine.id == machine.id, Machine.tail_id.is_(None))
        .values(pool_id=pool.id)
        .execution_options(synchronize_session=False)
    )
    if taken.rowcount != 1:  # type: ignore[attr-defined]
        raise Busy(f"An operation on {machine.name} has not ended.", machine_id=machine.id)
    work.db.refresh(machine)


def _ensure_movable(work: Work, pool: Pool, parent: Pool, below: list[int]) -> None:
    if pool.is_root:
        raise Conflict("The cloud itself has no other place.", pool_id=pool.id)
    if parent.id in below:
        raise InvalidInput(
            f"{pool.name} cannot be moved there.",
            fields={"to": f"{parent.name} is {pool.name} itself or a part of it."},
        )
    if parent.id == pool.parent_id:
        raise InvalidInput("Nothing was moved.", fields={"to": f"It is in {parent.name} already."})
    pools.ensure_open(work, parent)
    loans = select(Loan.id).where(
        Loan.returned_at.is_(None), (Loan.lender_id == pool.id) | (Loan.borrower_id == pool.id)
    )
    if work.db.scalar(loans.limit(1)) is not None:
        raise Conflict(
            f"{pool.name} lends to or borrows from a sibling; end the loan first.", pool_id=pool.id
        )
    _ensure_idle(pool.name, running(work, Operation.pool_id.in_(below)))


def _ensure_idle(name: str, titles: list[str]) -> None:
    if titles:
        raise PoolBusy(
            f"{name} cannot be moved while something is done in it: {', '.join(titles[:5])}. "
            "Wait until that has ended, or cancel it.",
            operations=titles,
        )


def _ensure_may(work: Work, pool: Pool, privilege: Privilege) -> None:
    user_id = work.actor.user_id
    if user_id is not None and privilege not in privileges_on(work.db, user_id, pool.id):
        raise Forbidden(
            f"To move something there needs the privilege “{privilege}” on that pool.",
            privilege=privilege.value,
        )


def _rewrite_lineage(work: Work, pool: Pool, parent: Pool, below: list[int]) -> None:
    """Cut the subtree off its old ancestors and hang it below the new ones."""
    work.db.flush()
    work.db.execute(
        delete(Lineage)
        .where(Lineage.pool_id.in_(below), Lineage.ancestor_id.not_in(below))
        .execution_options(synchronize_session=False)
    )
    upper, lower = Lineage.__table__.alias("upper"), Lineage.__table__.alias("lower")
    pairs = (
        select(upper.c.ancestor_id, lower.c.pool_id, upper.c.distance + lower.c.distance + 1)
        .select_from(upper.join(lower, lower.c.ancestor_id == pool.id))
        .where(upper.c.pool_id == parent.id)
    )
    work.db.execute(insert(Lineage).from_select(["ancestor_id", "pool_id", "distance"], pairs))
    for row in list(work.db.identity_map.values()):
        if isinstance(row, Lineage):
            work.db.expunge(row)


def _below(work: Work, pool: Pool) -> list[int]:
    return list(work.db.scalars(select(Lineage.pool_id).where(Lineage.ancestor_id == pool.id)))


def _chains(work: Work, pool: Pool, parent: Pool) -> tuple[list[Level], list[Level]]:
    """Return the levels above the pool now, and those that would be."""
    old = quotas.levels(work, pool.parent) if pool.parent is not None else []
    return old, quotas.levels(work, parent)


def _only(chain: list[Level], other: list[Level]) -> list[Level]:
    """Return the levels of the chain that the other has not: for the rest nothing changes."""
    known = {(level.pool_id, level.person_id) for level in other}
    return [level for level in chain if (level.pool_id, level.person_id) not in known]


def _ids(chain: Iterable[Level]) -> set[int]:
    return {level.pool_id for level in chain}


def _owners(work: Work, below: list[int]) -> list[int]:
    holding = select(Reservation.machine_id).where(Reservation.pool_id.in_(below))
    return list(work.db.scalars(select(Machine.owner_id).where(Machine.id.in_(holding)).distinct()))


def _share_blocks(work: Work, old: list[Level], new: list[Level], below: list[int]) -> list[Block]:
    """Return the persons' limits of the new chain that what they hold here would break."""
    fresh = _ids(_only(new, old))
    if not quotas.limits_persons(work, fresh):
        return []
    found: list[Block] = []
    for owner_id in _owners(work, below):
        machines = select(Machine.id).where(Machine.owner_id == owner_id)
        held = quotas.total(
            work, Reservation.pool_id.in_(below) & Reservation.machine_id.in_(machines)
        )
        found += blocks(quotas.shares(work, fresh, owner_id), held)
    return found


def _ensure_shares(
    work: Work, name: str, old: list[Level], new: list[Level], below: list[int]
) -> None:
    found = _share_blocks(work, old, new, below)
    if found:
        explanations.refuse_blocks(found, name)


def running(work: Work, condition: ColumnElement[bool]) -> list[str]:
    """Return the titles of operations that have not ended, the first few."""
    return list(
        work.db.scalars(
            select(Operation.title).where(condition, Operation.state.in_(OPEN)).limit(20)
        )
    )


def _stuck(
    work: Work,
    condition: ColumnElement[bool],
    old: list[Level],
    new: list[Level],
    moved: Resources,
    *,
    kept: set[int],
) -> list[Machine]:
    """Return the machines that could start before and not after: no room, or no host."""
    added = _only(new, old)
    before, after = room(_only(old, new)), room(added, moved)
    serving = _ids(new) | kept
    return [
        machine
        for machine in startable(work, condition)
        if fits(before, machine.running_resources)
        and not (
            fits(after, machine.running_resources)
            and (machine.host is None or machine.host.pool_id in serving)
        )
    ]


def startable(work: Work, condition: ColumnElement[bool]) -> list[Machine]:
    """Return the stopped machines that the actor may see, by name."""
    statement = (
        select(Machine)
        .options(joinedload(Machine.host))
        .where(condition, Machine.deleted_at.is_(None), Machine.state.in_(STARTABLE))
        .order_by(Machine.name_key)
    )
    return list(work.db.scalars(placement.only_seen(work, statement, Machine.pool_id)).unique())


def _unserved(work: Work, old: list[Level], new: list[Level]) -> list[str]:
    """Name what serves by way of the old chain only, as far as the actor may see it."""
    lost = _ids(_only(old, new))
    found: list[str] = []
    for word, model in (("host", Host), ("storage pool", StoragePool), ("image", Image)):
        statement = select(model.name).where(model.pool_id.in_(lost)).order_by(model.name)
        seen = placement.only_seen(work, statement, model.pool_id)
        found += [f"{word} {name}" for name in work.db.scalars(seen)]
    return found
