"""Opening files that claim to be images: plain files only, and of the format that they claim."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from ovcadmin.domain.image_formats import HEAD, TAIL, trouble
from ovcadmin.domain.images import ImageKind
from ovcadmin.errors import ImageInvalid


def ensure(file: BinaryIO, path: str, kind: ImageKind) -> None:
    """Raise `ImageInvalid` when the file is empty or not of this kind."""
    head = file.read(HEAD)
    size = file.seek(-min(TAIL, len(head)), os.SEEK_END) + min(TAIL, len(head))
    why, found = trouble(head, file.read(TAIL), kind, size)
    if why:
        raise ImageInvalid(f"{path} {why}.", path=path, format=found)


@contextmanager
def plain_file(path: str) -> Iterator[BinaryIO]:
    """Open what must be a plain file: no link, no device, no pipe that keeps us waiting."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        why = "it is a link; name the file itself" if error.errno == errno.ELOOP else error.strerror
        raise ImageInvalid(f"{path} cannot be read: {why}.", path=path) from error
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise ImageInvalid(f"{path} is no plain file.", path=path)
    with os.fdopen(number, "rb") as file:
        yield file
