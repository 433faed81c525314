"""What the help desk writes down: notes on things, and cases that it hands over."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ovcadmin.models.base import Base, Numbered, utcnow
from ovcadmin.models.operations import Operation
from ovcadmin.models.people import User

ABOUT = ("machine", "pool", "host")
"""What cases are about."""
NOTED = (*ABOUT, "storage_pool", "image", "user")
"""What notes are about."""


def _known(kinds: tuple[str, ...]) -> str:
    return f"kind IN ({', '.join(repr(kind) for kind in kinds)})"


class Note(Numbered, Base):
    """A note on a thing or a person.

    Whoever sees the grants of its pool reads it (of a
    person: who may view as him); others, if it is for users.
    """

    __tablename__ = "note"

    kind: Mapped[str]
    object_id: Mapped[int]
    for_users: Mapped[bool] = mapped_column(default=False)
    """Whether everybody who sees the thing may read it."""
    text: Mapped[str]
    author_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    at: Mapped[datetime] = mapped_column(default=utcnow)

    author: Mapped[User] = relationship()

    __table_args__ = (
        CheckConstraint(_known(NOTED), name="kind_known"),
        Index("ix_note_kind_object_id", "kind", "object_id"),
    )


class HelpCase(Numbered, Base):
    """A caller's case, handed to who can solve it: what it is about, and what was found out."""

    __tablename__ = "help_case"

    kind: Mapped[str]
    object_id: Mapped[int]
    operation_id: Mapped[int | None] = mapped_column(ForeignKey("operation.id"))
    """The operation that went wrong."""
    caller_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    opened_by_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    owner_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), index=True)
    """Whom it was handed to."""
    text: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    closed_at: Mapped[datetime | None]
    closed_by_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    answer: Mapped[str] = mapped_column(default="")

    operation: Mapped[Operation | None] = relationship()
    caller: Mapped[User | None] = relationship(foreign_keys=[caller_id])
    opened_by: Mapped[User] = relationship(foreign_keys=[opened_by_id])
    owner: Mapped[User] = relationship(foreign_keys=[owner_id])
    closed_by: Mapped[User | None] = relationship(foreign_keys=[closed_by_id])

    __table_args__ = (
        CheckConstraint(_known(ABOUT), name="kind_known"),
        Index("ix_help_case_kind_object_id", "kind", "object_id"),
    )
