"""Addresses that guests were seen with."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from ovcadmin.models.base import Base, Numbered


class GuestAddress(Numbered, Base):
    """An address that the DHCP server of a host's network gave to a guest's card.

    It stays when the lease has ended, with the time at which it was last seen: a call is often
    about yesterday.
    """

    __tablename__ = "guest_address"

    mac: Mapped[str]
    address: Mapped[str] = mapped_column(index=True)
    network: Mapped[str]
    """Name of the libvirt network."""
    host_id: Mapped[int] = mapped_column(ForeignKey("host.id", ondelete="CASCADE"))
    seen_at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("mac", "address"),)
