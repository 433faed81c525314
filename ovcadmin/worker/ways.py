"""The operations' ways to the outside of this worker: hosts, directories and the web."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ovcadmin.drivers.directory.base import Directory
from ovcadmin.drivers.downloads.base import Downloads
from ovcadmin.drivers.hypervisor import probe
from ovcadmin.drivers.hypervisor.base import Finding, Hypervisor
from ovcadmin.drivers.storage.base import StorageDriver
from ovcadmin.worker.links import Links
from ovcadmin.worker.realms import Realms


@dataclass(frozen=True, kw_only=True)
class Ways:
    """Meets `engine.run.Outside`."""

    hosts: Links
    realms: Realms
    web: Downloads
    address: Callable[[str], str]
    """How a host's libvirt address is opened."""

    def hypervisor(self, host_id: int) -> Hypervisor:
        return self.hosts.hypervisor(host_id)

    def storage(self, storage_pool_id: int, host_id: int) -> StorageDriver:
        return self.hosts.storage(storage_pool_id, host_id)

    def way_to(self, uri: str) -> Iterable[Finding]:
        return probe.check(uri, self.address(uri))

    def directory(self, realm_id: int, mapping: Mapping[str, str]) -> Directory:
        return self.realms.directory(realm_id, mapping)

    def downloads(self) -> Downloads:
        return self.web
