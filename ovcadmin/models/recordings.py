"""Recordings of consoles, and which pools want them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ovcadmin.models.base import Base, Numbered, utcnow
from ovcadmin.models.hosts import Host
from ovcadmin.models.machines import Machine
from ovcadmin.models.people import User
from ovcadmin.models.pools import Pool


class ConsolePolicy(Base):
    """Whether consoles in a pool's subtree are recorded.  The nearest one counts."""

    __tablename__ = "console_policy"

    pool_id: Mapped[int] = mapped_column(ForeignKey("pool.id"), primary_key=True)
    records: Mapped[bool]
    keys: Mapped[bool] = mapped_column(default=False)
    """Whether what is typed is kept, too, and not only what is shown."""
    keep_days: Mapped[int]

    pool: Mapped[Pool] = relationship()

    __table_args__ = (CheckConstraint("keep_days BETWEEN 1 AND 3650", name="keep_days_known"),)


class Recording(Numbered, Base):
    """What one console showed, from its opening to its end."""

    __tablename__ = "recording"

    pool_id: Mapped[int] = mapped_column(ForeignKey("pool.id"), index=True)
    """The pool that the machine or host was in."""
    machine_id: Mapped[int | None] = mapped_column(ForeignKey("machine.id"), index=True)
    host_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"), index=True)
    title: Mapped[str]
    """Name of the machine or host at that time."""
    kind: Mapped[str]
    """Of the console, see services/consoles."""
    keys: Mapped[bool] = mapped_column(default=False)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    console_id: Mapped[int] = mapped_column(index=True)
    """Number of the console session, which is forgotten sooner."""
    columns: Mapped[int]
    rows: Mapped[int]
    """Of the terminal at the beginning."""
    began_at: Mapped[datetime] = mapped_column(default=utcnow)
    ended_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    length: Mapped[int] = mapped_column(default=0)
    """Milliseconds to the last thing that is in it."""
    size: Mapped[int] = mapped_column(default=0)
    """Bytes that it takes in the database."""
    cut: Mapped[bool] = mapped_column(default=False)
    """It grew to its limit: what came later is not in it."""
    shared_at: Mapped[datetime | None]
    """Since when all who see the pool may look at it; NULL: only some may."""

    pool: Mapped[Pool] = relationship()
    user: Mapped[User] = relationship()
    machine: Mapped[Machine | None] = relationship()
    host: Mapped[Host | None] = relationship()

    __table_args__ = (
        CheckConstraint("(machine_id IS NULL) <> (host_id IS NULL)", name="machine_or_host"),
        Index("ix_recording_expires_at", "expires_at"),
    )


class RecordingPart(Base):
    """A piece of a recording, compressed; see domain/recordings."""

    __tablename__ = "recording_part"

    recording_id: Mapped[int] = mapped_column(
        ForeignKey("recording.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[bytes]
