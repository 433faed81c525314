"""What the simulated cluster holds, and how each object looks from outside."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4


def new_guid() -> str:
    return str(uuid4())


@dataclass(kw_only=True)
class Snapshot:
    guid: str = field(default_factory=new_guid)
    timestamp: str = ""
    label: str = ""
    is_consistent: bool = False
    is_automatic: bool = False
    is_sticky: bool = False
    arrives: float = 0.0
    """When it will be in the backend, Unix time."""
    stored: int = 0


@dataclass(kw_only=True)
class Disk:
    """A vDisk."""

    guid: str = field(default_factory=new_guid)
    name: str = ""
    size: int = 0
    devicename: str = ""
    volume_id: str = field(default_factory=new_guid)
    vpool_guid: str = ""
    router_guid: str = ""
    parent_guid: str | None = None
    parentsnapshot: str | None = None
    template: bool = False
    pagecache_ratio: float = 1.0
    cache_quota: dict[str, int] | None = None
    scrubbed: bool = False
    snapshots: list[Snapshot] = field(default_factory=list)

    @property
    def static(self) -> dict[str, Any]:
        return {
            "guid": self.guid,
            "name": self.name,
            "description": self.name,
            "size": self.size,
            "devicename": self.devicename,
            "volume_id": self.volume_id,
            "parentsnapshot": self.parentsnapshot,
            "cinder_id": None,
            "has_manual_dtl": False,
            "pagecache_ratio": self.pagecache_ratio,
            "metadata": {"lba_size": 512, "cluster_multiplier": 8},
            "cache_quota": self.cache_quota,
            "scrubbing_information": None,
        }


@dataclass(kw_only=True)
class Router:
    guid: str = field(default_factory=new_guid)
    name: str = ""
    ip: str = ""

    @property
    def static(self) -> dict[str, Any]:
        return {
            "guid": self.guid,
            "name": self.name,
            "description": self.name,
            "machine_id": self.guid[:12],
            "ip": self.ip,
            "heartbeats": {},
            "node_type": "MASTER",
            "rdma_capable": False,
            "last_heartbeat": None,
            "package_information": {},
        }


@dataclass(kw_only=True)
class Driver:
    """A storage driver: a vPool on a storage router."""

    guid: str = field(default_factory=new_guid)
    vpool_guid: str = ""
    router_guid: str = ""
    name: str = ""
    ip: str = ""
    mountpoint: str = ""

    @property
    def static(self) -> dict[str, Any]:
        return {
            "guid": self.guid,
            "name": self.name,
            "description": self.name,
            "ports": {"management": 26200, "xmlrpc": 26201, "dtl": 26202, "edge": 26203},
            "cluster_ip": self.ip,
            "storage_ip": self.ip,
            "storagedriver_id": self.name,
            "mountpoint": self.mountpoint,
            "startup_counter": 0,
        }


@dataclass(kw_only=True)
class VPool:
    guid: str = field(default_factory=new_guid)
    name: str = ""
    backend_guid: str = field(default_factory=new_guid)
    status: str = "RUNNING"

    @property
    def static(self) -> dict[str, Any]:
        backend = {"name": "backend1", "alba_backend_guid": self.backend_guid}
        return {
            "guid": self.guid,
            "name": self.name,
            "description": self.name,
            "login": None,
            "connection": None,
            "metadata": {"backend": {"backend_info": backend}},
            "rdma_enabled": False,
            "status": self.status,
            "metadata_store_bits": 5,
        }

    @property
    def configuration(self) -> dict[str, Any]:
        return {
            "sco_size": 4,
            "dtl_mode": "a_sync",
            "dtl_enabled": True,
            "dtl_transport": "tcp",
            "dtl_config_mode": "Automatic",
            "cluster_size": 4,
            "write_buffer": 128,
            "tlog_multiplier": 16,
            "mds_config": {"mds_safety": 3},
        }
