"""What a storage pool is built of, from the disks up: RAID, DRBD, LVM, a machine, iSCSI.

The console does not log in to storage servers: their administrators say what there is, and a
server sends the status that its kernel shows.  It is read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

KINDS = {
    "disk": "Disks", "raid": "RAID", "drbd": "DRBD", "lvm": "LVM", "vm": "Machine", "nfs": "NFS",
    "iscsi": "iSCSI", "zfs": "ZFS",
}  # fmt: skip
MOST = 12
LONGEST = 100

_DRBD_9 = re.compile(r"^(?P<name>[\w.-]+) role:(?P<role>\w+)")
_DRBD_8 = re.compile(
    r"^\s*(?P<number>\d+): cs:(?P<link>\w+)(?: ro:(?P<roles>\S+) ds:(?P<disks>\S+))?", re.MULTILINE
)
_MD = re.compile(r"^(?P<name>md\w+) : .*?\[\d+/\d+\] \[(?P<legs>[U_]+)\]", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Layer:
    kind: str
    name: str
    state: str = ""
    """By the server's word; blank where it tells none."""
    good: bool = True


def read(lines: Iterable[str], status: str) -> list[Layer]:
    """Read `kind name` lines, the lowest first, and fill in what a status text tells of them.

    Raises `ValueError` with what is wrong.
    """
    found = [_layer(line) for line in lines if line.strip()]
    if len(found) > MOST:
        raise ValueError(f"At most {MOST} layers are kept.")
    states = {**_drbd(status), **_raid(status)}
    return [
        replace(one, state=states[one.kind, one.name][0], good=states[one.kind, one.name][1])
        if (one.kind, one.name) in states
        else one
        for one in found
    ]


def _layer(line: str) -> Layer:
    kind, _, name = line.strip().partition(" ")
    if kind.lower() not in KINDS:
        raise ValueError(f"Begin each line with one of {', '.join(KINDS)}; {kind[:30]} is none.")
    if not name.strip() or len(name) > LONGEST:
        raise ValueError(f"Say which {KINDS[kind.lower()]} it is, in at most {LONGEST} characters.")
    return Layer(kind=kind.lower(), name=name.strip())


def _drbd(status: str) -> dict[tuple[str, str], tuple[str, bool]]:
    """Read `drbdadm status` (9) or /proc/drbd (8, where resources are numbered)."""
    found: dict[tuple[str, str], list[str]] = {}
    for match in _DRBD_8.finditer(status):
        words = [match["link"], *(word for word in (match["roles"], match["disks"]) if word)]
        for name in (f"r{match['number']}", f"drbd{match['number']}"):
            found["drbd", name] = words
    current: list[str] | None = None
    for line in status.splitlines():
        if begin := _DRBD_9.match(line):
            current = found.setdefault(("drbd", begin["name"]), [begin["role"]])
        elif not line.startswith(" "):
            current = None
        elif current is not None:
            current += re.findall(r"(?:peer-disk|disk|connection|replication):(\w+)", line)
    return {key: (" ".join(words), _whole(words)) for key, words in found.items()}


def _whole(words: list[str]) -> bool:
    """Whether both sides are up to date and hear each other."""
    told = " ".join(words)
    both = len(re.findall("UpToDate", told)) >= 2
    return both and not re.search("WFConnection|StandAlone|Connecting|SyncSource|SyncTarget", told)


def _raid(status: str) -> dict[tuple[str, str], tuple[str, bool]]:
    """Read /proc/mdstat: a leg that is away shows as _."""
    return {
        ("raid", match["name"]): (f"[{match['legs']}]", "_" not in match["legs"])
        for match in _MD.finditer(status)
    }
