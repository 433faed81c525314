"""The rows of what machines and volumes take, and with each change the counters of their pools.

Nothing else writes these rows (an architecture test sees to it), so no path forgets the counters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, delete, insert, select

from ovcadmin.domain.resources import NAMES, Resources
from ovcadmin.models import Operation, Reservation
from ovcadmin.models.use import note
from ovcadmin.work import Work

_TABLE: Any = Reservation.__table__
_ADD = insert(_TABLE)
_COLUMNS = (
    Reservation.pool_id,
    Reservation.kind,
    Reservation.machine_id,
    Reservation.volume_id,
    Reservation.operation_id,
    *(getattr(Reservation, name) for name in NAMES),
)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What one machine or volume takes from its pool; of an operation while that has not ended."""

    pool_id: int
    kind: str
    """`running` or `storage`."""
    amounts: Resources
    machine_id: int | None = None
    volume_id: int | None = None
    operation_id: int | None = None


def add(work: Work, claims: Iterable[Claim]) -> None:
    rows = list(claims)
    if not rows:
        return
    work.db.flush()
    work.db.connection().execute(_ADD, [_row(claim) for claim in rows])
    for claim in rows:
        _note(work, claim, claim.amounts)


def drop(work: Work, *conditions: ColumnElement[bool]) -> list[Claim]:
    """Take the rows away and return them: each of them once, whoever else drops it now."""
    work.db.flush()
    statement = delete(_TABLE).where(*conditions).returning(*_COLUMNS)
    found = [_claim(row) for row in work.db.connection().execute(statement)]
    for claim in found:
        _note(work, claim, Resources() - claim.amounts)
    return found


def keep(work: Work, operation: Operation) -> None:
    """The operation succeeded: what it was promised is held.

    What a running machine was promised more joins what it holds: one row, as it runs once.
    """
    promised = drop(work, Reservation.operation_id == operation.id)
    if any(claim.kind == "running" for claim in promised):
        promised += drop(work, *held_by(operation.machine_id, "running"))
    merged: dict[Claim, Resources] = {}
    for claim in promised:
        key = replace(claim, operation_id=None, amounts=Resources())
        merged[key] = merged.get(key, Resources()) + claim.amounts
    add(work, [replace(key, amounts=amounts) for key, amounts in merged.items()])


def move(work: Work, machine_id: int, pool_id: int) -> None:
    """Count what the machine takes in another pool from now on."""
    rows = drop(work, Reservation.machine_id == machine_id)
    add(work, [replace(claim, pool_id=pool_id) for claim in rows])


def holds(work: Work, machine_id: int, kind: str) -> bool:
    return work.db.scalar(select(Reservation.id).where(*held_by(machine_id, kind))) is not None


def held_by(machine_id: int | None, kind: str) -> tuple[ColumnElement[bool], ...]:
    """Return the conditions of what a machine holds, pending promises aside."""
    return (
        Reservation.machine_id == machine_id,
        Reservation.kind == kind,
        Reservation.operation_id.is_(None),
    )


def _note(work: Work, claim: Claim, amounts: Resources) -> None:
    note(work.db, claim.pool_id, amounts, pending=claim.operation_id is not None)


def _row(claim: Claim) -> dict[str, Any]:
    return {
        "pool_id": claim.pool_id,
        "kind": claim.kind,
        "machine_id": claim.machine_id,
        "volume_id": claim.volume_id,
        "operation_id": claim.operation_id,
        **dict(claim.amounts.items()),
    }


def _claim(row: Any) -> Claim:
    return Claim(
        pool_id=row.pool_id,
        kind=row.kind,
        machine_id=row.machine_id,
        volume_id=row.volume_id,
        operation_id=row.operation_id,
        amounts=Resources(**{name: getattr(row, name) for name in NAMES}),
    )
