"""Logical groups and tags: names for sets of things across the pool tree.  They grant nothing."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ovcadmin.models.base import Base, Numbered, utcnow
from ovcadmin.models.pools import Pool

KINDS = ("machine", "pool", "host", "storage_pool")
_KNOWN = f"kind IN ({', '.join(repr(kind) for kind in KINDS)})"


class LogicalGroup(Numbered, Base):
    """A named set of hosts, storage pools, pools and machines, kept at a pool.

    Who sees the pool sees the group, and of its members those that he may see anyway.
    """

    __tablename__ = "logical_group"

    pool_id: Mapped[int] = mapped_column(ForeignKey("pool.id"), index=True)
    name: Mapped[str]
    name_key: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    placement: Mapped[str] = mapped_column(default="")
    """Where its machines live: `together` on one host, `apart` on different ones; empty: free."""
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    version: Mapped[int] = mapped_column(default=1)

    pool: Mapped[Pool] = relationship()
    members: Mapped[list[GroupMember]] = relationship(cascade="all, delete-orphan")

    __table_args__ = (
        UniqueConstraint("pool_id", "name_key"),
        CheckConstraint("placement IN ('', 'together', 'apart')", name="placement_known"),
    )


class GroupMember(Base):
    __tablename__ = "logical_group_member"

    group_id: Mapped[int] = mapped_column(ForeignKey("logical_group.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    object_id: Mapped[int] = mapped_column(primary_key=True)

    __table_args__ = (
        CheckConstraint(_KNOWN, name="kind_known"),
        Index("ix_logical_group_member_kind_object_id", "kind", "object_id"),
    )


class Tag(Base):
    """A word on a thing, by which lists are narrowed: `tag:web`."""

    __tablename__ = "tag"

    kind: Mapped[str] = mapped_column(primary_key=True)
    object_id: Mapped[int] = mapped_column(primary_key=True)
    word: Mapped[str] = mapped_column(primary_key=True)
    """In its normal form (`domain.names.key`)."""

    __table_args__ = (
        CheckConstraint(_KNOWN, name="kind_known"),
        Index("ix_tag_kind_word", "kind", "word"),
    )
