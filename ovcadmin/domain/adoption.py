"""What a guest that the console did not make consists of, and what keeps it from being adopted.

An adopted guest goes on as it is: its definition stays its own.  So the question is only whether
the console could count it, keep its disks apart from others', and move and stop it safely.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

CARDS = ("network", "bridge", "user")
"""How a card may be connected; see `network_of`."""
BRIDGE = "bridge:"
"""Begins the name of a card's network where that is a bridge of the host itself."""


@dataclass(frozen=True, kw_only=True)
class Drive:
    """A disk as the definition has it.  `size` in bytes."""

    target: str
    source: str
    """A path, a volume or an address, for the eyes."""
    format: str
    store: str = ""
    """The libvirt pool that knows the volume; empty when none does."""
    volume: str = ""
    size: int = 0
    plain: bool = True
    """Written by this guest alone, and kept: not shared, read-only or thrown away at its end."""
    bytes_limit: int | None = None
    iops_limit: int | None = None


@dataclass(frozen=True, kw_only=True)
class Card:
    mac: str
    kind: str
    """libvirt's type of interface."""
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class Described:
    """A domain as its host describes it.  Memory in KiB."""

    name: str
    title: str
    type: str
    """The hypervisor: `kvm`, `qemu`."""
    vcpus: int
    memory: int
    running_vcpus: int
    running_memory: int
    """What the guest has now, where it runs."""
    drives: tuple[Drive, ...] = ()
    cards: tuple[Card, ...] = ()
    cpu_limit: int | None = None
    boot: str = "disk"
    os_type: str = "linux"
    lasting: bool = True
    """It has a definition, and is still known when it is off."""
    differs: bool = False
    """What runs has other drives or cards than the definition."""
    kept: tuple[str, ...] = ()
    """What stays as it is and is not managed, in words."""
    definition: str = field(default="", compare=False, repr=False)

    @property
    def storage(self) -> int:
        return sum(drive.size for drive in self.drives)

    def to_row(self) -> dict[str, Any]:
        """Return what is worth keeping of it in a list; the definition is read again later."""
        return {name: value for name, value in asdict(self).items() if name != "definition"}

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        drives = tuple(Drive(**drive) for drive in row["drives"])
        cards = tuple(Card(**card) for card in row["cards"])
        return cls(**{**row, "drives": drives, "cards": cards, "kept": tuple(row["kept"])})


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What the console knows already."""

    stores: Mapping[str, int]
    """Storage pools that the host reaches and that serve the pool: libvirt's name to the id."""
    macs: Mapping[str, str]
    """MACs that cards have, and whose these are."""
    volumes: Mapping[tuple[int, str], str]
    """Volumes that are taken, by storage pool and name, and whose they are."""


def obstacles(found: Described, ground: Ground) -> list[str]:
    """Return why the domain cannot be adopted, one sentence each; empty when it can."""
    told = []
    if found.type not in ("kvm", "qemu"):
        told.append(f"It is a guest of {found.type}; machines are guests of KVM or QEMU.")
    if not found.lasting:
        told.append("It has no lasting definition: its host forgets it when it stops.")
    if found.differs:
        told.append("What runs has other drives or cards than its definition.")
    for drive in found.drives:
        told += _drive(drive, ground)
    for card in found.cards:
        told += _card(card, ground)
    return told


def _drive(drive: Drive, ground: Ground) -> Iterable[str]:
    if drive.format != "raw":
        yield f"The drive {drive.target} has the format {drive.format}; machines have raw ones."
    if not drive.plain:
        yield f"The drive {drive.target} is shared, read-only or thrown away when the guest stops."
    store = ground.stores.get(drive.store) if drive.store else None
    if store is None:
        yield (
            f"The drive {drive.target} ({drive.source or 'no source'}) is in no storage pool that "
            "is registered, reached by the host and serving the pool."
        )
    elif (store, drive.volume) in ground.volumes:
        whose = ground.volumes[store, drive.volume]
        yield f"The drive {drive.target} is a volume that {whose} has."


def _card(card: Card, ground: Ground) -> Iterable[str]:
    if card.kind not in CARDS:
        yield (
            f"The card {card.mac} is connected by “{card.kind}”; machines have cards in a network, "
            "on a bridge or in user mode."
        )
    if card.mac in ground.macs:
        yield f"The card {card.mac} has the address of a card of {ground.macs[card.mac]}."


def network_of(card: Card) -> str | None:
    """Return the name of the card's network; None is QEMU's user-mode network."""
    names = {"network": card.source, "bridge": f"{BRIDGE}{card.source}"}
    return names.get(card.kind)
