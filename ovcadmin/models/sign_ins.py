"""How people come in: sessions, tokens, second factors, and what went wrong at the door."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ovcadmin.models.base import Base, Numbered, utcnow
from ovcadmin.models.people import User


class Session(Numbered, Base):
    """A signed-in browser.  The cookie holds a random key; only its hash is here."""

    __tablename__ = "session"

    key_hash: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), index=True)
    csrf_token: Mapped[str]
    address: Mapped[str]
    agent: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    seen_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime]
    """The absolute end; the idle end is `seen_at` plus the setting."""
    revoked_at: Mapped[datetime | None]

    user: Mapped[User] = relationship(lazy="joined")


class Token(Numbered, Base):
    """A token for the REST API: shown once, stored hashed, named, expiring, revocable."""

    __tablename__ = "token"

    key_hash: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), index=True)
    name: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    session_id: Mapped[int | None] = mapped_column(ForeignKey("session.id"))
    """Set: made for an embedded terminal, and worth nothing once this session has ended."""

    user: Mapped[User] = relationship(lazy="joined")


class SignInFailure(Numbered, Base):
    """One failed sign-in, for the throttle; old rows are swept away."""

    __tablename__ = "sign_in_failure"

    at: Mapped[datetime] = mapped_column(default=utcnow)
    account: Mapped[str]
    """Realm and name key, whether or not such a user exists."""
    address: Mapped[str]

    __table_args__ = (
        Index("ix_sign_in_failure_account_at", "account", "at"),
        Index("ix_sign_in_failure_address_at", "address", "at"),
    )


class SecondFactor(Base):
    """A user's TOTP secret (RFC 6238)."""

    __tablename__ = "second_factor"

    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), primary_key=True)
    sealed_secret: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    confirmed_at: Mapped[datetime | None]
    """The user typed a right code once; before that it protects nothing."""
    last_step: Mapped[int] = mapped_column(default=0)
    """Time step of the last accepted code: none is taken twice."""


class RecoveryCode(Numbered, Base):
    """Signs in once instead of a code of the second factor; stored hashed."""

    __tablename__ = "recovery_code"

    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), index=True)
    key_hash: Mapped[str]
    used_at: Mapped[datetime | None]


class TokenScope(Base):
    """Narrows a token to a pool's subtree and to some privileges.

    A token without one is as wide as its user's rights.
    """

    __tablename__ = "token_scope"

    token_id: Mapped[int] = mapped_column(ForeignKey("token.id"), primary_key=True)
    pool_id: Mapped[int | None] = mapped_column(ForeignKey("pool.id"))
    """Blank: every pool."""
    privileges: Mapped[list[str]]
    """Empty: every privilege."""


class ViewAs(Base):
    """This session looks at the console as somebody else sees it, and can change nothing."""

    __tablename__ = "view_as"

    session_id: Mapped[int] = mapped_column(ForeignKey("session.id"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    reason: Mapped[str]
    started_at: Mapped[datetime] = mapped_column(default=utcnow)

    user: Mapped[User] = relationship(lazy="joined")
