"""Limits of persons inside a pool: what the machines that one owns there may take together."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from ovcadmin.domain import names
from ovcadmin.domain.quota import Level
from ovcadmin.domain.resources import NAMES, Limits, Resources
from ovcadmin.errors import InvalidInput
from ovcadmin.models import Lineage, Machine, PersonQuota, Pool, Realm, Reservation, User
from ovcadmin.models.database import announce
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import holders
from ovcadmin.services import audit, pool_limits, quotas
from ovcadmin.work import Work

EVERYBODY = "everybody else"


@dataclass(frozen=True, kw_only=True)
class Share:
    row: PersonQuota
    name: str
    level: Level | None
    """What he uses of it; None for everybody, whose use is each one's own."""


def listing(work: Work, pool: Pool) -> list[Share]:
    """Return the limits of persons in this very pool: named ones by name, everybody last."""
    rows = list(work.db.scalars(select(PersonQuota).where(PersonQuota.pool_id == pool.id)))
    found = [
        Share(
            row=row,
            name=full_name(row.user) if row.user else EVERYBODY,
            level=quotas.shares(work, [pool.id], row.user_id)[0] if row.user_id else None,
        )
        for row in rows
    ]
    return sorted(found, key=lambda share: (share.level is None, share.name))


def limits_of(work: Work, pool: Pool) -> dict[int | None, Limits]:
    """Return what is set in this very pool, by user; None is everybody else."""
    rows = work.db.scalars(select(PersonQuota).where(PersonQuota.pool_id == pool.id))
    return {row.user_id: row.limits for row in rows}


def taken(work: Work, pool: Pool) -> dict[int, Resources]:
    """Return what the machines of each owner take in the pool and below, pending included."""
    statement = (
        select(Machine.owner_id, *(func.sum(getattr(Reservation, name)) for name in NAMES))
        .join(Reservation, Reservation.machine_id == Machine.id)
        .join(Lineage, Lineage.pool_id == Reservation.pool_id)
        .where(Lineage.ancestor_id == pool.id)
        .group_by(Machine.owner_id)
    )
    return {
        owner: Resources(**{name: int(sum_) for name, sum_ in zip(NAMES, amounts, strict=True)})
        for owner, *amounts in work.db.execute(statement)
    }


def set_limits(work: Work, pool: Pool, who: str, limits: Limits) -> None:
    """Set what one person (`anna`, `anna@realm`; blank: everybody) may take in the pool.

    All blank takes the limits away.  A limit below what he uses is allowed: it stops growth.
    """
    pool_limits.ensure_counts(limits)
    user = find(work, pool, who)
    quotas.lock_chain(work, pool)
    number = user.id if user else None
    row = work.db.scalar(
        select(PersonQuota).where(
            PersonQuota.pool_id == pool.id, PersonQuota.user_id.is_not_distinct_from(number)
        )
    )
    before = dict(row.limits.items()) if row else {}
    if row is None:
        row = PersonQuota(pool_id=pool.id, user_id=number)
        work.db.add(row)
    for name, limit in limits.items():
        setattr(row, name, limit)
    if not limits:
        work.db.expunge(row) if row in work.db.new else work.db.delete(row)
    work.db.flush()
    announce(work.db, "pool", pool.id, pool.id)
    audit.record(
        work, "quota.set_person", "pool", pool.id, pool.name, pool_id=pool.id, before=before,
        after={"person": full_name(user) if user else EVERYBODY, **dict(limits.items())},
    )  # fmt: skip


def full_name(user: User) -> str:
    return f"{user.name}@{user.realm.name}"


def find(work: Work, pool: Pool, who: str) -> User | None:
    """Return the person of this name who has a right in the pool or below; None when blank.

    Raises `InvalidInput` when there is none, or more than one; who has no right there is as if he
    did not exist.
    """
    if not who.strip():
        return None
    name, _, realm = who.strip().partition("@")
    statement = select(User).join(Realm, Realm.id == User.realm_id)
    statement = statement.where(User.name_key == names.key(name))
    if realm:
        statement = statement.where(Realm.name == realm)
    known = list(work.db.scalars(statement).unique())
    below = work.db.scalars(select(Lineage.pool_id).where(Lineage.ancestor_id == pool.id)).all()
    rows = work.db.execute(holders(Privilege.VIEW, [user.id for user in known], below))
    seeing = {row[0] for row in rows}
    found = [user for user in known if user.id in seeing]
    if len(found) == 1:
        return found[0]
    text = (
        f"There are several: say {' or '.join(full_name(user) for user in found)}."
        if found
        else f"Nobody of this name has a right in {pool.name}."
    )
    raise InvalidInput("The limits cannot be set.", fields={"who": text})
