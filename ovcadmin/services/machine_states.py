"""What happens to a machine's three facts: outcomes of operations, and the word of its host.

Everything that follows from a state (what it holds of the quota, its life event for consumption,
the change feed) is written here and nowhere else, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, bindparam, delete, func, select

from ovcadmin.domain import states
from ovcadmin.domain.resources import Resources
from ovcadmin.domain.states import HOLDS_RUNNING, State
from ovcadmin.drivers.hypervisor.base import DomainState
from ovcadmin.engine import types
from ovcadmin.models import (
    Machine,
    MachineEvent,
    MachineRates,
    Operation,
    Reservation,
    Snapshot,
    SnapshotPart,
    SnapshotSchedule,
)
from ovcadmin.models.database import announce
from ovcadmin.services import audit, holdings, quotas, strangers, volumes
from ovcadmin.work import Work

AHEAD = timedelta(minutes=1)
"""What was learned so much later than now was learned by a clock that was set back since."""
_EVENTS = {
    State.RUNNING: "started",
    State.SUSPENDED: "suspended",
    State.STOPPED: "stopped",
    State.SAVED: "saved",
    State.BINNED: "binned",
    State.DELETED: "destroyed",
}


def succeeded(work: Work, operation: Operation) -> None:
    """Write the outcome of a successful operation on a machine."""
    machine = machine_of(operation)
    action = types.get(operation.type).action
    assert action is not None
    quotas.hold(work, operation)
    enter(work, machine, states.after(action, machine.stable), operation=operation)
    settle(work, machine)
    if machine.stable is State.DELETED:
        _archive(work, machine)


def settle(work: Work, machine: Machine) -> None:
    """Make what follows from the state that an operation left it in agree with that."""
    machine.power = states.POWER.get(machine.stable, "")
    machine.power_source = "operation"
    machine.power_at = work.now()
    machine.missing_at = None
    machine.wanted = machine.stable is State.RUNNING
    for kind, amounts in due(machine).items():
        holdings.match(work, machine, kind, amounts)


def changed(work: Work, operation: Operation) -> None:
    """Write the outcome of one that changed what the machine holds, and what it used from now."""
    succeeded(work, operation)
    recount(work, operation)


def recount(work: Work, operation: Operation) -> None:
    """Hold what the machine takes now, and write down a change of it.

    More than before must have been reserved by the operation.
    """
    machine = machine_of(operation)
    work.db.flush()
    machine.snapshot_storage = _snapshot_storage(work, machine)
    for kind, amounts in due(machine).items():
        holdings.match(work, machine, kind, amounts)
    last = _last_event(work, machine)
    event = _event(work, machine, "resized", operation)
    if last is None or _amounts(last) != _amounts(event):
        work.db.add(event)


def _last_event(work: Work, machine: Machine) -> MachineEvent | None:
    statement = (
        select(MachineEvent)
        .where(MachineEvent.machine_id == machine.id)
        .order_by(MachineEvent.at.desc(), MachineEvent.id.desc())
        .limit(1)
    )
    found: MachineEvent | None = work.db.scalar(statement)
    return found


def _snapshot_storage(work: Work, machine: Machine) -> int:
    """Add up the copies of the machine's disks in its snapshots."""
    total = (
        select(func.coalesce(func.sum(SnapshotPart.size), 0))
        .join(Snapshot, Snapshot.id == SnapshotPart.snapshot_id)
        .where(
            Snapshot.machine_id == machine.id,
            Snapshot.taken_at.is_not(None),
            SnapshotPart.counted,
        )
    )
    return int(work.db.scalar(total) or 0)


def _amounts(event: MachineEvent) -> tuple[int, int, int]:
    return event.vcpus, event.memory, event.storage


def failed(work: Work, operation: Operation) -> None:
    """Write the outcome of a failed or cancelled one: the promise is void, the state as before.

    What is really true on the host comes with the next sweep.
    """
    machine = machine_of(operation)
    action = types.get(operation.type).action
    assert action is not None
    quotas.release(work, operation)
    if machine.stable in states.TABLE[action].sources:
        enter(work, machine, states.after_failure(action, machine.stable), operation=operation)
    if machine.stable is State.CREATE_FAILED and operation.cancel_at is not None:
        # Everything was taken back and somebody wanted it so: nothing to keep.
        forget(work, operation)


def forget(work: Work, operation: Operation) -> None:
    """The machine is no more, or never was."""
    machine = machine_of(operation)
    enter(work, machine, State.DELETED, operation=operation)
    _archive(work, machine)


