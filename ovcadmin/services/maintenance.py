"""Maintenance of a host: it takes no new machines, and those that run there leave or stop."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from ovcadmin.domain.states import Action, State
from ovcadmin.errors import Conflict, DomainError, InvalidInput
from ovcadmin.models import Host, Machine, Operation
from ovcadmin.models.database import announce
from ovcadmin.services import audit, machines, migrations, operations
from ovcadmin.work import Work

MODES = ("evacuate", "stop")
ACTIVE = (State.RUNNING.value, State.SUSPENDED.value)


@dataclass(frozen=True, kw_only=True)
class Left:
    """A machine that still runs on the host, and the operation that is to change that."""

    machine_id: int
    name: str
    operation_id: int | None = None
    trouble: str = ""
    """Why nothing can be done about it."""


def begin(work: Work, host: Host, mode: str) -> Operation:
    """Close the host for new machines and queue the evacuation or the stops.

    Raises `InvalidInput`, or `Conflict` when it is in maintenance already.
    """
    if mode not in MODES:
        raise InvalidInput("Say what becomes of the machines.", fields={"mode": "evacuate or stop"})
    if host.maintenance and _under_way(work, host):
        raise Conflict(f"{host.name} is being put into maintenance already.", host_id=host.id)
    host.maintenance, host.maintenance_at = mode, work.now()
    _told(work, host, "host.maintenance", {"mode": mode})
    return operations.submit(
        work,
        operations.Request(
            type="host.maintenance", pool=host.pool, name=host.name, host=host,
            params={"mode": mode},
        ),
    )  # fmt: skip


def end(work: Work, host: Host) -> None:
    """Open the host again; what was moved away stays where it is."""
    if host.maintenance:
        host.maintenance, host.maintenance_at = "", None
        _told(work, host, "host.maintenance_end", {})


def active(work: Work, host_id: int) -> list[Machine]:
    """Return the machines that run (or are suspended) on the host, by name."""
    return list(
        work.db.scalars(
            select(Machine)
            .where(
                Machine.host_id == host_id,
                Machine.deleted_at.is_(None),
                Machine.state.in_(ACTIVE),
            )
            .order_by(Machine.name_key, Machine.id)
        )
    )


def send_away(work: Work, machine: Machine, mode: str) -> Left:
    """Ask for what makes the machine leave or stop; it says why when that cannot be."""
    try:
        with work.db.begin_nested():
            if mode == "evacuate":
                operation = migrations.migrate(work, machine)
            else:
                operation = machines.act(work, machine, Action.SHUTDOWN)
    except DomainError as error:
        return Left(machine_id=machine.id, name=machine.name, trouble=error.text)
    return Left(machine_id=machine.id, name=machine.name, operation_id=operation.id)


def _under_way(work: Work, host: Host) -> bool:
    waiting = operations.listing(work, operations.Filter(host_id=host.id, running=True))
    return any(operation.type == "host.maintenance" for operation in waiting)


def _told(work: Work, host: Host, action: str, after: dict[str, object]) -> None:
    host.version += 1
    announce(work.db, "host", host.id, host.pool_id)
    audit.record(work, action, "host", host.id, host.name, pool_id=host.pool_id, after=after)
