"""What there is in a cluster: vPools, storage routers, mount points, capacity."""

from __future__ import annotations

from ovcadmin.drivers.storage.base import (
    ClusterFacts,
    MountFacts,
    RouterFacts,
    StoragePoolFacts,
    VPoolFacts,
)
from ovcadmin.drivers.storage.openvstorage.client import Client, Item
from ovcadmin.errors import StorageFailed

RUNNING = "RUNNING"
SHOWN_COUNTERS = ("stored", "data_read", "data_written", "read_operations", "write_operations")


def look(client: Client) -> ClusterFacts:
    """Read all that the console shows of a cluster."""
    root = client.root()
    routers = client.every("storagerouters/", contents="status")
    mounts = client.every("storagedrivers/", contents="status,vpool,storagerouter")
    vpools = [
        {**pool, "statistics": _counters(client, pool)}
        for pool in client.every("vpools/", contents="configuration,statistics")
    ]
    return ClusterFacts(
        release=str((root.get("release") or {}).get("name", "")),
        roles=tuple(root.get("roles", ())),
        routers=tuple(
            RouterFacts(
                guid=item["guid"], name=item["name"], ip=item["ip"],
                status=str(item.get("status", "")),
            )
            for item in routers
        ),
        vpools=tuple(_vpool(item, mounts) for item in vpools),
    )  # fmt: skip


def pool_facts(client: Client, guid: str, capacity: int) -> StoragePoolFacts:
    """How full a vPool is: by the backend's word, or by `capacity` less what is stored."""
    pool = client.get(f"vpools/{guid}/", contents="statistics")
    drivers = client.every("storagedrivers/", vpool_guid=guid, contents="status")
    active = pool["status"] == RUNNING and any(d.get("status") == RUNNING for d in drivers)
    usages = _usages(client, pool)
    if usages is None:
        told = _counters(client, pool)
        available = max(capacity - int(told.get("stored", 0)), 0) if told else None
        return StoragePoolFacts(capacity=capacity, available=available, active=active)
    return StoragePoolFacts(
        capacity=int(usages["size"]), available=int(usages["free"]), active=active
    )


def mountpoint(client: Client, vpool: str, router: str) -> str:
    """Return where the vPool is mounted on a storage router's machine."""
    return str(_driver(client, vpool, router)["mountpoint"]).rstrip("/")


def edge(client: Client, vpool: str, router: str) -> tuple[str, int]:
    """Return address and port at which a storage router serves volumes over the network."""
    driver = _driver(client, vpool, router)
    port = int((driver.get("ports") or {}).get("edge") or 0)
    if not port:
        raise StorageFailed(f"A storage router of {client.name} tells no port of its edge.")
    return str(driver["storage_ip"]), port


def _driver(client: Client, vpool: str, router: str) -> Item:
    """Return the vPool's part on a storage router; any other where it has none."""
    drivers = client.every("storagedrivers/", vpool_guid=vpool, contents="storagerouter")
    here = [d for d in drivers if d["storagerouter_guid"] == router] or drivers
    if not here:
        raise StorageFailed(f"A vPool of storage cluster {client.name} is mounted nowhere.")
    return here[0]


def serving(client: Client, vpool: str, disk: str) -> list[str]:
    """Return the names of the storage routers that say they serve a vDisk."""
    drivers = client.every(
        "storagedrivers/", vpool_guid=vpool, contents="vdisks_guids,storagerouter"
    )
    routers = {one["guid"]: str(one["name"]) for one in client.every("storagerouters/")}
    return sorted(
        routers.get(one["storagerouter_guid"], str(one["name"]))
        for one in drivers
        if disk in one["vdisks_guids"]
    )


def any_router(client: Client, vpool: str) -> str:
    """Return a storage router that serves the vPool."""
    drivers = client.every("storagedrivers/", vpool_guid=vpool, contents="status,storagerouter")
    for driver in drivers:
        if driver.get("status") == RUNNING:
            return str(driver["storagerouter_guid"])
    raise StorageFailed(f"No storage router of {client.name} serves the vPool now.")


def _counters(client: Client, pool: Item) -> Item:
    """Return the counters of a vPool; none when its volume driver does not answer.

    They are all zero then, without an error: nothing is stored, though there are volumes.
    """
    told: Item = pool.get("statistics") or {}
    if told.get("stored"):
        return told
    one = client.get("vdisks/", vpoolguid=pool["guid"], page="1", page_size="10")
    return {} if one["_paging"]["total_items"] else told


def _usages(client: Client, pool: Item) -> Item | None:
    """Ask the plugin that knows the backend; it may be absent, or speak of nothing."""
    backend = (pool.get("metadata") or {}).get("backend") or {}
    guid = (backend.get("backend_info") or backend).get("alba_backend_guid")
    if not guid:
        return None
    try:
        found = client.find(f"alba/backends/{guid}/", contents="usages")
    except StorageFailed:
        return None
    usages = (found or {}).get("usages")
    return usages if isinstance(usages, dict) and usages.get("size") else None


def _vpool(item: Item, drivers: list[Item]) -> VPoolFacts:
    statistics = item.get("statistics") or {}
    return VPoolFacts(
        guid=item["guid"],
        name=item["name"],
        status=item["status"],
        mounts=tuple(
            MountFacts(
                router=driver["storagerouter_guid"],
                mountpoint=driver["mountpoint"],
                status=str(driver.get("status", "")),
                storage_ip=str(driver.get("storage_ip") or ""),
                edge_port=int((driver.get("ports") or {}).get("edge") or 0),
            )
            for driver in drivers
            if driver["vpool_guid"] == item["guid"]
        ),
        configuration=item.get("configuration") or {},
        statistics={name: int(statistics.get(name, 0)) for name in SHOWN_COUNTERS if statistics},
    )
