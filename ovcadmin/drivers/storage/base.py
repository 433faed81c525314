"""What the console asks of storage: one contract for OpenvStorage vPools and libvirt pools.

A driver object stands for one storage pool.  Volumes are raw and are addressed by `key`, the
driver's own lasting name of a volume (a vDisk guid; a libvirt volume name); where a step that died
may not know it yet, the name that it asked for will do.  Sizes are bytes.  The key of a snapshot
says which volume it is of, and `clone` takes it as well: a template made from a machine is a
snapshot of the machine's volume.
Every verb may run again: making a `name` with a memo that knows it as made returns it, what a dead
attempt left half-made is made anew, deleting what is absent succeeds.  Failures are
`StorageFailed`, `StorageFull` or `HostUnresponsive`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from ovcadmin.domain.images import ImageKind
from ovcadmin.drivers.hypervisor.base import DiskSpec
from ovcadmin.errors import StorageFailed


@dataclass(frozen=True, kw_only=True)
class PathFacts:
    """One of several ways to the same storage."""

    portal: str
    up: bool


@dataclass(frozen=True, kw_only=True)
class StoragePoolFacts:
    capacity: int
    available: int | None
    """None while the storage does not tell."""
    active: bool
    paths: tuple[PathFacts, ...] = ()
    """Of storage that is reached by more than one way."""


@dataclass(frozen=True, kw_only=True)
class VolumeFacts:
    key: str
    name: str
    size: int
    """Size as the guest sees it."""
    address: str = ""
    """Where its storage shows it: a path, a LUN."""
    allocated: int | None = None
    """Bytes that it really takes, where that is known."""


@dataclass(frozen=True, kw_only=True)
class SnapshotFacts:
    key: str
    name: str
    created: datetime
    """Snapshots are told apart by key or time: names repeat."""


@dataclass(frozen=True, kw_only=True)
class RouterFacts:
    guid: str
    name: str
    ip: str
    status: str


@dataclass(frozen=True, kw_only=True)
class MountFacts:
    """A vPool on a storage router."""

    router: str
    mountpoint: str
    status: str
    storage_ip: str
    edge_port: int


@dataclass(frozen=True, kw_only=True)
class VPoolFacts:
    guid: str
    name: str
    status: str
    mounts: tuple[MountFacts, ...]
    configuration: dict[str, Any] = field(default_factory=dict)
    """Replication and sizes, as the cluster names them."""
    statistics: dict[str, int] = field(default_factory=dict)
    """Counters since the volumes were started; `stored` is bytes.  None while nobody tells them."""


@dataclass(frozen=True, kw_only=True)
class ClusterFacts:
    release: str
    roles: tuple[str, ...]
    routers: tuple[RouterFacts, ...]
    vpools: tuple[VPoolFacts, ...]


class Memo(Protocol):
    """A few lasting notes of the operation step that calls: a restarted worker finds them again.

    OpenvStorage answers every change with a task id; it is kept here so that a killed worker
    picks the task up instead of starting a second one.
    """

    def get(self, key: str) -> str | None: ...

    def set(self, key: str, value: str) -> None: ...


Progress = Callable[[float], None]
"""Called with the part done, 0 to 1.  What it raises stops the copy."""

SECTOR = 512


def whole_sectors(size: int) -> int:
    """Round up: a disk has no part of a sector."""
    return -(-size // SECTOR) * SECTOR


BLOCK = 4096


def whole_blocks(size: int) -> int:
    """Round up what is made empty.

    Of a file of holes QEMU cannot find out how it is aligned, and starts no guest on a part of a
    block.
    """
    return -(-size // BLOCK) * BLOCK


class StorageDriver(Protocol):
    def facts(self) -> StoragePoolFacts: ...

    def volumes(self) -> list[VolumeFacts]: ...

    def volume(self, key: str) -> VolumeFacts | None: ...

    def import_raw(
        self,
        path: str,
        name: str,
        *,
        checksum: str,
        progress: Progress,
        kind: ImageKind = ImageKind.DISK,
    ) -> VolumeFacts:
        """Copy a file (readable by this process) into a new volume, byte by byte.

        Raises `ImageInvalid` when it is not of this kind or its SHA-256 is not `checksum`.
        """
        ...

    def create(self, name: str, size: int, *, host: str, memo: Memo) -> VolumeFacts:
        """Make an empty volume on the storage router of `host` (its hostname).

        In whole sectors, or in whole blocks of the storage itself, and not a byte more than that:
        a running guest's disk may be copied to it.
        """
        ...

    def clone(
        self, template: str, name: str, *, size: int, host: str, memo: Memo, progress: Progress
    ) -> VolumeFacts:
        """Clone a volume or a snapshot on the storage router of `host`, at least `size` large."""
        ...

    def grow(self, key: str, size: int) -> None:
        """Grow; smaller than now is refused with `StorageFailed`."""
        ...

    def delete(self, key: str, *, memo: Memo | None = None) -> None:
        """Delete; the memo of the step that made it tells what may still be on its way.

        Raises `StorageInUse` while volumes that were cloned from it need it.
        """
        ...

    def snapshot(self, key: str, name: str, *, memo: Memo) -> SnapshotFacts: ...

    def snapshots(self, key: str) -> list[SnapshotFacts]: ...

    def rollback(self, key: str, snapshot: str) -> None:
        """Bring back the bytes.  Ask for the volume's size afterwards: it need not be as then."""
        ...

    def delete_snapshot(self, key: str, snapshot: str) -> None:
        """Delete; what the memo of a step that died has as `snapshot` will do as its key."""
        ...

    def move(self, key: str, host: str) -> None:
        """Serve the volume from the storage router of `host`, where its machine runs now."""
        ...

    def disk(self, key: str, *, target: str, boot_order: int | None) -> DiskSpec:
        """Say how a domain on a host attaches the volume."""
        ...


