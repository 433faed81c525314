"""The rules of quota at their plainest: a tree and a list, added up whenever somebody asks."""

from __future__ import annotations

from dataclasses import dataclass, field

GB = 10**9
ENDS = {
    "creating": ("stopped", ""), "starting": ("running", "stopped"),
    "stopping": ("stopped", "running"), "deleting": ("", "stopped"),
    "binning": ("binned", "stopped"), "unbinning": ("stopped", "binned"),
}  # fmt: skip
"""What a machine is when its operation ended well, and when badly; blank is gone."""


@dataclass
class Node:
    parent: int | None
    machines: int | None = None
    storage: int | None = None
    share: int | None = None
    """How many running machines one person may have in it."""
    frozen: bool = False


@dataclass
class Guest:
    pool: int
    owner: str
    state: str = "creating"
    """creating, stopped, starting, running, stopping, binning, binned, unbinning or deleting."""
    operation: int = 0

    @property
    def runs(self) -> bool:
        return self.state in ("starting", "running", "stopping")

    @property
    def busy(self) -> bool:
        return self.state in ENDS


@dataclass
class Model:
    pools: dict[int, Node] = field(default_factory=dict)
    guests: dict[int, Guest] = field(default_factory=dict)
    loans: list[tuple[int, int, int]] = field(default_factory=list)
    """Lender, borrower, running machines."""

    def chain(self, pool: int | None) -> list[int]:
        found = []
        while pool is not None:
            found.append(pool)
            pool = self.pools[pool].parent
        return found

    def below(self, pool: int) -> list[Guest]:
        return [guest for guest in self.guests.values() if pool in self.chain(guest.pool)]

    def limit(self, pool: int) -> int | None:
        own = self.pools[pool].machines
        if own is None:
            return None
        for lender, borrower, amount in self.loans:
            own += amount * ((borrower == pool) - (lender == pool))
        return max(own, 0)

    def fits(self, levels: list[int], running: list[str], stored: int) -> bool:
        """Whether so many more running machines (their owners) and disks fit these levels."""
        for number in levels:
            below, node = self.below(number), self.pools[number]
            up = [guest.owner for guest in below if guest.runs]
            limit = self.limit(number)
            if running and limit is not None and len(up) + len(running) > limit:
                return False
            if stored and node.storage is not None and len(below) + stored > node.storage:
                return False
            for owner in set(running):
                held = up.count(owner) + running.count(owner)
                if node.share is not None and held > node.share:
                    return False
        return True

    def closed(self, pool: int) -> bool:
        return any(self.pools[number].frozen for number in self.chain(pool))
