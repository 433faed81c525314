"""Rules of names and sizes, and the order in which people expect names."""

from __future__ import annotations

import re
from typing import Any

VDISK_NAME = re.compile(r"[0-9a-zA-Z][\-_a-zA-Z0-9]+[a-zA-Z0-9]")
SUFFIX = ".raw"
BLOCK = 4096
MAX_SIZE = 64 * 2**40
RATIO = "Parameter pagecache_ratio must be 0 < x <= 1"
TOO_LARGE = "Maximum volume size of 64TiB exceeded"


class Refused(Exception):
    """A task fails with this text."""


def devicename(name: str) -> str:
    """Return the path of a volume below the mount point, as the framework cleans names."""
    cleaned = name.strip("/").replace(" ", "_")
    while "//" in cleaned:
        cleaned = cleaned.replace("//", "/")
    cleaned = re.sub(r"[^A-Za-z0-9_\-./]", "", cleaned)
    last = cleaned.rsplit("/", 1)[-1]
    if not (last.endswith(SUFFIX) and len(last) > len(SUFFIX)):
        cleaned += SUFFIX
    return "/" + cleaned


def checked_size(size: Any) -> int:
    """Return whole clusters for a wanted size; raises `Refused` with the real texts."""
    if isinstance(size, str):
        # A text compares as greater than any number there.
        raise Refused(TOO_LARGE)
    if isinstance(size, float) or not isinstance(size, int):
        raise Refused(f"Property size allows types ['int', 'long']. {type(size)} given")
    if size > MAX_SIZE:
        raise Refused(TOO_LARGE)
    return -(-size // BLOCK) * BLOCK


def ensure_ratio(ratio: Any) -> None:
    if ratio is not None and not (isinstance(ratio, int | float) and 0 < ratio <= 1):
        raise Refused(RATIO)


def natural(value: Any) -> tuple[Any, ...]:
    """Return a key by which disk2 stands before disk10, letters in either case alike."""
    if isinstance(value, str):
        if not value.isascii():
            raise UnicodeError("")  # the real thing breaks on it, without a text
        parts = re.split(r"(\d+)", value)
        return (1, tuple((0, int(p)) if p.isdigit() else (1, p.lower()) for p in parts))
    if isinstance(value, int | float):
        return (0, value)
    return (2, str(value))
