"""Volumes that are no files: LUNs of iSCSI targets, logical volumes, partitions.

Most of them are made elsewhere and only found here; none has snapshots of ours.  Content of images
is not copied to them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from ovcadmin.drivers.hypervisor import pools, volumes
from ovcadmin.drivers.hypervisor.base import DiskSpec
from ovcadmin.drivers.hypervisor.connection import Link
from ovcadmin.drivers.hypervisor.pools import PoolSpec
from ovcadmin.drivers.storage.base import (
    Memo,
    PathFacts,
    Progress,
    SnapshotFacts,
    StoragePoolFacts,
    VolumeFacts,
    whole_sectors,
)
from ovcadmin.drivers.storage.hints import explained
from ovcadmin.drivers.storage.libvirt_pool import LOGIN_SECONDS, LibvirtPool
from ovcadmin.errors import HostUnresponsive, StorageFailed

MADE_HERE = ("logical",)
BY_POOL = ("iscsi-direct",)
"""QEMU logs in by itself, with what libvirt knows of the pool."""

ISCSI_PORT = 3260
BLOCKS = (512, 4096)
MIB = 2**20


class LibvirtBlocks(LibvirtPool):
    """`by` is the path that answered last: with several portals each has a libvirt pool."""

    def __init__(self, quick: Link, bulk: Link, spec: PoolSpec) -> None:
        super().__init__(quick, bulk, spec.name, spec)
        self._kind = spec.kind
        self._paths = pools.paths(spec)

    def connect(self) -> None:
        """Log in by every portal: one that is away now is told now."""
        try:
            with explained():
                self._each(pools.connect)
        except StorageFailed:
            self.disconnect()
            raise

    def disconnect(self) -> None:
        self._each(pools.disconnect)

    def _each(self, verb: Callable[..., None]) -> None:
        for path in self._paths:
            self._by = path.name
            self._ask(partial(verb, spec=path), LOGIN_SECONDS)
        self._by = self._name

    def refresh(self) -> None:
        """Look by the first path that answers."""
        trouble: StorageFailed | HostUnresponsive | None = None
        for path in self._paths:
            self._by = path.name
            try:
                super().refresh()
            except (StorageFailed, HostUnresponsive) as error:
                trouble = error
            else:
                return
        raise trouble or StorageFailed(f"{self._name} has no path.")

    def facts(self) -> StoragePoolFacts:
        """Ask by every path, from the last on, so that the first good one is the one that stays."""
        found, up = StoragePoolFacts(capacity=0, available=0, active=False), {}
        for path in reversed(self._paths):
            self._by = path.name
            try:
                if self._kind in pools.DISCOVERED:
                    self._call(pools.wake)
                now = super().facts()
            except (StorageFailed, HostUnresponsive):
                if len(self._paths) == 1:
                    raise
                now = StoragePoolFacts(capacity=0, available=0, active=False)
            up[path.name] = now.active
            found = now if now.active else found
        self._by = next((path.name for path in self._paths if up[path.name]), self._name)
        if len(self._paths) == 1:
            return found
        return replace(
            found,
            paths=tuple(
                PathFacts(portal=f"{path.host}:{path.port or ISCSI_PORT}", up=up[path.name])
                for path in self._paths
            ),
        )

    def volumes(self) -> list[VolumeFacts]:
        """Return what there is; a target's controller (LUN 0, no bytes) is none."""
        found = self._call(lambda pool: [_block(volume) for volume in pool.listAllVolumes()])
        return sorted((one for one in found if one.size), key=lambda one: one.name)

    def volume(self, key: str) -> VolumeFacts | None:
        def ask(pool: Any) -> VolumeFacts | None:
            volume = volumes.find(pool, key)
            return _block(volume) if volume is not None else None

        return self._call(ask)

    def create(self, name: str, size: int, *, host: str, memo: Memo) -> VolumeFacts:
        if self._kind not in MADE_HERE:
            raise self._cannot("new volumes are made on the storage's own side")
        return self._make_once(
            name,
            memo,
            lambda: self._call(lambda pool: volumes.create_whole(pool, name, whole_sectors(size))),
        )

    def delete(self, key: str, *, memo: Memo | None = None) -> None:
        if self._kind not in MADE_HERE:
            raise self._cannot("volumes are deleted on the storage's own side")
        self._when_free(lambda pool: volumes.delete(pool, key))

    def grow(self, key: str, size: int) -> None:
        raise self._cannot("volumes do not grow from here")

    def clone(
        self, template: str, name: str, *, size: int, host: str, memo: Memo, progress: Progress
    ) -> VolumeFacts:
        raise self._cannot("images are not copied to it")

    def snapshot(self, key: str, name: str, *, memo: Memo) -> SnapshotFacts:
        raise self._cannot("there are no snapshots")

    def snapshots(self, key: str) -> list[SnapshotFacts]:
        return []

    def disk(self, key: str, *, target: str, boot_order: int | None) -> DiskSpec:
        if self._kind in BY_POOL:
            # The name is looked up first: a LUN that went must be told now, not by QEMU.
            self._call(lambda pool: pool.storageVolLookupByName(key))
            return DiskSpec(
                source=key, target=target, boot_order=boot_order, kind="volume", pool=self._by
            )
        path = self._call(lambda pool: self._device(pool.storageVolLookupByName(key)))
        return DiskSpec(source=path, target=target, boot_order=boot_order, kind="block")

    def _device(self, volume: Any) -> str:
        """Return the device of a volume: of several paths the one that joins them.

        libvirt's key of a LUN is its WWID, after which multipath names the device.
        """
        return str(volume.path() if len(self._paths) == 1 else f"/dev/mapper/{volume.key()}")

    def _existing(self, key: str) -> VolumeFacts:
        found = self.volume(key)
        if found is None:
            raise StorageFailed(f"There is no volume {key}.")
        return found

    def _cannot(self, why: str) -> StorageFailed:
        return StorageFailed(f"In storage pool {self._name} {why}.", pool=self._name)


def _block(volume: Any) -> VolumeFacts:
    _, capacity, allocated = volume.info()
    name = volume.name()
    return VolumeFacts(
        key=name,
        name=name,
        size=_whole(int(capacity)),
        address=volume.path(),
        allocated=int(allocated),
    )


def _whole(size: int) -> int:
    """Return the size of a LUN: libvirt tells where its last block begins, not where it ends.

    A block is 512 or 4096 bytes; LUNs are cut in whole MiB, which tells whether one is missing.
    """
    missing = next((block for block in BLOCKS if (size + block) % MIB == 0), 0)
    return size + missing if size else 0
