"""How the objects of the cluster look from outside: dynamics, relations, statistics."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ovcadmin.testing.openvstorage import files
from ovcadmin.testing.openvstorage.cluster import Cluster
from ovcadmin.testing.openvstorage.lists import Kind
from ovcadmin.testing.openvstorage.objects import Disk, Driver, Router, VPool

CACHE_SECONDS = {
    "snapshots": 30,
    "snapshot_ids": 30,
    "info": 60,
    "statistics": 4,
    "storagedriver_id": 60,
    "storagerouter_guid": 15,
    "is_vtemplate": 60,
    "dtl_status": 60,
    "edge_clients": 30,
    "being_scrubbed": 5,
}
COUNTERS = (
    *("data_read", "data_written", "read_operations", "write_operations", "operations"),
    *("data_transferred", "4k_operations", "backend_data_read", "backend_data_written"),
    *("sco_cache_hits", "sco_cache_misses", "cluster_cache_hits", "cluster_cache_misses"),
)


class Views:
    """The kinds of objects, with the caches that make what they say a little old."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._cached: dict[tuple[str, str], tuple[float, Any]] = {}
        self.vdisks = self._vdisks()
        self.vpools = self._vpools()
        self.routers = self._routers()
        self.drivers = Kind(
            Driver.static.fget,  # type: ignore[attr-defined]
            {
                "status": lambda _: "RUNNING",
                "cluster_node_config": lambda driver: {
                    "network_server_uri": f"tcp://{driver.ip}:26203"
                },
                "vdisks_guids": self._served,
            },
            {
                "vpool_guid": lambda driver: driver.vpool_guid,
                "storagerouter_guid": lambda driver: driver.router_guid,
            },
            "name",
        )

    def changed(self, disk: Disk) -> None:
        """Forget what tasks on snapshots and templates invalidate; the rest stays as old as it is.

        So where a volume is served reads as before for a while after it was moved.
        """
        for name in ("snapshots", "snapshot_ids", "is_vtemplate"):
            self._cached.pop((disk.guid, name), None)

    def _served(self, driver: Driver) -> list[str]:
        """The volumes that the driver on one storage router says it serves."""
        faults = self._cluster.faults
        router = self._cluster.routers[driver.router_guid].name
        return [
            disk.guid
            for disk in self._cluster.disks.values()
            if disk.vpool_guid == driver.vpool_guid
            and disk.guid not in faults.halted
            and (disk.router_guid == driver.router_guid or faults.claimed.get(disk.guid) == router)
        ]

    def _vdisks(self) -> Kind:
        own: dict[str, Callable[[Disk], Any]] = {
            "snapshots": self._snapshots,
            "snapshot_ids": lambda disk: [s.guid for s in disk.snapshots],
            "info": self._info,
            "statistics": lambda disk: self.statistics([disk]),
            "storagedriver_id": self._driver_id,
            "storagerouter_guid": self._router_guid,
            "is_vtemplate": lambda disk: disk.template,
            "dtl_status": lambda _: "ok_sync",
            "edge_clients": lambda _: [],
            "being_scrubbed": lambda disk: disk.scrubbed,
        }
        return Kind(
            Disk.static.fget,  # type: ignore[attr-defined]
            {name: self._cache(name, read) for name, read in own.items()},
            {
                "vpool_guid": lambda disk: disk.vpool_guid,
                "parent_vdisk_guid": lambda disk: disk.parent_guid,
                "child_vdisks_guids": lambda disk: [
                    child.guid for child in self._cluster.children(disk.guid)
                ],
                "domains_dtl_guids": lambda _: [],
                "mds_services_guids": lambda _: [],
            },
        )

    def _vpools(self) -> Kind:
        def drivers(pool: VPool) -> list[Driver]:
            return [d for d in self._cluster.drivers.values() if d.vpool_guid == pool.guid]

        def disks(pool: VPool) -> list[Disk]:
            return [d for d in self._cluster.disks.values() if d.vpool_guid == pool.guid]

        return Kind(
            VPool.static.fget,  # type: ignore[attr-defined]
            {
                "configuration": lambda pool: pool.configuration,
                "statistics": lambda pool: self.statistics(disks(pool)),
                "identifier": lambda pool: f"{pool.guid}_{len(drivers(pool))}",
                "extensible": lambda _: [True, []],
                "volume_potentials": lambda pool: {d.router_guid: 1000 for d in drivers(pool)},
            },
            {
                "vdisks_guids": lambda pool: [disk.guid for disk in disks(pool)],
                "storagedrivers_guids": lambda pool: [driver.guid for driver in drivers(pool)],
                "mds_services_guids": lambda _: [],
            },
            "name",
        )

    def _routers(self) -> Kind:
        def away(router: Router) -> bool:
            return router.name in (*self._cluster.faults.refuse, *self._cluster.faults.hang)

        def disks(router: Router) -> list[Disk]:
            return [d for d in self._cluster.disks.values() if d.router_guid == router.guid]

        return Kind(
            Router.static.fget,  # type: ignore[attr-defined]
            {
                "status": lambda router: "FAILURE" if away(router) else "OK",
                "vpools_guids": lambda _: list(self._cluster.vpools),
                "vdisks_guids": lambda router: [disk.guid for disk in disks(router)],
                "statistics": lambda router: self.statistics(disks(router)),
            },
            {
                "storagedrivers_guids": lambda router: [
                    driver.guid
                    for driver in self._cluster.drivers.values()
                    if driver.router_guid == router.guid
                ]
            },
            "name",
        )

    # values

    def _cache(self, name: str, read: Callable[[Disk], Any]) -> Callable[[Disk], Any]:
        def cached(disk: Disk) -> Any:
            ends, value = self._cached.get((disk.guid, name), (0.0, None))
            if ends < time.monotonic():
                value = read(disk)
                self._cached[disk.guid, name] = (time.monotonic() + CACHE_SECONDS[name], value)
            return value

        return cached

    def _snapshots(self, disk: Disk) -> list[dict[str, Any]]:
        return [
            {
                "guid": snapshot.guid,
                "timestamp": snapshot.timestamp,
                "label": snapshot.label,
                "is_consistent": snapshot.is_consistent,
                "is_automatic": snapshot.is_automatic,
                "is_sticky": snapshot.is_sticky,
                "in_backend": self._cluster.in_backend(snapshot),
                "stored": snapshot.stored,
            }
            for snapshot in disk.snapshots
        ]

    def _info(self, disk: Disk) -> dict[str, Any]:
        stored = files.stored(self._cluster.path(disk))
        return {
            "volume_id": disk.volume_id,
            "volume_size": disk.size,
            "lba_size": 512,
            "lba_count": disk.size // 512,
            "cluster_multiplier": 8,
            "failover_mode": "OK_SYNC",
            "halted": disk.guid in self._cluster.faults.halted,
            "footprint": stored,
            "stored": stored + sum(s.stored for s in disk.snapshots),
            "object_type": "TEMPLATE" if disk.template else "BASE",
            "vrouter_id": self._driver_id(disk),
            "live_status": "HALTED" if disk.guid in self._cluster.faults.halted else "RUNNING",
        }

    def statistics(self, disks: list[Disk]) -> dict[str, Any]:
        counters: dict[str, Any] = dict.fromkeys(COUNTERS, 0)
        counters["stored"] = 0
        if not self._cluster.faults.no_statistics:
            written = sum(files.stored(self._cluster.path(disk)) for disk in disks)
            kept = sum(s.stored for disk in disks for s in disk.snapshots)
            counters |= {
                "stored": written + kept,
                "data_written": written,
                "write_operations": written // 4096,
                "operations": written // 4096,
                "data_transferred": written,
            }
        rates = {f"{name}_ps": 0 for name in COUNTERS}
        return counters | rates | {"timestamp": time.time()}

    def _router_guid(self, disk: Disk) -> str | None:
        return None if disk.guid in self._cluster.faults.halted else disk.router_guid

    def _driver_id(self, disk: Disk) -> str | None:
        driver = self._cluster.driver_of(disk.vpool_guid, disk.router_guid)
        return driver.name if driver else None
