"""Which worker watches which host: each host has one monitor, whatever the number of workers.

A worker holds its hosts by a lease that it renews every two seconds.  When it dies the lease runs
out, and at their next turn the others take what it held.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from sqlalchemy import and_, bindparam, delete, func, select, update

from ovcadmin.domain.shares import share
from ovcadmin.errors import LeaseLost
from ovcadmin.models import Host, HostWatch, Process
from ovcadmin.models.database import take_turns
from ovcadmin.services import processes
from ovcadmin.work import Work

TURN_SECONDS = 2.0
LEASE = timedelta(seconds=3 * TURN_SECONDS)
_TURNS = 5486002


def turn(work: Work, worker: str, groups: Sequence[str] = (), trouble: str = "") -> frozenset[int]:
    """Renew what this worker watches, take over and give up; return the hosts that it has now.

    `groups` are the host groups that it serves, all when empty; `trouble` is what it has to tell
    of itself.
    """
    take_turns(work.db, _TURNS)
    processes.beat(work, "worker", worker, groups=groups, trouble=trouble)
    work.db.flush()
    now = work.now()
    work.db.execute(
        update(HostWatch).where(HostWatch.worker == worker).values(until=now + LEASE)
    )  # fmt: skip
    serving = _serving(work)
    mine: set[int] = set()
    for group, held in _held(work).items():
        if groups and group not in groups:
            continue
        workers = sum(1 for served in serving if not served or group in served)
        change = share(held, worker, workers)
        _take(work, worker, change.take)
        _leave(work, worker, change.leave)
        mine |= {host_id for host_id, holder in held.items() if holder == worker}
        mine |= set(change.take)
        mine -= set(change.leave)
    return frozenset(mine)


_WATCH = HostWatch.__table__.c
_LEASE = select(_WATCH.until).where(
    _WATCH.host_id == bindparam("host"), _WATCH.worker == bindparam("worker")
)


def ensure(work: Work, worker: str, host_id: int) -> None:
    """Raise `LeaseLost` unless this worker watches the host: what it saw may be old by now."""
    until = work.db.connection().scalar(_LEASE, {"host": host_id, "worker": worker})
    if until is None or until < work.now():
        raise LeaseLost("Another worker watches this host now.", host_id=host_id)


def give_up(work: Work, worker: str) -> None:
    """Leave every host to others: at a clean end nobody waits for a lease to run out."""
    work.db.execute(delete(HostWatch).where(HostWatch.worker == worker))


def unserved(work: Work) -> list[str]:
    """Return the groups of hosts that no living worker serves, as long as any worker lives."""
    serving = _serving(work)
    if not serving or not all(serving):
        return []
    served = {group for of_one in serving for group in of_one}
    return [group for group in groups(work) if group not in served]


def groups(work: Work) -> list[str]:
    """Return the groups of the hosts that are in use."""
    statement = select(Host.worker_group).where(Host.retired_at.is_(None)).distinct()
    return sorted(work.db.scalars(statement))


def _serving(work: Work) -> list[list[str]]:
    """Return the groups of each living worker."""
    return list(
        work.db.scalars(
            select(Process.groups).where(
                Process.kind == "worker", Process.seen_at > work.now() - LEASE
            )
        )
    )


def _held(work: Work) -> dict[str, dict[int, str]]:
    """Return by group who watches each host, blank where nobody does any more."""
    now = work.now()
    # Nobody holds it for longer than a lease: that was written by a clock that was ahead.
    alive = and_(
        HostWatch.host_id == Host.id, HostWatch.until >= now, HostWatch.until <= now + 2 * LEASE
    )
    statement = (
        select(Host.id, Host.worker_group, func.coalesce(HostWatch.worker, ""))
        .outerjoin(HostWatch, alive)
        .where(Host.retired_at.is_(None))
    )
    found: dict[str, dict[int, str]] = {}
    for host_id, group, worker in work.db.execute(statement):
        found.setdefault(group, {})[host_id] = worker
    return found


def _take(work: Work, worker: str, hosts: Iterable[int]) -> None:
    for host_id in hosts:
        work.db.merge(HostWatch(host_id=host_id, worker=worker, until=work.now() + LEASE))


def _leave(work: Work, worker: str, hosts: Sequence[int]) -> None:
    if hosts:
        work.db.execute(
            delete(HostWatch).where(HostWatch.worker == worker, HostWatch.host_id.in_(hosts))
        )
