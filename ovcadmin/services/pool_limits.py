"""What a pool may take: its limits, when it warns, and what new sub-pools begin with."""

from __future__ import annotations

from ovcadmin.domain.resources import LARGEST, Limits
from ovcadmin.errors import InvalidInput
from ovcadmin.models import Pool, Quota
from ovcadmin.models.database import announce
from ovcadmin.services import audit, quotas
from ovcadmin.work import Work


def set_limits(work: Work, pool: Pool, limits: Limits) -> None:
    """Set the limits of a pool.  A limit below what is used is allowed: it stops growth."""
    ensure_counts(limits)
    quotas.lock_chain(work, pool)
    before = dict(pool.limits.items())
    row = _quota(pool)
    for name, limit in limits.items():
        setattr(row, name, limit)
    work.db.flush()
    announce(work.db, "pool", pool.id, pool.id)
    audit.record(
        work, "quota.set", "pool", pool.id, pool.name, pool_id=pool.id,
        before=before, after=dict(limits.items()),
    )  # fmt: skip


def set_policy(work: Work, pool: Pool, *, warnings: dict[str, int], defaults: Limits) -> None:
    """Say from which percent of each limit the pool warns, and what new sub-pools begin with."""
    bad = {
        f"warn_{name}": "Write a whole percentage from 1 to 100."
        for name, percent in warnings.items()
        if not 1 <= percent <= 100
    }
    if bad:
        raise InvalidInput("The warnings cannot be set.", fields=bad)
    ensure_counts(defaults, prefix="new_")
    row = _quota(pool)
    before = {"warnings": row.warnings or {}, "defaults": row.defaults or {}}
    row.warnings = warnings
    row.defaults = {name: limit for name, limit in defaults.items() if limit is not None}
    work.db.flush()
    announce(work.db, "pool", pool.id, pool.id)
    audit.record(
        work, "quota.policy", "pool", pool.id, pool.name, pool_id=pool.id,
        before=before, after={"warnings": row.warnings, "defaults": row.defaults},
    )  # fmt: skip


def _quota(pool: Pool) -> Quota:
    if pool.quota is None:
        pool.quota = Quota(warnings={}, defaults={})
    return pool.quota


def ensure_counts(limits: Limits, *, prefix: str = "") -> None:
    """Raise `InvalidInput` for a limit that the console cannot count."""
    bad = {
        f"{prefix}{name}": "Write a number of zero or more, or leave it blank for no limit."
        for name, limit in limits.items()
        if limit is not None and not 0 <= limit <= LARGEST
    }
    if bad:
        raise InvalidInput("The quota cannot be set.", fields=bad)
