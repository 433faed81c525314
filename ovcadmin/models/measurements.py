"""What hosts and machines were measured to use, for a while."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, Integer
from sqlalchemy.orm import Mapped, mapped_column

from ovcadmin.models.base import Base


class Measurement(Base):
    """What one host or machine used in one stretch of time.

    Stretches of a few sizes (`grain`, seconds) are kept, each for its time: see
    domain/measurements.  Rates are bytes a second, memory KiB.
    """

    __tablename__ = "measurement"

    kind: Mapped[str] = mapped_column(primary_key=True)
    """`host` or `machine`."""
    object_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    grain: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    """Where the stretch begins."""
    cpu: Mapped[float]
    """Part of its CPUs that was busy, 0 to 1."""
    memory: Mapped[int]
    received: Mapped[float]
    """Of a host: what its machines received together."""
    sent: Mapped[float]
    read: Mapped[float]
    written: Mapped[float]

    __table_args__ = (Index("ix_measurement_grain_at", "grain", "at"),)
