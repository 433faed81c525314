"""Roles as data: named sets of privileges.

Shipped roles may be described anew and may ask for a second factor, but keep their name and
privileges and are never deleted.  Nobody puts into a role what he does not hold on the root
himself: he could make himself anything by way of his own role.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import CompoundSelect, func, select, union

from ovcadmin.domain import names
from ovcadmin.errors import (
    Conflict,
    GrantBeyond,
    InvalidInput,
    NameTaken,
    NotFound,
    ObjectInUse,
    Outdated,
)
from ovcadmin.models import Grant, Group, Membership, Role, RolePrivilege, User
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import audit, grants, people, pools, super_admins
from ovcadmin.services.grants import Privileges
from ovcadmin.work import Work

LONGEST = 2000


@dataclass(frozen=True, kw_only=True)
class Use:
    """How much hangs on a role."""

    grants: int
    pools: int
    people: int


def get(work: Work, role_id: int) -> Role:
    role = work.db.get(Role, role_id)
    if role is None:
        raise NotFound("There is no such role.")
    return role


def listing(work: Work) -> list[Role]:
    return list(work.db.scalars(select(Role).order_by(Role.shipped.desc(), Role.id)))


def use(work: Work, role: Role) -> Use:
    """Return on how many pools, by how many grants and by how many enabled people it is held."""
    counted = select(func.count(Grant.id), func.count(Grant.pool_id.distinct()))
    total, pools = work.db.execute(counted.where(Grant.role_id == role.id)).one()
    reached = work.db.scalar(select(func.count()).select_from(_holders(role).subquery()))
    return Use(grants=total, pools=pools, people=reached or 0)


def create(
    work: Work,
    *,
    name: str,
    description: str,
    privileges: Iterable[Privilege],
    second_factor: bool = False,
) -> Role:
    role = Role(shipped=False)
    wanted = _checked(work, privileges, present=frozenset())
    _fill(work, role, name=name, description=description, second_factor=second_factor)
    _set_privileges(role, wanted)
    work.db.add(role)
    work.db.flush()
    audit.record(work, "role.create", "role", role.id, role.name, after=_told(role))
    return role


def edit(
    work: Work,
    role: Role,
    *,
    name: str,
    description: str,
    privileges: Iterable[Privilege],
    second_factor: bool,
    version: int,
) -> None:
    """Change a role, if nobody else did since `version`; who holds it is told at once."""
    super_admins.take_turn(work)
    work.db.refresh(role)
    if version != role.version:
        raise Outdated(f"{role.name} was changed by somebody else meanwhile. Look at it again.")
    present, before, asked = grants.privileges_of(role), _told(role), role.second_factor
    wanted = _checked(work, privileges, present=present)
    if role.shipped and (wanted != present or name != role.name):
        raise Conflict(
            f"{role.name} is shipped: it keeps its name and privileges. Make a role of your own."
        )
    _fill(work, role, name=name, description=description, second_factor=second_factor)
    _set_privileges(role, wanted)
    role.version += 1
    work.db.flush()
    if wanted != present or second_factor != asked:
        for user_id in work.db.scalars(_holders(role)):
            people.announce_rights(work, user_id)
    audit.record(work, "role.edit", "role", role.id, role.name, before=before, after=_told(role))


def delete(work: Work, role: Role) -> None:
    super_admins.take_turn(work)
    if role.shipped:
        raise ObjectInUse(f"{role.name} is shipped and stays.")
    if used := use(work, role).grants:
        raise ObjectInUse(
            f"{role.name} is held by {used} grants. Revoke or change them first.", grants=used
        )
    audit.record(work, "role.delete", "role", role.id, role.name, before=_told(role))
    work.db.delete(role)
    work.db.flush()


def _fill(work: Work, role: Role, *, name: str, description: str, second_factor: bool) -> None:
    try:
        cleaned = names.clean(name)
    except ValueError as error:
        raise InvalidInput("The role cannot have this name.", fields={"name": str(error)}) from None
    if len(description) > LONGEST:
        raise InvalidInput(
            "The description is too long.", fields={"description": f"At most {LONGEST} characters."}
        )
    others = work.db.scalars(select(Role.name).where(Role.id != (role.id or 0)))
    if names.key(cleaned) in {names.key(other) for other in others}:
        raise NameTaken(f"There is already a role {cleaned}; choose another name.", field="name")
    role.name, role.description, role.second_factor = cleaned, description.strip(), second_factor


def _checked(work: Work, privileges: Iterable[Privilege], *, present: Privileges) -> Privileges:
    wanted = frozenset(privileges)
    if Privilege.VIEW not in wanted:
        # What cannot be seen cannot be acted on either: such a role would do nothing.
        raise InvalidInput(
            "The role cannot be saved.", fields={"privileges": "Every role holds “view”."}
        )
    lacking = sorted(wanted - present - grants.held_by_actor(work, pools.root(work)))
    if lacking:
        raise GrantBeyond(
            f"You do not hold {', '.join(lacking)} on the root yourself.", privileges=lacking
        )
    return wanted


def _set_privileges(role: Role, wanted: Privileges) -> None:
    present = {row.privilege: row for row in role.privileges}
    for name, row in present.items():
        if name not in wanted:
            role.privileges.remove(row)
    role.privileges.extend(
        RolePrivilege(privilege=one.value) for one in sorted(wanted) if one.value not in present
    )


def _holders(role: Role) -> CompoundSelect[int]:
    """Select the ids of the enabled users to whom a grant of the role reaches."""
    holds = (Grant.role_id == role.id, User.disabled_at.is_(None))
    own = select(User.id).join(Grant, Grant.user_id == User.id).where(*holds)
    by_group = (
        select(User.id)
        .join(Membership, Membership.user_id == User.id)
        .join(Group, Group.id == Membership.group_id)
        .join(Grant, Grant.group_id == Group.id)
        .where(Group.vanished_at.is_(None), *holds)
    )
    return union(own, by_group)


def _told(role: Role) -> dict[str, object]:
    return {
        "name": role.name,
        "description": role.description,
        "privileges": sorted(row.privilege for row in role.privileges),
        "second_factor": role.second_factor,
    }