def enter(
    work: Work, machine: Machine, state: State, *, operation: Operation | None = None
) -> None:
    """Put the machine into a stable state with all that follows from it."""
    before = machine.stable
    if state in (State.STOPPED, State.DELETED) and machine.pending:
        machine.pending = {}  # the next start brings what was pending
    if state in HOLDS_RUNNING:
        quotas.hold_running(work, machine)
    elif before in HOLDS_RUNNING:
        quotas.free(work, machine, "running")
    if state is State.DELETED:
        quotas.free(work, machine, "storage")
    announce(work.db, "machine", machine.id, machine.pool_id)
    if state is before:
        return
    machine.state = state.value
    machine.state_since = work.now()
    _record_life(work, machine, before, operation)


_MACHINE = Machine.__table__.c
_ROWS = select(
    _MACHINE.id, _MACHINE.uuid, _MACHINE.state, _MACHINE.power, _MACHINE.missing_at
).where(_MACHINE.host_id == bindparam("host"), _MACHINE.deleted_at.is_(None))
"""Of tables, and made once: a thousand hosts are swept every few seconds."""


def observe(
    work: Work, host_id: int, seen: Mapping[str, DomainState], source: str, at: datetime
) -> list[str]:
    """Take in a complete sweep of a host: every machine of it, and the strangers on it.

    `at` is the time before the host was asked; what was learned about a machine since then is
    newer and stays.  Returns the uuids of strangers that are to be looked at more closely.
    """
    rows = _rows(work, host_id)
    news = [row.id for row in rows if _is_news(row, seen.get(row.uuid))]
    for machine in work.db.scalars(select(Machine).where(Machine.id.in_(news))):
        _observe(work, machine, seen.get(machine.uuid), source, at)
    ours = {row.uuid for row in rows}
    return strangers.observe(
        work, host_id, {uuid: state for uuid, state in seen.items() if uuid not in ours}
    )


def is_known(work: Work, host_id: int, seen: Mapping[str, DomainState]) -> bool:
    """Whether a complete sweep of a host says only what is written down, and tells of no strangers.

    Nearly always it does: then `observe` would change nothing, and nobody waits for its turn.
    """
    rows = _rows(work, host_id)
    found = sum(row.uuid in seen for row in rows)
    return (
        found == len(seen)
        and not any(_is_news(row, seen.get(row.uuid)) for row in rows)
        and not strangers.any_on(work, host_id)
    )


def _rows(work: Work, host_id: int) -> Sequence[Row[int, str, str, str, datetime | None]]:
    """Return what is written down of the machines of a host, as far as a sweep may differ."""
    return work.db.connection().execute(_ROWS, {"host": host_id}).all()


def _is_news(row: Row[int, str, str, str, datetime | None], seen: DomainState | None) -> bool:
    """Whether a sweep says something that the row does not: nearly always it does not."""
    if seen is None or row.missing_at is not None:
        return (seen is None) is not (row.missing_at is not None)
    power = seen.power.value
    return bool(power != row.power or states.observed(power, State(row.state)) != row.state)


def observe_one(
    work: Work, host_id: int, uuid: str, seen: DomainState | None, source: str, at: datetime
) -> None:
    """Take in the real state of one domain, read again after an event."""
    machine = work.db.scalar(
        select(Machine).where(Machine.uuid == uuid, Machine.host_id == host_id)
    )
    if machine is not None and machine.deleted_at is None:
        _observe(work, machine, seen, source, at)
    else:
        strangers.touched(work, host_id, uuid)


def _observe(
    work: Work, machine: Machine, seen: DomainState | None, source: str, at: datetime
) -> None:
    newest = max(machine.state_since, machine.power_at or machine.state_since)
    outdated = at < newest < work.now() + AHEAD
    if machine.stable in (State.NEW, State.CREATE_FAILED, State.BINNED) or outdated:
        return
    if seen is None:
        if machine.missing_at is None and machine.tail_id is None:
            machine.missing_at = work.now()
            _audit_observed(work, machine, "machine.missing", {"host_id": machine.host_id})
            enter(work, machine, State.STOPPED)
        return
    if machine.missing_at is not None:
        machine.missing_at = None
        announce(work.db, "machine", machine.id, machine.pool_id)
    if machine.power != seen.power.value:
        machine.power = seen.power.value
        machine.power_source, machine.power_at = source, at
        announce(work.db, "machine", machine.id, machine.pool_id)
    if machine.tail_id is not None:
        # An operation is in flight: it says what its outcome is, not a state on the way.
        return
    state = states.observed(seen.power.value, machine.stable)
    if state is not machine.stable:
        _audit_observed(
            work, machine, "machine.observed", {"state": state.value, "was": machine.state}
        )
        enter(work, machine, state)


