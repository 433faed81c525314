"""What the console asks of a hypervisor to move a guest to another one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ovcadmin.drivers.hypervisor.base import Hypervisor


@dataclass(frozen=True, kw_only=True)
class Route:
    """How a guest gets to the other host."""

    address: str = ""
    """Where QEMU of the other host listens, such as `tcp://10.0.0.5`; only running guests go by
    it."""
    sources: Mapping[str, str] = field(default_factory=dict)
    """Disks that are copied on the way: guest device (`vda`) and where it is over there.  The
    others are reached by both hosts under the same name."""
    servers: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """Disks over the network that the other host asks of another server: guest device, and that
    server's address and port."""
    odd: frozenset[str] = frozenset()
    """Those of them whose length is no multiple of a storage block.  Without the page cache QEMU
    could not fill them; they go through it over there until the guest is started anew."""
    speed: int = 0
    """Most MiB a second; 0 is all that the line gives."""


class Migrations(Protocol):
    """The part of `base.Hypervisor` that moves guests."""

    def migrate(
        self, uuid: str, to: Hypervisor, route: Route, *, progress: Callable[[float], None]
    ) -> None:
        """Move a running guest; on return it runs on `to` and is gone here.

        What `progress` raises aborts the migration and the guest goes on here, unless it has
        arrived already: then that counts as success.
        """
        ...

    def define_moved(self, definition: str, route: Route) -> None:
        """Define a guest from the definition that another host gave, its disks as `route` says."""
        ...
