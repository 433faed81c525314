"""Who gains and who loses rights when a pool or a machine changes its place in the tree."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from ovcadmin.models import Grant, Group, Membership, RolePrivilege, User
from ovcadmin.work import Work


@dataclass(frozen=True, kw_only=True)
class Shift:
    """One person's rights on what is moved, before and after; only what differs."""

    user_id: int
    name: str
    gains: list[str]
    loses: list[str]


def of(work: Work, old: set[int], new: set[int]) -> list[Shift]:
    """Compare the rights that the pools above give before and after, by name of the person."""
    before, after = _rights(work, old), _rights(work, new)
    changed = {number for number in before | after if before.get(number) != after.get(number)}
    people = work.db.scalars(select(User).where(User.id.in_(changed)).order_by(User.name_key))
    none: set[str] = set()
    return [
        Shift(
            user_id=user.id,
            name=user.label,
            gains=sorted(after.get(user.id, none) - before.get(user.id, none)),
            loses=sorted(before.get(user.id, none) - after.get(user.id, none)),
        )
        for user in people.unique()
    ]


def _rights(work: Work, pool_ids: set[int]) -> dict[int, set[str]]:
    """Return what each person holds by grants on these very pools, his groups' included."""
    own = (
        select(Grant.user_id, RolePrivilege.privilege)
        .join(RolePrivilege, RolePrivilege.role_id == Grant.role_id)
        .join(User, User.id == Grant.user_id)
        .where(Grant.pool_id.in_(pool_ids), User.disabled_at.is_(None))
    )
    by_group = (
        select(Membership.user_id, RolePrivilege.privilege)
        .join(Grant, Grant.group_id == Membership.group_id)
        .join(RolePrivilege, RolePrivilege.role_id == Grant.role_id)
        .join(Group, Group.id == Membership.group_id)
        .join(User, User.id == Membership.user_id)
        .where(Grant.pool_id.in_(pool_ids), User.disabled_at.is_(None), Group.vanished_at.is_(None))
    )
    found: dict[int, set[str]] = {}
    for statement in (own, by_group):
        for user_id, privilege in work.db.execute(statement):
            if user_id is not None:
                found.setdefault(user_id, set()).add(privilege)
    return found