def _record_life(work: Work, machine: Machine, before: State, operation: Operation | None) -> None:
    begun = "adopted" if machine.definition else "created"
    kind = begun if before is State.NEW else _EVENTS.get(machine.stable)
    if kind is None or machine.stable is State.CREATE_FAILED or before is State.CREATE_FAILED:
        return
    work.db.add(_event(work, machine, kind, operation))


def _event(work: Work, machine: Machine, kind: str, operation: Operation | None) -> MachineEvent:
    """Make an event after the last one: a clock that was set back changes no order.

    Out of order a machine would have been stopped before it was started, and used from then on.
    """
    last = _last_event(work, machine)
    return MachineEvent(
        machine_id=machine.id,
        pool_id=machine.pool_id,
        at=work.now() if last is None else max(work.now(), last.at),
        kind=kind,
        running=machine.stable in HOLDS_RUNNING,
        vcpus=machine.present("vcpus"),
        memory=machine.present("memory"),
        storage=0 if machine.stable is State.DELETED else machine.storage_held,
        source="operation" if operation is not None else "observed",
        operation_id=operation.id if operation is not None else None,
    )


def moved(work: Work, machine: Machine) -> None:
    """What it holds it uses in another pool from now on; nothing where it was never made."""
    last = select(MachineEvent.id).where(MachineEvent.machine_id == machine.id).limit(1)
    if work.db.scalar(last) is not None:
        work.db.add(_event(work, machine, "moved", None))


def _archive(work: Work, machine: Machine) -> None:
    """The machine is gone; its row stays for reports, its name and place are free."""
    machine.deleted_at = work.now()
    machine.snapshot_storage = 0
    work.db.execute(delete(MachineRates).where(MachineRates.machine_id == machine.id))
    work.db.execute(delete(SnapshotSchedule).where(SnapshotSchedule.machine_id == machine.id))
    for snapshot in work.db.scalars(select(Snapshot).where(Snapshot.machine_id == machine.id)):
        work.db.delete(snapshot)
    for volume in list(machine.volumes):
        if volume.found:
            volumes.keep(work, volume)
        else:
            work.db.delete(volume)
    for part in (*machine.nics, *machine.media):
        work.db.delete(part)


def machine_of(operation: Operation) -> Machine:
    assert operation.machine is not None
    return operation.machine


def _audit_observed(work: Work, machine: Machine, action: str, after: dict[str, Any]) -> None:
    audit.record(
        work,
        action,
        "machine",
        machine.id,
        machine.name,
        pool_id=machine.pool_id,
        after=after,
        outcome="observed",
    )


def reservation_differences(work: Work) -> list[str]:
    """Compare what is held with what the machines' states say; return each difference in words."""
    held: dict[tuple[int, str], Resources] = {}
    for row in work.db.scalars(select(Reservation).where(Reservation.operation_id.is_(None))):
        amount = Resources(
            vcpus=row.vcpus,
            memory=row.memory,
            nics=row.nics,
            machines=row.machines,
            redundancy=row.redundancy,
            storage=row.storage,
        )
        if row.machine_id is None:
            continue
        key = (row.machine_id, row.kind)
        held[key] = held.get(key, Resources()) + amount
    found = []
    for machine in work.db.scalars(select(Machine)):
        for kind, amounts in due(machine).items():
            has = held.pop((machine.id, kind), Resources())
            if has != amounts:
                found.append(f"{machine.name} ({machine.id}) {kind}: holds {has}, due {amounts}")
    found += [
        f"machine {number} {kind}: holds {has}, due none" for (number, kind), has in held.items()
    ]
    return found


def due(machine: Machine) -> dict[str, Resources]:
    """Return what the machine is to hold in its state, by kind of reservation."""
    state = machine.stable
    runs = state in HOLDS_RUNNING
    stored = state not in (State.NEW, State.CREATE_FAILED, State.DELETED)
    return {
        "running": machine.running_resources if runs else Resources(),
        "storage": Resources(storage=machine.storage_held) if stored else Resources(),
    }
