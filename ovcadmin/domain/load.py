"""How busy a host is and where that is going, from counters that are read now and then."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

SMOOTH_SECONDS = 60.0
"""A reading this long ago still counts by about a third."""
TREND_SECONDS = 1800.0
"""The same for what the trend is taken from: minutes of noise are no trend."""
HOUR = 3600.0


@dataclass(frozen=True, kw_only=True)
class Load:
    """Part of the CPU time that is busy, 0 to 1; its slow average; and its growth in an hour."""

    now: float
    slow: float
    trend: float = 0.0


def part(busy: int, idle: int) -> float | None:
    """Return the busy part of a stretch; None when counters were reset or stood still."""
    if busy < 0 or idle < 0 or busy + idle == 0:
        return None
    return busy / (busy + idle)


def follow(before: Load | None, busy: float, seconds: float) -> Load:
    """Take in a stretch of `seconds` that was busy by this part.

    The trend is how far the load has moved away from its slow average, told for an hour.
    """
    if before is None:
        return Load(now=busy, slow=busy)
    now = _blend(before.now, busy, seconds, SMOOTH_SECONDS)
    slow = _blend(before.slow, busy, seconds, TREND_SECONDS)
    trend = (now - slow) * HOUR / TREND_SECONDS
    return Load(now=now, slow=slow, trend=min(max(trend, -1.0), 1.0))


def _blend(old: float, new: float, seconds: float, memory: float) -> float:
    keeps = exp(-seconds / memory)
    return old * keeps + new * (1.0 - keeps)
