"""The simulated cluster: its objects, what tasks do to them, and what the volume driver allows.

One lock guards the objects.  Bytes are copied outside of it; a name that is being made is taken.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ovcadmin.testing.openvstorage import files, rules
from ovcadmin.testing.openvstorage.faults import Faults
from ovcadmin.testing.openvstorage.objects import Disk, Driver, Router, Snapshot, VPool, new_guid
from ovcadmin.testing.openvstorage.plan import Plan
from ovcadmin.testing.openvstorage.rules import Refused

SYNC_SECONDS = 300
"""How long a clone waits for its snapshot to reach the backend."""
LOOK_SECONDS = 0.02


class Cluster:
    def __init__(self, plan: Plan, faults: Faults) -> None:
        self.plan = plan
        self.faults = faults
        self.lock = threading.RLock()
        self.routers: dict[str, Router] = {}
        self.vpools: dict[str, VPool] = {}
        self.drivers: dict[str, Driver] = {}
        self.disks: dict[str, Disk] = {}
        self._making: set[tuple[str, str]] = set()
        self._state = plan.data / "state.json"
        plan.data.mkdir(parents=True, exist_ok=True)
        self._load()

    # what is there

    def vpool(self, name: str) -> VPool:
        return next(pool for pool in self.vpools.values() if pool.name == name)

    def router(self, name: str) -> Router:
        return next(router for router in self.routers.values() if router.name == name)

    def disk(self, guid: str) -> Disk:
        return self.disks[guid]

    def named(self, name: str) -> Disk | None:
        """A vDisk by the name of it, for tests."""
        return next((disk for disk in self.disks.values() if disk.name == name), None)

    def path(self, disk: Disk) -> Path:
        vpool = self.vpools[disk.vpool_guid]
        return self.plan.mountpoint(vpool.name) / disk.devicename.lstrip("/")

    def children(self, guid: str, snapshot: str | None = None) -> list[Disk]:
        return [
            disk
            for disk in self.disks.values()
            if disk.parent_guid == guid and snapshot in (None, disk.parentsnapshot)
        ]

    def driver_of(self, vpool_guid: str, router_guid: str) -> Driver | None:
        for driver in self.drivers.values():
            if (driver.vpool_guid, driver.router_guid) == (vpool_guid, router_guid):
                return driver
        return None

    def name_taken(self, vpool_guid: str, name: str) -> bool:
        device = rules.devicename(name)
        return (vpool_guid, device) in self._making or any(
            (disk.vpool_guid, disk.devicename) == (vpool_guid, device)
            for disk in self.disks.values()
        )

    def in_backend(self, snapshot: Snapshot) -> bool:
        return time.time() >= snapshot.arrives

    # volumes

    def create(self, vpool_guid: str, router_guid: str, wanted: dict[str, Any]) -> str:
        rules.ensure_ratio(wanted.get("pagecache_ratio"))
        size = rules.checked_size(wanted["size"])
        disk = Disk(name=wanted["name"], size=size, vpool_guid=vpool_guid, router_guid=router_guid)
        with self._new(disk):
            files.make(self.path(disk), size)
        return disk.guid

    def clone(
        self, parent: Disk, router_guid: str, name: str, snapshot_id: str | None
    ) -> dict[str, str]:
        disk = self._child(parent, router_guid, name)
        with self.lock:
            if self.name_taken(parent.vpool_guid, name):
                raise Refused(self._taken(parent.vpool_guid))
            own = snapshot_id is None
            if own:
                snapshot_id = self._snap(parent, Snapshot(is_automatic=True)).guid
            snapshot = next((s for s in parent.snapshots if s.guid == snapshot_id), None)
        if snapshot is None:
            raise Refused(f"Verifying if vDisk {parent.name} is synced up to snapshot failed")
        disk.parentsnapshot = snapshot.guid
        try:
            self._await_backend(parent, snapshot)
            with self._new(disk):
                files.copy(self.snapshot_file(snapshot), self.path(disk), disk.size)
        except Refused:
            if own:
                self._drop_snapshot(parent, snapshot)
            raise
        return self._made(disk)

    def create_from_template(self, parent: Disk, router_guid: str, name: str) -> dict[str, str]:
        if not parent.template:
            raise Refused("The given vDisk is not a vTemplate")
        disk = self._child(parent, router_guid, name)
        with self._new(disk):
            files.copy(self.path(parent), self.path(disk), disk.size)
        return self._made(disk)

    def delete(self, disk: Disk) -> None:
        with self.lock:
            if disk.guid not in self.disks:
                return
            if self.children(disk.guid):
                raise Refused(f"vDisk {disk.name} has clones, cannot delete")
            del self.disks[disk.guid]
            self._save()
        for snapshot in disk.snapshots:
            self.snapshot_file(snapshot).unlink(missing_ok=True)
        self.path(disk).unlink(missing_ok=True)

    def extend(self, disk: Disk, new_size: int) -> None:
        size = rules.checked_size(new_size)
        with self.lock:
            if size < disk.size:
                raise Refused("Shrinking is not possible")
            if disk.guid in self.faults.halted:
                raise Refused(f"Volume {disk.name} is not running, cannot extend")
            files.grow(self.path(disk), size)
            disk.size = size
            self._save()

    def move(self, disk: Disk, router_guid: str) -> None:
        if router_guid not in self.routers:
            raise Refused(f"StorageRouter with guid '{router_guid}' could not be found")
        if self.driver_of(disk.vpool_guid, router_guid) is None:
            raise Refused(f"Failed to find the matching StorageDriver for vdisk {disk.name}")
        if disk.guid in self.faults.halted:
            raise Refused(f"Failed to move vDisk {disk.name}")
        with self.lock:
            disk.router_guid = router_guid
            self._save()

    def set_as_template(self, disk: Disk) -> None:
        with self.lock:
            if disk.template:
                return
            if disk.parent_guid:
                raise Refused(f"vDisk {disk.name} has been cloned, cannot convert to vTemplate")
            newest = disk.snapshots[-1:]
            for old in disk.snapshots[:-1]:
                self.snapshot_file(old).unlink(missing_ok=True)
            disk.snapshots = newest or [self._snap(disk, Snapshot(is_automatic=True))]
            disk.template = True
            self._save()

    # snapshots

    def snapshot_file(self, snapshot: Snapshot) -> Path:
        return self.plan.data / "snapshots" / snapshot.guid

    def create_snapshot(self, disk: Disk, wanted: Snapshot) -> str:
        with self.lock:
            if disk.template:
                raise Refused("Templated Volume, snapshot creation forbidden")
            return self._snap(disk, wanted).guid

    def remove_snapshot(self, disk: Disk, guid: str) -> None:
        with self.lock:
            snapshot = next((s for s in disk.snapshots if s.guid == guid), None)
            if snapshot is None:
                raise Refused(f"Snapshot {guid} does not belong to vDisk {disk.name}")
            count = len(self.children(disk.guid, guid))
            if count:
                word = "volume" if count == 1 else "volumes"
                raise Refused(f"Snapshot {guid} has {count} {word} cloned from it, cannot remove")
            if disk.scrubbed:
                raise Refused("VDisk is being scrubbed. Unable to remove snapshots at this time")
            self._drop_snapshot(disk, snapshot)

    def rollback(self, disk: Disk, timestamp: str) -> bool:
        """Bring back the bytes.  A volume that was grown since keeps its size."""
        with self.lock:
            found = [n for n, s in enumerate(disk.snapshots) if s.timestamp == str(timestamp)]
            if not found:
                raise Refused(f"No snapshot found for timestamp {timestamp}")
            later = disk.snapshots[found[0] + 1 :]
            if any(self.children(disk.guid, s.guid) for s in later):
                raise Refused(
                    f"Failed to restore {disk.name}: More recent snapshot still has children"
                )
            files.copy(self.snapshot_file(disk.snapshots[found[0]]), self.path(disk), disk.size)
            for snapshot in later:
                self._drop_snapshot(disk, snapshot)
            self._save()
        return True

    # behind our back

    def hourly(self) -> None:
        """Snapshot every vDisk, as the real scheduler does each hour."""
        with self.lock:
            for disk in self.disks.values():
                if not disk.template:
                    self._snap(disk, Snapshot(is_automatic=True), patient=True)

    def retention(self) -> None:
        """Remove what the nightly job removes: all that is neither sticky nor cloned from."""
        with self.lock:
            for disk in [disk for disk in self.disks.values() if not disk.template]:
                for snapshot in list(disk.snapshots):
                    if not snapshot.is_sticky and not self.children(disk.guid, snapshot.guid):
                        self._drop_snapshot(disk, snapshot)

    def sync(self) -> None:
        """Take in the volumes that somebody made or removed by hand on the mount points."""
        with self.lock:
            for vpool in self.vpools.values():
                mount = self.plan.mountpoint(vpool.name)
                known = {self.path(disk) for disk in self.disks.values()}
                for path in sorted(mount.rglob(f"*{rules.SUFFIX}")):
                    device = f"/{path.relative_to(mount)}"
                    if path not in known and (vpool.guid, device) not in self._making:
                        self._adopt(vpool, path, device)
            for disk in [disk for disk in self.disks.values() if not self.path(disk).exists()]:
                del self.disks[disk.guid]
            self._save()

    # how

    def _adopt(self, vpool: VPool, path: Path, device: str) -> None:
        disk = Disk(
            name=path.name.removesuffix(rules.SUFFIX), size=path.stat().st_size,
            devicename=device, vpool_guid=vpool.guid, router_guid=next(iter(self.routers)),
        )  # fmt: skip
        self.disks[disk.guid] = disk

    def _child(self, parent: Disk, router_guid: str, name: str) -> Disk:
        if self.driver_of(parent.vpool_guid, router_guid) is None:
            raise Refused(f"Could not use the given StorageRouter: {router_guid}")
        return Disk(
            name=name, size=parent.size, vpool_guid=parent.vpool_guid, router_guid=router_guid,
            parent_guid=parent.guid,
        )  # fmt: skip

    def _made(self, disk: Disk) -> dict[str, str]:
        return {
            "vdisk_guid": disk.guid, "name": disk.name, "backingdevice": disk.devicename,
        }  # fmt: skip

    def _taken(self, vpool_guid: str) -> str:
        return f"A vDisk with this name already exists on vPool {self.vpools[vpool_guid].name}"

    @contextmanager
    def _new(self, disk: Disk) -> Iterator[None]:
        """Take the name while bytes are made; the object appears when they are there."""
        disk.devicename = rules.devicename(disk.name)
        place = (disk.vpool_guid, disk.devicename)
        with self.lock:
            if self.name_taken(disk.vpool_guid, disk.name):
                raise Refused(self._taken(disk.vpool_guid))
            self._making.add(place)
        try:
            yield
            with self.lock:
                self.disks[disk.guid] = disk
                self._save()
        except BaseException:
            self.path(disk).unlink(missing_ok=True)
            raise
        finally:
            with self.lock:
                self._making.discard(place)

    def _snap(self, disk: Disk, snapshot: Snapshot, *, patient: bool = False) -> Snapshot:
        last = disk.snapshots[-1] if disk.snapshots else None
        if last is not None and not self.in_backend(last):
            if patient:
                return last
            raise Refused("Previously created snapshot did not make it to the backend yet")
        now = time.time()
        snapshot.timestamp = str(int(now))
        snapshot.arrives = now + self.plan.backend_seconds
        files.copy(self.path(disk), self.snapshot_file(snapshot))
        snapshot.stored = files.stored(self.snapshot_file(snapshot))
        disk.snapshots.append(snapshot)
        self._save()
        return snapshot

    def _drop_snapshot(self, disk: Disk, snapshot: Snapshot) -> None:
        with self.lock:
            if snapshot in disk.snapshots:
                disk.snapshots.remove(snapshot)
            self.snapshot_file(snapshot).unlink(missing_ok=True)
            self._save()

    def _await_backend(self, disk: Disk, snapshot: Snapshot) -> None:
        end = time.monotonic() + SYNC_SECONDS
        while not self.in_backend(snapshot):
            if time.monotonic() > end:
                raise Refused(
                    f"Snapshot {snapshot.guid} of volume {disk.volume_id} still not synced to "
                    "backend, not waiting any longer"
                )
            time.sleep(LOOK_SECONDS)

    # what is kept

    def _save(self) -> None:
        kept = {
            "routers": {r.name: r.guid for r in self.routers.values()},
            "vpools": {p.name: [p.guid, p.backend_guid] for p in self.vpools.values()},
            "disks": [asdict(disk) for disk in self.disks.values()],
        }
        fresh = self._state.with_suffix(".new")
        fresh.write_text(json.dumps(kept), encoding="utf-8")
        fresh.rename(self._state)

    def _load(self) -> None:
        kept: dict[str, Any] = {"routers": {}, "vpools": {}, "disks": []}
        if self._state.exists():
            kept = json.loads(self._state.read_text(encoding="utf-8"))
        for name, address in self.plan.routers.items():
            guid = kept["routers"].get(name) or new_guid()
            self.routers[guid] = Router(guid=guid, name=name, ip=address.rpartition(":")[0])
        for name in self.plan.vpools:
            guid, backend = kept["vpools"].get(name) or (new_guid(), new_guid())
            self.vpools[guid] = VPool(guid=guid, name=name, backend_guid=backend)
            self._extend_vpool(guid, name)
        for row in kept["disks"]:
            snapshots = [Snapshot(**one) for one in row.pop("snapshots")]
            self.disks[row["guid"]] = Disk(**row, snapshots=snapshots)
        self._save()

    def _extend_vpool(self, guid: str, name: str) -> None:
        mountpoint = self.plan.mountpoint(name)
        mountpoint.mkdir(parents=True, exist_ok=True)
        for router in self.routers.values():
            driver = Driver(
                vpool_guid=guid, router_guid=router.guid, name=f"{name}{router.name}",
                ip=router.ip, mountpoint=str(mountpoint),
            )  # fmt: skip
            self.drivers[driver.guid] = driver
