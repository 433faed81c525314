"""Which versions of libvirt and QEMU a host needs at least, and what an older host is told."""

from __future__ import annotations

LEAST = {"libvirt": (6, 0, 0), "QEMU": (4, 2, 0)}
"""The oldest that can all that the console asks of a host: storage volumes that are read and
written as sparse streams, lists of a host's kinds of storage, disks copied while a guest moves."""


def too_old(**found: str) -> str:
    """Say which of the versions (as in `libvirt="9.0.0"`) are too old; blank when none is.

    What is no version is let pass: a host may tell none.
    """
    old = [
        f"{name} {text} is too old: the console needs {'.'.join(map(str, LEAST[name]))} or newer"
        for name, text in found.items()
        if (version := _read(text)) and version < LEAST[name]
    ]
    return f"{'; '.join(old)}. Update the host's packages." if old else ""


def dotted(number: int) -> str:
    """Write a version as libvirt counts it: a million for each of the first kind."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


def _read(text: str) -> tuple[int, ...]:
    parts = text.split(".")
    return tuple(map(int, parts)) if all(part.isdigit() for part in parts) else ()