@runtime_checkable
class Takes(Protocol):
    """A storage pool that can take in a volume of another pool."""

    def take(
        self, source: StorageDriver, key: str, name: str, *, memo: Memo, progress: Progress
    ) -> VolumeFacts:
        """Make a volume with the bytes of `key` of `source`; nobody may write to that meanwhile.

        Raises `StorageFailed` when bytes cannot go from the one kind of pool to the other.
        """
        ...


def take(
    target: StorageDriver, source: StorageDriver, key: str, name: str, *, memo: Memo,
    progress: Progress,
) -> VolumeFacts:  # fmt: skip
    """Copy a volume into another pool; raises `StorageFailed` where that pool cannot do it."""
    if not isinstance(target, Takes):
        raise StorageFailed("Volumes of this kind of storage cannot be copied to another pool.")
    return target.take(source, key, name, memo=memo, progress=progress)


@runtime_checkable
class Shares(Protocol):
    """Storage whose clones need what they were made from.  A template is a snapshot there."""

    def template(self, key: str, name: str, *, memo: Memo) -> VolumeFacts:
        """Keep the present content of a volume as a template, of which `clone` makes others."""
        ...

    def children(self, key: str) -> list[str]:
        """Return the names of what needs a volume or a snapshot: its clones, its templates."""
        ...

    def needed_after(self, key: str, snapshot: str) -> list[str]:
        """Return the names of what needs later snapshots, which a rollback to this one removes."""
        ...


@runtime_checkable
class Serves(Protocol):
    """Storage whose volumes are each served by one machine of the storage's own."""

    def ensure_served(self, key: str) -> None:
        """Raise `StorageFailed` unless exactly one serves the volume: two writers would ruin it."""
        ...


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a volume holds: bytes, and their SHA-256."""

    size: int
    checksum: str


@runtime_checkable
class Reads(Protocol):
    """Storage whose volumes are read by way of their host."""

    def digest(self, key: str, kind: ImageKind, progress: Progress) -> Content:
        """Read a whole volume.  Raises `ImageInvalid` when it is not of this kind."""
        ...


@runtime_checkable
class Enrolled(Protocol):
    """Storage that a host is told of: libvirt's pools."""

    def connect(self) -> None:
        """Try it, log in and start it; may run again.  Raises `StorageFailed` with the reason."""
        ...

    def disconnect(self) -> None:
        """Log out; what is stored stays."""
        ...

    def refresh(self) -> None:
        """Look again what is there, so that `volumes` shows what came and went."""
        ...


@dataclass(frozen=True, kw_only=True)
class TemplateFile:
    """A machine template in qcow2 that was judged: the disk inside has `size` bytes."""

    size: int
    checksum: str
    """SHA-256 of the file."""


@runtime_checkable
class Converts(Protocol):
    """Storage whose volumes are filled from qcow2 files of the machine that the worker runs on.

    Each verb may run again.  Raises `ImageInvalid` for a file that may not or cannot be converted.
    """

    def judge(self, path: str) -> TemplateFile: ...

    def convert(self, path: str, name: str, *, memo: Memo, progress: Progress) -> VolumeFacts:
        """Write the disk inside the file into a volume of this name."""
        ...

    def compare(self, path: str, key: str, progress: Progress) -> str:
        """Return the SHA-256 of the volume, once it is known to hold the disk of the file."""
        ...

    def seal(self, key: str) -> VolumeFacts:
        """Make the volume one that is only cloned from."""
        ...
