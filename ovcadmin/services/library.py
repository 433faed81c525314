"""The image library's directory: files that images are copied from.  Sizes in bytes."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from ovcadmin.config import Settings
from ovcadmin.domain.image_formats import HEAD, TAIL, trouble
from ovcadmin.domain.images import ImageKind
from ovcadmin.errors import ImageInvalid, StorageFull

PRIVATE_DIRECTORY = 0o700
CHUNK = 1 << 20
BLOCK = 64 * 1024
"""Zeros are left out of the file in blocks of this size."""
SPARE = 256 * 2**20
"""What must stay free on the file system: the database may be there too."""
_ZEROS = bytes(BLOCK)


def directory(settings: Settings) -> Path:
    path = settings.data_dir / "images"
    path.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    return path


def new_name(kind: str) -> str:
    """Return the name of a new file.  Nothing that people typed is part of it."""
    return f"{secrets.token_hex(16)}.{'iso' if kind == ImageKind.ISO else 'raw'}"


def path(settings: Settings, name: str) -> Path:
    return directory(settings) / Path(name).name


def ensure_room(settings: Settings, size: int, promised: int) -> None:
    """Raise `StorageFull` when the library has no room for `size` beside what it promised."""
    free = shutil.disk_usage(directory(settings)).free - SPARE - promised
    if size > free:
        raise StorageFull(
            f"The image library has room for {max(free, 0)} bytes; {size} are needed.",
            needed=size,
            available=max(free, 0),
        )


def begin(settings: Settings, name: str, size: int) -> None:
    """Make the file with its whole length; holes take no room."""
    with path(settings, name).open("xb") as file:
        file.truncate(size)


def write(settings: Settings, name: str, *, at: int, size: int, source: BinaryIO, left: int) -> int:
    """Write a piece at its place, zeros as holes; return its length.

    Raises `StorageFull` when the disk is full: what was written before stays right.
    """
    done = 0
    try:
        with path(settings, name).open("r+b") as file:
            # What an attempt that was not noted wrote behind this place goes.
            file.truncate(at)
            file.truncate(size)
            while left > done and (chunk := source.read(min(CHUNK, left - done))):
                _put(file, at + done, chunk)
                done += len(chunk)
    except OSError as error:
        raise StorageFull(f"The image library cannot be written: {error.strerror}.") from error
    return done


def _put(file: BinaryIO, at: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    for start in range(0, len(chunk), BLOCK):
        block = view[start : start + BLOCK]
        if block != _ZEROS[: len(block)]:
            file.seek(at + start)
            file.write(block)


def remove(settings: Settings, name: str) -> None:
    """Remove a file of the library; one that is elsewhere or gone is left alone."""
    path(settings, name).unlink(missing_ok=True)


def owns(settings: Settings, source: str) -> bool:
    return bool(source) and Path(source).parent == directory(settings)


def digest(
    settings: Settings, name: str, kind: ImageKind, moved: Callable[[float], None]
) -> tuple[int, str]:
    """Check the format of a whole file; return its size and SHA-256.

    Raises `ImageInvalid`.  `moved` is told the part done, and lets others run.
    """
    found = path(settings, name)
    sum_ = hashlib.sha256()
    with found.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(HEAD)
        file.seek(max(0, size - TAIL))
        why, what = trouble(head, file.read(TAIL), kind, size)
        if why:
            raise ImageInvalid(f"The file {why}.", format=what)
        file.seek(0)
        while chunk := file.read(CHUNK):
            sum_.update(chunk)
            moved(file.tell() / size)
        os.fsync(file.fileno())
    return size, sum_.hexdigest()
