"""The bin: deleted machines rest in it for some days and can be brought back."""

from __future__ import annotations

from datetime import timedelta

import structlog
from sqlalchemy import select

from ovcadmin.domain.states import Action, State
from ovcadmin.errors import DomainError
from ovcadmin.models import Machine, Operation
from ovcadmin.services import machine_states, machines
from ovcadmin.services import operations as queue
from ovcadmin.work import Work

logger = structlog.get_logger(__name__)


def how_to_delete(work: Work, machine: Machine, *, for_good: bool = False) -> Action:
    """Return what deleting this machine means: into the bin, unless nothing could be kept."""
    coming = queue.state_to_come(machine)
    gone = for_good or work.settings.bin_days == 0
    if gone or coming in (State.CREATE_FAILED, State.BINNED):
        return Action.DELETE
    return Action.BIN


def delete(work: Work, machine: Machine, *, for_good: bool = False) -> Operation:
    """Queue the deletion.  Raises what `machines.act` raises."""
    return machines.act(work, machine, how_to_delete(work, machine, for_good=for_good))


def binned(work: Work, operation: Operation) -> None:
    """It is in the bin: its name is free, its storage still counts."""
    machine = machine_states.machine_of(operation)
    machine.binned_at = work.now()
    machine.purge_at = work.now() + timedelta(days=work.settings.bin_days)
    machine.keep_until = machine.run_until = None
    machine_states.succeeded(work, operation)


def brought_back(work: Work, operation: Operation) -> None:
    machine_states.machine_of(operation).purge_at = None
    machine_states.succeeded(work, operation)


def not_brought_back(work: Work, operation: Operation) -> None:
    machine_states.machine_of(operation).binned_at = work.now()
    machine_states.failed(work, operation)


# --- the chore -----------------------------------------------------------------------------------
def due(work: Work) -> list[int]:
    """Return the machines whose time in the bin is over."""
    statement = select(Machine.id).where(
        Machine.state == State.BINNED.value,
        Machine.deleted_at.is_(None),
        Machine.tail_id.is_(None),
        Machine.purge_at <= work.now(),
    )
    return list(work.db.scalars(statement.order_by(Machine.id)))


def purge(work: Work, machine_id: int) -> None:
    """Remove one for good; where that is refused now, the next turn tries again."""
    try:
        with work.db.begin_nested():
            machines.act(work, work.db.get_one(Machine, machine_id), Action.DELETE)
    except DomainError as error:
        logger.info("bin.kept", machine=machine_id, code=error.code)
