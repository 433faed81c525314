"""What a change of a grant would do, before it is done: whom and what it reaches.

Rights are the union of many grants, so giving or taking one may change nothing for somebody.  Who
gains or loses is worked out on the pool of the grant itself; below it, other grants may soften
what is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from ovcadmin.models import (
    Grant,
    Group,
    Lineage,
    Machine,
    Membership,
    Pool,
    Role,
    RolePrivilege,
    User,
)
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import granted
from ovcadmin.services.grants import Privileges, privileges_of
from ovcadmin.work import Work

NAMED = 10
"""So many are named; of the rest the number is told."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """What one person's rights on the pool gain and lose."""

    user: User
    gains: Privileges
    loses: Privileges


@dataclass(frozen=True, kw_only=True)
class Reach:
    people: int
    """Enabled users whom the grant reaches."""
    changes: Sequence[Change]
    """Of those whose rights change, the first few."""
    changed: int
    pools: int
    pool_names: Sequence[str]
    machines: int
    machine_names: Sequence[str]
    lost_machines: int
    """Machines in the subtree whose own owner could not control them any more."""

    @property
    def unchanged(self) -> int:
        """People who hold all of it by other grants as well."""
        return self.people - self.changed


def of(
    work: Work,
    pool: Pool,
    subject: User | Group,
    *,
    role: Role | None = None,
    without: Grant | None = None,
) -> Reach:
    """Tell what it would do to give `subject` the role on the pool and to take `without` away."""
    people = _people(work, subject)
    gained = privileges_of(role) if role is not None else frozenset()
    before = _privileges(work, pool, people)
    kept = _privileges(work, pool, people, without=without) if without is not None else before
    changes = []
    for user_id in people:
        had = before.get(user_id, frozenset())
        has = kept.get(user_id, frozenset()) | gained
        if had != has:
            changes.append((user_id, has - had, had - has))
    losing = [user_id for user_id, _, loses in changes if Privilege.CONTROL in loses]
    pools, pool_names = _pools(work, pool)
    machines, machine_names = _machines(work, pool)
    return Reach(
        people=len(people),
        changes=_named(work, changes[:NAMED]),
        changed=len(changes),
        pools=pools,
        pool_names=pool_names,
        machines=machines,
        machine_names=machine_names,
        lost_machines=_machines(work, pool, owners=losing)[0] if losing else 0,
    )


def _people(work: Work, subject: User | Group) -> list[int]:
    enabled = select(User.id).where(User.disabled_at.is_(None)).order_by(User.name_key)
    if isinstance(subject, User):
        return list(work.db.scalars(enabled.where(User.id == subject.id)))
    if subject.vanished_at is not None:
        return []
    of_group = enabled.join(Membership, Membership.user_id == User.id)
    return list(work.db.scalars(of_group.where(Membership.group_id == subject.id)))


def _privileges(
    work: Work, pool: Pool, user_ids: list[int], *, without: Grant | None = None
) -> dict[int, Privileges]:
    """Return for each user what he may do on the pool, perhaps leaving one grant out."""
    grants = granted(user_ids)
    statement = (
        select(grants.c.user_id, RolePrivilege.privilege)
        .distinct()
        .join(RolePrivilege, RolePrivilege.role_id == grants.c.role_id)
        .join(Lineage, Lineage.ancestor_id == grants.c.pool_id)
        .where(Lineage.pool_id == pool.id)
    )
    if without is not None:
        statement = statement.where(grants.c.grant_id != without.id)
    found: dict[int, set[Privilege]] = {}
    for user_id, privilege in work.db.execute(statement):
        found.setdefault(user_id, set()).add(Privilege(privilege))
    return {user_id: frozenset(held) for user_id, held in found.items()}


def _named(work: Work, changes: list[tuple[int, Privileges, Privileges]]) -> list[Change]:
    wanted = [user_id for user_id, _, _ in changes]
    users = {user.id: user for user in work.db.scalars(select(User).where(User.id.in_(wanted)))}
    return [
        Change(user=users[user_id], gains=gains, loses=loses) for user_id, gains, loses in changes
    ]


def _pools(work: Work, pool: Pool) -> tuple[int, list[str]]:
    below = select(Pool.name).join(Lineage, Lineage.pool_id == Pool.id)
    below = below.where(Lineage.ancestor_id == pool.id)
    total = work.db.scalar(select(func.count()).select_from(below.subquery())) or 0
    names = work.db.scalars(below.order_by(Lineage.distance, Pool.name_key).limit(NAMED))
    return total, list(names)


def _machines(work: Work, pool: Pool, *, owners: list[int] | None = None) -> tuple[int, list[str]]:
    inside = (
        select(Machine.name)
        .join(Lineage, Lineage.pool_id == Machine.pool_id)
        .where(Lineage.ancestor_id == pool.id, Machine.deleted_at.is_(None))
    )
    if owners is not None:
        inside = inside.where(Machine.owner_id.in_(owners))
    total = work.db.scalar(select(func.count()).select_from(inside.subquery())) or 0
    return total, list(work.db.scalars(inside.order_by(Machine.name_key).limit(NAMED)))
