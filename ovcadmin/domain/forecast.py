"""Forecast: how many machines of a size fit, and when a limit is reached at the present trend.

Plain arithmetic.  A trend is the straight line of least squares through daily amounts; it says
what happens if nothing changes, and no more than that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ovcadmin.domain.quota import LABELS, Room
from ovcadmin.domain.resources import Resources

LONGEST_DAYS = 3650
"""A line that is so flat says nothing: further ahead, "full" is not told."""


@dataclass(frozen=True, kw_only=True)
class HostRoom:
    """What a host has left for machines, as placement counts it.

    Memory in KiB, storage in bytes.
    """

    cpus: int
    """The most vCPUs that one machine can have there."""
    vcpus: int
    """How many more may be promised there in all."""
    memory: int
    storage_pool_id: int | None
    """The storage pool that placement would take there; None has none."""
    storage: int


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How many fit, and what is the tightest: a limit, or the hosts."""

    count: int
    tightest: str


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What one machine held from a moment on."""

    at: datetime
    amounts: Resources


def by_quota(size: Resources, left: Mapping[str, Room]) -> Fit | None:
    """Return how many the limits leave room for; None when no limit stands in the way."""
    found = [
        Fit(
            count=max(left[name].amount, 0) // amount,
            tightest=f"{LABELS[name]} of {left[name].level}",
        )
        for name, amount in size.items()
        if amount > 0 and name in left
    ]
    return min(found, key=lambda fit: fit.count, default=None)


def by_hosts(size: Resources, hosts: Iterable[HostRoom]) -> Fit:
    """Return how many the hosts have room for, as placement would take them.

    A guest runs on one host, so odds and ends of several do not add up; hosts that share a
    storage pool share what is free in it.
    """
    slots: dict[int, int] = {}
    free: dict[int, int] = {}
    by_memory = 0
    for host in hosts:
        if host.storage_pool_id is None or size.vcpus > host.cpus:
            continue
        place = host.storage_pool_id
        memory = _times(size.memory, host.memory)
        slots[place] = slots.get(place, 0) + min(memory, _times(size.vcpus, host.vcpus))
        by_memory += memory
        free[place] = _times(size.storage, host.storage)
    if not slots:
        return Fit(count=0, tightest="no host that could run one")
    count = sum(min(slots[place], free[place]) for place in slots)
    if count < sum(slots.values()):
        return Fit(count=count, tightest="storage of the hosts")
    return Fit(
        count=count,
        tightest="memory of the hosts" if count == by_memory else "vCPUs of the hosts",
    )


def _times(amount: int, left: int) -> int:
    """Return how often an amount goes into what is left, which may be less than nothing."""
    return max(left, 0) // amount


def how_many(size: Resources, left: Mapping[str, Room], hosts: Iterable[HostRoom]) -> Fit:
    """Return the tighter of quota and hosts."""
    real = by_hosts(size, hosts)
    allowed = by_quota(size, left)
    if allowed is not None and allowed.count <= real.count:
        return allowed
    return real


def daily(lives: Sequence[Sequence[Moment]], moments: Sequence[datetime]) -> list[Resources]:
    """Return what all machines held together at each moment; each life is in order of time."""
    return [
        Resources.total(amounts for life in lives if (amounts := _held(life, moment)) is not None)
        for moment in moments
    ]


def _held(life: Sequence[Moment], moment: datetime) -> Resources | None:
    held = None
    for step in life:
        if step.at > moment:
            break
        held = step.amounts
    return held


def slope(amounts: Sequence[float]) -> float:
    """Return the growth a step of evenly spaced amounts (least squares); 0 of fewer than two."""
    count = len(amounts)
    if count < 2:
        return 0.0
    middle = (count - 1) / 2
    mean = sum(amounts) / count
    rise = sum((place - middle) * (amount - mean) for place, amount in enumerate(amounts))
    return rise / sum((place - middle) ** 2 for place in range(count))


def days_to_full(taken: int, limit: int, growth: float) -> float | None:
    """Return in how many days the limit is reached; 0 when it is, None when it is not in sight."""
    if taken >= limit:
        return 0.0
    if growth <= 0:
        return None
    days = (limit - taken) / growth
    return days if days <= LONGEST_DAYS else None
