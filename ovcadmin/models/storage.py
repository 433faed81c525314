"""Uploads on their way into the image library, and how storage is used over time.  Bytes."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ovcadmin.models.base import Base, Numbered, utcnow
from ovcadmin.models.people import User
from ovcadmin.models.pools import Pool


class ImageUpload(Numbered, Base):
    """A file that comes in pieces and becomes an image when all of it is there and right."""

    __tablename__ = "image_upload"

    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), index=True)
    pool_id: Mapped[int] = mapped_column(ForeignKey("pool.id"), index=True)
    name: Mapped[str]
    kind: Mapped[str]
    os_type: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    size: Mapped[int]
    """The whole length, as it was announced."""
    checksum: Mapped[str] = mapped_column(default="")
    """The SHA-256 that the sender told beforehand; empty when it told none."""
    file: Mapped[str] = mapped_column(unique=True)
    """Name of the file in the library's directory."""
    received: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    moved_at: Mapped[datetime] = mapped_column(default=utcnow)
    """When the last piece came: what stands still for days is removed."""
    operation_id: Mapped[int | None] = mapped_column(ForeignKey("operation.id"))
    """The operation that checks it, once all is there."""

    user: Mapped[User] = relationship()
    pool: Mapped[Pool] = relationship()

    __table_args__ = (CheckConstraint("received >= 0 AND received <= size", name="amounts"),)


class StorageUsage(Base):
    """How full a storage pool was."""

    __tablename__ = "storage_usage"

    storage_pool_id: Mapped[int] = mapped_column(
        ForeignKey("storage_pool.id", ondelete="CASCADE"), primary_key=True
    )
    at: Mapped[datetime] = mapped_column(primary_key=True)
    capacity: Mapped[int]
    available: Mapped[int]


class VolumeUsage(Base):
    """What a volume took, and what its machine has read and written since it started."""

    __tablename__ = "volume_usage"

    volume_id: Mapped[int] = mapped_column(
        ForeignKey("volume.id", ondelete="CASCADE"), primary_key=True
    )
    at: Mapped[datetime] = mapped_column(primary_key=True)
    allocated: Mapped[int]
    read_bytes: Mapped[int | None]
    written_bytes: Mapped[int | None]
