"""Operations: anything that takes over a second or touches a host.

The row is the message: it is written in the transaction of the change it belongs to, and a worker
finds it whether or not it was told.  The guarantees are in the schema: one running operation per
lock, known states only.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ovcadmin.models.base import Base, Numbered, utcnow
from ovcadmin.models.hosts import Host
from ovcadmin.models.machines import Machine
from ovcadmin.models.people import User
from ovcadmin.models.pools import Pool


class OperationState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = (OperationState.DONE, OperationState.FAILED, OperationState.CANCELLED)


class Operation(Numbered, Base):
    __tablename__ = "operation"

    type: Mapped[str]
    """Name of the operation type, such as `machine.start`."""
    state: Mapped[str] = mapped_column(default=OperationState.QUEUED.value)
    title: Mapped[str]
    """What is done, for people: `Start web01`."""
    pool_id: Mapped[int] = mapped_column(ForeignKey("pool.id"))
    machine_id: Mapped[int | None] = mapped_column(ForeignKey("machine.id"), index=True)
    host_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"), index=True)
    target_host_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"))
    """The host that a machine moves to: its room there is promised while this is not ended."""
    image_id: Mapped[int | None] = mapped_column(ForeignKey("image.id"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    """Who asked; NULL is the console itself."""
    door: Mapped[str]
    """Through which door: `page`, `api`, `console`, `system`."""
    request_id: Mapped[str] = mapped_column(default="")
    params: Mapped[dict[str, Any]] = mapped_column(default=dict)
    from_state: Mapped[str] = mapped_column(default="")
    """The machine's state that it was accepted for; checked again when it runs."""
    to_state: Mapped[str] = mapped_column(default="")
    """The state that it will leave: what the next one in the queue is judged on."""
    after_id: Mapped[int | None] = mapped_column(ForeignKey("operation.id"))
    """The operation of the same machine that must end first."""
    lock: Mapped[str]
    """What it locks while it runs, such as `machine:7`."""

    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    attempt: Mapped[int] = mapped_column(default=0)
    """Raised at each claim; a write fenced by an older number changes nothing."""
    worker: Mapped[str] = mapped_column(default="")
    lease_until: Mapped[datetime | None]
    progress: Mapped[int] = mapped_column(default=0)
    """Percent."""
    step: Mapped[str] = mapped_column(default="")
    """What it does now, for people."""
    cancel_at: Mapped[datetime | None]
    cancel_user_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id"))
    error_code: Mapped[str] = mapped_column(default="")
    error_text: Mapped[str] = mapped_column(default="")
    error_context: Mapped[dict[str, Any]] = mapped_column(default=dict)

    pool: Mapped[Pool] = relationship()
    machine: Mapped[Machine | None] = relationship(foreign_keys=[machine_id])
    host: Mapped[Host | None] = relationship(foreign_keys=[host_id])
    target_host: Mapped[Host | None] = relationship(foreign_keys=[target_host_id])
    user: Mapped[User | None] = relationship(foreign_keys=[user_id])
    steps: Mapped[list[OperationStep]] = relationship(
        order_by="OperationStep.position", cascade="all, delete-orphan"
    )
    log: Mapped[list[OperationLog]] = relationship(
        order_by="OperationLog.id", cascade="all, delete-orphan"
    )

    __table_args__ = (
        CheckConstraint(
            "state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="state_known"
        ),
        CheckConstraint("progress BETWEEN 0 AND 100", name="progress_percent"),
        Index(
            "uq_operation_running_lock",
            "lock",
            unique=True,
            sqlite_where=text("state = 'running'"),
            postgresql_where=text("state = 'running'"),
        ),
        # The claim looks only at what is not ended: the table may grow for years.
        Index(
            "ix_operation_open",
            "state",
            "id",
            sqlite_where=text("state IN ('queued', 'running')"),
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
        Index(
            "ix_operation_open_lock",
            "lock",
            "id",
            sqlite_where=text("state IN ('queued', 'running')"),
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
        Index("ix_operation_pool_id_id", "pool_id", "id"),
    )

    @property
    def ended(self) -> bool:
        return self.state in ENDED


class OperationStep(Numbered, Base):
    __tablename__ = "operation_step"

    operation_id: Mapped[int] = mapped_column(ForeignKey("operation.id"))
    position: Mapped[int]
    name: Mapped[str]
    text: Mapped[str]
    state: Mapped[str] = mapped_column(default="waiting")
    """`waiting`, `running`, `done`, `failed` or `undone`."""
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    memo: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """Lasting notes of the step: task ids of the outside world, keys of what was made."""

    __table_args__ = (UniqueConstraint("operation_id", "position"),)


class OperationLog(Numbered, Base):
    __tablename__ = "operation_log"

    operation_id: Mapped[int] = mapped_column(ForeignKey("operation.id"), index=True)
    at: Mapped[datetime] = mapped_column(default=utcnow)
    attempt: Mapped[int]
    text: Mapped[str]
