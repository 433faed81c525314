"""The bytes of volumes, read and written on the mount point of this machine by qemu-img.

The format of a source is given, never probed; a source that names other files (backing file, data
file) is refused before anything opens them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from ovcadmin import green
from ovcadmin.domain.images import ImageKind
from ovcadmin.drivers.storage import formats
from ovcadmin.drivers.storage.base import Progress
from ovcadmin.errors import ImageInvalid, StorageFailed, StorageFull

QEMU_IMG = "qemu-img"
QCOW2 = b"QFI\xfb"
LARGEST = 64 * 2**40
INFO_SECONDS = 30
STALL_SECONDS = 300
"""A conversion that moves nothing for this long is given up."""
LOOK_SECONDS = 0.1
CHUNK = 1 << 22
MOUNT_SECONDS = 10
_PERCENT = re.compile(rb"\((\d+(?:\.\d+)?)/100%\)")
_NO_ROOM = b"No space left"


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file that was opened and judged; `size` is that of the disk inside, bytes."""

    file: BinaryIO
    path: str
    format: str
    size: int

    @property
    def place(self) -> str:
        """Names the opened file itself, whatever stands at its path by now."""
        return f"/proc/self/fd/{self.file.fileno()}"


class Content:
    def __init__(self, threads: green.HostThreads) -> None:
        self._threads = threads

    @contextmanager
    def raw(self, path: str, kind: ImageKind = ImageKind.DISK) -> Iterator[Source]:
        """Open a file that is taken byte by byte; raises `ImageInvalid` for other kinds."""
        with formats.plain_file(path) as file:
            formats.ensure(file, path, kind)
            size = os.fstat(file.fileno()).st_size
            yield Source(file=file, path=path, format="raw", size=size)

    @contextmanager
    def qcow2(self, path: str) -> Iterator[Source]:
        """Open a qcow2 file that stands on its own; raises `ImageInvalid` for anything else."""
        with formats.plain_file(path) as file:
            if file.read(len(QCOW2)) != QCOW2:
                raise ImageInvalid(f"{path} is no qcow2 file.", path=path)
            source = Source(file=file, path=path, format="qcow2", size=0)
            found = self._info(source)
            _ensure_alone(path, found)
            yield Source(file=file, path=path, format="qcow2", size=int(found["virtual-size"]))

    def fill(self, source: Source, target: str, progress: Progress) -> None:
        """Write the disk inside the source into a volume that exists."""
        self._ensure_mounted(target)
        words = ["convert", "-p", "-n", "-t", "writeback", "-W"]
        self._qemu_img(
            [*words, "-f", source.format, "-O", "raw", source.place, target], source, progress
        )

    def ensure_same(self, source: Source, target: str, progress: Progress) -> None:
        """Raise `ImageInvalid` unless source and volume hold the same disk."""
        words = ["compare", "-p", "-f", source.format, "-F", "raw", source.place, target]
        self._qemu_img(words, source, progress)

    def ensure_checksum(self, target: str, source: Source, checksum: str) -> None:
        """Raise `ImageInvalid` unless the volume holds the bytes of this SHA-256."""
        found = self.checksum(target, source.size)
        if found != checksum:
            raise ImageInvalid(
                f"{source.path} is not the file that was registered: its checksum is "
                f"{found[:12]}…, not {checksum[:12]}…. Register it again.",
                path=source.path,
            )

    def checksum(self, path: str, size: int = 0) -> str:
        """Return the SHA-256 of a file, or of its first `size` bytes."""
        return self._threads.call(lambda: _sha256(path, size), deadline=24 * 3600)

    # how

    def _ensure_mounted(self, target: str) -> None:
        """A volume shows on the mount point a moment after it was made."""
        end = time.monotonic() + MOUNT_SECONDS
        while not Path(target).exists():
            if time.monotonic() > end:
                raise StorageFailed(
                    f"This machine does not see {target}: images are written by a worker on a "
                    "machine where the vPool is mounted.",
                    path=target,
                )
            green.sleep(LOOK_SECONDS)

    def _info(self, source: Source) -> dict[str, Any]:
        words = [QEMU_IMG, "info", "--output=json", "-f", source.format, source.place]
        try:
            done = subprocess.run(  # noqa: S603 - fixed words, no shell
                words, check=False, capture_output=True, timeout=INFO_SECONDS,
                pass_fds=(source.file.fileno(),), env=_environment(),
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StorageFailed(f"qemu-img cannot look at {source.path}: {error}.") from error
        if done.returncode:
            raise ImageInvalid(f"{source.path}: {_last_line(done.stderr)}", path=source.path)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def _qemu_img(self, words: Sequence[str], source: Source, progress: Progress) -> None:
        """Run qemu-img and tell how far it is; it ends with whoever stops waiting for it."""
        process = subprocess.Popen(  # noqa: S603 - fixed words, no shell
            [QEMU_IMG, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, pass_fds=(source.file.fileno(),), env=_environment(),
        )  # fmt: skip
        try:
            said = _follow(process, progress)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
        if process.returncode:
            kind = StorageFull if _NO_ROOM in said else ImageInvalid
            raise kind(f"{source.path}: {_last_line(said)}", path=source.path)


def _follow(process: subprocess.Popen[bytes], progress: Progress) -> bytes:
    """Read until it ends; return the end of what it said."""
    assert process.stdout is not None
    assert process.stderr is not None
    for pipe in (process.stdout, process.stderr):
        os.set_blocking(pipe.fileno(), False)
    said, part, moved = b"", -1.0, time.monotonic()
    while True:
        running = process.poll() is None
        for pipe in (process.stdout, process.stderr):
            said = (said + (_read(pipe.fileno()))).replace(b"\r", b"\n")[-4000:]
        if found := _PERCENT.findall(said):
            now = float(found[-1]) / 100
            if now != part:
                part, moved = now, time.monotonic()
        if not running:
            return said
        if time.monotonic() - moved > STALL_SECONDS:
            raise StorageFailed(f"qemu-img has not moved for {STALL_SECONDS} seconds.")
        progress(max(part, 0.0))
        green.sleep(LOOK_SECONDS)


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, 2**16)
    except BlockingIOError:
        return b""


def _last_line(said: bytes) -> str:
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    words = [line for line in lines if not _PERCENT.search(line.encode())]
    return words[-1].strip() if words else "qemu-img gives no reason"


def _ensure_alone(path: str, found: dict[str, Any]) -> None:
    """Raise `ImageInvalid` for a disk that needs other files, a password, or too much room."""
    own = (found.get("format-specific") or {}).get("data") or {}
    reasons = (
        ("backing-filename" in found or "full-backing-filename" in found, "has a backing file"),
        ("data-file" in own, "keeps its data in another file"),
        (bool(found.get("encrypted")), "is encrypted"),
        (bool(own.get("corrupt")), "is marked as corrupt"),
        (not 0 < int(found.get("virtual-size", 0)) <= LARGEST, "has an impossible size"),
    )
    for wrong, what in reasons:
        if wrong:
            raise ImageInvalid(f"{path} {what}; it cannot be converted.", path=path)


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def _sha256(path: str, size: int) -> str:
    digest = hashlib.sha256()
    left = size or -1
    with Path(path).open("rb") as file:
        while left and (chunk := file.read(min(CHUNK, left) if left > 0 else CHUNK)):
            digest.update(chunk)
            left -= len(chunk) if left > 0 else 0
    return digest.hexdigest()
