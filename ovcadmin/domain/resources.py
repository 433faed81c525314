"""The six resources of a quota, and their arithmetic.

vcpus, memory, nics, machines and redundancy are taken by machines that run (suspended counts,
saved and stopped do not); storage is taken always.  Memory is in KiB, storage in bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

LARGEST = 2**53
"""Upper bound of any amount: exact in JSON, in SQLite and in PostgreSQL's bigint."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """An amount of each resource; never negative in a stored figure."""

    vcpus: int = 0
    memory: int = 0
    nics: int = 0
    machines: int = 0
    redundancy: int = 0
    storage: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(**{name: getattr(self, name) + getattr(other, name) for name in NAMES})

    def __sub__(self, other: Resources) -> Resources:
        return Resources(**{name: getattr(self, name) - getattr(other, name) for name in NAMES})

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in NAMES)

    def items(self) -> Iterator[tuple[str, int]]:
        return ((name, getattr(self, name)) for name in NAMES)

    @classmethod
    def total(cls, amounts: Iterable[Resources]) -> Resources:
        return sum(amounts, cls())


NAMES: tuple[str, ...] = tuple(field.name for field in fields(Resources))


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of one pool; None is no limit at this level."""

    vcpus: int | None = None
    memory: int | None = None
    nics: int | None = None
    machines: int | None = None
    redundancy: int | None = None
    storage: int | None = None

    def items(self) -> Iterator[tuple[str, int | None]]:
        return ((name, getattr(self, name)) for name in NAMES)

    def __bool__(self) -> bool:
        return any(limit is not None for _, limit in self.items())
