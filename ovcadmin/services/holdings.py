"""What one machine holds of the quota, when what it consists of changes."""

from __future__ import annotations

from sqlalchemy import and_

from ovcadmin.domain.resources import Resources
from ovcadmin.models import Machine, Operation, Reservation
from ovcadmin.services import quotas, reservations
from ovcadmin.services.reservations import Claim
from ovcadmin.work import Work


def reserve_more(
    work: Work, machine: Machine, kind: str, due: Resources, operation: Operation
) -> None:
    """Reserve what `due` takes beyond what the machine holds and was promised already.

    Raises `QuotaExceeded`.  An operation calls it when it is accepted, and once more when it runs:
    what was asked for in between is then counted too.
    """
    mine = (Reservation.machine_id == machine.id) & (Reservation.kind == kind)
    lacks = due - quotas.total(work, mine)
    more = Resources(**{name: max(amount, 0) for name, amount in lacks.items()})
    if more:
        quotas.own_row(work, machine)
        quotas.reserve(work, machine.pool, machine, kind, more, operation)


def match(work: Work, machine: Machine, kind: str, due: Resources) -> None:
    """Make what the machine holds exactly `due`: it shrank, or an estimate was too high."""
    if quotas.total(work, and_(*reservations.held_by(machine.id, kind))) == due:
        return
    quotas.free(work, machine, kind)
    if due:
        held = Claim(pool_id=machine.pool_id, machine_id=machine.id, kind=kind, amounts=due)
        reservations.add(work, [held])
