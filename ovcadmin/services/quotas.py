"""Quota on the pool chain: what each level uses, and reservations that can exceed none.

A reservation is made in the transaction that accepts a request, under the one lock of all quota
decisions (models/use): of two reservations under one limit the second sees the first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, bindparam, case, exists, func, or_, select

from ovcadmin.domain.quota import Block, Level, blocks, shifted
from ovcadmin.domain.resources import NAMES, Limits, Resources
from ovcadmin.models import (
    PENDING,
    Lineage,
    Loan,
    Machine,
    Operation,
    PersonQuota,
    Pool,
    PoolUse,
    Quota,
    Reservation,
    User,
)
from ovcadmin.models.database import lock_rows, settle
from ovcadmin.models.use import lock
from ovcadmin.services import audit, explanations, pools, reservations
from ovcadmin.services.reservations import Claim
from ovcadmin.work import Work


@dataclass(frozen=True, kw_only=True)
class Step:
    """A pool of a chain as the quota rules see it."""

    level: Level
    closed: bool
    retired: bool
    shared: bool
    """Whether it limits persons."""


def levels(work: Work, pool: Pool, owner_id: int | None = None) -> list[Level]:
    """Return the chain from the pool to the root, nearest first, with what each uses.

    With an owner, his shares of the pools that limit persons stand beside those pools.
    """
    return _levels(work, _chain(work, pool), owner_id)


def _levels(work: Work, chain: list[Step], owner_id: int | None) -> list[Level]:
    shared = {step.level.pool_id: step.level for step in chain if step.shared}
    shares = _shares(work, shared, owner_id) if owner_id is not None and shared else {}
    found = []
    for step in chain:
        found.append(step.level)
        if step.level.pool_id in shares:
            found.append(shares[step.level.pool_id])
    return found


def levels_of(work: Work, pools_: Iterable[Pool]) -> dict[int, Level]:
    """Return the own level of each of these pools."""
    steps = _steps(work, _OF_POOLS, {"ids": [pool.id for pool in pools_]})
    return {step.level.pool_id: step.level for step in steps}


def _reading() -> Select[Any]:
    """Build what reads pools with limits, use, and what else decides there."""
    loans = exists().where(
        Loan.returned_at.is_(None), or_(Loan.lender_id == Pool.id, Loan.borrower_id == Pool.id)
    )
    return (
        select(
            Pool.id, Pool.name, Pool.frozen_at, Pool.retired_at, Quota.warnings,
            loans.label("lends"),
            exists().where(PersonQuota.pool_id == Pool.id).label("shared"),
            *(getattr(Quota, name) for name in NAMES),
            *(func.coalesce(getattr(PoolUse, name), 0) for name in NAMES),
            *(func.coalesce(getattr(PoolUse, name), 0) for name in PENDING.values()),
        )
        .outerjoin(Quota, Quota.pool_id == Pool.id)
        .outerjoin(PoolUse, PoolUse.pool_id == Pool.id)
    )  # fmt: skip


# Built once: building them costs more than running them.
_OF_CHAIN = (
    _reading()
    .join(Lineage, Lineage.ancestor_id == Pool.id)
    .where(Lineage.pool_id == bindparam("of"))
    .order_by(Lineage.distance)
)
_OF_POOLS = _reading().where(Pool.id.in_(bindparam("ids", expanding=True)))


def _chain(work: Work, pool: Pool) -> list[Step]:
    return _steps(work, _OF_CHAIN, {"of": pool.id})


def _steps(work: Work, statement: Select[Any], values: dict[str, Any]) -> list[Step]:
    settle(work.db)
    rows = work.db.execute(statement, values).all()
    lending = [row.id for row in rows if row.lends]
    nets = lent(work, lending) if lending else {}
    return [_step(row, nets.get(row.id)) for row in rows]


def _step(row: Row[Any], net: Resources | None) -> Step:
    figures = row[-3 * len(NAMES) :]
    limits, used, pending = (
        figures[part * len(NAMES) : (part + 1) * len(NAMES)] for part in range(3)
    )
    set_ = Limits(**dict(zip(NAMES, limits, strict=True)))
    level = Level(
        pool_id=row.id,
        name=row.name,
        limits=shifted(set_, net) if net else set_,
        used=_resources(used),
        pending=_resources(pending),
        warnings=row.warnings or {},
    )
    return Step(
        level=level,
        closed=row.frozen_at is not None or row.retired_at is not None,
        retired=row.retired_at is not None,
        shared=row.shared,
    )


def promised(work: Work, pool_ids: Iterable[int]) -> dict[int, Resources]:
    """Return what the sub-pools of each pool were promised: the sum of their limits, as set."""
    columns = [func.coalesce(func.sum(getattr(Quota, name)), 0) for name in NAMES]
    statement = (
        select(Pool.parent_id, *columns)
        .join(Quota, Quota.pool_id == Pool.id)
        .where(Pool.parent_id.in_(list(pool_ids)))
        .group_by(Pool.parent_id)
    )
    return {row[0]: _resources(row[1:]) for row in work.db.execute(statement)}


def limits_persons(work: Work, pool_ids: Iterable[int]) -> bool:
    """Whether any of these pools limits persons."""
    found = select(PersonQuota.id).where(PersonQuota.pool_id.in_(list(pool_ids))).limit(1)
    return work.db.scalar(found) is not None


def shares(work: Work, pool_ids: Iterable[int], owner_id: int) -> list[Level]:
    """Return the owner's levels in those of the pools that limit persons."""
    rows = work.db.scalars(select(Pool).where(Pool.id.in_(list(pool_ids)))).unique()
    return list(_shares(work, levels_of(work, rows), owner_id).values())


