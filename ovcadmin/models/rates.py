"""Rates that the machines of a pool share, and what each machine is given of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from ovcadmin.domain.rates import LEAST, NAMES, Rates
from ovcadmin.models.base import Base


class PoolRates(Base):
    """The limits that the running machines of a pool and of those below it share.

    NULL is no limit at this level.  Units as in domain/rates.
    """

    __tablename__ = "pool_rates"

    pool_id: Mapped[int] = mapped_column(ForeignKey("pool.id"), primary_key=True)
    cpu: Mapped[int | None]
    byte_rate: Mapped[int | None]
    iops: Mapped[int | None]
    receive: Mapped[int | None]
    send: Mapped[int | None]

    __table_args__ = tuple(
        CheckConstraint(f"{name} >= {least}", name=f"{name}_least") for name, least in LEAST.items()
    )

    @property
    def rates(self) -> Rates:
        return Rates(**{name: getattr(self, name) for name in NAMES})


class MachineRates(Base):
    """What a machine is given of limits that others share with it, and whether its guest has it.

    The row of a machine that stopped stays: its definition on the host still says so, until it
    was divided again.
    """

    __tablename__ = "machine_rates"

    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"), primary_key=True)
    parts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Rate to [amount, id of the pool that binds]; only what is less than its own."""
    due: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """The same, device by device: `cpu`, the name of a drive or the MAC of a card to its limits;
    None is no limit."""
    waiting: Mapped[bool] = mapped_column(default=True)
    """Whether the guest is still to be told."""
    told_at: Mapped[datetime | None]
    told_host_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"))
    """Where it ran then: a guest that moved or started since is told again."""
    tried_at: Mapped[datetime | None]
    trouble: Mapped[str] = mapped_column(Text, default="")
    """Why its host could not limit it the last time; empty when it could."""

    __table_args__ = (
        Index(
            "ix_machine_rates_waiting",
            "machine_id",
            sqlite_where=text("waiting"),
            postgresql_where=text("waiting"),
        ),
    )
