"""How pages show things: amounts, times, bars, states.  Templates know this module as `show`."""

from __future__ import annotations

from datetime import UTC, datetime

from ovcadmin.domain.amounts import show as amount
from ovcadmin.domain.amounts import show_memory as memory
from ovcadmin.domain.amounts import show_storage as storage
from ovcadmin.domain.quota import LABELS, phrase
from ovcadmin.views.badges import cluster_badge as cluster_badge
from ovcadmin.views.badges import host_badge, operation_badge, power_badge, step_badge
from ovcadmin.views.badges import layer_badge as layer_badge
from ovcadmin.views.badges import path_badge as path_badge
from ovcadmin.views.badges import storage_badge as storage_badge
from ovcadmin.views.bars import Bar, quota_bars
from ovcadmin.views.privileges import privileges
from ovcadmin.views.refusals import Refusal

__all__ = [
    "LABELS",
    "Bar",
    "Refusal",
    "age",
    "amount",
    "clock",
    "cluster_badge",
    "exact",
    "host_badge",
    "hours",
    "lasted",
    "layer_badge",
    "limit",
    "many",
    "memory",
    "number",
    "operation_badge",
    "path_badge",
    "phrase",
    "power_badge",
    "privileges",
    "quota_bars",
    "step_badge",
    "storage",
    "storage_badge",
]


def limit(resource: str, amount_: int | None) -> str:
    """Show a limit, or what is left of one; blank is no limit."""
    if amount_ is None:
        return "no limit"
    return amount(resource, amount_) if amount_ >= 0 else f"{amount(resource, -amount_)} over"


_AGES = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def age(at: datetime, now: datetime) -> str:
    """Say how long ago it was, without the word ago: `3 h`."""
    seconds = max(0, int((now - at).total_seconds()))
    unit, size = next(((unit, size) for unit, size in _AGES if seconds >= size), ("s", 1))
    return f"{seconds // size} {unit}"


def exact(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def clock(at: datetime) -> str:
    """Show the time of day, in UTC."""
    return f"{at.astimezone(UTC):%H:%M}"


def lasted(start: datetime | None, end: datetime) -> str:
    """Say how long something took: `3.1 s`, `2 min 5 s`; blank when it never began."""
    if start is None:
        return ""
    seconds = max(0.0, (end - start).total_seconds())
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def number(value: float) -> str:
    """Show a count with thin groups of thousands."""
    return f"{value:,}".replace(",", "\u202f")


def many(count: int, noun: str) -> str:
    """Return `1 machine`, `3 machines`."""
    return f"{number(count)} {noun}{'' if count == 1 else 's'}"


def hours(value: float) -> str:
    """Show amount-hours with two decimals."""
    return f"{value:,.2f}".replace(",", "\u202f")