def _shares(work: Work, whole: dict[int, Level], owner_id: int) -> dict[int, Level]:
    """Return the owner's level in each pool that limits persons: his own limit, else everybody's.

    A row of his own replaces that of everybody.
    """
    rows = work.db.scalars(
        select(PersonQuota)
        .where(
            PersonQuota.pool_id.in_(whole),
            or_(PersonQuota.user_id == owner_id, PersonQuota.user_id.is_(None)),
        )
        .order_by(PersonQuota.user_id.is_(None).desc())  # his own comes last and wins
    )
    limits = {row.pool_id: row.limits for row in rows}
    if not limits:
        return {}
    use = usage(work, limits, owner_id)
    name = work.db.get_one(User, owner_id).label
    return {
        number: Level(
            pool_id=number,
            name=whole[number].name,
            limits=given,
            used=use[number][0],
            pending=use[number][1],
            person=name,
            person_id=owner_id,
            warnings=whole[number].warnings,
        )
        for number, given in limits.items()
    }


def usage(
    work: Work, pool_ids: Iterable[int], owner_id: int | None = None
) -> dict[int, tuple[Resources, Resources]]:
    """Return (used, pending) of each pool's whole subtree, or one owner's part of it."""
    ids = list(pool_ids)
    if owner_id is None:
        settle(work.db)
        columns = [getattr(PoolUse, name) for name in (*NAMES, *PENDING.values())]
        statement = select(PoolUse.pool_id, *columns).where(PoolUse.pool_id.in_(ids))
    else:
        statement = added_up(Machine.owner_id == owner_id).where(Lineage.ancestor_id.in_(ids))
        statement = statement.join(Machine, Machine.id == Reservation.machine_id)
    count = len(NAMES)
    found = {
        row[0]: (_resources(row[1 : 1 + count]), _resources(row[1 + count :]))
        for row in work.db.execute(statement)
    }
    return {pool_id: found.get(pool_id, (Resources(), Resources())) for pool_id in ids}


def added_up(*conditions: ColumnElement[bool]) -> Select[Any]:
    """Select (pool, used, pending) of whole subtrees as the sum of their reservations."""
    held = Reservation.operation_id.is_(None)
    columns: list[Any] = [_sum(name, held) for name in NAMES]
    columns += [_sum(name, ~held) for name in NAMES]
    return (
        select(Lineage.ancestor_id, *columns)
        .join(Reservation, Reservation.pool_id == Lineage.pool_id)
        .where(*conditions)
        .group_by(Lineage.ancestor_id)
    )


def lent(work: Work, pool_ids: Iterable[int]) -> dict[int, Resources]:
    """Return what each pool borrowed on balance; lent is negative, no loans no entry."""
    ids = set(pool_ids)
    rows = work.db.execute(
        select(Loan.lender_id, Loan.borrower_id, Loan.resource, Loan.lent).where(
            Loan.returned_at.is_(None), or_(Loan.lender_id.in_(ids), Loan.borrower_id.in_(ids))
        )
    )
    found: dict[int, Resources] = {}
    for lender, borrower, resource, amount in rows:
        part = Resources(**{resource: amount})
        if lender in ids:
            found[lender] = found.get(lender, Resources()) - part
        if borrower in ids:
            found[borrower] = found.get(borrower, Resources()) + part
    return found


def total(work: Work, condition: ColumnElement[bool]) -> Resources:
    """Return what these reservations take together, pending included."""
    columns = [func.coalesce(func.sum(getattr(Reservation, name)), 0) for name in NAMES]
    return _resources(work.db.execute(select(*columns).where(condition)).one())


