"""Rates that the running machines of a pool share, and how a limit of one is divided among them.

CPU is counted in percent of one CPU, drives in bytes and operations a second, cards in bytes a
second each way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

from ovcadmin.domain import amounts

LEAST = {"cpu": 1, "byte_rate": 1024, "iops": 1, "receive": 1024, "send": 1024}
"""The smallest limit that a hypervisor takes of each: less than that would be none to it."""
NAMES = tuple(LEAST)


@dataclass(frozen=True, kw_only=True)
class Rates:
    """A limit of each rate; None is no limit."""

    cpu: int | None = None
    byte_rate: int | None = None
    """Of drives, read and written together."""
    iops: int | None = None
    receive: int | None = None
    send: int | None = None

    def __bool__(self) -> bool:
        return any(getattr(self, field.name) is not None for field in fields(self))


@dataclass(frozen=True, kw_only=True)
class GuestRates:
    """What a guest may take of rates; None is no limit."""

    cpu: int | None
    """Percent of one CPU for all vcpus together."""
    drives: Mapping[str, tuple[int | None, int | None]]
    """By name: bytes and operations a second."""
    cards: Mapping[str, tuple[int | None, int | None]]
    """By MAC: bytes a second towards the guest and from it."""


@dataclass(frozen=True, kw_only=True)
class Taker:
    """A running machine that takes a part of one rate."""

    machine_id: int
    pools: frozenset[int]
    """The pool that it is in, and every pool above."""
    own: int | None
    """More it cannot take, or may not by its own limits."""
    least: int
    """Less it cannot be given; never more than `own`."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What a machine is given of a limit that others share with it."""

    amount: int
    pool_id: int
    """The pool whose limit binds."""


def divide(limits: Sequence[tuple[int, int]], takers: Iterable[Taker]) -> dict[int, Part]:
    """Divide the limits of pools among machines; no entry: a machine's own limit is lower.

    `limits` are (pool, limit), sub-pools before the pools above them.  Of each limit everybody
    gets the same, except who takes less by himself: what he leaves the others share.  Together
    they get no more than the limit, unless the least of each is more already.  From the inside
    out this is fair on all levels at once: what a pool above takes away it takes from who has
    most, and whoever a sub-pool bounds has no more afterwards.
    """
    takers = list(takers)
    amounts = {one.machine_id: one.own for one in takers}
    parts: dict[int, Part] = {}
    for pool_id, limit in limits:
        those = [one for one in takers if pool_id in one.pools]
        shares = spread(limit, [(one.least, amounts[one.machine_id]) for one in those])
        for one, share in zip(those, shares, strict=True):
            if share is not None and share != amounts[one.machine_id]:
                amounts[one.machine_id] = share
                parts[one.machine_id] = Part(amount=share, pool_id=pool_id)
    return parts


def spread(limit: int, wants: Sequence[tuple[int, int | None]]) -> list[int | None]:
    """Divide one limit; `wants` are (least, most) of each, and None is as much as there is.

    Whoever is given what he wants is given back as he wants it, None as None.  Rounded down: less
    than one unit for each of them is left over.
    """
    if all(most is not None for _, most in wants) and sum(most or 0 for _, most in wants) <= limit:
        return [most for _, most in wants]
    low, high = 0, limit
    while low < high:
        level = (low + high + 1) // 2
        if sum(_at(level, *want) for want in wants) <= limit:
            low = level
        else:
            high = level - 1
    return [_at(low, *want) for want in wants]


def _at(level: int, least: int, most: int | None) -> int:
    return max(least, level if most is None else min(level, most))


LABELS = {
    "cpu": "CPU",
    "byte_rate": "Drives",
    "iops": "Drive operations",
    "receive": "Network, received",
    "send": "Network, sent",
}


def show(rate: str, amount: int) -> str:
    """Write an amount of a rate for people."""
    if rate == "cpu":
        return f"{amount} % of one CPU"
    if rate == "iops":
        return f"{amount} a second"
    return f"{amounts.show_storage(amount)} a second"
