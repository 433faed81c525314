"""Snapshots of all disks of a machine, and when they are made by themselves."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ovcadmin.models.base import Base, Numbered, utcnow
from ovcadmin.models.machines import Machine, Volume
from ovcadmin.models.people import User
from ovcadmin.models.pools import Pool


class Snapshot(Numbered, Base):
    """What all disks of a machine held at one moment.  Names repeat; number and moment do not."""

    __tablename__ = "snapshot"

    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"), index=True)
    name: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    """When it was asked for."""
    taken_at: Mapped[datetime | None]
    """The moment that it shows; NULL until all its parts are there."""
    running: Mapped[bool] = mapped_column(default=False)
    """The guest ran: its disks are as after a power cut."""
    scheduled: Mapped[bool] = mapped_column(default=False)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))

    machine: Mapped[Machine] = relationship()
    user: Mapped[User | None] = relationship()
    parts: Mapped[list[SnapshotPart]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="SnapshotPart.volume_id"
    )

    @property
    def size(self) -> int:
        """Bytes of the disks that it holds."""
        return sum(part.size for part in self.parts)

    @property
    def counted(self) -> int:
        """Bytes that it takes of the storage quota."""
        return sum(part.size for part in self.parts if part.counted)


class SnapshotPart(Base):
    """One disk of a snapshot; it goes with its disk."""

    __tablename__ = "snapshot_part"

    snapshot_id: Mapped[int] = mapped_column(
        ForeignKey("snapshot.id", ondelete="CASCADE"), primary_key=True
    )
    volume_id: Mapped[int] = mapped_column(
        ForeignKey("volume.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str | None]
    """The storage's own lasting name of it; NULL until it is there."""
    size: Mapped[int]
    """Of the disk at that moment, bytes."""
    counted: Mapped[bool]
    """Whether its storage keeps it as a copy, which counts for the quota."""

    volume: Mapped[Volume] = relationship()


class SnapshotSchedule(Numbered, Base):
    """When snapshots are made by themselves: of one machine, or of all in a pool's subtree.

    The nearest one counts: the machine's own, else that of its pool, else of the pool above.
    """

    __tablename__ = "snapshot_schedule"

    machine_id: Mapped[int | None] = mapped_column(ForeignKey("machine.id"))
    pool_id: Mapped[int | None] = mapped_column(ForeignKey("pool.id"))
    times: Mapped[str]
    """Five fields as in cron, UTC; see domain/schedules."""
    keep: Mapped[int]
    """So many of the snapshots that it made stay; the oldest go first."""
    next_at: Mapped[datetime]
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))

    machine: Mapped[Machine | None] = relationship()
    pool: Mapped[Pool | None] = relationship()

    __table_args__ = (
        UniqueConstraint("machine_id"),
        UniqueConstraint("pool_id"),
        CheckConstraint("(machine_id IS NULL) <> (pool_id IS NULL)", name="machine_or_pool"),
        CheckConstraint("keep BETWEEN 0 AND 1000", name="keep_known"),
        Index("ix_snapshot_schedule_next_at", "next_at"),
    )
