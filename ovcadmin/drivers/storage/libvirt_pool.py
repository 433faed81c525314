"""Raw volumes in a libvirt directory pool.

A half-made volume looks like a whole one: libvirt has no mark for it and cannot rename.  So what
is being made is noted in the step's memo first, and a volume that a dead attempt left behind is
removed and made again; names belong to one machine or image, so nobody else's volume is met.

A snapshot is a full copy beside its volume (sparse, and by reference where the file system can),
named `<volume>.snapshot-<milliseconds>-<name>`: listing, telling two of one name apart, and
surviving the loss of the database need nothing else.  The copy takes a while, so the guest must
not write meanwhile: it is off or suspended.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from ovcadmin import green
from ovcadmin.domain.image_formats import HEAD, TAIL, trouble
from ovcadmin.domain.images import ImageKind
from ovcadmin.drivers.hypervisor import pools, volumes
from ovcadmin.drivers.hypervisor.base import DiskSpec
from ovcadmin.drivers.hypervisor.connection import Link
from ovcadmin.drivers.hypervisor.hanging import ask
from ovcadmin.drivers.hypervisor.pools import PoolSpec
from ovcadmin.drivers.hypervisor.volumes import Transfer
from ovcadmin.drivers.storage import formats
from ovcadmin.drivers.storage.base import (
    Content,
    Memo,
    Progress,
    SnapshotFacts,
    StoragePoolFacts,
    VolumeFacts,
    whole_blocks,
    whole_sectors,
)
from ovcadmin.drivers.storage.hints import explained
from ovcadmin.drivers.storage.transfer import LibvirtTakes
from ovcadmin.errors import (
    HostUnresponsive,
    HypervisorFailed,
    ImageInvalid,
    StorageFailed,
    StorageFull,
)

T = TypeVar("T")

CALL_SECONDS = 30.0
"""Deadline of everything that copies nothing."""
STALL_SECONDS = 60.0
"""A copy that moves no byte for this long is given up."""
LOGIN_SECONDS = 60.0
"""Deadline of logging in to a server, which may be slow to say no."""
LOOK_SECONDS = 0.25
REMAINS_SECONDS = 120
"""How long to wait for a host to let go of what a dead attempt left."""
NAME_BYTES = 255
NO_REFLINK = (errno.EOPNOTSUPP, errno.EINVAL, errno.EXDEV, errno.ENOTTY, errno.ENOSYS)

_SNAPSHOT = re.compile(r"(?P<volume>.+)\.snapshot-(?P<moment>\d{13})-(?P<name>.*)", re.DOTALL)


def ensure_pool(host: Link, name: str, path: str) -> None:
    """Define, build and start a directory pool; one that is there is started."""
    with as_storage(name):
        ask(host, f"storage pool {name}", lambda conn: volumes.ensure_pool(conn, name, path),
            deadline=CALL_SECONDS)  # fmt: skip


class LibvirtPool(LibvirtTakes):
    """One libvirt pool; keys are libvirt's volume names.

    Bytes go through the `bulk` lane, everything else through `quick`.
    """

    def __init__(self, quick: Link, bulk: Link, name: str, spec: PoolSpec | None = None) -> None:
        self._spec = spec
        """How the host is told of it; None for one that it knows by itself."""
        self._quick = quick
        self._bulk = bulk
        self._name = name
        self._by = name
        """The libvirt pool that is asked."""
        self._reflink = True
        """Until the file system says that it cannot."""

    def connect(self) -> None:
        if self._spec is not None:
            spec = self._spec
            with explained():
                self._ask(lambda conn: pools.connect(conn, spec), LOGIN_SECONDS)

    def disconnect(self) -> None:
        if self._spec is not None:
            spec = self._spec
            self._ask(lambda conn: pools.disconnect(conn, spec), LOGIN_SECONDS)

    def refresh(self) -> None:
        def look(pool: Any) -> None:
            pools.wake(pool)
            pool.refresh()

        self._call(look)

    def facts(self) -> StoragePoolFacts:
        active, capacity, available = self._call(volumes.room)
        return StoragePoolFacts(capacity=capacity, available=available, active=active)

    def volumes(self) -> list[VolumeFacts]:
        found = self._call(lambda pool: [_facts(volume) for volume in pool.listAllVolumes()])
        return [volume for volume in found if not _SNAPSHOT.fullmatch(volume.name)]

    def volume(self, key: str) -> VolumeFacts | None:
        def ask(pool: Any) -> VolumeFacts | None:
            volume = volumes.find(pool, key)
            return _facts(volume) if volume is not None else None

        return self._call(ask)

    def import_raw(
        self,
        path: str,
        name: str,
        *,
        checksum: str,
        progress: Progress,
        kind: ImageKind = ImageKind.DISK,
    ) -> VolumeFacts:
        """Copy a raw file in; raises `ImageInvalid` when it is something else."""
        with formats.plain_file(path) as file:
            formats.ensure(file, path, kind)
            size = os.fstat(file.fileno()).st_size
            self.delete(name)
            self._call(lambda pool: volumes.create(pool, name, whole_sectors(size)))
            file.seek(0)
            transfer = Transfer(total=size)
            found = self._move(
                lambda conn: volumes.upload(
                    conn, file, self._pool(conn).storageVolLookupByName(name), transfer
                ),
                transfer,
                progress,
            )
        if found != checksum:
            self.delete(name)
            raise ImageInvalid(
                f"{path} is not the file that was registered: its checksum is {found[:12]}…, "
                f"not {checksum[:12]}…. Register it again.",
                path=path,
            )
        return self._existing(name)

    def digest(self, key: str, kind: ImageKind, progress: Progress) -> Content:
        transfer = Transfer(total=self._existing(key).size)
        read = self._move(
            lambda conn: volumes.digest(conn, _sure(self._pool(conn), key), transfer, HEAD, TAIL),
            transfer,
            progress,
        )
        why, what = trouble(read.head, read.tail, kind, transfer.done)
        if why:
            raise ImageInvalid(f"{key} {why}.", format=what)
        return Content(size=transfer.done, checksum=read.checksum)

    def create(self, name: str, size: int, *, host: str, memo: Memo) -> VolumeFacts:
        def make() -> None:
            self._call(lambda pool: volumes.create(pool, name, whole_sectors(size)))

        return self._make_once(name, memo, make)

    def clone(
        self, template: str, name: str, *, size: int, host: str, memo: Memo, progress: Progress
    ) -> VolumeFacts:
        return self._make_once(name, memo, lambda: self._copy(template, name, size, progress))

    def grow(self, key: str, size: int) -> None:
        now = self._existing(key).size
        if size < now:
            raise StorageFailed(f"{key} has {now} bytes; a volume cannot shrink to {size}.")
        if size > now:
            self._call(lambda pool: volumes.grow(_sure(pool, key), whole_blocks(size)))

    def delete(self, key: str, *, memo: Memo | None = None) -> None:
        def remove(pool: Any) -> None:
            for volume in pool.listAllVolumes():
                if _belongs(volume.name(), key):
                    volume.delete()

        self._when_free(remove)

    def snapshot(self, key: str, name: str, *, memo: Memo) -> SnapshotFacts:
        begun = memo.get("snapshot") or _snapshot_key(key, name)
        memo.set("snapshot", begun)
        self._make_once(begun, memo, lambda: self._copy(key, begun, 0, _silent))
        return _snapshot(begun)

    def snapshots(self, key: str) -> list[SnapshotFacts]:
        names = self._call(lambda pool: [volume.name() for volume in pool.listAllVolumes()])
        found = [_snapshot(name) for name in names if _parent(name) == key]
        return sorted(found, key=lambda snapshot: snapshot.created)

    def rollback(self, key: str, snapshot: str) -> None:
        """Put the copy in the volume's place.  The copy stays, so this may run again."""
        _ensure_own(key, snapshot)
        self._existing(snapshot)
        self._when_free(lambda pool: volumes.delete(pool, key))
        self._copy(snapshot, key, 0, _silent)

    def delete_snapshot(self, key: str, snapshot: str) -> None:
        _ensure_own(key, snapshot)
        self._when_free(lambda pool: volumes.delete(pool, snapshot))

    def move(self, key: str, host: str) -> None:
        """Its bytes are where they are: there is no storage router."""

    def disk(self, key: str, *, target: str, boot_order: int | None) -> DiskSpec:
        path = self._call(lambda pool: _sure(pool, key).path())
        return DiskSpec(source=path, target=target, boot_order=boot_order)

    # how

    def _call(self, fn: Callable[[Any], T]) -> T:
        """Run `fn` with the libvirt pool, its failures told as storage's."""
        return self._ask(lambda conn: fn(self._pool(conn)), CALL_SECONDS)

    def _ask(self, fn: Callable[[Any], T], deadline: float) -> T:
        with as_storage(self._by):
            return ask(self._quick, f"storage pool {self._by}", fn, deadline=deadline)

    def _pool(self, conn: Any) -> Any:
        return conn.storagePoolLookupByName(self._by)

    def _existing(self, key: str) -> VolumeFacts:
        return self._call(lambda pool: _facts(_sure(pool, key)))

    def _make_once(self, name: str, memo: Memo, make: Callable[[], None]) -> VolumeFacts:
        """Make a volume unless this step has made it; a dead attempt's remains go first."""
        note = f"made {name}"
        if not memo.get(note):
            self._when_free(lambda pool: volumes.delete(pool, name))
            make()
            memo.set(note, "yes")
        return self._existing(name)

    def _when_free(self, remove: Callable[[Any], None]) -> None:
        """Delete; the host may still be busy with what a dead attempt left."""
        end = time.monotonic() + REMAINS_SECONDS
        while True:
            try:
                return self._call(remove)
            except StorageFailed as error:
                busy = error.context.get("libvirt_code") == volumes.IN_USE
                if not busy or time.monotonic() > end:
                    raise
            green.sleep(LOOK_SECONDS)

    def _copy(self, source: str, name: str, size: int, progress: Progress) -> None:
        length, content = self._call(lambda pool: _lengths(_sure(pool, source)))
        size = whole_sectors(max(size, length))
        self._ensure_room(name, content)
        if self._reflink and self._copied_by_reference(source, name, size):
            return
        self._call(lambda pool: volumes.create(pool, name, size))
        transfer = Transfer(total=length)

        def copy(conn: Any) -> None:
            pool = self._pool(conn)
            volumes.copy(conn, _sure(pool, source), _sure(pool, name), transfer)

        self._move(copy, transfer, progress)

    def _copied_by_reference(self, source: str, name: str, size: int) -> bool:
        try:
            self._call(
                lambda pool: volumes.copy_by_reference(pool, _sure(pool, source), name, size)
            )
        except StorageFailed as error:
            self._reflink = error.context.get("errno") not in NO_REFLINK
            self._when_free(lambda pool: volumes.delete(pool, name))
            return False
        return True

    def _ensure_room(self, name: str, content: int) -> None:
        available = self._call(volumes.room)[2]
        if content > available:
            raise StorageFull(
                f"Storage pool {self._name} has no room for {name}: {content} bytes are needed, "
                f"{available} are free.",
                pool=self._name,
                needed=content,
                available=available,
            )

    def _move(self, work: Callable[[Any], T], transfer: Transfer, progress: Progress) -> T:
        """Let bytes move, and tell from time to time how many have.

        Raises `HostUnresponsive` when none does for a while; stops when `progress` raises.
        """
        with as_storage(self._name):
            call = self._bulk.start(work)
            seen, since = -1, time.monotonic()
            try:
                while not call.wait(LOOK_SECONDS):
                    if transfer.done != seen:
                        seen, since = transfer.done, time.monotonic()
                    elif time.monotonic() - since > STALL_SECONDS:
                        raise HostUnresponsive(
                            f"A copy in storage pool {self._name} has not moved for "
                            f"{STALL_SECONDS:g} seconds.",
                            pool=self._name,
                        )
                    progress(seen / max(transfer.total, 1))
            finally:
                transfer.cancelled = True
                if not call.finished:
                    self._bulk.threads.abandon(call)
            return call.value


