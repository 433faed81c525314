"""Grants: who was given which role on which pool, and who may give it.

One place decides.  Nobody grants a role that holds a privilege which he lacks on that pool, and
somebody always holds Super Admin on the root (services/super_admins).  Changes take turns and
judge the rights anew when their turn has come: of two administrators who remove each other at the
same moment, the second one has lost his rights by then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal, or_, select, true, union_all
from sqlalchemy.orm import joinedload

from ovcadmin.domain import names
from ovcadmin.errors import (
    Forbidden,
    GrantBeyond,
    GrantExists,
    InvalidInput,
    NotFound,
)
from ovcadmin.models import Grant, Group, Lineage, Membership, Pool, Realm, Role, User
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on
from ovcadmin.services import audit, people, pools, super_admins
from ovcadmin.work import Work

USER, GROUP = "user", "group"
PAGE = 20
Privileges = frozenset[Privilege]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A grant as it reaches a pool."""

    grant: Grant
    direct: bool
    source: Pool | None
    """The pool that it was given on; None when it is one that the reader may not see."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Somebody who could be given a role."""

    kind: str
    id: int
    name: str
    display_name: str
    realm: str

    @property
    def key(self) -> str:
        return f"{self.kind}-{self.id}"


def get(work: Work, grant_id: int) -> Grant:
    """Return the grant as it is now, whatever was read of it before."""
    grant = work.db.get(Grant, grant_id, populate_existing=True)
    if grant is None:
        raise NotFound("There is no such grant any more.")
    return grant


def listing(
    work: Work, pool: Pool, text: str = "", *, page: int = 1, size: int = 100
) -> tuple[list[Line], int]:
    """Return one page of the grants that reach a pool, its own first, and how many there are.

    Only those of users, groups or roles whose name holds `text`.
    """
    reaching = _reaching(pool, text)
    total = work.db.scalar(select(func.count()).select_from(reaching.subquery())) or 0
    ordered = reaching.order_by(Lineage.distance, Grant.id)
    return _lines(work, pool, ordered.limit(size).offset((page - 1) * size)), total


def after(
    work: Work, pool: Pool, text: str, *, sort: str, place: int | None, size: int
) -> list[Line]:
    """Return the next of these grants by id, for readers that want all of them.

    `sort` is `id` or `-id`, `place` the last id that was seen.
    """
    reaching = _reaching(pool, text).limit(size)
    if sort == "id":
        return _lines(work, pool, reaching.where(Grant.id > (place or 0)).order_by(Grant.id))
    seen = Grant.id < place if place is not None else true()
    return _lines(work, pool, reaching.where(seen).order_by(Grant.id.desc()))


def _reaching(pool: Pool, text: str) -> Select[Grant, int]:
    reaching = (
        select(Grant, Lineage.distance)
        .join(Lineage, Lineage.ancestor_id == Grant.pool_id)
        .where(Lineage.pool_id == pool.id)
    )
    part = names.key(text.strip())
    if not part:
        return reaching
    found = _matches(
        part,
        User.name_key,
        func.lower(User.display_name),
        User.email,
        Group.name_key,
        func.lower(Role.name),
    )
    return (
        reaching.join(Role, Role.id == Grant.role_id)
        .outerjoin(User, User.id == Grant.user_id)
        .outerjoin(Group, Group.id == Grant.group_id)
        .where(found)
    )


def _lines(work: Work, pool: Pool, reaching: Select[Grant, int]) -> list[Line]:
    rows = work.db.execute(
        reaching.options(joinedload(Grant.user), joinedload(Grant.group)).options(
            joinedload(Grant.role), joinedload(Grant.pool)
        )
    ).unique()
    seen = {step.id for step in pools.lineage(work, pool)}
    return [
        Line(
            grant=grant,
            direct=distance == 0,
            source=grant.pool if grant.pool_id in seen else None,
        )
        for grant, distance in rows
    ]


