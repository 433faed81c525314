"""What is changed on a running guest.

Two things are kept apart: `define` says what the machine is from its next start on; the verbs here
change the guest that runs now, and do nothing to one that is off.  So an operation on devices is
always "define, then the same on the guest", and both may be repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ovcadmin.domain.rates import GuestRates
    from ovcadmin.drivers.hypervisor.base import CdromSpec, DiskSpec, MachineSpec, NicSpec


@dataclass(frozen=True, kw_only=True)
class Present:
    """What a domain has now: the guest if it runs, else its definition.  `memory` in KiB."""

    running: bool
    vcpus: int
    memory: int
    disks: frozenset[str]
    """Names of its drives."""
    nics: frozenset[str]
    """MACs of its cards."""
    media: dict[str, str | None] = field(default_factory=dict)
    """Its CD-ROM drives with what is in them."""
    serial: bool = True
    graphics: bool = True
    agent: bool = True
    """Whether it has the port on which the agent in a guest listens."""
    refused: tuple[str, ...] = ()
    """Why the last change could not be made on the running guest, in the host's words."""


class Devices(Protocol):
    """The part of `Hypervisor` that is about devices."""

    def present(self, uuid: str) -> Present:
        """Say what the domain consists of."""
        ...

    def resize(self, uuid: str, *, vcpus: int, memory: int) -> Present:
        """Bring a running guest as near to the wanted size as it can be without a restart.

        What the host or the guest refuses is told in `Present.refused`, not raised.
        """
        ...

    def attach(self, uuid: str, device: DiskSpec | NicSpec) -> None:
        """Plug a drive or a card in."""
        ...

    def detach(self, uuid: str, device: DiskSpec | NicSpec) -> None:
        """Unplug, and wait until the guest has let go; raises `GuestTimeout` when it does not."""
        ...

    def insert(self, uuid: str, cdrom: CdromSpec) -> bool:
        """Change what is in a CD-ROM drive; False when the running guest has no such drive."""
        ...

    def grow_disk(self, uuid: str, target: str, size: int) -> None:
        """Tell a running guest that its drive has `size` bytes now."""
        ...

    def limit(self, uuid: str, spec: MachineSpec) -> None:
        """Set the limits of CPU, drives and cards on a running guest to those of `spec`."""
        ...

    def set_rates(self, uuid: str, rates: GuestRates) -> tuple[str, ...]:
        """Limit a running guest, and its definition for the next start.

        A guest that does not run is left as it is.  Returns what the host refused, in its own
        words; everything else was set.
        """
        ...
