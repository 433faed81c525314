"""Freezing and retiring pools.  A frozen pool takes nothing new; what runs goes on.

A retired one is frozen as well and left out of lists; it can be brought back.
"""

from __future__ import annotations

from sqlalchemy import Select, func, select

from ovcadmin.errors import Conflict, ObjectInUse, PoolBusy
from ovcadmin.models import Lineage, Machine, Operation, Pool, Reservation
from ovcadmin.models.database import announce
from ovcadmin.services import audit, pool_moves, quotas
from ovcadmin.work import Work


def freeze(work: Work, pool: Pool) -> None:
    _change(work, pool, "pool.freeze", frozen=True)


def thaw(work: Work, pool: Pool) -> None:
    _change(work, pool, "pool.unfreeze", frozen=False)


def retire(work: Work, pool: Pool) -> None:
    """Retire the pool with all that is below.  Refused while anything runs in it."""
    if pool.is_root:
        raise Conflict("The cloud itself is not retired.", pool_id=pool.id)
    quotas.lock_chain(work, pool)
    busy = pool_moves.running(work, Operation.pool_id.in_(_below(pool)))
    if busy:
        raise PoolBusy(
            f"{pool.name} cannot be retired while something is done in it: {', '.join(busy[:5])}.",
            operations=busy,
        )
    count = running_machines(work, pool)
    if count:
        raise ObjectInUse(
            f"{count} machine{'s' if count != 1 else ''} run in {pool.name} or below. Stop or "
            "save them first.",
            pool_id=pool.id,
        )
    pool.retired_at = work.now()
    _told(work, pool, "pool.retire", before={"retired": False}, after={"retired": True})


def bring_back(work: Work, pool: Pool) -> None:
    """Undo the retirement; a pool that was frozen stays frozen."""
    if pool.retired_at is None:
        raise Conflict(f"{pool.name} is not retired.", pool_id=pool.id)
    pool.retired_at = None
    _told(work, pool, "pool.bring_back", before={"retired": True}, after={"retired": False})


def running_machines(work: Work, pool: Pool) -> int:
    """Count the machines that hold running resources in the subtree, pending ones included."""
    held = select(func.count(Reservation.machine_id.distinct())).where(
        Reservation.pool_id.in_(_below(pool)), Reservation.kind == "running"
    )
    return work.db.scalar(held) or 0


def stopped_machines(work: Work, pool: Pool) -> list[Machine]:
    """Return the machines that the actor may see and that could not start in a frozen pool."""
    return pool_moves.startable(work, Machine.pool_id.in_(_below(pool)))


def _change(work: Work, pool: Pool, action: str, *, frozen: bool) -> None:
    if (pool.frozen_at is not None) is frozen:
        word = "frozen already" if frozen else "not frozen"
        raise Conflict(f"{pool.name} is {word}.", pool_id=pool.id)
    # A start that is being accepted decides under the same lock: it is before or after, whole.
    quotas.lock_chain(work, pool)
    pool.frozen_at = work.now() if frozen else None
    _told(work, pool, action, before={"frozen": not frozen}, after={"frozen": frozen})


def _told(
    work: Work, pool: Pool, action: str, *, before: dict[str, bool], after: dict[str, bool]
) -> None:
    pool.version += 1
    work.db.flush()
    announce(work.db, "pool", pool.id, pool.id)
    audit.record(
        work, action, "pool", pool.id, pool.name, pool_id=pool.id, before=before, after=after
    )


def _below(pool: Pool) -> Select[int]:
    return select(Lineage.pool_id).where(Lineage.ancestor_id == pool.id)
