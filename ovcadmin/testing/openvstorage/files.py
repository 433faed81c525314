"""Volumes as raw files: made, grown, copied by reference where the file system can."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

FICLONE = 0x40049409
"""ioctl number: share the blocks of another file."""
CHUNK = 1 << 22
_NO_DATA = errno.ENXIO


def make(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.truncate(size)


def grow(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        file.truncate(size)


def stored(path: Path) -> int:
    """Bytes that it takes on the disk."""
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def copy(source: Path, target: Path, size: int = 0) -> None:
    """Copy into a new file, by reference or with its holes, grown to `size`.

    A target that exists keeps its inode: a guest's disk is opened by it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as old, target.open("wb") as new:
        try:
            fcntl.ioctl(new.fileno(), FICLONE, old.fileno())
        except OSError:
            _copy_data(old.fileno(), new.fileno())
        new.truncate(max(size, os.fstat(old.fileno()).st_size))


def _copy_data(source: int, target: int) -> None:
    end = os.fstat(source).st_size
    start = 0
    while start < end:
        try:
            start = os.lseek(source, start, os.SEEK_DATA)
        except OSError as error:
            if error.errno == _NO_DATA:
                return
            raise
        stop = os.lseek(source, start, os.SEEK_HOLE)
        while start < stop:
            start += os.copy_file_range(source, target, min(CHUNK, stop - start), start, start)
