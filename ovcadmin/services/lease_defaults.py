"""What leases the machines of a pool get by themselves.

The nearest pool above a machine that says something counts; one that says “without end” ends the
search too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import bindparam, select

from ovcadmin.domain.states import Action
from ovcadmin.errors import InvalidInput
from ovcadmin.models import LeaseDefault, Lineage, Machine, Pool
from ovcadmin.models.database import announce
from ovcadmin.services import audit
from ovcadmin.work import Work

ENDS = (Action.SHUTDOWN, Action.POWER_OFF, Action.SAVE)
"""What may happen at the end of a lease to run."""
MOST_HOURS = 24 * 3660
MOST_DAYS = 3660
_NEAREST = (
    select(LeaseDefault)
    .join(Lineage, Lineage.ancestor_id == LeaseDefault.pool_id)
    .where(Lineage.pool_id == bindparam("of"))
    .order_by(Lineage.distance)
    .limit(1)
)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What holds in a pool.  None is without end."""

    run_hours: int | None = None
    run_end: str = ENDS[0].value
    keep_days: int | None = None


def own(work: Work, pool: Pool) -> LeaseDefault | None:
    """Return what the pool itself says, None when it leaves it to the pool above."""
    return work.db.get(LeaseDefault, pool.id)


def of(work: Work, pool_id: int) -> LeaseDefault | None:
    """Return what holds for machines of the pool, by its own word or that of a pool above."""
    return work.db.scalar(_NEAREST, {"of": pool_id})


def set_own(work: Work, pool: Pool, terms: Terms | None) -> None:
    """Say what holds from now on; None leaves it to the pool above.  Machines keep what they have.

    Raises `InvalidInput`.
    """
    if terms is not None:
        _ensure_sound(terms)
    row = own(work, pool)
    before = _told(row)
    if terms is None:
        if row is not None:
            work.db.delete(row)
        row = None
    else:
        if row is None:
            row = LeaseDefault(pool_id=pool.id)
            work.db.add(row)
        row.run_hours, row.run_end = terms.run_hours, terms.run_end
        row.keep_days = terms.keep_days
    work.db.flush()
    announce(work.db, "pool", pool.id, pool.id)
    audit.record(
        work, "pool.leases", "pool", pool.id, pool.name, pool_id=pool.id,
        before=before, after=_told(row),
    )  # fmt: skip


def begin_keeping(work: Work, machine: Machine) -> None:
    """Give a new machine the lease on storage of its pool."""
    found = of(work, machine.pool_id)
    if found is not None and found.keep_days is not None:
        machine.keep_until = work.now() + timedelta(days=found.keep_days)


def begin_running(work: Work, machine: Machine) -> None:
    """Give a machine that is started the lease to run of its pool, unless it has one."""
    found = of(work, machine.pool_id)
    if found is None or found.run_hours is None or machine.run_until is not None:
        return
    machine.run_until = work.now() + timedelta(hours=found.run_hours)
    machine.run_end = found.run_end


def _ensure_sound(terms: Terms) -> None:
    wrong = {}
    if terms.run_hours is not None and not 1 <= terms.run_hours <= MOST_HOURS:
        wrong["run_hours"] = f"Write a number from 1 to {MOST_HOURS}, or leave it blank."
    if terms.keep_days is not None and not 1 <= terms.keep_days <= MOST_DAYS:
        wrong["keep_days"] = f"Write a number from 1 to {MOST_DAYS}, or leave it blank."
    if terms.run_end not in ENDS:
        wrong["run_end"] = f"Choose one of {', '.join(ENDS)}."
    if wrong:
        raise InvalidInput("The leases are not set.", fields=wrong)


def _told(row: LeaseDefault | None) -> dict[str, object]:
    if row is None:
        return {}
    return {"run_hours": row.run_hours, "run_end": row.run_end, "keep_days": row.keep_days}
