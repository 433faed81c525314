"""First run: what must exist before anybody can sign in.  Safe to run again."""

from __future__ import annotations

import secrets

from sqlalchemy import select

from ovcadmin.models import Grant, Lineage, Pool, Realm, Role, RolePrivilege, User
from ovcadmin.security.privileges import DESCRIPTIONS, SHIPPED_ROLES, SUPER_ADMIN
from ovcadmin.services import grants, people, second_factors, sessions, super_admins
from ovcadmin.work import Work

ROOT_NAME = "Cloud"
ADMINISTRATOR = "admin"


def initialise(work: Work) -> str | None:
    """Make root pool, internal realm, shipped roles and the administrator.

    Returns the administrator's generated password when this made him, else None.
    """
    root = _root(work)
    _realm(work)
    _roles(work)
    if work.db.scalar(select(User.id).limit(1)) is not None:
        return None
    password = secrets.token_urlsafe(12)
    user = people.create(work, name=ADMINISTRATOR, password=password, display_name="Administrator")
    grant(work, user, SUPER_ADMIN, root)
    return password


def rescue(work: Work, name: str, password: str) -> User:
    """Let a local account in as Super Admin of the whole cloud, made if there is none.

    For whoever stands at the machine itself when nobody else gets in: password and rights are
    set, its sessions end, and the second factor, perhaps lost, goes.
    """
    user = people.find(work, name)
    if user is None:
        user = people.create(work, name=name, password=password)
    else:
        people.set_password(work, user, password)
        sessions.revoke_others(work, user.id, keep=None)
        if second_factors.confirmed(work, user.id) is not None:
            second_factors.remove(work, user)
    if user.disabled_at is not None:
        people.set_disabled(work, user, disabled=False)
    user.realm.enabled = True
    own = [way for way in super_admins.ways(work) if way.group_id is None]
    if all(way.user_id != user.id for way in own):
        grant(work, user, SUPER_ADMIN, _root(work))
    return user


def grant(work: Work, user: User, role_name: str, pool: Pool) -> Grant:
    """Give a user a role on a pool."""
    role = work.db.scalars(select(Role).where(Role.name == role_name)).one()
    return grants.write(work, pool, user, role)


def _root(work: Work) -> Pool:
    pool = work.db.scalar(select(Pool).where(Pool.parent_id.is_(None)))
    if pool is None:
        pool = Pool(
            name=ROOT_NAME, name_key=ROOT_NAME.casefold(), description="", created_at=work.now()
        )
        work.db.add(pool)
        work.db.flush()
        work.db.add(Lineage(ancestor_id=pool.id, pool_id=pool.id, distance=0))
        work.db.flush()
    return pool


def _realm(work: Work) -> None:
    if work.db.scalar(select(Realm).where(Realm.name == people.INTERNAL)) is None:
        work.db.add(Realm(name=people.INTERNAL, kind=people.INTERNAL, label="Local accounts"))
        work.db.flush()


def _roles(work: Work) -> None:
    """Ship the roles; a release that adds a privilege to a shipped role brings it here."""
    for name, privileges in SHIPPED_ROLES.items():
        role = work.db.scalar(select(Role).where(Role.name == name))
        if role is None:
            role = Role(name=name, shipped=True, privileges=[])
            work.db.add(role)
        role.description = role.description or DESCRIPTIONS[name]
        held = {row.privilege for row in role.privileges}
        role.privileges.extend(
            RolePrivilege(privilege=privilege.value)
            for privilege in sorted(privileges)
            if privilege.value not in held
        )
    work.db.flush()
