"""Consoles: the tickets that admit to them, and those that are open."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from ovcadmin.models.base import Base, Numbered, utcnow


class ConsoleTicket(Numbered, Base):
    """Admits one WebSocket to one console: bound to user, session, subject and kind; 60 s."""

    __tablename__ = "console_ticket"

    key_hash: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    session_id: Mapped[int | None] = mapped_column(ForeignKey("session.id"))
    token_id: Mapped[int | None] = mapped_column(ForeignKey("token.id"))
    machine_id: Mapped[int | None] = mapped_column(ForeignKey("machine.id"))
    number: Mapped[int] = mapped_column(default=0)
    """Which of the user's terminals, or which host; 0 for a machine's console."""
    kind: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class ConsoleSession(Numbered, Base):
    """An open console.

    The gateway that holds it writes what happens to it; ending the row ends the console, from
    wherever that is done.
    """

    __tablename__ = "console_session"

    kind: Mapped[str]
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    session_id: Mapped[int | None] = mapped_column(ForeignKey("session.id"))
    token_id: Mapped[int | None] = mapped_column(ForeignKey("token.id"))
    """What it was opened with: session or token."""
    machine_id: Mapped[int | None] = mapped_column(ForeignKey("machine.id"))
    number: Mapped[int] = mapped_column(default=0)
    own_token_id: Mapped[int | None] = mapped_column(ForeignKey("token.id"))
    """The token with which a terminal's commands speak to the REST API; it ends with the row."""
    gateway: Mapped[str]
    """Name of the process that holds it; one that is silent holds nothing."""
    address: Mapped[str]
    opened_at: Mapped[datetime] = mapped_column(default=utcnow)
    left_at: Mapped[datetime | None]
    """When the last page went; blank while one shows it."""
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str] = mapped_column(default="")
    watches_id: Mapped[int | None]
    """The console that this one looks at; blank for one that is a console itself."""
    wants: Mapped[str] = mapped_column(default="")
    """What somebody who watches asks for: `watch`, or the `keyboard`."""
    granted: Mapped[str] = mapped_column(default="")
    """What the one whom he watches said: nothing yet, `nothing`, `watch` or `keyboard`."""

    __table_args__ = (Index("ix_console_session_user_id_ended_at", "user_id", "ended_at"),)
