"""Realms, and the people and groups that they know."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint, true
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ovcadmin.models.base import Base, Numbered, utcnow


class Realm(Numbered, Base):
    """Where users are checked."""

    __tablename__ = "realm"

    name: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    """`internal`, or the shape of the directory: `openldap`, `freeipa`, `active-directory`."""
    label: Mapped[str]
    settings: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """Of a directory: servers, base, transport and so on; no secret (services/realms)."""
    sealed_password: Mapped[str | None]
    """The service account's password, sealed with the console's own key."""
    enabled: Mapped[bool] = mapped_column(default=True, server_default=true())
    version: Mapped[int] = mapped_column(default=1, server_default="1")
    """Raised at each edit; a form with an older one is refused (lost update)."""
    synced_at: Mapped[datetime | None]
    """End of the last complete synchronisation."""
    sync_error: Mapped[str | None]
    """Why the last synchronisation changed nothing; NULL when it succeeded."""
    deleted_at: Mapped[datetime | None]
    """Deleted, but the history names users of it (services/realm_ends); out of sight."""

    @property
    def is_internal(self) -> bool:
        return self.kind == "internal"


class User(Numbered, Base):
    __tablename__ = "user_account"

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"))
    name: Mapped[str]
    name_key: Mapped[str]
    display_name: Mapped[str] = mapped_column(default="")
    email: Mapped[str] = mapped_column(default="", server_default="")
    password_hash: Mapped[str | None]
    """argon2id, for the internal realm only."""
    directory_key: Mapped[str | None]
    """Lasting id in the directory; survives a rename or a move."""
    dn: Mapped[str] = mapped_column(default="", server_default="")
    checked_at: Mapped[datetime | None]
    """When the directory last said who this is and which groups hold him."""
    disabled_at: Mapped[datetime | None]
    disabled_by: Mapped[str | None]
    """`administrator`, or `directory` when the directory disabled or lost him."""
    created_at: Mapped[datetime] = mapped_column(default=utcnow)

    realm: Mapped[Realm] = relationship(lazy="joined")

    __table_args__ = (
        UniqueConstraint("realm_id", "name_key"),
        Index("uq_user_account_realm_id_directory_key", "realm_id", "directory_key", unique=True),
    )

    @property
    def label(self) -> str:
        return self.display_name or self.name


class Group(Numbered, Base):
    """A group of a directory."""

    __tablename__ = "directory_group"

    realm_id: Mapped[int] = mapped_column(ForeignKey("realm.id"))
    directory_key: Mapped[str]
    dn: Mapped[str]
    name: Mapped[str]
    name_key: Mapped[str]
    vanished_at: Mapped[datetime | None]
    """The directory lost it; its grants reach nobody until it is back."""

    realm: Mapped[Realm] = relationship(lazy="joined")

    __table_args__ = (
        UniqueConstraint("realm_id", "directory_key"),
        Index("ix_directory_group_realm_id_name_key", "realm_id", "name_key"),
    )


class Membership(Base):
    """The user belongs to the group, directly or by way of other groups."""

    __tablename__ = "membership"

    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), primary_key=True)
    group_id: Mapped[int] = mapped_column(
        ForeignKey("directory_group.id"), primary_key=True, index=True
    )
