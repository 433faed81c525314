"""The rows of the engine: claim, renew, write under the fence, end.

Every function runs in the caller's transaction.  A claim raises the attempt number; a write that
names an older attempt finds no row and raises `LeaseLost`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Select,
    and_,
    bindparam,
    exists,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session, aliased

from ovcadmin.errors import LeaseLost
from ovcadmin.models import ENDED, Host, Operation, OperationLog, OperationState
from ovcadmin.models.database import announce, dialect_of, lock_rows


def _candidate() -> Select[int]:
    """Select what `claim` may claim.  Built once: building it costs more than running it."""
    before = aliased(Operation)
    holder = aliased(Operation)
    return (
        select(Operation.id)
        .where(
            Operation.state == OperationState.QUEUED,
            or_(
                Operation.after_id.is_(None),
                exists().where(and_(before.id == Operation.after_id, before.state.in_(ENDED))),
            ),
            ~exists().where(
                holder.lock == Operation.lock,
                # Queued and older, even while another worker is about to claim that one: SKIP
                # LOCKED alone would jump the queue.
                holder.state.in_((OperationState.QUEUED, OperationState.RUNNING)),
                or_(holder.state == OperationState.RUNNING, holder.id < Operation.id),
            ),
            or_(
                and_(Operation.host_id.is_(None), bindparam("placing", type_=Boolean())),
                Operation.host_id.not_in(bindparam("full", expanding=True)),
            ),
            or_(
                bindparam("all_groups", type_=Boolean()),
                Operation.host_id.is_(None),
                exists().where(
                    Host.id == Operation.host_id,
                    Host.worker_group.in_(bindparam("groups", expanding=True)),
                ),
            ),
        )
        .order_by(Operation.id)
        .limit(1)
    )


_CANDIDATE = _candidate()
_WAITING = select(exists().where(Operation.state == OperationState.QUEUED))


def waiting(session: Session) -> bool:
    """Whether any operation is queued: a cheap look before `claim`, which needs a writer's turn."""
    return bool(session.scalar(_WAITING))


def claim(
    session: Session,
    worker: str,
    now: datetime,
    lease: timedelta,
    *,
    skip_hosts: Sequence[int | None] = (),
    groups: Sequence[str] = (),
) -> Operation | None:
    """Claim the oldest operation that may run now, or return None.

    May run: queued, its predecessor on the same machine has ended, nobody runs under its lock
    or has waited for that longer, and its host is not among `skip_hosts` (hosts that already run
    all they may at a time; None stands for operations that are still to be placed).  With
    `groups` only operations on hosts of these groups, and those that have no host.
    """
    candidate = _CANDIDATE
    if dialect_of(session) == "postgresql":
        candidate = candidate.with_for_update(key_share=True, skip_locked=True, of=Operation)
    operation_id = session.scalar(
        candidate,
        {
            "full": [host_id for host_id in skip_hosts if host_id],
            "placing": None not in skip_hosts,
            "groups": list(groups),
            "all_groups": not groups,
        },
    )
    if operation_id is None:
        return None
    operation = session.get_one(Operation, operation_id, populate_existing=True)
    operation.state = OperationState.RUNNING
    operation.attempt += 1
    operation.worker = worker
    # The clock was read before the wait for the database's lock.
    operation.started_at = operation.started_at or max(now, operation.created_at)
    operation.lease_until = now + lease
    announce(session, "operation", operation.id, operation.pool_id)
    if operation.machine_id:
        announce(session, "machine", operation.machine_id, operation.pool_id)
    return operation


def renew(session: Session, operation_id: int, attempt: int, until: datetime) -> None:
    """Prolong the lease; raises `LeaseLost` when another attempt owns the operation."""
    renewed = session.execute(
        update(Operation)
        .where(_owned(operation_id, attempt))
        .values(lease_until=until)
        .execution_options(synchronize_session=False)
    )
    if renewed.rowcount != 1:  # type: ignore[attr-defined]
        raise LeaseLost(f"Operation {operation_id} is run by another worker now.")


def fenced(session: Session, operation_id: int, attempt: int) -> Operation:
    """Return the operation for writing, if this attempt still owns it; else `LeaseLost`."""
    statement = select(Operation).where(_owned(operation_id, attempt))
    statement = lock_rows(session, statement, Operation)
    operation: Operation | None = session.scalar(
        statement.execution_options(populate_existing=True)
    )
    if operation is None:
        raise LeaseLost(f"Operation {operation_id} is run by another worker now.")
    return operation


def end(session: Session, operation: Operation, state: OperationState, now: datetime) -> None:
    """End the operation, and give up the machine's slot if it is the last in its queue."""
    operation.state = state
    operation.finished_at = now
    operation.lease_until = None
    if state is OperationState.DONE:
        operation.progress = 100
    machine = operation.machine
    if machine is not None:
        if machine.tail_id == operation.id:
            machine.tail_id = None
        announce(session, "machine", machine.id, machine.pool_id)
    announce(session, "operation", operation.id, operation.pool_id)


def note(session: Session, operation: Operation, text: str, now: datetime) -> None:
    """Add a line to the operation's log."""
    session.add(
        OperationLog(operation_id=operation.id, at=now, attempt=operation.attempt, text=text)
    )


def lapsed(session: Session, now: datetime, lease: timedelta) -> list[Operation]:
    """Return running operations whose lease ran out: their worker is dead or cut off.

    A lease for longer than there are any was written by a clock that was ahead, and not renewed
    since.
    """
    statement = select(Operation).where(
        Operation.state == OperationState.RUNNING,
        or_(Operation.lease_until < now, Operation.lease_until > now + 2 * lease),
    )
    if dialect_of(session) == "postgresql":
        statement = statement.with_for_update(key_share=True, skip_locked=True, of=Operation)
    return list(session.scalars(statement))


def requeue(session: Session, operation: Operation, now: datetime) -> None:
    """Put a running operation back into the queue; its next claim is a new attempt."""
    operation.state = OperationState.QUEUED
    operation.lease_until = None
    operation.worker = ""
    note(session, operation, "The worker went away; the operation runs again.", now)
    announce(session, "operation", operation.id, operation.pool_id)


def _owned(operation_id: int, attempt: int) -> ColumnElement[bool]:
    return and_(
        Operation.id == operation_id,
        Operation.attempt == attempt,
        Operation.state == OperationState.RUNNING,
    )
