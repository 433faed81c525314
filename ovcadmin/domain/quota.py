"""Quota: does what is wanted fit under every limit from the pool to the root?

Each limit bounds the whole subtree of its pool, so one machine is counted at every level above
it.  What is pending (accepted, not yet done) counts like what is used: it is a promise already
given.  Children may be promised more than their parent has; use can exceed no level.  Where a
pool limits persons, the owner's share is one more level.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ovcadmin.domain.amounts import READERS, show
from ovcadmin.domain.resources import NAMES, Limits, Resources

WARNING_PERCENT = 80
"""Share of a limit above which it warns, where its pool says nothing else."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """One pool of the chain with what its subtree uses; of one person, what is his of it."""

    pool_id: int
    name: str
    limits: Limits
    """In force: what was set, with what is lent and borrowed."""
    used: Resources
    pending: Resources
    person: str = ""
    """Whose share it is; blank for the whole subtree."""
    person_id: int | None = None
    warnings: Mapping[str, int] = field(default_factory=dict)
    """Percent of a limit above which it warns, by resource; else `WARNING_PERCENT`."""

    @property
    def taken(self) -> Resources:
        return self.used + self.pending

    @property
    def label(self) -> str:
        return f"{self.name}, share of {self.person}" if self.person else self.name

    def warns_at(self, resource: str) -> int:
        return self.warnings.get(resource, WARNING_PERCENT)

    def warned(self, taken: Resources) -> list[str]:
        """Return the resources that warn when so much is taken."""
        return [
            resource
            for resource, limit in self.limits.items()
            if limit is not None
            and getattr(taken, resource) > 0
            and getattr(taken, resource) * 100 > limit * self.warns_at(resource)
        ]


@dataclass(frozen=True, kw_only=True)
class Block:
    """One limit at one level that leaves no room.  Amounts in the resource's own unit."""

    pool_id: int
    pool: str
    """The level's name."""
    resource: str
    limit: int
    used: int
    pending: int
    wanted: int

    @property
    def short(self) -> int:
        return self.used + self.pending + self.wanted - self.limit

    def explain(self) -> str:
        """One sentence with the figures, for people."""
        held = show(self.resource, self.used)
        if self.pending:
            held += f" + {show(self.resource, self.pending)} pending"
        return (
            f"{self.pool}: {LABELS[self.resource]} {held} of {show(self.resource, self.limit)} "
            f"used, {show(self.resource, self.wanted)} wanted, "
            f"{show(self.resource, self.short)} short"
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "pool_id": self.pool_id,
            "pool": self.pool,
            "resource": self.resource,
            "limit": self.limit,
            "used": self.used,
            "pending": self.pending,
            "wanted": self.wanted,
            "short": self.short,
        }


LABELS = {
    "vcpus": "vCPUs",
    "memory": "memory",
    "nics": "NICs",
    "machines": "running machines",
    "redundancy": "protected machines",
    "storage": "storage",
}


def phrase(resource: str, amount: int) -> str:
    """Write an amount with what it is of: `4 vCPUs`, `1 running machine`, `8 GiB of memory`."""
    label = LABELS[resource]
    if resource in READERS:
        return f"{show(resource, amount)} of {label}"
    return f"{amount} {label if amount != 1 else label.removesuffix('s')}"


def blocks(chain: Iterable[Level], wanted: Resources) -> list[Block]:
    """Return every limit of the chain that `wanted` would break, nearest pool first.

    A resource of which nothing is wanted never blocks, even where use already stands over the
    limit (limits can be set below what is used; that only stops growth).
    """
    return [
        Block(
            pool_id=level.pool_id,
            pool=level.label,
            resource=resource,
            limit=limit,
            used=getattr(level.used, resource),
            pending=getattr(level.pending, resource),
            wanted=amount,
        )
        for level in chain
        for resource, amount in wanted.items()
        if amount > 0
        and (limit := getattr(level.limits, resource)) is not None
        and getattr(level.taken, resource) + amount > limit
    ]


def shifted(limits: Limits, net: Resources) -> Limits:
    """Return the limits in force when `net` was borrowed (negative: lent) on balance."""
    return Limits(
        **{
            name: None if limit is None else max(limit + getattr(net, name), 0)
            for name, limit in limits.items()
        }
    )


def promised(children: Iterable[Limits]) -> Resources:
    """Return the sum of what the children were promised; no limit promises nothing."""
    given = list(children)
    return Resources(
        **{name: sum(getattr(limits, name) or 0 for limits in given) for name in NAMES}
    )


def freeing(held: Sequence[tuple[int, int]], short: int) -> list[int]:
    """Return whom to ask, of (id, amount held), so that at least `short` comes free.

    The one that holds just enough, else the largest holders until it is enough; empty when all
    of them together do not suffice.
    """
    enough = [pair for pair in held if pair[1] >= short]
    if enough:
        return [min(enough, key=lambda pair: (pair[1], pair[0]))[0]]
    chosen: list[int] = []
    left = short
    for number, amount in sorted(held, key=lambda pair: (-pair[1], pair[0])):
        if left <= 0 or amount <= 0:
            break
        chosen.append(number)
        left -= amount
    return chosen if left <= 0 else []


@dataclass(frozen=True, kw_only=True)
class Room:
    """What is left of one resource below the tightest limit of a chain."""

    amount: int
    """Negative when more is taken than the limit."""
    level: str
    """Whose limit is the tightest."""


def room(chain: Iterable[Level], more: Resources | None = None) -> dict[str, Room]:
    """Return what the chain leaves of each limited resource, once `more` is taken everywhere."""
    extra = more or Resources()
    found: dict[str, Room] = {}
    for level in chain:
        for resource, limit in level.limits.items():
            if limit is None:
                continue
            left = limit - getattr(level.taken, resource) - getattr(extra, resource)
            if resource not in found or left < found[resource].amount:
                found[resource] = Room(amount=left, level=level.label)
    return found


def fits(left: Mapping[str, Room], wanted: Resources) -> bool:
    """Whether there is room for what is wanted; of which nothing is wanted, none is needed."""
    return all(
        amount <= 0 or resource not in left or amount <= left[resource].amount
        for resource, amount in wanted.items()
    )
