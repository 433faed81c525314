"""What a machine consists of: OS types, boot order, names of drives, room to grow while it runs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Address

OS_TYPES = {"linux": "Linux", "windows": "Windows", "freebsd": "FreeBSD"}

BOOT = {"disk": "disk", "cdrom": "CD-ROM", "network": "network"}
"""What a machine can boot from, and how people call it."""

MOST_DRIVES = 20
MOST_CARDS = 8
"""Each takes a slot of the one PCI bus, which has 31."""

DIMM = 128 * 1024
"""KiB: guests take memory in pieces of 128 MiB while they run."""
DIMM_SLOTS = 16
LEAST_WITH_ROOM = 512 * 1024
"""KiB.  A Linux guest that may be given memory sets 64 MiB aside for old devices; a small one could
not boot without them, so it is made without room."""
_MOST_VCPUS = 240

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def cdrom_targets(os_type: str) -> tuple[str, ...]:
    """Return the CD-ROM drives: Windows has a second one, for the virtio drivers."""
    return ("hda", "hdb") if os_type == "windows" else ("hda",)


def boot_order(text: str) -> list[str]:
    """Read a boot order such as `network,disk`; raises `ValueError` with a text for people."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words or len(set(words)) != len(words) or not set(words) <= BOOT.keys():
        raise ValueError(f"Write some of {', '.join(BOOT)}, each once, in the order to try.")
    return words


def free_target(taken: Iterable[str]) -> str:
    """Return the first drive name that is free: vda to vdt; raises `ValueError` without one."""
    used = set(taken)
    for letter in "abcdefghijklmnopqrstuvwxyz"[:MOST_DRIVES]:
        if f"vd{letter}" not in used:
            return f"vd{letter}"
    raise ValueError(f"A machine has at most {MOST_DRIVES} drives.")


def mac(text: str) -> str:
    """Return a MAC as it is stored; raises `ValueError` with a text for people.

    Group addresses cannot be a card's own, and libvirt keeps fe: for its side of a cable.
    """
    written = text.strip().lower().replace("-", ":")
    if not _MAC.fullmatch(written):
        raise ValueError("Write six pairs of hexadecimal digits, such as 52:54:00:12:34:56.")
    if int(written[:2], 16) & 1:
        raise ValueError("This address is for groups of cards; the first pair must be even.")
    if written.startswith("fe:") or written == "00:00:00:00:00:00":
        raise ValueError("This address is reserved; 52:54:00:… is always good.")
    return written


def address(text: str) -> str:
    """Return an IPv4 address as it is stored; raises `ValueError` with a text for people."""
    try:
        found = IPv4Address(text.strip())
    except ValueError:
        raise ValueError("Write an IPv4 address, such as 10.0.0.5.") from None
    if found.is_multicast or found.is_unspecified or found.is_loopback or found.is_reserved:
        raise ValueError("No card can have this address.")
    return str(found)


def most_vcpus(vcpus: int) -> int:
    """Return how many vcpus a guest started with `vcpus` can get while it runs."""
    return max(vcpus, min(max(4 * vcpus, 8), _MOST_VCPUS))


def most_memory(memory: int) -> int:
    """Return how many KiB a guest started with `memory` can get while it runs."""
    return memory if memory < LEAST_WITH_ROOM else -(-4 * memory // DIMM) * DIMM


def has_room(memory: int) -> bool:
    """Whether a guest started with `memory` KiB can get more while it runs."""
    return most_memory(memory) > memory


def pluggable(present: int, wanted: int) -> bool:
    """Whether so much memory can be added in one piece to a running guest, KiB."""
    return wanted > present and (wanted - present) % DIMM == 0
