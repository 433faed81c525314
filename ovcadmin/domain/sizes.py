"""Sizes: named amounts of vcpus, memory and storage a machine is created with (`sizes.yml`)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Size:
    """`memory` in KiB, `storage` in bytes."""

    name: str
    vcpus: int
    memory: int
    storage: int


VCPUS = range(1, 257)
MEMORY = range(16 * 1024, 4 * 1024**3 + 1)
"""KiB: 16 MiB to 4 TiB."""
STORAGE = range(1, 64 * 1024**4 + 1)
"""Bytes: at most 64 TiB, the largest volume of OpenvStorage."""
