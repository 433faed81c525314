"""Whether the consoles of a pool are recorded: set on it, or on the nearest pool above it."""

from __future__ import annotations

from ovcadmin.errors import InvalidInput
from ovcadmin.models import ConsolePolicy, Pool
from ovcadmin.models.database import announce
from ovcadmin.services import audit, pools
from ovcadmin.work import Work

KEEP_DAYS = 30
LONGEST_DAYS = 3650


def of(work: Work, pool: Pool) -> ConsolePolicy | None:
    """Return what is set on this very pool."""
    return work.db.get(ConsolePolicy, pool.id)


def effective(work: Work, pool: Pool) -> ConsolePolicy | None:
    """Return what counts for the pool: its own policy, else the nearest above; None: no recording.

    It may say that nothing is recorded here although a pool above wants it.
    """
    found = (of(work, step) for step in reversed(pools.above(work, pool)))
    return next((policy for policy in found if policy is not None), None)


def recording(work: Work, pool: Pool) -> ConsolePolicy | None:
    """Return the policy by which a console opened now is recorded; None: it is not."""
    found = effective(work, pool)
    return found if found is not None and found.records else None


def put(
    work: Work, pool: Pool, *, records: bool, keys: bool = False, keep_days: int = KEEP_DAYS
) -> ConsolePolicy:
    """Set the policy of a pool and of all below that have none; raises `InvalidInput`.

    It counts for consoles opened from now on.
    """
    if not 1 <= keep_days <= LONGEST_DAYS:
        told = {"keep_days": f"Keep recordings for 1 to {LONGEST_DAYS} days."}
        raise InvalidInput("The policy is not set.", fields=told)
    row = of(work, pool)
    if row is None:
        row = ConsolePolicy(pool_id=pool.id)
        work.db.add(row)
    row.records, row.keys, row.keep_days = records, keys, keep_days
    work.db.flush()
    _told(work, pool, "console.policy", {"records": records, "keys": keys, "keep_days": keep_days})
    return row


def remove(work: Work, pool: Pool) -> None:
    """Take the policy away; that of a pool above counts again."""
    row = of(work, pool)
    if row is not None:
        work.db.delete(row)
        _told(work, pool, "console.policy_remove", {})


def _told(work: Work, pool: Pool, action: str, after: dict[str, object]) -> None:
    announce(work.db, "pool", pool.id, pool.id)
    audit.record(work, action, "pool", pool.id, pool.name, pool_id=pool.id, after=after)
