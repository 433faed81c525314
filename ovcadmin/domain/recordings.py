"""How recordings of consoles are written: text as asciicast v2, screens as FBS.

A cast is a line of JSON with the size of the terminal, then one line for each event: seconds, what
it is (`o` printed, `i` typed, `r` another size, `m` a remark) and its text.  An FBS file is what a
VNC server sent, in blocks: length, bytes filled up to a multiple of four, and milliseconds.  The
first block here is the greeting; each later one is one whole message of the server with raw
pixels, so that any of them can be taken out.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from datetime import datetime

OUTPUT, INPUT, RESIZE, REMARK = "o", "i", "r", "m"
MASKED = "\r\n\x1b[0m[masked]\r\n"
"""What stands where something was taken out."""
FBS_HEAD = b"FBS 001.001\n"
_LENGTH = struct.Struct(">I")


def cast_head(*, columns: int, rows: int, began_at: datetime, title: str) -> bytes:
    """Return the first line of a cast."""
    head = {
        "version": 2,
        "width": columns,
        "height": rows,
        "timestamp": int(began_at.timestamp()),
        "title": title,
    }
    return json.dumps(head).encode() + b"\n"


def cast_line(ms: int, code: str, text: str) -> bytes:
    """Return the line of one event, `ms` milliseconds after the beginning."""
    return json.dumps([ms / 1000, code, text]).encode() + b"\n"


def block(ms: int, data: bytes) -> bytes:
    """Return one block of FBS."""
    return _LENGTH.pack(len(data)) + data + bytes(-len(data) % 4) + _LENGTH.pack(ms)


def mask_cast(part: bytes, begin: int, end: int) -> bytes:
    """Take out what was printed and typed from `begin` to `end` milliseconds, both included."""
    kept, masked = [], False
    for line in part.splitlines(keepends=True):
        at, code, _ = json.loads(line)
        if not (begin <= round(at * 1000) <= end and code in (OUTPUT, INPUT)):
            kept.append(line)
        elif not masked:
            masked = True
            kept.append(cast_line(round(at * 1000), OUTPUT, MASKED))
    return b"".join(kept)


def mask_screen(part: bytes, begin: int, end: int) -> bytes:
    """Take out the messages from `begin` to `end` milliseconds; the greeting always stays."""
    return b"".join(
        block(ms, data)
        for ms, data in blocks(part)
        if data.startswith(b"RFB ") or not begin <= ms <= end
    )


def blocks(part: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield milliseconds and bytes of each block."""
    at = 0
    while at < len(part):
        (length,) = _LENGTH.unpack_from(part, at)
        data = part[at + 4 : at + 4 + length]
        at += 4 + length + -length % 4
        (ms,) = _LENGTH.unpack_from(part, at)
        at += 4
        yield ms, data


def mask(part: bytes, begin: int, end: int, *, text: bool) -> bytes:
    """Take a range out of one part of a recording, of text or of a screen."""
    way: Callable[[bytes, int, int], bytes] = mask_cast if text else mask_screen
    return way(part, begin, end)
