"""What a guest says of itself, made harmless: it may be wrong, huge, hostile or not there."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any

LONGEST = 120
MOST_CARDS = 16
MOST_ADDRESSES = 8
MOST_FILE_SYSTEMS = 32
LARGEST = 2**63 - 1


def tidy(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts of interest; memory in KiB, file systems in bytes.

    `said` has libvirt's keys for the information of a guest, such as `os.pretty-name` and
    `fs.0.mountpoint`, and `memory.available`, `memory.unused` of its balloon.
    """
    return {
        "os": word(said.get("os.pretty-name") or said.get("os.name")),
        "kernel": word(said.get("os.kernel-release")),
        "hostname": word(said.get("hostname")),
        "memory": amount(said.get("memory.available")),
        "memory_unused": amount(said.get("memory.unused")),
        "cards": [_card(said, n) for n in range(_count(said, "if.count", MOST_CARDS))],
        "file_systems": [
            _file_system(said, n) for n in range(_count(said, "fs.count", MOST_FILE_SYSTEMS))
        ],
    }


def outward(facts: Mapping[str, Any]) -> list[str]:
    """Return the addresses by which others reach the guest, of what `tidy` returned."""
    told = [one for card in facts.get("cards", ()) for one in card["addresses"]]
    kept = [(one, ipaddress.ip_address(one)) for one in told]
    return [one for one, address in kept if not (address.is_loopback or address.is_link_local)]


def word(value: Any) -> str:
    """Return a short printable text of whatever was said."""
    text = value if isinstance(value, str) else ""
    return "".join(one for one in text[: 4 * LONGEST] if one.isprintable())[:LONGEST].strip()


def amount(value: Any) -> int:
    """Return a number that can be kept, 0 for anything else."""
    return value if type(value) is int and 0 <= value <= LARGEST else 0


def _count(said: Mapping[str, Any], key: str, most: int) -> int:
    return min(amount(said.get(key)), most)


def _card(said: Mapping[str, Any], number: int) -> dict[str, Any]:
    start = f"if.{number}."
    many = _count(said, f"{start}addr.count", MOST_ADDRESSES)
    told = (said.get(f"{start}addr.{n}.addr") for n in range(many))
    return {
        "name": word(said.get(f"{start}name")),
        "mac": word(said.get(f"{start}hwaddr")),
        "addresses": [address for one in told if (address := _address(one))],
    }


def _address(value: Any) -> str:
    try:
        return str(ipaddress.ip_address(word(value)))
    except ValueError:
        return ""


def _file_system(said: Mapping[str, Any], number: int) -> dict[str, Any]:
    start = f"fs.{number}."
    return {
        "place": word(said.get(f"{start}mountpoint")),
        "type": word(said.get(f"{start}fstype")),
        "total": amount(said.get(f"{start}total-bytes")),
        "used": amount(said.get(f"{start}used-bytes")),
    }
