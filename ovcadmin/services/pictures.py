"""Pictures in articles: taken in by content, never by what their sender says, and never changed.

A picture's address is the digest of its content.  Formats that can hold script (SVG) are refused.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import defer

from ovcadmin.errors import InvalidInput, NotFound
from ovcadmin.models import ArticleImage
from ovcadmin.services import audit
from ovcadmin.work import Work

LARGEST = 900_000
"""Bytes; a request may hold 1 MB."""
WIDEST = 8000
MOST = 2000
SHOWN = 50
TYPES = {"png": "image/png", "jpg": "image/jpeg", "gif": "image/gif", "webp": "image/webp"}
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""JPEG segments that tell the size."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    kind: str
    width: int
    height: int


def listing(work: Work) -> list[ArticleImage]:
    """Return the newest pictures, without their content."""
    statement = select(ArticleImage).options(defer(ArticleImage.content))
    return list(work.db.scalars(statement.order_by(ArticleImage.id.desc()).limit(SHOWN)))


def get(work: Work, digest: str, kind: str) -> ArticleImage:
    found = work.db.scalar(
        select(ArticleImage).where(ArticleImage.digest == digest, ArticleImage.kind == kind)
    )
    if found is None:
        raise NotFound("There is no such picture.")
    return found


def path(row: ArticleImage) -> str:
    return f"/knowledge/pictures/{row.digest}.{row.kind}"


def add(work: Work, content: bytes, name: str) -> ArticleImage:
    """Keep a picture; the same content is kept once.  Raises `InvalidInput`."""
    measured = _checked(content)
    digest = hashlib.sha256(content).hexdigest()
    known = work.db.scalar(select(ArticleImage).where(ArticleImage.digest == digest))
    if known is not None:
        return known
    if (work.db.scalar(select(func.count(ArticleImage.id))) or 0) >= MOST:
        raise _refused(f"There are {MOST} pictures already.")
    row = ArticleImage(
        digest=digest,
        kind=measured.kind,
        width=measured.width,
        height=measured.height,
        content=content,
        name="".join(letter for letter in name if letter.isprintable())[:100],
        actor=work.actor.name,
        added_at=work.now(),
    )
    work.db.add(row)
    work.db.flush()
    audit.record(work, "picture.add", "picture", row.id, row.name, after={"digest": digest})
    return row


def measure(content: bytes) -> Measured | None:
    """Read kind and size from the first bytes; None for what is none of the known formats."""
    try:
        if content.startswith(b"\x89PNG\r\n\x1a\n") and content[12:16] == b"IHDR":
            return _measured("png", *struct.unpack(">II", content[16:24]))
        if content[:6] in (b"GIF87a", b"GIF89a"):
            return _measured("gif", *struct.unpack("<HH", content[6:10]))
        if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
            return _webp(content)
        return _jpeg(content) if content.startswith(b"\xff\xd8\xff") else None
    except (struct.error, IndexError):
        return None


def _checked(content: bytes) -> Measured:
    if not content:
        raise _refused("Choose a file.")
    if len(content) > LARGEST:
        raise _refused(f"It is larger than {LARGEST // 1000} kB.")
    measured = measure(content)
    if measured is None:
        raise _refused("This is no PNG, JPEG, GIF or WebP picture.")
    if not (0 < measured.width <= WIDEST and 0 < measured.height <= WIDEST):
        raise _refused(f"It is wider or higher than {WIDEST} pixels.")
    return measured


def _jpeg(content: bytes) -> Measured | None:
    at = 2
    while content[at] == 0xFF:
        length = struct.unpack(">H", content[at + 2 : at + 4])[0]
        if content[at + 1] in _FRAMES:
            height, width = struct.unpack(">HH", content[at + 5 : at + 9])
            return _measured("jpg", width, height)
        at += 2 + length
    return None


def _webp(content: bytes) -> Measured | None:
    if content[12:16] == b"VP8X":
        width = int.from_bytes(content[24:27], "little") + 1
        return _measured("webp", width, int.from_bytes(content[27:30], "little") + 1)
    if content[12:16] == b"VP8L":
        bits = int.from_bytes(content[21:25], "little")
        return _measured("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if content[12:16] == b"VP8 ":
        width, height = struct.unpack("<HH", content[26:30])
        return _measured("webp", width & 0x3FFF, height & 0x3FFF)
    return None


def _measured(kind: str, width: int, height: int) -> Measured:
    return Measured(kind=kind, width=width, height=height)


def _refused(why: str) -> InvalidInput:
    return InvalidInput("The picture is not added.", fields={"picture": why})
