"""Roles, and who was granted which of them on which pool."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ovcadmin.models.base import Base, Numbered, utcnow
from ovcadmin.models.people import Group, User
from ovcadmin.models.pools import Pool


class Role(Numbered, Base):
    """A named set of privileges.  Shipped roles are seeded; others are data of the same kind."""

    __tablename__ = "role"

    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str] = mapped_column(default="", server_default="")
    shipped: Mapped[bool] = mapped_column(default=False)
    second_factor: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whoever holds it must sign in with a second factor."""
    version: Mapped[int] = mapped_column(default=1, server_default="1")

    privileges: Mapped[list[RolePrivilege]] = relationship(
        cascade="all, delete-orphan", lazy="selectin"
    )


class RolePrivilege(Base):
    __tablename__ = "role_privilege"

    role_id: Mapped[int] = mapped_column(ForeignKey("role.id"), primary_key=True)
    privilege: Mapped[str] = mapped_column(primary_key=True)


class Grant(Numbered, Base):
    """(user or group, role, pool): reaches the whole subtree; rights are the union; no deny."""

    __tablename__ = "grant_row"

    user_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    group_id: Mapped[int | None] = mapped_column(ForeignKey("directory_group.id"))
    role_id: Mapped[int] = mapped_column(ForeignKey("role.id"))
    pool_id: Mapped[int] = mapped_column(ForeignKey("pool.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)

    user: Mapped[User | None] = relationship()
    group: Mapped[Group | None] = relationship()
    role: Mapped[Role] = relationship()
    pool: Mapped[Pool] = relationship()

    __table_args__ = (
        UniqueConstraint("user_id", "pool_id", "role_id"),
        UniqueConstraint("group_id", "pool_id", "role_id"),
        CheckConstraint("(user_id IS NULL) <> (group_id IS NULL)", name="user_or_group"),
    )
