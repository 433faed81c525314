"""The console's own processes: each says now and then that it is up."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select

from ovcadmin.models import Process
from ovcadmin.work import Work

BEAT_SECONDS = 5
SILENT_AFTER = timedelta(seconds=4 * BEAT_SECONDS)
FORGOTTEN_AFTER = timedelta(days=1)


@dataclass(frozen=True, kw_only=True)
class Sign:
    """A process as its row tells of it."""

    process: Process
    up: bool
    age: timedelta


def beat(
    work: Work, kind: str, name: str, address: str = "", *,
    groups: Sequence[str] = (), trouble: str = "",
) -> None:  # fmt: skip
    """Say that this process is up; the first word makes its row."""
    row = work.db.scalar(select(Process).where(Process.name == name))
    if row is None:
        row = Process(kind=kind, name=name, started_at=work.now(), pid=os.getpid())
        work.db.add(row)
    if row.pid != os.getpid():
        row.started_at = work.now()
    row.kind, row.pid, row.address, row.seen_at = kind, os.getpid(), address, work.now()
    row.groups, row.trouble = list(groups), trouble


def gone(work: Work, name: str) -> None:
    """Say good-bye at a clean end."""
    row = work.db.scalar(select(Process).where(Process.name == name))
    if row is not None:
        work.db.delete(row)


def listing(work: Work) -> list[Sign]:
    """Return every process that was heard of within a day, by kind and name."""
    now = work.now()
    rows = work.db.scalars(
        select(Process)
        .where(Process.seen_at > now - FORGOTTEN_AFTER)
        .order_by(Process.kind, Process.name)
    )
    return [
        Sign(process=row, up=now - row.seen_at < SILENT_AFTER, age=now - row.seen_at)
        for row in rows
    ]
