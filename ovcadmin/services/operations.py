"""Operations: asked for here, run by a worker.

`submit` writes the row in the caller's transaction, together with the machine's operation slot
(compare-and-swap), the audit row and whatever the caller reserves; after the commit a worker
finds it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Integer, Select, bindparam, select, update
from sqlalchemy.orm import joinedload
from sqlalchemy.orm.attributes import set_committed_value

from ovcadmin.domain import states
from ovcadmin.engine import dispatch, store, types
from ovcadmin.engine.types import Cancel, OperationType
from ovcadmin.errors import Busy, Conflict, NotFound, StateConflict
from ovcadmin.models import Host, Image, Lineage, Machine, Operation, OperationState, Pool
from ovcadmin.models.database import announce
from ovcadmin.security.visibility import visible
from ovcadmin.services import audit, rivals
from ovcadmin.work import Work

_MACHINE: Any = Machine.__table__
_TAKE_SLOT = (
    update(_MACHINE)
    .where(
        _MACHINE.c.id == bindparam("of"),
        _MACHINE.c.tail_id.is_not_distinct_from(bindparam("after", type_=Integer())),
        # Moved to another pool in the same moment: the request was judged on the old one.
        _MACHINE.c.pool_id == bindparam("in_pool"),
    )
    .values(tail_id=bindparam("tail"))
)


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What a list of operations is narrowed to."""

    state: str = ""
    machine_id: int | None = None
    host_id: int | None = None
    pool_id: int | None = None
    """The pool's whole subtree."""
    running: bool = False
    """Only those that have not ended."""
    oldest_first: bool = False
    place: int | None = None
    """Only ids behind it: the cursor of the next page."""
    limit: int = 50


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked for: the type and the objects it is about."""

    type: str
    pool: Pool
    name: str
    machine: Machine | None = None
    host: Host | None = None
    target_host: Host | None = None
    """Where the machine is to be afterwards."""
    image: Image | None = None
    params: dict[str, Any] = field(default_factory=dict)


def submit(work: Work, request: Request) -> Operation:
    """Queue an operation.  Raises `StateConflict`, `Busy` or `RunsElsewhere`."""
    kind = types.get(request.type)
    machine = request.machine
    operation = Operation(
        type=kind.name,
        title=kind.text.format(name=request.name),
        pool_id=request.pool.id,
        machine_id=machine.id if machine else None,
        host_id=_host_id(request),
        target_host_id=request.target_host.id if request.target_host else None,
        image_id=request.image.id if request.image else None,
        user_id=work.actor.user_id,
        door=work.actor.door,
        request_id=work.request_id,
        params=request.params,
        lock=_lock(request),
        created_at=work.now(),
    )
    if machine is not None and kind.action is not None:
        operation.after_id = machine.tail_id
        operation.from_state, operation.to_state = _judge(machine, kind)
        if kind.action not in states.QUIETING and machine.stable is not states.State.NEW:
            rivals.ensure_none(work, machine)
    work.db.add(operation)
    work.db.flush()
    if machine is not None:
        _take_slot(work, machine, operation)
    _told(work, operation, f"{kind.name}", request.name)
    dispatch.tell(work.db, operation)
    return operation


def state_to_come(machine: Machine) -> states.State:
    """Return the state that the machine will have when all its queued operations are done."""
    # Most machines of a list do nothing: of those no operation is looked for.
    tail = machine.tail if machine.tail_id is not None else None
    if tail is not None and not tail.ended and tail.to_state:
        return states.State(tail.to_state)
    return machine.stable


def cancel(work: Work, operation: Operation) -> None:
    """Ask for the end of an operation: at once while queued, at the next step when it runs.

    Raises `Conflict` when it has ended or its type cannot be stopped once begun.
    """
    kind = types.get(operation.type)
    if operation.ended:
        raise Conflict(f"“{operation.title}” has ended already.", operation=operation.id)
    if operation.state == OperationState.RUNNING and kind.cancel is not Cancel.STEPS:
        raise Conflict(
            f"“{operation.title}” runs and cannot be stopped half-way; it will end by itself.",
            operation=operation.id,
        )
    operation.cancel_at = work.now()
    operation.cancel_user_id = work.actor.user_id
    store.note(work.db, operation, f"{work.actor.name} asked to cancel.", work.now())
    if operation.state == OperationState.QUEUED:
        operation.error_code = "operation.cancelled"
        operation.error_text = f"Cancelled by {work.actor.name} before it began."
        if kind.fail is not None:
            kind.fail(work, operation)
        store.end(work.db, operation, OperationState.CANCELLED, work.now())
        dispatch.tell(work.db, operation)
    _told(work, operation, "operation.cancel", operation.title)


def privilege(operation: Operation) -> str:
    """Return the privilege that cancelling or repeating it needs: that of asking for it."""
    return types.get(operation.type).privilege


def may_cancel(operation: Operation) -> bool:
    if operation.ended or operation.cancel_at is not None:
        return False
    return (
        operation.state == OperationState.QUEUED or types.get(operation.type).cancel is Cancel.STEPS
    )


def get(work: Work, operation_id: int) -> Operation:
    operation = work.db.get(Operation, operation_id)
    if operation is None:
        raise NotFound("There is no such operation.", operation_id=operation_id)
    return operation


def listing(work: Work, wanted: Filter) -> list[Operation]:
    """Return operations that the actor may see, newest first unless said otherwise."""
    return list(work.db.scalars(_select(work, wanted).limit(wanted.limit)))


def _select(work: Work, wanted: Filter) -> Select[Operation]:
    statement = (
        select(Operation)
        .options(
            joinedload(Operation.user), joinedload(Operation.machine), joinedload(Operation.pool)
        )
        .order_by(Operation.id if wanted.oldest_first else Operation.id.desc())
    )
    if work.actor.user_id is not None:
        statement = statement.where(visible(work.actor.user_id, Operation.pool_id))
    if wanted.state:
        statement = statement.where(Operation.state == wanted.state)
    if wanted.running:
        statement = statement.where(
            Operation.state.in_((OperationState.QUEUED, OperationState.RUNNING))
        )
    if wanted.machine_id is not None:
        statement = statement.where(Operation.machine_id == wanted.machine_id)
    if wanted.host_id is not None:
        statement = statement.where(Operation.host_id == wanted.host_id)
    if wanted.pool_id is not None:
        below = select(Lineage.pool_id).where(Lineage.ancestor_id == wanted.pool_id)
        statement = statement.where(Operation.pool_id.in_(below))
    if wanted.place is not None:
        up = wanted.oldest_first
        statement = statement.where(
            Operation.id > wanted.place if up else Operation.id < wanted.place
        )
    return statement


def _judge(machine: Machine, kind: OperationType) -> tuple[str, str]:
    """Return the states before and after, judged on the state to come."""
    assert kind.action is not None
    row = states.TABLE[kind.action]
    coming = state_to_come(machine)
    if coming not in row.sources:
        will = "will be" if coming is not machine.stable else "is"
        raise StateConflict(
            f"{machine.name} {will} {coming}; “{row.label}” needs it "
            f"{' or '.join(sorted(row.sources))}.",
            machine_id=machine.id,
            state=coming.value,
            action=kind.action.value,
        )
    return coming.value, states.after(kind.action, coming).value


def _take_slot(work: Work, machine: Machine, operation: Operation) -> None:
    """Become the last in the machine's queue, unless another request did so first."""
    asked = {
        "of": machine.id,
        "after": operation.after_id,
        "in_pool": operation.pool_id,
        "tail": operation.id,
    }
    taken = work.db.connection().execute(_TAKE_SLOT, asked)
    if taken.rowcount != 1:
        raise Busy(
            f"Another operation on {machine.name} was accepted in the same moment. Look at its "
            "state and try again.",
            machine_id=machine.id,
        )
    set_committed_value(machine, "tail_id", operation.id)
    set_committed_value(machine, "tail", operation)
    announce(work.db, "machine", machine.id, machine.pool_id)


def _told(work: Work, operation: Operation, action: str, name: str) -> None:
    announce(work.db, "operation", operation.id, operation.pool_id)
    kind = "machine" if operation.machine_id else "operation"
    audit.record(
        work,
        action,
        kind,
        operation.machine_id or operation.id,
        name,
        pool_id=operation.pool_id,
        operation_id=operation.id,
        after=dict(operation.params),
        outcome="accepted",
    )


def _host_id(request: Request) -> int | None:
    if request.host is not None:
        return request.host.id
    return request.machine.host_id if request.machine is not None else None


def _lock(request: Request) -> str:
    if request.machine is not None:
        return f"machine:{request.machine.id}"
    if request.image is not None:
        return f"image:{request.image.id}"
    if request.host is not None:
        return f"host:{request.host.id}:{request.type}"
    return f"pool:{request.pool.id}:{request.type}"
