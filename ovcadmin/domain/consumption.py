"""Consumption: what a machine used, summed from the recorded events of its life.

Not from samples: a silent host makes nothing free, and every figure can be opened down to the
events it was summed from.  Between two events the amounts are constant, so

    vcpu-hours    = sum over the stretches in which the machine ran of  vcpus x hours
    memory hours  = the same with memory in GiB
    storage hours = sum over all stretches of its life of  storage in GB x hours

with hours as exact fractions of seconds / 3600.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, kw_only=True)
class LifeEvent:
    """From `at` on, the machine holds these amounts.  Memory in KiB, storage in bytes."""

    at: datetime
    kind: str
    pool_id: int
    """Where the machine is from then on."""
    running: bool
    vcpus: int
    memory: int
    storage: int


@dataclass(frozen=True, kw_only=True)
class Used:
    """Hours times amounts; memory in GiB (2^30), storage in GB (10^9)."""

    vcpu_hours: float = 0.0
    memory_gib_hours: float = 0.0
    storage_gb_hours: float = 0.0

    def __add__(self, other: Used) -> Used:
        return Used(
            vcpu_hours=self.vcpu_hours + other.vcpu_hours,
            memory_gib_hours=self.memory_gib_hours + other.memory_gib_hours,
            storage_gb_hours=self.storage_gb_hours + other.storage_gb_hours,
        )


def used(events: Sequence[LifeEvent], start: datetime, end: datetime) -> dict[int, Used]:
    """Sum what a machine with these events, oldest first, used within [start, end), by pool.

    Events before `start` tell what was held when it began; a stretch ends with the next event or
    with `end`, and counts where the machine was.
    """
    found: dict[int, Used] = {}
    for position, event in enumerate(events):
        until = events[position + 1].at if position + 1 < len(events) else end
        seconds = (min(until, end) - max(event.at, start)).total_seconds()
        if seconds > 0 or event.at == end:
            before = found.get(event.pool_id, Used())
            found[event.pool_id] = before + _stretch(event, seconds / 3600)
    return found


def _stretch(event: LifeEvent, hours: float) -> Used:
    return Used(
        vcpu_hours=event.vcpus * hours if event.running else 0.0,
        memory_gib_hours=event.memory / 2**20 * hours if event.running else 0.0,
        storage_gb_hours=event.storage / 10**9 * hours,
    )


@dataclass(frozen=True)
class Month:
    """A calendar month in UTC: reports add up across clock changes."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> Month:
        """Read `2026-11`; raises `ValueError` for anything else."""
        start = datetime.strptime(text, "%Y-%m")  # noqa: DTZ007 - only year and month are read
        if not 2000 <= start.year < 3000:
            raise ValueError("Write a month of this age, such as 2026-11.")
        return cls(start.year, start.month)

    @classmethod
    def of(cls, moment: datetime) -> Month:
        return cls(moment.year, moment.month)

    @property
    def start(self) -> datetime:
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        return self.next().start

    def next(self) -> Month:
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    def previous(self) -> Month:
        return Month(self.year - (self.month == 1), (self.month - 2) % 12 + 1)

    def __str__(self) -> str:
        return f"{self.year:04d}-{self.month:02d}"
