"""Snapshots of a vPool's volumes.

They are sticky, because the cluster removes all others at night, and consistent.  A mark in the
label finds a snapshot again whose answer was lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Any
from uuid import uuid4

from ovcadmin import green
from ovcadmin.drivers.storage.base import Memo, SnapshotFacts, VolumeFacts
from ovcadmin.drivers.storage.openvstorage import labels
from ovcadmin.drivers.storage.openvstorage.client import Client, Item
from ovcadmin.errors import StorageFailed, StorageInUse, StorageUnreachable

NEEDED_BY = "child_vdisks,snapshots"
TOO_SOON = "did not make it to the backend yet"


class Snapshots:
    """Mixed into `VPool`."""

    _client: Client
    _find: Callable[..., Item | None]
    _sure: Callable[..., Item]
    _do: Callable[..., Any]
    _begin: Callable[..., str]
    _ended: Callable[..., StorageFailed | None]

    def snapshot(self, key: str, name: str, *, memo: Memo) -> SnapshotFacts:
        mark = memo.get("snapshot") or uuid4().hex[:12]
        memo.set("snapshot", mark)
        disk = self._sure(key, "snapshots")
        end = time.monotonic() + self._client.patience.sync
        while (made := labels.marked(disk, mark)) is None:
            self._await_backend(disk)
            error = self._snap(disk["guid"], {"name": labels.label(name, mark)}, mark, memo)
            disk = self._sure(key, "snapshots")
            if labels.marked(disk, mark) is None:
                memo.set(f"task {mark}", "")
                if not _too_soon(error) or time.monotonic() > end:
                    raise error or StorageFailed(f"The snapshot {name} was made, but is not there.")
                green.sleep(self._client.patience.last_look)
        return labels.snapshot(disk["guid"], made)

    def template(self, key: str, name: str, *, memo: Memo) -> VolumeFacts:
        """Make a snapshot to clone from: what was cloned itself can be no vTemplate there."""
        made = self.snapshot(key, labels.TEMPLATE + name, memo=memo)
        return VolumeFacts(key=made.key, name=name, size=int(self._sure(key)["size"]))

    def _forget_template(self, parent: str, key: str) -> None:
        if self._find(parent) is not None:
            self.delete_snapshot(parent, key)

    def children(self, key: str) -> list[str]:
        parent, _, snapshot = key.partition("@")
        disk = self._find(parent, NEEDED_BY)
        return self._needed_by(disk, snapshot) if disk else []

    def _needed_by(self, disk: Item, snapshot: str = "") -> list[str]:
        """Return the names of the clones of a vDisk or of its snapshot, and of its templates."""
        if snapshot:
            return self._cloned(disk, {snapshot})
        return sorted(self._cloned(disk) + labels.templates(disk["snapshots"]))

    def needed_after(self, key: str, snapshot: str) -> list[str]:
        disk, wanted = self._own(key, snapshot)
        later = disk["snapshots"][disk["snapshots"].index(wanted) + 1 :]
        clones = self._cloned(disk, {item["guid"] for item in later})
        return sorted(clones + labels.templates(later))

    def _cloned(self, disk: Item, snapshots: Collection[str] | None = None) -> list[str]:
        """Return the names of the clones of a vDisk, or of those of some of its snapshots."""
        children = [self._find(guid) or {"name": guid} for guid in disk["child_vdisks_guids"]]
        return sorted(
            str(child["name"])
            for child in children
            if snapshots is None or child.get("parentsnapshot") in snapshots
        )

    def _snap(self, guid: str, body: Item, mark: str, memo: Memo) -> StorageFailed | None:
        """Ask for a snapshot and wait.  Two of one label may exist, so it is never sent twice."""
        path = f"vdisks/{guid}/create_snapshot/"
        wanted = {**body, "sticky": True, "consistent": True}
        try:
            task = self._begin(mark, path, wanted, memo, once=True)
        except StorageUnreachable as error:
            if not error.context.get("unsure"):
                raise
            if self._appears(guid, mark):
                return None
            task = self._begin(mark, path, wanted, memo, once=True)
        return self._ended(task, self._client.patience.task)

    def _appears(self, guid: str, mark: str) -> bool:
        end = time.monotonic() + self._client.patience.appear
        while labels.marked(self._sure(guid, "snapshots"), mark) is None:
            if time.monotonic() > end:
                return False
            green.sleep(self._client.patience.first_look)
        return True

    def snapshots(self, key: str) -> list[SnapshotFacts]:
        found = self._find(key, "snapshots")
        if found is None:
            return []
        ours = [item for item in found["snapshots"] if item["is_sticky"]]
        return [labels.snapshot(found["guid"], item) for item in ours]

    def rollback(self, key: str, snapshot: str) -> None:
        """Later snapshots are gone afterwards; a volume that was grown since keeps its size."""
        disk, wanted = self._own(key, snapshot)
        if needing := self.needed_after(key, snapshot):
            raise StorageInUse(
                f"{disk['name']} cannot be rolled back so far: made of what came after it "
                f"{'is' if len(needing) == 1 else 'are'} {', '.join(needing)}.",
                children=needing,
            )
        twins = [s for s in disk["snapshots"] if s["timestamp"] == wanted["timestamp"]]
        if twins[0]["guid"] != wanted["guid"]:
            raise StorageFailed(
                "Another snapshot was made in the same second, and the cluster would go back to "
                "that one. Delete it first.",
                other=twins[0]["label"],
            )
        self._do(
            f"vdisks/{disk['guid']}/rollback/",
            {"timestamp": wanted["timestamp"]},
            self._client.patience.sync,
        )

    def delete_snapshot(self, key: str, snapshot: str) -> None:
        guid = snapshot.rpartition("@")[2]
        disk = self._sure(key, NEEDED_BY)
        if labels.is_mark(snapshot) and self._appears(disk["guid"], snapshot):
            disk = self._sure(key, NEEDED_BY)
            guid = (labels.marked(disk, snapshot) or {"guid": ""})["guid"]
        if all(item["guid"] != guid for item in disk["snapshots"]):
            labels.ensure_of(disk, snapshot)
            return
        if children := self._needed_by(disk, guid):
            raise in_use(disk, children, what="The snapshot")
        self._do(f"vdisks/{disk['guid']}/remove_snapshot/", {"snapshot_id": guid})

    def _own(self, key: str, snapshot: str) -> tuple[Item, Item]:
        disk = self._sure(key, NEEDED_BY)
        labels.ensure_of(disk, snapshot)
        guid = snapshot.rpartition("@")[2]
        for item in disk["snapshots"]:
            if item["guid"] == guid:
                return disk, item
        raise StorageFailed(f"The snapshot is gone from volume {disk['name']}.")

    def _await_backend(self, disk: Item) -> None:
        """Wait until the last snapshot is in the backend, and its second is over.

        A new one is refused before; two of one second cannot be told apart when rolling back.
        """
        if not disk["snapshots"]:
            return
        last = disk["snapshots"][-1]
        end = time.monotonic() + self._client.patience.sync
        path = f"vdisks/{disk['guid']}/is_volume_synced_up_to_snapshot/"
        while not last["in_backend"] and not self._do(path, {"snapshot_id": last["guid"]}):
            if time.monotonic() > end:
                raise StorageFailed(
                    f"The last snapshot of {disk['name']} has not reached the backend within "
                    f"{self._client.patience.sync:g} seconds. Try again later."
                )
            green.sleep(self._client.patience.last_look)
        if abs(time.time() - float(last["timestamp"])) < 1:
            green.sleep(1)


def _too_soon(error: StorageFailed | None) -> bool:
    """Whether a snapshot came too soon after one that the cluster made by itself meanwhile."""
    return error is not None and TOO_SOON in str(error.context.get("original"))


def in_use(disk: Item, children: list[str], what: str = "") -> StorageInUse:
    return StorageInUse(
        f"{what or 'Volume'} {'of ' if what else ''}{disk['name']} cannot be deleted: made from it "
        f"{'is' if len(children) == 1 else 'are'} {', '.join(children)}.",
        children=children,
    )
