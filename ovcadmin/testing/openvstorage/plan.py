"""What a simulated cluster consists of."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

CLIENT_ID = "c11e47c1-0000-4000-8000-000000000001"
CLIENT_SECRET = "simulated-secret"  # noqa: S105 - it opens nothing but a simulator


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Seconds everywhere.  `routers` maps the names of storage routers to where each listens.

    `mounts` holds a directory for each vPool, which is its mount point; what else is kept (state,
    snapshots, certificate) stands in `data`, best on the same file system.
    """

    data: Path
    routers: dict[str, str] = field(default_factory=lambda: {"sr1": "127.0.0.1:0"})
    vpools: tuple[str, ...] = ("vpool1",)
    mounts: Path | None = None
    release: str = "2.11"
    """`2.11` or `2.9`: the two lines differ in versions, page sizes and name checks."""
    task_seconds: float = 0.0
    """How long every task takes at least."""
    backend_seconds: float = 0.0
    """How long a snapshot needs to reach the backend."""
    token_seconds: int = 3600
    capacity: int = 10 * 2**40
    client_id: str = CLIENT_ID
    client_secret: str = CLIENT_SECRET
    roles: tuple[str, ...] = ("read", "write", "manage")

    @property
    def versions(self) -> tuple[int, ...]:
        return tuple(range(2, 9)) if self.release == "2.9" else tuple(range(6, 11))

    def mountpoint(self, vpool: str) -> Path:
        return (self.mounts or self.data / "mnt") / vpool
