"""Kinds of storage pools: what each is, what it can, and what it must be told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class StorageKind:
    driver: str
    label: str
    libvirt_type: str | None
    """libvirt's word for it; None where storage is not libvirt's."""
    creates: bool
    """Whether new volumes can be made: a target's LUNs are cut on the array's side."""
    holds_images: bool = False
    """Whether copies of images can be made in it."""
    needs: tuple[str, ...] = ()
    """Fields of its source that must be filled in."""
    takes: tuple[str, ...] = ()
    """Further fields that may be."""
    preallocated: bool = False
    """Whether what is found in it was put there to be taken."""
    package: str = "libvirt-daemon"
    """Of Debian, with libvirt's backend for it."""

    def asks_for(self, field: str) -> bool:
        return field in self.needs or field in self.takes


_KINDS = (
    StorageKind(
        driver="libvirt-dir",
        label="Directory",
        libvirt_type="dir",
        needs=("path",),
        creates=True,
        holds_images=True,
    ),
    StorageKind(
        driver="libvirt-netfs",
        label="NFS",
        libvirt_type="netfs",
        needs=("path", "host", "device"),
        takes=("format",),
        creates=True,
        holds_images=True,
    ),
    StorageKind(
        driver="libvirt-fs",
        label="File system on a device",
        libvirt_type="fs",
        needs=("path", "device"),
        takes=("format",),
        creates=True,
        holds_images=True,
    ),
    StorageKind(
        driver="libvirt-logical",
        label="LVM volume group",
        libvirt_type="logical",
        needs=("device",),
        creates=True,
    ),
    StorageKind(
        driver="libvirt-disk",
        label="Partitions of a disk",
        libvirt_type="disk",
        needs=("device",),
        takes=("format",),
        creates=False,
    ),
    StorageKind(
        driver="libvirt-iscsi",
        label="iSCSI (the host logs in)",
        libvirt_type="iscsi",
        needs=("host", "device"),
        takes=("port", "portals", "initiator", "user", "password"),
        creates=False,
        preallocated=True,
    ),
    StorageKind(
        driver="libvirt-iscsi-direct",
        label="iSCSI (QEMU logs in)",
        libvirt_type="iscsi-direct",
        needs=("host", "device", "initiator"),
        takes=("port", "portals", "user", "password"),
        creates=False,
        preallocated=True,
        package="libvirt-daemon-driver-storage-iscsi-direct",
    ),
    StorageKind(
        driver="openvstorage",
        label="OpenvStorage",
        libvirt_type=None,
        creates=True,
        holds_images=True,
    ),
)
KINDS: dict[str, StorageKind] = {kind.driver: kind for kind in _KINDS}
CREATING: tuple[str, ...] = tuple(kind.driver for kind in _KINDS if kind.creates)
"""Drivers of storage pools in which new volumes can be made."""
