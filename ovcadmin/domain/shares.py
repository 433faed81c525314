"""How workers divide the hosts among themselves: each takes its share and no host is left over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Change:
    take: tuple[int, ...] = ()
    leave: tuple[int, ...] = ()


def share(held: Mapping[int, str], me: str, workers: int) -> Change:
    """Return what this worker takes over and what it gives up.

    `held` says of each host who watches it, blank where nobody does; `workers` is how many there
    are, this one among them.  Shares are rounded up, so together they hold every host; a worker
    gives up no more than what is above its share, so nothing wanders when all is even.
    """
    most = -(-len(held) // max(workers, 1))
    mine = sorted(host for host, worker in held.items() if worker == me)
    free = sorted(host for host, worker in held.items() if not worker)
    return Change(take=tuple(free[: max(most - len(mine), 0)]), leave=tuple(mine[most:]))
