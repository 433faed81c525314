"""The rights rules as SQL: the single check and the list predicate come from one expression.

`held` is that expression: the pools on which a user holds a privilege.  A single check asks
whether one pool is among them; a list joins against it.  A property test holds both together.

A narrowed token leaves less than its user's rights.  Its `Scope` is told once, when the request's
identity is found, and counts for every question about that user until the request ends: no
service can forget to ask for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
    Subquery,
    and_,
    bindparam,
    false,
    select,
    union_all,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from ovcadmin.models import Grant, Group, Lineage, Membership, RolePrivilege, User
from ovcadmin.security.privileges import Privilege


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a narrowed token leaves of the rights of its user."""

    user_id: int
    pool_id: int | None
    """Only this pool's subtree; None: every pool."""
    privileges: frozenset[Privilege]
    """Only these; empty: every one."""


_scope: ContextVar[Scope | None] = ContextVar("scope", default=None)


def narrow(scope: Scope | None) -> None:
    """Narrow (or, with None, widen again) what is asked from now on in this request."""
    _scope.set(scope)


def granted(user_ids: Iterable[int]) -> Subquery:
    """Rows (user_id, role_id, pool_id, group_id, grant_id) of every grant that reaches these users.

    Their own, and those of groups that hold them.  Disabled users and vanished groups have none.
    """
    ids = list(user_ids)
    columns = (Grant.role_id, Grant.pool_id, Grant.group_id, Grant.id.label("grant_id"))
    own = (
        select(Grant.user_id, *columns)
        .join(User, User.id == Grant.user_id)
        .where(Grant.user_id.in_(ids), User.disabled_at.is_(None))
    )
    by_group = (
        select(Membership.user_id, *columns)
        .join(Grant, Grant.group_id == Membership.group_id)
        .join(Group, Group.id == Membership.group_id)
        .join(User, User.id == Membership.user_id)
        .where(Membership.user_id.in_(ids), User.disabled_at.is_(None), Group.vanished_at.is_(None))
    )
    return union_all(own, by_group).subquery("granted")


def held(user_id: int, privilege: Privilege) -> Select[int]:
    """Select the ids of all pools on which the user holds the privilege, inherited included."""
    return _held(user_id, privilege, _scope_of(user_id))


@lru_cache(maxsize=1024)
def _held(user_id: int, privilege: Privilege, scope: Scope | None) -> Select[int]:
    """Only the statement is remembered, not its answer: making it takes longer than running it."""
    grants = granted([user_id])
    statement = (
        select(Lineage.pool_id)
        .join(grants, grants.c.pool_id == Lineage.ancestor_id)
        .join(RolePrivilege, RolePrivilege.role_id == grants.c.role_id)
        .where(RolePrivilege.privilege == privilege.value)
    )
    if scope is None:
        return statement
    if scope.privileges and privilege not in scope.privileges:
        return statement.where(false())
    return statement.where(*_within(scope))


def holders(
    privilege: Privilege, user_ids: Iterable[int], pool_ids: Iterable[int]
) -> Select[int, int]:
    """Select the pairs (user, pool) in which the user holds the privilege on the pool."""
    grants = granted(user_ids)
    return (
        select(grants.c.user_id, Lineage.pool_id)
        .distinct()
        .join(Lineage, Lineage.ancestor_id == grants.c.pool_id)
        .join(RolePrivilege, RolePrivilege.role_id == grants.c.role_id)
        .where(Lineage.pool_id.in_(list(pool_ids)), RolePrivilege.privilege == privilege.value)
    )


def visible(
    user_id: int,
    pool_id: InstrumentedAttribute[int] | ColumnElement[int],
    privilege: Privilege = Privilege.VIEW,
) -> ColumnElement[bool]:
    """Return the predicate "the user holds the privilege on this row's pool"."""
    return pool_id.in_(held(user_id, privilege))


def privileges_on(session: Session, user_id: int, pool_id: int) -> frozenset[Privilege]:
    """Return what the user may do on one pool: the union over its lineage."""
    scope = _scope_of(user_id)
    found = session.scalars(_on_one(user_id, scope), {"pool_id": pool_id})
    return _left(found, scope)


def privileges_anywhere(session: Session, user_id: int) -> frozenset[Privilege]:
    """Return what the user may do on some pool or other."""
    scope = _scope_of(user_id)
    return _left(session.scalars(_on_any(user_id, scope)), scope)


@lru_cache(maxsize=1024)
def _on_one(user_id: int, scope: Scope | None) -> Select[str]:
    grants = granted([user_id])
    here = and_(
        Lineage.ancestor_id == grants.c.pool_id,
        Lineage.pool_id == bindparam("pool_id", type_=Integer),
    )
    return _privileges_of(grants).join(Lineage, here).where(*_within(scope))


@lru_cache(maxsize=1024)
def _on_any(user_id: int, scope: Scope | None) -> Select[str]:
    grants = granted([user_id])
    statement = _privileges_of(grants)
    if scope is None or scope.pool_id is None:
        return statement
    inside = Lineage.ancestor_id == grants.c.pool_id
    return statement.join(Lineage, inside).where(*_within(scope))


def _privileges_of(grants: Subquery) -> Select[str]:
    return (
        select(RolePrivilege.privilege)
        .distinct()
        .join(grants, grants.c.role_id == RolePrivilege.role_id)
    )


def _left(names: Iterable[str], scope: Scope | None) -> frozenset[Privilege]:
    found = frozenset(Privilege(name) for name in names)
    return found & scope.privileges if scope is not None and scope.privileges else found


def _scope_of(user_id: int) -> Scope | None:
    scope = _scope.get()
    return scope if scope is not None and scope.user_id == user_id else None


def _within(scope: Scope | None) -> list[ColumnElement[bool]]:
    """The condition on a joined lineage row that its pool is in the scope's subtree."""
    if scope is None or scope.pool_id is None:
        return []
    below = select(Lineage.pool_id).where(Lineage.ancestor_id == scope.pool_id)
    return [Lineage.pool_id.in_(below)]