def named(subject: User | Group) -> str:
    """Return how audit log and pages name a user or group: `anna@corp`, `group dev@corp`."""
    name = f"{subject.name}@{subject.realm.name}"
    return name if isinstance(subject, User) else f"group {name}"


def subject_of(grant: Grant) -> User | Group:
    found = grant.user or grant.group
    assert found is not None, "the table lets no grant be without"
    return found


def subject(work: Work, key: str) -> User | Group:
    """Return the user or group of a candidate's key (`user-7`); raises `NotFound`."""
    kind, _, number = key.partition("-")
    found: User | Group | None = None
    if number.isascii() and number.isdigit() and len(number) < 10:
        if kind == USER:
            found = work.db.get(User, int(number))
        elif kind == GROUP:
            found = work.db.get(Group, int(number))
    if found is None:
        raise NotFound("There is no such user or group.")
    return found


def candidates(work: Work, pool: Pool, text: str, *, page: int = 1) -> tuple[list[Candidate], int]:
    """Return one page of the users and groups that may be granted a role on the pool.

    Those of all realms whose name, display name or mail address holds `text`; left out is who has
    a grant on this very pool already, who is disabled, and groups that vanished.
    """
    part = names.key(text.strip())
    taken = select(Grant.user_id).where(Grant.pool_id == pool.id, Grant.user_id.is_not(None))
    held = select(Grant.group_id).where(Grant.pool_id == pool.id, Grant.group_id.is_not(None))
    users = (
        select(literal(USER).label("kind"), User.id, User.name, User.name_key, User.display_name)
        .add_columns(Realm.name.label("realm"))
        .join(Realm, Realm.id == User.realm_id)
        .where(User.disabled_at.is_(None), Realm.enabled, User.id.not_in(taken))
        .where(_matches(part, User.name_key, func.lower(User.display_name), User.email))
    )
    groups = (
        select(literal(GROUP), Group.id, Group.name, Group.name_key, literal(""), Realm.name)
        .join(Realm, Realm.id == Group.realm_id)
        .where(Group.vanished_at.is_(None), Realm.enabled, Group.id.not_in(held))
        .where(_matches(part, Group.name_key))
    )
    found = union_all(users, groups).subquery("candidate")
    total = work.db.scalar(select(func.count()).select_from(found)) or 0
    rows = work.db.execute(
        select(found.c.kind, found.c.id, found.c.name, found.c.display_name, found.c.realm)
        .order_by(found.c.name_key, found.c.kind, found.c.id)
        .limit(PAGE)
        .offset((page - 1) * PAGE)
    )
    return [Candidate(**row._mapping) for row in rows], total  # noqa: SLF001 - public in effect


def _matches(part: str, *columns: Any) -> ColumnElement[bool]:
    return or_(*(column.contains(part, autoescape=True) for column in columns))


def grantable(work: Work, pool: Pool) -> list[Role]:
    """Return the roles that the actor may give on the pool: those that hold nothing he lacks."""
    roles = work.db.scalars(select(Role).order_by(Role.shipped.desc(), Role.id))
    held = held_by_actor(work, pool)
    return [role for role in roles if privileges_of(role) <= held]


def how_many_roles(work: Work) -> int:
    return work.db.scalar(select(func.count(Role.id))) or 0


def privileges_of(role: Role) -> Privileges:
    """Return what a role holds; a privilege that this release does not know counts for nothing."""
    known = set(Privilege)
    return frozenset(Privilege(row.privilege) for row in role.privileges if row.privilege in known)


# --- changes ------------------------------------------------------------------------------------


def give(work: Work, pool: Pool, subject: User | Group, role: Role) -> Grant:
    """Give a user or group a role on a pool and everything below."""
    super_admins.take_turn(work)
    work.db.refresh(role)
    _ensure_may(work, pool, role)
    if _is_gone(subject):
        raise InvalidInput(f"{named(subject)} is disabled or gone: no role is given.")
    present = work.db.scalar(select(Grant).where(Grant.pool_id == pool.id, _of(subject)).limit(1))
    if present is not None:
        raise GrantExists(
            f"{named(subject)} is {present.role.name} on {pool.name} already; change that grant.",
            grant_id=present.id,
        )
    return write(work, pool, subject, role)


