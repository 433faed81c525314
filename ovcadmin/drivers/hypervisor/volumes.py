"""Volumes of libvirt's pools: made, measured, and their bytes moved.

libvirt looks into files to guess their format, and its own copy (`createXMLFrom`) believes the
guess: a guest that writes the header of another format on its raw disk, with a file of the host as
backing file, would find that file in its next snapshot.  So bytes are copied as bytes, by streams
that skip holes; that is also much faster than libvirt's copy, which reads every hole.  A copy by
reference is libvirt's: it is refused there for all but raw volumes.

Everything here runs in a native thread of the host, on an open connection.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO

import libvirt
from lxml import etree
from lxml.builder import E

from ovcadmin.drivers.hypervisor import xml
from ovcadmin.errors import StorageFailed

Conn = Any
Pool = Any
Volume = Any

CHUNK = 262_120
"""The most that one message of libvirt's protocol carries, bytes."""
AT_HOLE = -3
IN_USE = libvirt.VIR_ERR_OPERATION_INVALID
"""Error code of a volume that somebody is still copying to or from."""


@dataclass(eq=False)
class Transfer:
    """Bytes on their way.  The thread that moves them writes `done`, who waits sets `cancelled`."""

    total: int
    done: int = 0
    cancelled: bool = False

    def moved(self, size: int) -> None:
        self.done += size
        if self.cancelled:
            raise StorageFailed("The copy was given up.")


def ensure_pool(conn: Conn, name: str, path: str) -> None:
    """Define, build and start a directory pool; one that is there already is started."""
    pool = find_pool(conn, name)
    if pool is not None:
        found = xml.read(pool.XMLDesc()).findtext("target/path")
        if found != path:
            raise StorageFailed(
                f"Pool {name} exists on the host, but keeps its volumes in {found}."
            )
    else:
        definition = E.pool({"type": "dir"}, E.name(name), E.target(E.path(path)))
        pool = conn.storagePoolDefineXML(etree.tostring(definition, encoding="unicode"))
    if not pool.isActive():
        pool.build()
        pool.create()
    pool.setAutostart(1)


def find_pool(conn: Conn, name: str) -> Pool | None:
    """Look up one pool: a list of all would wait for one that hangs."""
    try:
        return conn.storagePoolLookupByName(name)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_POOL:
            return None
        raise


def room(pool: Pool) -> tuple[bool, int, int]:
    """Return whether the pool is active, its capacity and what is available, bytes."""
    with suppress(libvirt.libvirtError):  # refused while something is copied: the last figures do
        pool.refresh()
    state, capacity, _, available = pool.info()
    return state == libvirt.VIR_STORAGE_POOL_RUNNING, capacity, available


def find(pool: Pool, name: str) -> Volume | None:
    try:
        return pool.storageVolLookupByName(name)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_VOL:
            return None
        raise


def size(volume: Volume) -> int:
    """Return the file's length: the capacity would be what a header in it claims."""
    return int(volume.infoFlags(libvirt.VIR_STORAGE_VOL_GET_PHYSICAL)[2])


def content(volume: Volume) -> int:
    """Return the bytes that are not holes."""
    return int(volume.info()[2])


def create(pool: Pool, name: str, size: int) -> Volume:
    return pool.createXML(_xml(name, size))


def create_whole(pool: Pool, name: str, size: int) -> Volume:
    """Make a volume with all its room taken, where nothing can be sparse."""
    volume = E.volume(
        E.name(name),
        E.capacity({"unit": "bytes"}, str(size)),
        E.allocation({"unit": "bytes"}, str(size)),
    )
    return pool.createXML(etree.tostring(volume, encoding="unicode"))


def delete(pool: Pool, name: str) -> None:
    volume = find(pool, name)
    if volume is not None:
        volume.delete()


def grow(volume: Volume, size: int) -> None:
    kind = _format(volume)
    if kind != "raw":
        raise StorageFailed(
            f"The first bytes of {volume.name()} look like a {kind} file to libvirt, which would "
            "then change them instead of growing the disk. Overwrite them in the guest."
        )
    volume.resize(size)


