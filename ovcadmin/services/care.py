"""What the console does to machines by itself: keeps them running, and ends their leases."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog
from sqlalchemy import or_, select

from ovcadmin.domain.states import Action, State
from ovcadmin.errors import DomainError, InvalidInput
from ovcadmin.models import Host, Machine
from ovcadmin.models.database import announce
from ovcadmin.services import audit, machines, operations
from ovcadmin.services.lease_defaults import ENDS
from ovcadmin.work import Work

logger = structlog.get_logger(__name__)

MOST_RESTARTS = 5
WINDOW = timedelta(minutes=10)
"""A machine that stopped this often within so long is broken: starting it again helps nobody."""
LONGEST_LEASE = timedelta(days=3660)


# --- keep running --------------------------------------------------------------------------------
def fallen(work: Work) -> list[int]:
    """Return the machines that are to run and stopped without having been asked to here."""
    statement = (
        select(Machine.id)
        .join(Host, Host.id == Machine.host_id)
        .where(
            Machine.keep_running,
            Machine.wanted,
            Machine.state == State.STOPPED.value,
            Machine.tail_id.is_(None),
            Machine.missing_at.is_(None),
            Machine.given_up_at.is_(None),
            Machine.deleted_at.is_(None),
            Host.state == "up",
        )
        .order_by(Machine.id)
    )
    return list(work.db.scalars(statement))


def start_again(work: Work, machine_id: int) -> None:
    """Start one again, or give up on one that stops too often."""
    machine = work.db.get_one(Machine, machine_id)
    now = work.now()
    if machine.restarted_at is None or machine.restarted_at < now - WINDOW:
        machine.restarts, machine.restarted_at = 0, now
    if machine.restarts >= MOST_RESTARTS:
        machine.given_up_at = now
        announce(work.db, "machine", machine.id, machine.pool_id)
        _note(work, machine, "machine.given_up", {"restarts": machine.restarts})
        return
    machine.restarts += 1
    try:
        with work.db.begin_nested():
            machines.act(work, machine, Action.START)
    except DomainError as error:
        logger.warning("machine.not_restarted", machine=machine.name, code=error.code)
        _note(work, machine, "machine.not_restarted", {"code": error.code, "text": error.text})
        return
    _note(work, machine, "machine.restart", {"restarts": machine.restarts})


# --- leases --------------------------------------------------------------------------------------
def lease(
    work: Work,
    machine: Machine,
    *,
    run_until: datetime | None,
    run_end: str,
    keep_until: datetime | None,
) -> None:
    """Set until when the machine may run and until when it is kept; None is without end.

    Setting them anew renews them.  Raises `InvalidInput`.
    """
    wrong = {
        name: "Choose a moment in the next ten years."
        for name, until in (("run_until", run_until), ("keep_until", keep_until))
        if until is not None and not work.now() < until < work.now() + LONGEST_LEASE
    }
    if run_end not in ENDS:
        wrong["run_end"] = f"Choose one of {', '.join(ENDS)}."
    if wrong:
        raise InvalidInput("The lease is not set.", fields=wrong)
    before = _lease(machine)
    machine.run_until, machine.run_end, machine.keep_until = run_until, run_end, keep_until
    machine.warned_until = None
    machine.version += 1
    announce(work.db, "machine", machine.id, machine.pool_id)
    audit.record(
        work, "machine.lease", "machine", machine.id, machine.name, pool_id=machine.pool_id,
        before=before, after=_lease(machine),
    )  # fmt: skip


def next_end(machine: Machine) -> datetime | None:
    """Return the moment at which the first of its leases ends."""
    ends = [until for until in (machine.run_until, machine.keep_until) if until is not None]
    return min(ends, default=None)


def warns(work: Work, machine: Machine) -> bool:
    """Whether a lease of the machine ends soon."""
    end, before = next_end(machine), timedelta(hours=work.settings.lease_warning_hours)
    return end is not None and end - before <= work.now()


def ending(work: Work) -> list[int]:
    """Return the machines whose lease ends soon or has ended."""
    soon = work.now() + timedelta(hours=work.settings.lease_warning_hours)
    statement = select(Machine.id).where(
        Machine.deleted_at.is_(None),
        Machine.tail_id.is_(None),
        or_(Machine.run_until <= soon, Machine.keep_until <= soon),
    )
    return list(work.db.scalars(statement.order_by(Machine.id)))


def attend(work: Work, machine_id: int) -> None:
    """Warn once of the end of a lease, and do at its end what was set."""
    machine = work.db.get_one(Machine, machine_id)
    now, end = work.now(), next_end(machine)
    if end is None:
        return
    if machine.keep_until is not None and machine.keep_until <= now:
        _end_keeping(work, machine)
    elif machine.run_until is not None and machine.run_until <= now:
        _end_running(work, machine)
    elif machine.warned_until != end and warns(work, machine):
        machine.warned_until = end
        announce(work.db, "machine", machine.id, machine.pool_id)
        _note(work, machine, "lease.warning", {"until": end.isoformat()})


def _end_running(work: Work, machine: Machine) -> None:
    """Stop it as was set.  One that does not run has nothing to end."""
    if machine.stable is not State.RUNNING or _asked(work, machine, Action(machine.run_end)):
        machine.run_until = None


def _end_keeping(work: Work, machine: Machine) -> None:
    """Put it into the bin, off first; the protection against deletion holds it."""
    runs = machine.stable in (State.RUNNING, State.SUSPENDED)
    if runs and not _asked(work, machine, Action.POWER_OFF):
        return
    if _asked(work, machine, Action.BIN):
        machine.keep_until = None


def _asked(work: Work, machine: Machine, action: Action) -> bool:
    try:
        with work.db.begin_nested():
            machines.act(work, machine, action)
    except DomainError as error:
        _prolong(work, machine)
        refused = {"action": action.value, "code": error.code, "text": error.text}
        _note(work, machine, "lease.refused", refused)
        return False
    _note(work, machine, "lease.ended", {"action": action.value})
    return True


def _prolong(work: Work, machine: Machine) -> None:
    """Try again tomorrow what was refused today: it may be protected, or its host silent."""
    tomorrow = work.now() + timedelta(days=1)
    if machine.run_until is not None and machine.run_until <= work.now():
        machine.run_until = tomorrow
    if machine.keep_until is not None and machine.keep_until <= work.now():
        machine.keep_until = tomorrow


def _lease(machine: Machine) -> dict[str, str | None]:
    return {
        "run_until": machine.run_until.isoformat() if machine.run_until else None,
        "run_end": machine.run_end,
        "keep_until": machine.keep_until.isoformat() if machine.keep_until else None,
    }


def _note(work: Work, machine: Machine, action: str, after: Mapping[str, object]) -> None:
    current = operations.state_to_come(machine)
    audit.record(
        work, action, "machine", machine.id, machine.name, pool_id=machine.pool_id,
        after={**after, "state": current.value}, outcome="observed",
    )  # fmt: skip
