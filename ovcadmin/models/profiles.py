"""Profiles: an image, a size and a network under one name, for machines by one click."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ovcadmin.models.base import Base, Numbered, utcnow
from ovcadmin.models.machines import Image
from ovcadmin.models.pools import Pool


class LeaseDefault(Base):
    """What leases machines of a pool and of all below get, unless a nearer pool says otherwise."""

    __tablename__ = "lease_default"

    pool_id: Mapped[int] = mapped_column(ForeignKey("pool.id"), primary_key=True)
    run_hours: Mapped[int | None]
    """How long a machine may run from its start on; NULL is without end."""
    run_end: Mapped[str]
    """What happens then: `shutdown`, `power_off`, `save`."""
    keep_days: Mapped[int | None]
    """How long it is kept from its creation on; NULL is without end."""

    __table_args__ = (
        CheckConstraint("run_hours > 0", name="run_positive"),
        CheckConstraint("keep_days > 0", name="keep_positive"),
    )


class Profile(Numbered, Base):
    """It is kept at a pool and serves that pool's subtree."""

    __tablename__ = "profile"

    pool_id: Mapped[int] = mapped_column(ForeignKey("pool.id"), index=True)
    name: Mapped[str]
    name_key: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"), index=True)
    size_name: Mapped[str]
    network: Mapped[str | None]
    """A libvirt network; NULL is QEMU's user-mode network."""
    cloud_init: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What the first boot of its machines is told; see services/cloud_init."""
    start: Mapped[bool] = mapped_column(default=True)
    """Whether its machines are started as soon as they are made."""
    created_at: Mapped[datetime] = mapped_column(default=utcnow)

    pool: Mapped[Pool] = relationship()
    image: Mapped[Image] = relationship()

    __table_args__ = (UniqueConstraint("pool_id", "name_key"),)
