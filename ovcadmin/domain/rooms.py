"""How much may be promised on a host: what is there, less the reserve, times the ratios."""

from __future__ import annotations

from typing import Protocol


class Room(Protocol):
    """A host, as far as this counts.  Memory in KiB."""

    @property
    def cpus(self) -> int: ...

    @property
    def cpu_ratio(self) -> float: ...

    @property
    def memory(self) -> int: ...

    @property
    def memory_reserve(self) -> int: ...

    @property
    def memory_ratio(self) -> float: ...


def vcpus(host: Room) -> int:
    """Return how many vCPUs may be promised in all."""
    return int(host.cpus * host.cpu_ratio)


def memory(host: Room) -> int:
    """Return how many KiB of memory may be promised in all."""
    return int(max(host.memory - host.memory_reserve, 0) * host.memory_ratio)
