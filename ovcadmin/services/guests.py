"""What agents in guests say, with its age.  Shown to people; nothing is decided by it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import or_, select

from ovcadmin.domain import guest_words
from ovcadmin.domain.states import State
from ovcadmin.models import Guest, Machine
from ovcadmin.models.database import announce
from ovcadmin.work import Work


class Asked(NamedTuple):
    """A guest whose agent is to be asked; `known` when one ever answered, or should have."""

    uuid: str
    known: bool


def of(work: Work, machine: Machine) -> Guest | None:
    return work.db.get(Guest, machine.id)


def to_ask(work: Work, host_id: int) -> dict[int, Asked]:
    """Return the running machines of a host whose agents are to be asked again, by id."""
    before = work.now() - timedelta(seconds=work.settings.agent_seconds)
    statement = (
        select(Machine.id, Machine.uuid, Guest.machine_id.is_not(None).label("known"))
        .outerjoin(Guest, Guest.machine_id == Machine.id)
        .where(
            Machine.host_id == host_id,
            Machine.state == State.RUNNING.value,
            Machine.deleted_at.is_(None),
            Machine.missing_at.is_(None),
            or_(Guest.asked_at.is_(None), Guest.asked_at <= before),
        )
        .order_by(Machine.id)
    )
    return {row.id: Asked(row.uuid, row.known) for row in work.db.execute(statement)}


def answered(work: Work, machine_id: int, said: Mapping[str, Any], at: datetime) -> None:
    """Take in what an agent said; `at` is when it was asked."""
    row = _row(work, machine_id, at)
    row.facts, row.answered_at, row.trouble = guest_words.tidy(said), at, ""
    _announce(work, machine_id)


def silent(work: Work, machine_id: int, why: str, at: datetime) -> None:
    """Note that an agent that was there does not answer; what it said last stays, with its age."""
    row = _row(work, machine_id, at)
    if row.trouble != why:
        row.trouble = why[:500]
        _announce(work, machine_id)


def absent(work: Work, machine_id: int, at: datetime) -> None:
    """Note that no agent listens, where one ever did."""
    silent(work, machine_id, "No agent listens in the guest.", at)


def _row(work: Work, machine_id: int, at: datetime) -> Guest:
    row = work.db.get(Guest, machine_id)
    if row is None:
        row = Guest(machine_id=machine_id, asked_at=at, facts={}, trouble="")
        work.db.add(row)
    row.asked_at = at
    return row


def _announce(work: Work, machine_id: int) -> None:
    machine = work.db.get_one(Machine, machine_id)
    announce(work.db, "machine", machine.id, machine.pool_id)
