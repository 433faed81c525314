"""OpenvStorage clusters: how each is reached, and what was last seen of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ovcadmin.models.base import Base, Numbered, utcnow
from ovcadmin.models.hosts import Host
from ovcadmin.models.pools import Pool


class StorageCluster(Numbered, Base):
    """Attached to a pool, whose administrators look after it; its vPools are storage pools."""

    __tablename__ = "storage_cluster"

    name: Mapped[str] = mapped_column(unique=True)
    pool_id: Mapped[int] = mapped_column(ForeignKey("pool.id"), index=True)
    addresses: Mapped[list[str]] = mapped_column(default=list)
    """Of the storage routers, any of which will do."""
    client_id: Mapped[str]
    sealed_secret: Mapped[str]
    authority: Mapped[str] = mapped_column(default="")
    """Certificates (PEM) that are trusted; the system's authorities when blank."""
    fingerprints: Mapped[list[str]] = mapped_column(default=list)
    """SHA-256 of the very certificates that are trusted; then nothing else counts."""
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    version: Mapped[int] = mapped_column(default=1)

    state: Mapped[str] = mapped_column(default="new")
    """`new` (not asked yet), `up`, or `down`."""
    state_since: Mapped[datetime] = mapped_column(default=utcnow)
    state_reason: Mapped[str] = mapped_column(default="")
    look_at: Mapped[datetime] = mapped_column(default=utcnow)
    """When it is asked next."""
    observed_at: Mapped[datetime | None]
    seen: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """`release`, `roles`, and `vpools` with their mounts, configuration and statistics."""

    pool: Mapped[Pool] = relationship()
    routers: Mapped[list[StorageRouter]] = relationship(
        order_by="StorageRouter.name", cascade="all, delete-orphan"
    )

    __table_args__ = (CheckConstraint("state IN ('new', 'up', 'down')", name="state_known"),)


class StorageRouter(Numbered, Base):
    """A node of a cluster, and which of our hosts stands on the same machine."""

    __tablename__ = "storage_router"

    cluster_id: Mapped[int] = mapped_column(ForeignKey("storage_cluster.id"))
    guid: Mapped[str]
    name: Mapped[str]
    ip: Mapped[str]
    status: Mapped[str] = mapped_column(default="")
    """By the cluster's word: OK, WARNING or FAILURE."""
    host_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"), index=True)
    chosen: Mapped[bool] = mapped_column(default=False)
    """People said which host it is; otherwise names and addresses tell."""

    host: Mapped[Host | None] = relationship()

    __table_args__ = (UniqueConstraint("cluster_id", "guid"),)
