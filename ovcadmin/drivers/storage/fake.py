"""A storage pool in memory, for the fake host: it passes the same contract suite."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from ovcadmin.domain.images import ImageKind
from ovcadmin.drivers.hypervisor.base import DiskSpec
from ovcadmin.drivers.storage import formats
from ovcadmin.drivers.storage.base import (
    Content,
    Memo,
    Progress,
    SnapshotFacts,
    StorageDriver,
    StoragePoolFacts,
    VolumeFacts,
    whole_blocks,
    whole_sectors,
)
from ovcadmin.errors import ImageInvalid, StorageFailed, StorageFull


@dataclass
class FakePool:
    capacity: int = 10**15
    _volumes: dict[str, VolumeFacts] = field(default_factory=dict)
    _snapshots: dict[str, dict[str, tuple[SnapshotFacts, int]]] = field(default_factory=dict)

    def connect(self) -> None:
        """Nothing to log in to."""

    def disconnect(self) -> None:
        """Nothing to log out from."""

    def refresh(self) -> None:
        """What is there is known."""

    def facts(self) -> StoragePoolFacts:
        return StoragePoolFacts(capacity=self.capacity, available=self._free, active=True)

    @property
    def _free(self) -> int:
        return max(self.capacity - sum(volume.size for volume in self._volumes.values()), 0)

    def volumes(self) -> list[VolumeFacts]:
        return list(self._volumes.values())

    def volume(self, key: str) -> VolumeFacts | None:
        return self._volumes.get(key)

    def import_raw(
        self,
        path: str,
        name: str,
        *,
        checksum: str,
        progress: Progress,
        kind: ImageKind = ImageKind.DISK,
    ) -> VolumeFacts:
        with formats.plain_file(path) as file:
            formats.ensure(file, path, kind)
            file.seek(0)
            content = file.read()
        if hashlib.sha256(content).hexdigest() != checksum:
            raise ImageInvalid(f"{path} is not the file that was registered.", path=path)
        self.delete(name)
        progress(1.0)
        return self._make(name, len(content))

    def digest(self, key: str, kind: ImageKind, progress: Progress) -> Content:
        """Of bytes that are nowhere kept: an ISO is told by its name."""
        size = self._sure(key).size
        if kind is ImageKind.ISO and not key.endswith(".iso"):
            raise ImageInvalid(f"{key} is something else, not an ISO 9660 image.")
        progress(1.0)
        return Content(size=size, checksum=hashlib.sha256(key.encode()).hexdigest())

    def create(self, name: str, size: int, *, host: str, memo: Memo) -> VolumeFacts:
        return self._volumes.get(name) or self._make(name, whole_sectors(size))

    def take(
        self, source: StorageDriver, key: str, name: str, *, memo: Memo, progress: Progress
    ) -> VolumeFacts:
        if not isinstance(source, FakePool):
            raise StorageFailed(f"{key} lives in storage of another kind, which cannot be copied.")
        size = source.size_of(key)
        progress(1.0)
        return self._volumes.get(name) or self._make(name, whole_blocks(size))

    def size_of(self, key: str) -> int:
        return self._sure(key).size

    def clone(
        self, template: str, name: str, *, size: int, host: str, memo: Memo, progress: Progress
    ) -> VolumeFacts:
        kept = [held[template][1] for held in self._snapshots.values() if template in held]
        original = kept[0] if kept else self._sure(template).size
        progress(1.0)
        return self._volumes.get(name) or self._make(name, max(size, original))

    def grow(self, key: str, size: int) -> None:
        now = self._sure(key)
        if size < now.size:
            raise StorageFailed(f"{key} has {now.size} bytes; a volume cannot shrink to {size}.")
        self._volumes[key] = replace(now, size=whole_blocks(size))

    def delete(self, key: str, *, memo: Memo | None = None) -> None:
        self._volumes.pop(key, None)
        self._snapshots.pop(key, None)

    def snapshot(self, key: str, name: str, *, memo: Memo) -> SnapshotFacts:
        held = self._snapshots.setdefault(key, {})
        number = memo.get("snapshot") or f"{key}.snapshot-{len(held)}"
        memo.set("snapshot", number)
        if number not in held:
            facts = SnapshotFacts(key=number, name=name, created=datetime.now(UTC))
            held[number] = (facts, self._sure(key).size)
        return held[number][0]

    def snapshots(self, key: str) -> list[SnapshotFacts]:
        return [facts for facts, _ in self._snapshots.get(key, {}).values()]

    def rollback(self, key: str, snapshot: str) -> None:
        held = self._snapshots.get(key, {})
        if snapshot not in held:
            raise StorageFailed(f"{snapshot} is no snapshot of {key}.")
        self._volumes[key] = replace(self._sure(key), size=held[snapshot][1])

    def delete_snapshot(self, key: str, snapshot: str) -> None:
        self._snapshots.get(key, {}).pop(snapshot, None)

    def move(self, key: str, host: str) -> None:
        """Its bytes are where they are: there is no storage router."""

    def disk(self, key: str, *, target: str, boot_order: int | None) -> DiskSpec:
        self._sure(key)
        return DiskSpec(source=f"/fake/{key}", target=target, boot_order=boot_order)

    def _make(self, name: str, size: int) -> VolumeFacts:
        size = whole_sectors(size)
        if size > self._free:
            raise StorageFull(f"No space left for {name}: {size} bytes wanted.")
        self._volumes[name] = VolumeFacts(key=name, name=name, size=size)
        return self._volumes[name]

    def _sure(self, key: str) -> VolumeFacts:
        if key not in self._volumes:
            raise StorageFailed(f"There is no volume {key}.")
        return self._volumes[key]
