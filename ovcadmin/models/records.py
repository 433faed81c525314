"""Rows that only grow (change feed, audit log), and short-lived ones."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, Integer, event
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, mapped_column

from ovcadmin.models.base import Base, Numbered, utcnow


class Change(Base):
    """One line of the change feed: this object changed.  Rights are checked by its reader."""

    __tablename__ = "change"

    sequence: Mapped[int] = mapped_column(Integer, primary_key=True)
    at: Mapped[datetime] = mapped_column(default=utcnow)
    kind: Mapped[str]
    """`pool`, `machine`, `host`, `operation`, `image`, `storage_pool`, `user`."""
    object_id: Mapped[int]
    pool_id: Mapped[int]
    """The pool whose viewers may hear of it."""

    __table_args__ = ({"sqlite_autoincrement": True},)


class Audit(Numbered, Base):
    """Who did what to what, from where, with which outcome.  Never updated, never deleted."""

    __tablename__ = "audit"

    at: Mapped[datetime] = mapped_column(default=utcnow)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"), index=True)
    actor: Mapped[str]
    """The actor's name at that time: `anna@internal`, `console`."""
    door: Mapped[str]
    address: Mapped[str]
    request_id: Mapped[str]
    action: Mapped[str]
    """noun.verb, such as `machine.start`."""
    object_kind: Mapped[str]
    object_id: Mapped[int | None]
    object_name: Mapped[str]
    pool_id: Mapped[int | None]
    """No foreign key: what was done in a pool stays written when the pool is gone."""
    operation_id: Mapped[int | None] = mapped_column(ForeignKey("operation.id"))
    before: Mapped[dict[str, Any]] = mapped_column(default=dict)
    after: Mapped[dict[str, Any]] = mapped_column(default=dict)
    outcome: Mapped[str] = mapped_column(default="done")
    """`done`, `accepted` (an operation follows), or the code of a refusal."""

    __table_args__ = (
        Index("ix_audit_object", "object_kind", "object_id"),
        Index("ix_audit_pool_id", "pool_id"),
        Index("ix_audit_actor_at", "actor", "at"),
    )


class AuditSeal(Base):
    """One link of the chain over the audit log: changing or removing a row breaks every later one.

    Rows are sealed shortly after their commit, in the order of sealing, by one sealer at a time
    (services/audit).
    """

    __tablename__ = "audit_seal"

    sequence: Mapped[int] = mapped_column(Integer, primary_key=True)
    audit_id: Mapped[int] = mapped_column(ForeignKey("audit.id"), unique=True)
    digest: Mapped[str]
    """SHA-256 over the previous digest and the canonical text of the row."""


class Sealed(RuntimeError):
    """Something tried to change or delete what is written for good: a mistake in this program."""


def _refuse(_mapper: object, _connection: object, row: Audit | AuditSeal) -> None:
    raise Sealed(f"{row!r} is written for good")


def _refuse_many(state: ORMExecuteState) -> None:
    about = state.bind_mapper.class_ if state.bind_mapper is not None else None
    if about in (Audit, AuditSeal) and (state.is_update or state.is_delete):
        raise Sealed(f"{about.__name__} is written for good")


for _table in (Audit, AuditSeal):
    event.listen(_table, "before_update", _refuse)
    event.listen(_table, "before_delete", _refuse)
event.listen(Session, "do_orm_execute", _refuse_many)


class IdempotencyKey(Numbered, Base):
    """What a create answered with, so that a second post of it makes no second object."""

    __tablename__ = "idempotency_key"

    user_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"))
    key: Mapped[str]
    fingerprint: Mapped[str]
    """Hash of the request; the same key with another request is refused."""
    answer: Mapped[dict[str, Any] | None]
    """Status, headers and body of the answer, without secrets; None while there is none yet."""
    created_at: Mapped[datetime] = mapped_column(default=utcnow)

    __table_args__ = (Index("uq_idempotency_key_user_id_key", "user_id", "key", unique=True),)


class Chore(Base):
    """Something that one worker at a time does now and then (worker/chores)."""

    __tablename__ = "chore"

    name: Mapped[str] = mapped_column(primary_key=True)
    due_at: Mapped[datetime]
    """Taking it moves this on, in one statement: of two workers one wins."""


class Process(Numbered, Base):
    """A process of the console that is up, by its own word and how long ago it said so."""

    __tablename__ = "process"

    kind: Mapped[str]
    """`web`, `gateway` or `worker`."""
    name: Mapped[str] = mapped_column(unique=True)
    pid: Mapped[int]
    address: Mapped[str] = mapped_column(default="")
    started_at: Mapped[datetime] = mapped_column(default=utcnow)
    seen_at: Mapped[datetime] = mapped_column(default=utcnow)
    groups: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    """The host groups that a worker serves; all when empty."""
    trouble: Mapped[str] = mapped_column(default="", server_default="")
    """What it has to tell, such as a broker that does not answer."""
