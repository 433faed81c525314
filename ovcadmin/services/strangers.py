"""Domains on hosts that are none of the console's machines there: listed, never touched.

Some are guests of nobody's; some are what one of our machines left behind on a host that it moved
away from.  The latter keep the machine from being started while they run: two guests with the same
disks destroy the data (see services/rivals).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from sqlalchemy import bindparam, delete, select

from ovcadmin.domain.adoption import Described
from ovcadmin.drivers.hypervisor.base import DomainState
from ovcadmin.models import Machine, UnmanagedDomain
from ovcadmin.models.database import announce
from ovcadmin.models.hosts import Host
from ovcadmin.services import audit, rivals
from ovcadmin.work import Work

AGE = timedelta(minutes=5)
"""What a domain consists of is read again after this time, and when its host tells of a change."""
AT_ONCE = 20


def observe(work: Work, host_id: int, seen: Mapping[str, DomainState]) -> list[str]:
    """Take in all domains of a host that are not machines living there.

    Returns the uuids of some that are to be looked at more closely; see `described`.
    """
    known = {
        row.uuid: row
        for row in work.db.scalars(
            select(UnmanagedDomain).where(UnmanagedDomain.host_id == host_id)
        )
    }
    if not seen and not known:
        return []
    ours = _machines(work, seen)
    changed, due = False, []
    for uuid, state in seen.items():
        machine = ours.get(uuid)
        if machine is not None and machine.tail_id is not None:
            continue  # it is on its way: both hosts tell of it
        row = known.pop(uuid, None)
        if row is None:
            row = UnmanagedDomain(host_id=host_id, uuid=uuid, power="", seen_at=work.now())
            work.db.add(row)
        changed |= _take_in(work, row, machine, state)
        if row.looked_at is None or row.looked_at < work.now() - AGE:
            due.append(uuid)
    for row in known.values():
        changed = True
        _beside(work, work.db.get(Machine, row.machine_id) if row.machine_id else None)
        work.db.delete(row)
    if changed:
        announce(work.db, "host", host_id, work.db.get_one(Host, host_id).pool_id)
    return due[:AT_ONCE]


def _take_in(work: Work, row: UnmanagedDomain, machine: Machine | None, state: DomainState) -> bool:
    """Write down what the host says of a domain; whether that is news."""
    told = (state.name, state.power.value, machine.id if machine else None)
    if (row.name, row.power, row.machine_id) == told:
        return False
    begun = state.power.value in rivals.RUNS and row.power not in rivals.RUNS
    row.name, row.power, row.machine_id = told
    _beside(work, machine)
    if machine is not None and begun:
        host = work.db.get_one(Host, row.host_id)
        audit.record(
            work, "machine.elsewhere", "machine", machine.id, machine.name,
            pool_id=machine.pool_id, after={"host": host.name, "power": state.power.value},
            outcome="observed",
        )  # fmt: skip
    return True


def _beside(work: Work, machine: Machine | None) -> None:
    """Another guest of the machine came, changed or went: whoever looks at it is to know."""
    if machine is not None:
        announce(work.db, "machine", machine.id, machine.pool_id)


_STRANGER = UnmanagedDomain.__table__.c
_ANY = select(_STRANGER.id).where(_STRANGER.host_id == bindparam("host")).limit(1)


def any_on(work: Work, host_id: int) -> bool:
    """Whether anything is written down of strangers on a host."""
    return work.db.connection().scalar(_ANY, {"host": host_id}) is not None


def described(work: Work, host_id: int, uuid: str, found: Described | None) -> None:
    """Take in what a domain consists of; None when its host could not tell."""
    row = find(work, host_id, uuid)
    if row is None:
        return
    facts = found.to_row() if found is not None else None
    row.looked_at = work.now()
    if facts != row.facts:
        row.facts = facts
        announce(work.db, "host", host_id, row.host.pool_id)


def touched(work: Work, host_id: int, uuid: str) -> None:
    """Something happened to the domain: it is to be looked at again."""
    row = find(work, host_id, uuid)
    if row is not None:
        row.looked_at = None


def find(work: Work, host_id: int, uuid: str) -> UnmanagedDomain | None:
    return work.db.scalar(
        select(UnmanagedDomain).where(
            UnmanagedDomain.host_id == host_id, UnmanagedDomain.uuid == uuid
        )
    )


def forget(work: Work, uuid: str) -> None:
    """Forget what hosts told of a domain: it has found its place."""
    work.db.execute(delete(UnmanagedDomain).where(UnmanagedDomain.uuid == uuid))


def _machines(work: Work, seen: Mapping[str, DomainState]) -> dict[str, Machine]:
    """Return our machines among these uuids: they live on other hosts."""
    found = work.db.scalars(
        select(Machine).where(Machine.uuid.in_(seen), Machine.deleted_at.is_(None))
    )
    return {machine.uuid: machine for machine in found}
