"""What somebody may do, and why: every right with the grant that it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from ovcadmin.models import Grant, Group, Lineage, Pool, Role, User
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import granted, visible
from ovcadmin.services import grants, pools
from ovcadmin.services.grants import Privileges
from ovcadmin.work import Work


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One grant by which somebody holds privileges on a pool."""

    role: Role
    privileges: Privileges
    place: str
    """Path of the pool in question: `/Cloud/eng`."""
    source: str
    """Path of the pool that the grant is on, as far as the reader may see it."""
    group: Group | None

    @property
    def text(self) -> str:
        """`User on /Cloud/eng because group dev@corp holds User on /Cloud`."""
        here = f"{self.role.name} on {self.place}"
        if self.group is not None:
            holder = grants.named(self.group)
            return f"{here} because {holder} holds {self.role.name} on {self.source}"
        if self.source == self.place:
            return f"{here} by a grant on this pool"
        return f"{here} by a grant on {self.source}"


@dataclass(frozen=True, kw_only=True)
class Rights:
    """What a user may do on one pool."""

    pool: Pool
    privileges: Privileges
    reasons: Sequence[Reason]


@dataclass(frozen=True, kw_only=True)
class Holding:
    """A grant that reaches somebody, his own or a group's."""

    pool: Pool
    role: Role
    group: Group | None


def on(work: Work, user: User, pool: Pool) -> Rights:
    """Explain what the user may do on the pool; nobody disabled may do anything."""
    reaching = granted([user.id])
    statement = (
        select(Role, Pool, Group)
        .select_from(reaching)
        .join(Lineage, Lineage.ancestor_id == reaching.c.pool_id)
        .join(Role, Role.id == reaching.c.role_id)
        .join(Pool, Pool.id == reaching.c.pool_id)
        .outerjoin(Group, Group.id == reaching.c.group_id)
        .where(Lineage.pool_id == pool.id)
        .order_by(Lineage.distance, reaching.c.grant_id)
    )
    chain = pools.lineage(work, pool)
    reasons = [
        Reason(
            role=role,
            privileges=grants.privileges_of(role),
            place=path(chain, pool),
            source=path(chain, source),
            group=group,
        )
        for role, source, group in work.db.execute(statement).unique()
    ]
    held: set[Privilege] = set()
    for reason in reasons:
        held |= reason.privileges
    return Rights(pool=pool, privileges=frozenset(held), reasons=reasons)


def holdings(work: Work, user: User) -> list[Holding]:
    """Return every grant that reaches the user, on pools whose grants the reader may see.

    One's own one always sees.
    """
    reaching = granted([user.id])
    statement = (
        select(Pool, Role, Group)
        .select_from(reaching)
        .join(Role, Role.id == reaching.c.role_id)
        .join(Pool, Pool.id == reaching.c.pool_id)
        .outerjoin(Group, Group.id == reaching.c.group_id)
        .where(*(_shown(work) if user.id != work.actor.user_id else ()))
        .order_by(Pool.name_key, reaching.c.grant_id)
    )
    return [
        Holding(pool=pool, role=role, group=group)
        for pool, role, group in work.db.execute(statement).unique()
    ]


def of_group(work: Work, group: Group) -> list[Grant]:
    """Return the group's grants on pools whose grants the reader may see."""
    statement = select(Grant).join(Pool, Pool.id == Grant.pool_id).order_by(Pool.name_key)
    return list(work.db.scalars(statement.where(Grant.group_id == group.id, *_shown(work))))


def path(chain: Sequence[Pool], pool: Pool) -> str:
    """Write the pool's place in the tree, from the topmost pool of the chain down."""
    numbers = [step.id for step in chain]
    if pool.id not in numbers:
        return "a pool above"
    return "".join(f"/{step.name}" for step in chain[: numbers.index(pool.id) + 1])


def _shown(work: Work) -> list[Any]:
    if work.actor.user_id is None:
        return []
    return [visible(work.actor.user_id, Pool.id, Privilege.SEE_GRANTS)]