@contextmanager
def as_storage(pool: str) -> Iterator[None]:
    try:
        yield
    except HypervisorFailed as error:
        full = error.context.get("errno") == errno.ENOSPC
        kind = StorageFull if full else StorageFailed
        raise kind(f"Storage pool {pool}: {error.text}", **error.context) from error


def _silent(_part: float) -> None:
    """Take no notice: the caller has no progress to show."""


def _sure(pool: Any, key: str) -> Any:
    return pool.storageVolLookupByName(key)


def _lengths(volume: Any) -> tuple[int, int]:
    return volumes.size(volume), volumes.content(volume)


def _facts(volume: Any) -> VolumeFacts:
    name = volume.name()
    return VolumeFacts(
        key=name,
        name=name,
        size=volumes.size(volume),
        address=volume.path(),
        allocated=volumes.content(volume),
    )


# names of snapshots


def _snapshot_key(key: str, name: str) -> str:
    """Name a new snapshot; what a file's name cannot hold is escaped, and the end cut off."""
    start = f"{key}.snapshot-{time.time_ns() // 10**6:013d}-"
    escaped = quote(name, safe=" ")[: NAME_BYTES - len(start.encode())]
    return start + re.sub(r"%[0-9A-F]?$", "", escaped)


def _snapshot(key: str) -> SnapshotFacts:
    match = _SNAPSHOT.fullmatch(key)
    assert match is not None
    moment = datetime.fromtimestamp(int(match["moment"]) / 1000, tz=UTC)
    return SnapshotFacts(key=key, name=unquote(match["name"], errors="ignore"), created=moment)


def _parent(name: str) -> str | None:
    match = _SNAPSHOT.fullmatch(name)
    return match["volume"] if match else None


def _belongs(name: str, key: str) -> bool:
    """Whether a volume is `key` or one of its snapshots."""
    return name == key or _parent(name) == key


def _ensure_own(key: str, snapshot: str) -> None:
    if _parent(snapshot) != key:
        raise StorageFailed(f"{snapshot} is no snapshot of {key}.")