def write(work: Work, pool: Pool, subject: User | Group, role: Role) -> Grant:
    """Write a grant without asking who gives it: for the first run, and after `give` asked."""
    grant = Grant(role_id=role.id, pool_id=pool.id, created_at=work.now())
    if isinstance(subject, User):
        grant.user_id = subject.id
    else:
        grant.group_id = subject.id
    work.db.add(grant)
    work.db.flush()
    work.db.refresh(grant)
    _record(work, "grant.give", grant, after={"role": role.name})
    return grant


def change(work: Work, grant: Grant, role: Role) -> None:
    """Give another role instead of the present one."""
    super_admins.take_turn(work)
    grant = get(work, grant.id)
    work.db.refresh(role)
    _ensure_may(work, grant.pool, role)
    if role.id == grant.role_id:
        return
    twin = select(Grant.id).where(
        Grant.pool_id == grant.pool_id, _of(subject_of(grant)), Grant.role_id == role.id
    )
    if work.db.scalar(twin) is not None:
        raise GrantExists(f"{named(subject_of(grant))} is {role.name} there already.")
    super_admins.ensure_remain(work, without_grant_id=grant.id)
    before = grant.role.name
    grant.role = role
    work.db.flush()
    _record(work, "grant.change", grant, before={"role": before}, after={"role": role.name})


def revoke(work: Work, grant: Grant) -> None:
    super_admins.take_turn(work)
    grant = get(work, grant.id)
    _ensure_may(work, grant.pool)
    super_admins.ensure_remain(work, without_grant_id=grant.id)
    _record(work, "grant.revoke", grant, before={"role": grant.role.name})
    work.db.delete(grant)
    work.db.flush()


def held_by_actor(work: Work, pool: Pool) -> Privileges:
    if work.actor.user_id is None:
        return frozenset(Privilege)  # the console itself
    return privileges_on(work.db, work.actor.user_id, pool.id)


def _ensure_may(work: Work, pool: Pool, role: Role | None = None) -> None:
    """Raise unless the actor may set grants on the pool, and holds there all that the role does."""
    held = held_by_actor(work, pool)
    if Privilege.VIEW not in held:
        raise NotFound("There is nothing here, or nothing that you may see.")
    if Privilege.SET_GRANTS not in held:
        raise Forbidden(f"You may not set grants on {pool.name}.", pool_id=pool.id)
    lacking = sorted(privileges_of(role) - held) if role is not None else []
    if lacking:
        assert role is not None
        raise GrantBeyond(
            f"{role.name} holds what you do not hold on {pool.name} yourself: "
            f"{', '.join(name.replace('_', ' ') for name in lacking)}.",
            privileges=lacking,
        )


def _of(subject: User | Group) -> ColumnElement[bool]:
    column = Grant.user_id if isinstance(subject, User) else Grant.group_id
    return column == subject.id


def _is_gone(subject: User | Group) -> bool:
    ended = subject.disabled_at if isinstance(subject, User) else subject.vanished_at
    return ended is not None


def _record(
    work: Work,
    action: str,
    grant: Grant,
    *,
    before: dict[str, str] | None = None,
    after: dict[str, str] | None = None,
) -> None:
    """Write it down, and tell the open pages and consoles of everybody concerned."""
    whom = subject_of(grant)
    kind = USER if isinstance(whom, User) else GROUP
    name = f"{whom.name}@{whom.realm.name}"
    audit.record(
        work, action, kind, whom.id, name, pool_id=grant.pool_id, before=before, after=after
    )
    for user_id in [whom.id] if kind == USER else members(work, whom.id):
        people.announce_rights(work, user_id)


def members(work: Work, group_id: int) -> list[int]:
    """Return the ids of the users that belong to a group."""
    return list(work.db.scalars(select(Membership.user_id).where(Membership.group_id == group_id)))
