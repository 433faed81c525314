"""How storage is used over time: a row an hour for each storage pool and volume.  Bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from ovcadmin.drivers.storage.base import VolumeFacts
from ovcadmin.models import StoragePool, StorageUsage, Volume, VolumeUsage
from ovcadmin.services import storage
from ovcadmin.work import Work

WEEK = 24 * 7

Traffic = Mapping[tuple[str, str], tuple[int, int]]
"""By a machine's uuid and a disk's target: bytes read and written since the guest started."""


@dataclass(frozen=True, kw_only=True)
class Hour:
    """What a volume took at the end of an hour, and what was read and written in it."""

    at: datetime
    allocated: int
    read: int | None
    """None where no guest used it."""
    written: int | None


def note(
    work: Work, store: StoragePool, facts: Mapping[str, VolumeFacts], traffic: Traffic
) -> None:
    """Keep the figures of this hour; counters are written over until the hour is over.

    A storage pool that several hosts reach is told by each: what a guest has moved is known to its
    own host alone.
    """
    hour = work.now().replace(minute=0, second=0, microsecond=0)
    if work.db.get(StorageUsage, (store.id, hour)) is None:
        work.db.add(
            StorageUsage(
                storage_pool_id=store.id, at=hour, capacity=store.capacity,
                available=storage.space(work, store).free,
            )
        )  # fmt: skip
    known = {
        row.volume_id: row
        for row in work.db.scalars(
            select(VolumeUsage)
            .join(Volume, Volume.id == VolumeUsage.volume_id)
            .where(Volume.storage_pool_id == store.id, VolumeUsage.at == hour)
        )
    }
    for volume in work.db.scalars(select(Volume).where(Volume.storage_pool_id == store.id)):
        seen = facts.get(volume.key or "")
        if seen is None or (taken := seen.allocated) is None:
            continue
        row = known.get(volume.id)
        if row is None:
            row = VolumeUsage(volume_id=volume.id, at=hour, allocated=taken)
            work.db.add(row)
        row.allocated = taken
        moved = traffic.get((volume.machine.uuid, volume.target or "")) if volume.machine else None
        if moved is not None:
            row.read_bytes, row.written_bytes = moved


def of_pool(work: Work, store: StoragePool, hours: int = WEEK) -> list[StorageUsage]:
    """Return how full it was, by the hour, oldest first."""
    statement = (
        select(StorageUsage)
        .where(
            StorageUsage.storage_pool_id == store.id,
            StorageUsage.at >= work.now() - timedelta(hours=hours),
        )
        .order_by(StorageUsage.at)
    )
    return list(work.db.scalars(statement))


def of_volume(work: Work, volume: Volume, hours: int = WEEK) -> list[Hour]:
    """Return what a volume took and what was moved, by the hour, oldest first."""
    statement = (
        select(VolumeUsage)
        .where(
            VolumeUsage.volume_id == volume.id,
            VolumeUsage.at >= work.now() - timedelta(hours=hours),
        )
        .order_by(VolumeUsage.at)
    )
    found, before = [], (0, 0)
    for number, row in enumerate(work.db.scalars(statement)):
        read, written = row.read_bytes, row.written_bytes
        known = read is not None and written is not None
        first = number == 0 and row.at > volume.created_at + timedelta(hours=1)
        found.append(
            Hour(
                at=row.at,
                allocated=row.allocated,
                # Of the oldest row it is not known what came before it.
                read=_since(before[0], read) if known and not first else None,
                written=_since(before[1], written) if known and not first else None,
            )
        )
        before = (read or 0, written or 0)
    return found


def _since(before: int, now: int | None) -> int:
    """Return what came since; a counter that is less than before began again."""
    count = now or 0
    return count - before if count >= before else count
