"""What hosts and machines use, now and over a while.

The newest hour is kept as it was measured, a day in stretches of five minutes, a month in hours:
so the table has an upper bound for each object, however long the console runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, cast, delete, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from ovcadmin.domain import measurements as domain
from ovcadmin.domain.load import Load
from ovcadmin.domain.measurements import HOUR, ROLLS, SPANS, Grain, Rates
from ovcadmin.models import Machine, Measurement
from ovcadmin.models.database import dialect_of
from ovcadmin.services import hosts
from ovcadmin.work import Work

BATCH = 500
"""Rows of one insert."""
_MACHINE = Machine.__table__.c
_MACHINES = select(_MACHINE.id, _MACHINE.uuid, _MACHINE.vcpus).where(
    _MACHINE.host_id == bindparam("host"), _MACHINE.deleted_at.is_(None)
)
"""Of the table, and made once: a thousand hosts are measured every few seconds."""


def record(
    work: Work, host_id: int, load: Load, busy: float, memory: int,
    guests: Mapping[str, Rates],
) -> None:  # fmt: skip
    """Take in a reading of a host and its guests by uuid.  `busy` is the CPU's part since the last.

    A second reading of the same stretch is dropped.
    """
    hosts.measured(work, host_id, load, memory_used=memory)
    at = HOUR.begin(work.now())
    whole = domain.together(list(guests.values()))
    rows = [_row("host", host_id, at, whole, cpu=busy, memory=memory)]
    for machine_id, uuid, vcpus in work.db.connection().execute(_MACHINES, {"host": host_id}):
        if used := guests.get(uuid):
            rows.append(_row("machine", machine_id, at, used, cpu=used.cpu / max(vcpus, 1)))
    insert = _insert(work).on_conflict_do_nothing()
    for start in range(0, len(rows), BATCH):
        work.db.connection().execute(insert, rows[start : start + BATCH])


def series(work: Work, kind: str, object_id: int, span: str = "hour") -> Sequence[Measurement]:
    """Return the measurements of an hour, a day or a month, oldest first."""
    grain = SPANS[span]
    statement = (
        select(Measurement)
        .where(
            Measurement.kind == kind,
            Measurement.object_id == object_id,
            Measurement.grain == grain.seconds,
            Measurement.at > work.now() - grain.span,
        )
        .order_by(Measurement.at)
    )
    return list(work.db.scalars(statement))


def roll(work: Work) -> None:
    """Make the coarser stretches that are complete by now, and forget what has had its time."""
    for fine, coarse in ROLLS:
        for start in _missing(work, fine, coarse):
            _sum_up(work, fine, coarse, start)
    for grain in SPANS.values():
        work.db.execute(
            delete(Measurement).where(
                Measurement.grain == grain.seconds, Measurement.at <= work.now() - grain.span
            )
        )


def _missing(work: Work, fine: Grain, coarse: Grain) -> list[datetime]:
    """Return the complete stretches of which there are only finer ones."""
    end = coarse.begin(work.now())
    starts = select(Measurement.at).distinct().where(
        Measurement.at < end, Measurement.at > work.now() - fine.span
    )  # fmt: skip
    found = {
        coarse.begin(at)
        for at in work.db.scalars(starts.where(Measurement.grain == fine.seconds))
    }  # fmt: skip
    there = set(work.db.scalars(starts.where(Measurement.grain == coarse.seconds)))
    return sorted(found - there)


def _sum_up(work: Work, fine: Grain, coarse: Grain, start: datetime) -> None:
    columns = [getattr(Measurement, name) for name in domain.FIELDS]
    means = [
        cast(func.round(func.avg(column)), column.type)
        if column.key == "memory"
        else func.avg(column)
        for column in columns
    ]
    statement = (
        select(
            Measurement.kind, Measurement.object_id, literal(coarse.seconds),
            literal(start, Measurement.at.type), *means,
        )
        .where(
            Measurement.grain == fine.seconds,
            Measurement.at >= start,
            Measurement.at < coarse.begin(start) + coarse.span / coarse.kept,
        )
        .group_by(Measurement.kind, Measurement.object_id)
    )  # fmt: skip
    names = ["kind", "object_id", "grain", "at", *domain.FIELDS]
    work.db.execute(_insert(work).from_select(names, statement).on_conflict_do_nothing())


def _insert(work: Work) -> Any:
    """Return the dialect's own insert, which can let a row stay that is there already."""
    return (sqlite if dialect_of(work.db) == "sqlite" else postgresql).insert(Measurement)


def _row(kind: str, number: int, at: datetime, used: Rates, **own: float) -> dict[str, Any]:
    values = {name: getattr(used, name) for name in domain.FIELDS}
    return {
        "kind": kind, "object_id": number, "grain": HOUR.seconds, "at": at, **values, **own,
    }  # fmt: skip
