"""Groups of directories: who belongs to them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Select, func, select

from ovcadmin.domain import names
from ovcadmin.models import Grant, Group, Membership, User
from ovcadmin.work import Work

PAGE = 50


@dataclass(frozen=True, kw_only=True)
class Line:
    group: Group
    members: int
    grants: int


def listing(work: Work, text: str = "", *, page: int = 1) -> tuple[list[Line], int]:
    """Return one page of the groups whose name holds `text`, and how many there are."""
    found = _matching(text)
    total = work.db.scalar(select(func.count()).select_from(found.subquery())) or 0
    members = select(func.count()).where(Membership.group_id == Group.id).scalar_subquery()
    grants = select(func.count()).where(Grant.group_id == Group.id).scalar_subquery()
    rows = work.db.execute(
        found.add_columns(members, grants)
        .order_by(Group.name_key, Group.id)
        .limit(PAGE)
        .offset((page - 1) * PAGE)
    )
    return [Line(group=row[0], members=row[1], grants=row[2]) for row in rows.unique()], total


def matching(work: Work, text: str) -> list[Group]:
    return list(work.db.scalars(_matching(text)).unique())


def _matching(text: str) -> Select[Group]:
    part = names.key(text.strip())
    return select(Group).where(Group.name_key.contains(part, autoescape=True))


def members(work: Work, group: Group, *, page: int = 1, size: int = PAGE) -> tuple[list[User], int]:
    """Return one page of those who belong to the group, directly or by way of other groups."""
    found = (
        select(User)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.group_id == group.id)
    )
    total = work.db.scalar(select(func.count()).select_from(found.subquery())) or 0
    rows = work.db.scalars(
        found.order_by(User.name_key, User.id).limit(size).offset((page - 1) * size)
    )
    return list(rows.unique()), total


def of(work: Work, user: User) -> list[Group]:
    """Return the groups that hold the user."""
    statement = select(Group).join(Membership, Membership.group_id == Group.id)
    return list(
        work.db.scalars(
            statement.where(Membership.user_id == user.id).order_by(Group.name_key)
        ).unique()
    )
