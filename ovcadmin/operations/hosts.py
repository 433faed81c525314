"""What is done with whole hosts: a look at the way to one, and maintenance."""

from __future__ import annotations

from ovcadmin.engine.run import Run
from ovcadmin.engine.types import Cancel, OperationType, Step
from ovcadmin.errors import HostUnreachable, MaintenanceIncomplete
from ovcadmin.models import ENDED, Host, Operation
from ovcadmin.models.database import announce
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import maintenance, quotas
from ovcadmin.services.maintenance import Left
from ovcadmin.work import Work

AT_ONCE = 2
"""Machines that leave a host at the same time: the network is for their guests too."""
POLL_SECONDS = 0.5


def look(run: Run) -> None:
    """Try the way to the host step by step; the first that fails is the reason."""
    with run.database.reading() as session:
        operation = session.get_one(Operation, run.operation_id)
        assert operation.host is not None
        name, uri = operation.host.name, operation.host.uri
    for finding in run.outside.way_to(uri):
        run.log(finding.text)
        if not finding.passed:
            raise HostUnreachable(f"{name} cannot be reached. {finding.text}", host=name)


def clear(run: Run) -> None:
    """Have every running machine leave or stop, a few at a time, and say what stays behind.

    It may run again: machines that have gone are gone, those under way are waited for.
    """
    with run.database.reading() as session:
        operation = session.get_one(Operation, run.operation_id)
        host_id, mode = operation.host_id, str(operation.params["mode"])
        assert host_id is not None
    tried: dict[int, Left] = {}
    total = 0
    while True:
        with run.writing() as (work, _):
            there = maintenance.active(work, host_id)
            total = max(total, len(there))
            quotas.own_row(work, *(machine for machine in there if machine.id not in tried))
            under_way = [machine for machine in there if machine.tail_id is not None]
            for machine in there:
                if machine.id in tried or machine in under_way:
                    continue
                if len(under_way) >= AT_ONCE:
                    break
                tried[machine.id] = maintenance.send_away(work, machine, mode)
                if tried[machine.id].operation_id is not None:
                    under_way.append(machine)
        if not under_way and all(machine.id in tried for machine in there):
            break
        run.progress((total - len(there)) / max(total, 1))
        run.pause(POLL_SECONDS)
    if there:
        raise MaintenanceIncomplete(
            f"{len(there)} of {total} machines are still there: "
            + "; ".join(_why(run, tried[machine.id]) for machine in there),
            machines=[machine.name for machine in there],
        )
    run.log(f"{total} machines have left." if total else "Nothing runs there.")


def _why(run: Run, left: Left) -> str:
    if left.operation_id is None:
        return f"{left.name}: {left.trouble}"
    with run.database.reading() as session:
        ended = session.get_one(Operation, left.operation_id)
        trouble = ended.error_text if ended.state in ENDED else "it was started again meanwhile"
    return f"{left.name}: {trouble or 'it was started again meanwhile'}"


def settled(work: Work, operation: Operation) -> None:
    """Maintenance goes on whatever the outcome: only people end it."""
    host = work.db.get_one(Host, operation.host_id)
    announce(work.db, "host", host.id, host.pool_id)
    for machine in maintenance.active(work, host.id):
        announce(work.db, "machine", machine.id, machine.pool_id)


def looked(work: Work, operation: Operation) -> None:
    """Nothing changes by a look; who watches the host's page sees that it is over."""
    host = work.db.get_one(Host, operation.host_id)
    announce(work.db, "host", host.id, host.pool_id)


TYPES = (
    OperationType(
        name="host.check",
        text="Check the connection to {name}",
        privilege=Privilege.MODIFY,
        steps=(Step(name="look", text="Try the way to it", run=look),),
        succeed=looked,
        fail=looked,
    ),
    OperationType(
        name="host.maintenance",
        text="Clear {name} for maintenance",
        privilege=Privilege.MODIFY,
        cancel=Cancel.STEPS,
        steps=(Step(name="clear", text="Have its machines leave", run=clear),),
        succeed=settled,
        fail=settled,
    ),
)
