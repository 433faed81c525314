"""The pool tree, its lineage, and the limits on each pool."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ovcadmin.domain.resources import NAMES, Limits
from ovcadmin.models.base import Base, Numbered, utcnow


class Pool(Numbered, Base):
    """A node of the one tree; the root is the cloud."""

    __tablename__ = "pool"

    parent_id: Mapped[int | None] = mapped_column(ForeignKey("pool.id"), index=True)
    name: Mapped[str]
    name_key: Mapped[str]
    """`domain.names.key` of the name: siblings differ in it."""
    description: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    frozen_at: Mapped[datetime | None]
    """A frozen pool and everything below takes nothing new."""
    retired_at: Mapped[datetime | None]
    """A retired one is frozen as well, and lists leave it out unless they are asked for it."""
    version: Mapped[int] = mapped_column(default=1)
    """Raised at each edit; a form or If-Match with an older one is refused (lost update)."""

    parent: Mapped[Pool | None] = relationship(remote_side="Pool.id")
    quota: Mapped[Quota | None] = relationship(
        back_populates="pool", lazy="joined", cascade="all, delete-orphan"
    )

    __table_args__ = (
        # Partial, so that PostgreSQL takes neither column for a key: changing the parent of a pool
        # would else wait for every insert that refers to it, and those wait for the chain's lock.
        Index(
            "uq_pool_parent_id_name_key",
            "parent_id",
            "name_key",
            unique=True,
            sqlite_where=text("parent_id IS NOT NULL"),
            postgresql_where=text("parent_id IS NOT NULL"),
        ),
        # Exactly one root: the index holds one key for all rows without a parent.
        Index(
            "uq_pool_root",
            text("(parent_id IS NULL)"),
            unique=True,
            sqlite_where=text("parent_id IS NULL"),
            postgresql_where=text("parent_id IS NULL"),
        ),
    )

    @property
    def is_root(self) -> bool:
        return self.parent_id is None

    @property
    def is_closed(self) -> bool:
        """Whether nothing new starts in it by its own state; see `services.pools.ensure_open`."""
        return self.frozen_at is not None or self.retired_at is not None

    @property
    def limits(self) -> Limits:
        return self.quota.limits if self.quota else Limits()


class Lineage(Base):
    """Every (ancestor, pool) pair of the tree, a pool itself included at distance 0.

    Kept beside the parent pointers so that rights, quota and lists are plain joins; see
    docs/decisions/0002.
    """

    __tablename__ = "lineage"

    ancestor_id: Mapped[int] = mapped_column(ForeignKey("pool.id"), primary_key=True)
    pool_id: Mapped[int] = mapped_column(ForeignKey("pool.id"), primary_key=True, index=True)
    distance: Mapped[int]


class Quota(Base):
    """The limits of one pool; NULL is no limit at this level."""

    __tablename__ = "quota"

    pool_id: Mapped[int] = mapped_column(ForeignKey("pool.id"), primary_key=True)
    vcpus: Mapped[int | None]
    memory: Mapped[int | None]
    nics: Mapped[int | None]
    machines: Mapped[int | None]
    redundancy: Mapped[int | None]
    storage: Mapped[int | None]
    warnings: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """Percent of a limit from which the pool warns, by resource; `domain.quota` has the default."""
    defaults: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """The limits that a new sub-pool begins with."""

    pool: Mapped[Pool] = relationship(back_populates="quota")

    __table_args__ = tuple(
        CheckConstraint(f"{name} >= 0", name=f"{name}_not_negative") for name in NAMES
    )

    @property
    def limits(self) -> Limits:
        return Limits(**{name: getattr(self, name) for name in NAMES})


PENDING = {name: f"pending_{name}" for name in NAMES}
"""The column of `PoolUse` for what is pending of each resource."""


class PoolUse(Base):
    """What the reservations of a pool's whole subtree come to; no row is nothing.

    Kept by models/use and docs/decisions/0028; `ovcadmin quota check` adds everything up again.
    """

    __tablename__ = "pool_use"

    pool_id: Mapped[int] = mapped_column(ForeignKey("pool.id"), primary_key=True)
    vcpus: Mapped[int] = mapped_column(default=0)
    memory: Mapped[int] = mapped_column(default=0)
    nics: Mapped[int] = mapped_column(default=0)
    machines: Mapped[int] = mapped_column(default=0)
    redundancy: Mapped[int] = mapped_column(default=0)
    storage: Mapped[int] = mapped_column(default=0)
    pending_vcpus: Mapped[int] = mapped_column(default=0)
    pending_memory: Mapped[int] = mapped_column(default=0)
    pending_nics: Mapped[int] = mapped_column(default=0)
    pending_machines: Mapped[int] = mapped_column(default=0)
    pending_redundancy: Mapped[int] = mapped_column(default=0)
    pending_storage: Mapped[int] = mapped_column(default=0)

    # The row of the root changes with every reservation: room on its page for the next version.
    __table_args__ = ({"postgresql_with": {"fillfactor": 30}},)


class Reservation(Numbered, Base):
    """What one machine or volume takes from its pool (and so from every pool above it).

    `operation_id` set: pending, promised to an operation that has not ended; it becomes held or
    vanishes in the transaction that ends the operation.  Only services/reservations writes these
    rows, and with each change the counters of `PoolUse`.
    """

    __tablename__ = "reservation"

    pool_id: Mapped[int] = mapped_column(ForeignKey("pool.id"), index=True)
    machine_id: Mapped[int | None] = mapped_column(ForeignKey("machine.id"), index=True)
    volume_id: Mapped[int | None] = mapped_column(ForeignKey("volume.id"), index=True)
    """A volume that no machine has; what a machine has counts as the machine's."""
    operation_id: Mapped[int | None] = mapped_column(ForeignKey("operation.id"), index=True)
    kind: Mapped[str]
    """`running` (vcpus, memory, nics, machines, redundancy) or `storage`."""
    vcpus: Mapped[int] = mapped_column(default=0)
    memory: Mapped[int] = mapped_column(default=0)
    nics: Mapped[int] = mapped_column(default=0)
    machines: Mapped[int] = mapped_column(default=0)
    redundancy: Mapped[int] = mapped_column(default=0)
    storage: Mapped[int] = mapped_column(default=0)

    __table_args__ = (
        # One machine runs once: a second held reservation would count it twice.
        Index(
            "uq_reservation_held_running",
            "machine_id",
            unique=True,
            sqlite_where=text("kind = 'running' AND operation_id IS NULL"),
            postgresql_where=text("kind = 'running' AND operation_id IS NULL"),
        ),
        # What runs is added up host by host, out of the index alone.
        Index(
            "ix_reservation_running",
            "machine_id",
            "vcpus",
            "memory",
            sqlite_where=text("kind = 'running'"),
            postgresql_where=text("kind = 'running'"),
        ),
        CheckConstraint("kind IN ('running', 'storage')", name="kind_known"),
        CheckConstraint("(machine_id IS NULL) <> (volume_id IS NULL)", name="machine_or_volume"),
        *(CheckConstraint(f"{name} >= 0", name=f"{name}_not_negative") for name in NAMES),
    )