def check(work: Work, pool: Pool, wanted: Resources, owner_id: int | None = None) -> list[Block]:
    """Return what would refuse `wanted` now.  For forms and dry runs: it reserves nothing."""
    return blocks(levels(work, pool, owner_id), wanted)


def reserve(
    work: Work, pool: Pool, machine: Machine, kind: str, wanted: Resources, operation: Operation
) -> None:
    """Reserve for an operation, or raise `QuotaExceeded` with every limit that blocks.

    Raises `PoolFrozen` when a pool of the chain takes nothing new.
    """
    claim = Claim(
        pool_id=pool.id,
        machine_id=machine.id,
        operation_id=operation.id,
        kind=kind,
        amounts=wanted,
    )
    reserve_claim(work, pool, claim, machine.name, machine.owner_id)


def reserve_claim(
    work: Work, pool: Pool, claim: Claim, name: str, owner_id: int | None = None
) -> None:
    """Reserve for a machine or a volume called `name`, or raise as `reserve` does.

    Everything else that the transaction writes should be written before: all that decide about
    quota wait from here to its commit.
    """
    work.db.flush()
    lock(work.db)
    steps = _chain(work, pool)
    _ensure_open(steps)
    chain = _levels(work, steps, owner_id)
    explanations.refuse(work, pool, chain, claim.amounts, name)
    reservations.add(work, [claim])
    _warn(work, chain, claim.amounts)


def _ensure_open(chain: list[Step]) -> None:
    closed = next((step for step in reversed(chain) if step.closed), None)
    if closed is not None:
        pools.refuse_closed(closed.level.pool_id, closed.level.name, retired=closed.retired)


def _warn(work: Work, chain: list[Level], wanted: Resources) -> None:
    """Write down which warning thresholds this reservation passed."""
    for level in chain:
        after = level.warned(level.taken + wanted)
        before = level.warned(level.taken) if after else []
        passed = [name for name in after if name not in before]
        if passed:
            audit.record(
                work, "quota.warning", "pool", level.pool_id, level.label,
                pool_id=level.pool_id,
                after={
                    name: {
                        "taken": getattr(level.taken + wanted, name),
                        "limit": getattr(level.limits, name),
                        "percent": level.warns_at(name),
                    }
                    for name in passed
                },
                outcome="observed",
            )  # fmt: skip


def lock_chain(work: Work, *ends: Pool, machine: Machine | None = None) -> list[Pool]:
    """Make this transaction the only one that decides about the limits of these chains.

    Returns their pools, root first, as they are now that nobody else can change their limits.
    With a machine that is to be changed afterwards, its row is locked before: see models/use.
    """
    if machine is not None:
        own_row(work, machine)
    work.db.flush()
    lock(work.db)
    settle(work.db)
    # A statement of its own: one that waits for a lock sees other rows as they were before.
    statement = (
        select(Pool)
        .join(Lineage, Lineage.ancestor_id == Pool.id)
        .where(Lineage.pool_id.in_([pool.id for pool in ends]))
        .order_by(Lineage.distance.desc(), Pool.id)
        .execution_options(populate_existing=True)
    )
    return list(work.db.scalars(statement).unique())


def own_row(work: Work, *machines: Machine) -> None:
    """Lock rows of machines that are changed while the quota lock is held; see models/use."""
    rows = select(Machine.id).where(Machine.id.in_([machine.id for machine in machines]))
    work.db.execute(lock_rows(work.db, rows.order_by(Machine.id), Machine))


def hold(work: Work, operation: Operation) -> None:
    """The operation succeeded: what it had reserved is now used."""
    reservations.keep(work, operation)


def release(work: Work, operation: Operation) -> None:
    """The operation failed or was cancelled: its promise is void."""
    reservations.drop(work, Reservation.operation_id == operation.id)


def free(work: Work, machine: Machine, kind: str) -> None:
    """The machine no longer holds this: it stopped, or its volumes are gone."""
    reservations.drop(work, *reservations.held_by(machine.id, kind))


def hold_running(work: Work, machine: Machine) -> None:
    """The machine runs, whoever started it: count it, once.

    Seen from outside (`virsh start`), it may pass a limit; the truth is shown and only growth is
    refused afterwards.
    """
    if not reservations.holds(work, machine.id, "running"):
        amounts = machine.running_resources
        claim = Claim(
            pool_id=machine.pool_id, machine_id=machine.id, kind="running", amounts=amounts
        )
        reservations.add(work, [claim])


def _sum(name: str, condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, getattr(Reservation, name)), else_=0))


def _resources(amounts: Iterable[int]) -> Resources:
    return Resources(**{name: int(value) for name, value in zip(NAMES, amounts, strict=True)})