def copy_by_reference(pool: Pool, source: Volume, name: str, size: int) -> None:
    """Copy at once where the file system can; raises `libvirtError` where it cannot."""
    pool.createXMLFrom(_xml(name, size), source, libvirt.VIR_STORAGE_VOL_CREATE_REFLINK)


def copy(conn: Conn, source: Volume, target: Volume, transfer: Transfer) -> None:
    """Copy all bytes of a volume to the start of another that is at least as long.

    `conn` is that of the target; the source may be on another host.  libvirt's own copy would
    follow what a guest wrote to the start of its disk to make it look like a qcow2 file, also to a
    file of the host.
    """
    with _stream(source.connect()) as down, _upload(conn, target, transfer) as up:
        source.download(down, 0, 0, libvirt.VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM)
        while chunk := down.recvFlags(CHUNK, libvirt.VIR_STREAM_RECV_STOP_AT_HOLE):
            if chunk == AT_HOLE:
                hole = down.recvHole()
                up.sendHole(hole)
                transfer.moved(hole)
            else:
                _send(up, chunk)
                transfer.moved(len(chunk))


def upload(conn: Conn, file: BinaryIO, target: Volume, transfer: Transfer) -> str:
    """Send a file, zeros as holes; return its SHA-256."""
    digest = hashlib.sha256()
    with _upload(conn, target, transfer) as up:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            if chunk == _zeros(len(chunk)):
                up.sendHole(len(chunk))
            else:
                _send(up, chunk)
            transfer.moved(len(chunk))
    return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Of a volume that was read: its first and last bytes, and its SHA-256."""

    head: bytes
    tail: bytes
    checksum: str


def digest(conn: Conn, volume: Volume, transfer: Transfer, head: int, tail: int) -> Seen:
    """Read a whole volume; keep `head` and `tail` bytes of its ends."""
    found, first, last = hashlib.sha256(), b"", b""
    with _stream(conn) as down:
        volume.download(down, 0, 0, 0)
        while chunk := down.recv(CHUNK):
            found.update(chunk)
            first += chunk[: max(head - len(first), 0)]
            last = (last + chunk)[-tail:]
            transfer.moved(len(chunk))
    return Seen(head=first, tail=last, checksum=found.hexdigest())


@contextmanager
def _upload(conn: Conn, target: Volume, transfer: Transfer) -> Iterator[Any]:
    """Open a stream into a volume.

    libvirt cuts the file off behind each hole, so the rest of the volume is sent as a last one.
    """
    length = size(target)
    with _stream(conn) as up:
        target.upload(up, 0, length, libvirt.VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM)
        yield up
        if length > transfer.done:
            up.sendHole(length - transfer.done)


@contextmanager
def _stream(conn: Conn) -> Iterator[Any]:
    """Open a stream; ended in order when the block ends well, else broken off."""
    stream = conn.newStream(0)
    try:
        yield stream
        stream.finish()
    except BaseException:
        with suppress(libvirt.libvirtError):
            stream.abort()
        raise


def _send(stream: Any, chunk: bytes) -> None:
    sent = 0
    while sent < len(chunk):
        sent += stream.send(chunk[sent:])


@lru_cache(maxsize=2)
def _zeros(size: int) -> bytes:
    return bytes(size)


def _format(volume: Volume) -> str:
    found = xml.read(volume.XMLDesc()).find("target/format")
    return str(found.get("type")) if found is not None else "raw"


def _xml(name: str, capacity: int) -> str:
    """Describe a sparse raw volume."""
    volume = E.volume(
        E.name(name),
        E.capacity({"unit": "bytes"}, str(capacity)),
        E.allocation({"unit": "bytes"}, "0"),
        E.target(E.format({"type": "raw"})),
    )
    return etree.tostring(volume, encoding="unicode")
