"""Measurements: from counters to rates, and how long what is kept."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, kw_only=True)
class Grain:
    """How fine, and how long: stretches of `seconds`, of which the last `kept` are kept."""

    seconds: int
    kept: int

    @property
    def span(self) -> timedelta:
        return timedelta(seconds=self.seconds * self.kept)

    def begin(self, at: datetime) -> datetime:
        """Return the beginning of the stretch that holds the moment."""
        return datetime.fromtimestamp(at.timestamp() // self.seconds * self.seconds, UTC)


HOUR = Grain(seconds=10, kept=360)
DAY = Grain(seconds=300, kept=288)
MONTH = Grain(seconds=3600, kept=744)
SPANS = {"hour": HOUR, "day": DAY, "month": MONTH}
ROLLS = ((HOUR, DAY), (DAY, MONTH))
"""Each coarser grain is made from the one before it."""


@dataclass(frozen=True, kw_only=True)
class Counters:
    """One reading of a guest.  Times in nanoseconds, memory in KiB, the rest in bytes.

    All but memory only grow, until the guest is started anew.
    """

    at: float
    cpu: int
    memory: int = 0
    received: int = 0
    sent: int = 0
    read: int = 0
    written: int = 0


@dataclass(frozen=True, kw_only=True)
class Rates:
    """What was used in a stretch: CPUs in parts of one, memory in KiB, bytes a second."""

    cpu: float = 0.0
    memory: int = 0
    received: float = 0.0
    sent: float = 0.0
    read: float = 0.0
    written: float = 0.0


FIELDS = tuple(field.name for field in fields(Rates))
TRAFFIC = ("received", "sent", "read", "written")


def rates(before: Counters, now: Counters) -> Rates | None:
    """Return what was used between two readings; None when a counter went back to its start."""
    seconds = now.at - before.at
    cpu = now.cpu - before.cpu
    moved = {name: getattr(now, name) - getattr(before, name) for name in TRAFFIC}
    if seconds <= 0 or cpu < 0 or min(moved.values()) < 0:
        return None
    return Rates(
        cpu=cpu / 1e9 / seconds,
        memory=now.memory,
        **{name: amount / seconds for name, amount in moved.items()},
    )


def together(found: list[Rates]) -> Rates:
    """Return the sum, as of all guests of a host."""
    return Rates(
        cpu=sum(one.cpu for one in found),
        memory=sum(one.memory for one in found),
        **{name: sum(getattr(one, name) for one in found) for name in TRAFFIC},
    )
