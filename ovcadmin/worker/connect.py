"""Which driver stands behind a row: the one place where the worker names implementations."""

from __future__ import annotations

from urllib.parse import urlsplit

from ovcadmin.config import Settings
from ovcadmin.domain.addresses import with_certificates
from ovcadmin.domain.storage_kinds import KINDS
from ovcadmin.drivers.hypervisor.base import VirtType
from ovcadmin.drivers.hypervisor.connection import Lane
from ovcadmin.drivers.hypervisor.libvirt_host import LibvirtHypervisor
from ovcadmin.drivers.hypervisor.pools import PoolSpec
from ovcadmin.drivers.storage import libvirt_pool
from ovcadmin.drivers.storage.base import StorageDriver
from ovcadmin.drivers.storage.libvirt_blocks import LibvirtBlocks
from ovcadmin.drivers.storage.libvirt_pool import LibvirtPool
from ovcadmin.errors import HostUnreachable, HostUnresponsive, StorageFailed
from ovcadmin.models import Host, StoragePool

LIBVIRT_DIRECTORY = "libvirt-dir"
LOCAL_ADDRESSES = ("qemu:///system", "qemu:///session")
"""Where this machine's own libvirt may be, the better one first."""


def hypervisor(row: Host, settings: Settings) -> LibvirtHypervisor:
    wanted = row.virt_type_setting
    return LibvirtHypervisor(
        row.name,
        address(row.uri, settings),
        deadline=settings.host_deadline_seconds,
        virt_type=None if wanted == "auto" else VirtType(wanted),
    )


def address(uri: str, settings: Settings) -> str:
    """Return the address of a host as libvirt is to open it."""
    return with_certificates(uri, str(settings.libvirt_certificates or ""))


def storage(row: StoragePool, host: LibvirtHypervisor, password: str = "") -> StorageDriver:
    """Return the driver of a storage pool as `host` reaches it."""
    kind = KINDS.get(row.driver)
    if kind is None or kind.libvirt_type is None:
        raise StorageFailed(f"Storage pool {row.name} wants the unknown driver {row.driver}.")
    # Not the reading lane: a directory that hangs must not make its host look silent.
    lanes = (host.link(Lane.STORE), host.link(Lane.COPY))
    source = row.source
    spec = PoolSpec(
        name=row.target,
        kind=kind.libvirt_type,
        path=row.path,
        password=password,
        **{
            **source,
            "port": int(source["port"]) if source.get("port") else None,
            "portals": tuple(source.get("portals", ())),
        },
    )
    if kind.holds_images:
        return LibvirtPool(*lanes, row.target, spec)
    return LibvirtBlocks(*lanes, spec)


def ensure_directory(host: LibvirtHypervisor, pool: str, path: str) -> None:
    """Make sure that the host has this directory pool, and that it is active."""
    libvirt_pool.ensure_pool(host.link(Lane.STORE), pool, path)


def find_local() -> str:
    """Return the address of this machine's libvirt that answers; raises `HostUnreachable`."""
    for uri in LOCAL_ADDRESSES:
        candidate = LibvirtHypervisor("this machine", uri)
        try:
            candidate.states()
        except HostUnresponsive:
            continue
        else:
            return uri
        finally:
            candidate.close()
    raise HostUnreachable(
        f"No libvirt answers on this machine; tried {' and '.join(LOCAL_ADDRESSES)}. Start "
        "libvirtd, or set ovc.local_host."
    )


def is_session(uri: str) -> bool:
    """Whether the address is of a user's own libvirt, which sees what the user sees."""
    return urlsplit(uri).path == "/session"
