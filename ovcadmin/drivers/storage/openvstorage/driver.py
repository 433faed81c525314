"""A vPool behind the storage contract.

Keys: a volume's is the guid of its vDisk; a snapshot's is `<vDisk>@<snapshot>`.  Where a key is
asked for, the name of a volume will do, because a step that died may know no more.

Nothing is made twice.  Names are unique in a vPool, so who asks twice finds what he made; a
snapshot carries a mark in its label for the same purpose.  The id of the task under way stands in
the step's memo: a worker that takes the step over goes on waiting for the same task.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from ovcadmin import green
from ovcadmin.drivers.hypervisor.base import DiskSpec
from ovcadmin.drivers.storage.base import (
    Memo,
    Progress,
    StoragePoolFacts,
    VolumeFacts,
)
from ovcadmin.drivers.storage.openvstorage import survey
from ovcadmin.drivers.storage.openvstorage.client import Client, Item
from ovcadmin.drivers.storage.openvstorage.content import Content
from ovcadmin.drivers.storage.openvstorage.conversion import BaseImages, facts
from ovcadmin.drivers.storage.openvstorage.snapshots import NEEDED_BY, Snapshots, in_use
from ovcadmin.errors import StorageFailed, StorageTaskLost

BLOCK = 4096
"""Sizes are whole clusters of this."""
LARGEST = 64 * 2**40

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def whole_blocks(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


class VPool(BaseImages, Snapshots):
    """`routers` maps hosts (by hostname) to the guids of the storage routers on them.

    `at` is the host from which the disks are used: its mount point counts.  `capacity` stands in
    where the cluster does not tell its own, bytes.  With `edge` guests open volumes by the network
    address of a storage router instead of a file: QEMU needs OpenvStorage's own driver for it.
    """

    def __init__(
        self,
        client: Client,
        guid: str,
        *,
        routers: Mapping[str, str],
        at: str = "",
        capacity: int = 0,
        edge: bool = False,
    ) -> None:
        self._client = client
        self._guid = guid
        self._routers = routers
        self._at = at
        self._capacity = capacity
        self._edge = edge
        self._content = Content(client.threads)

    def facts(self) -> StoragePoolFacts:
        return survey.pool_facts(self._client, self._guid, self._capacity)

    def volumes(self) -> list[VolumeFacts]:
        return [facts(item) for item in self._client.every("vdisks/", vpoolguid=self._guid)]

    def volume(self, key: str) -> VolumeFacts | None:
        found = self._find(key)
        return facts(found) if found else None

    def create(self, name: str, size: int, *, host: str, memo: Memo) -> VolumeFacts:
        body = {
            "name": name,
            "size": _sized(size),
            "vpool_guid": self._guid,
            "storagerouter_guid": self._router(host),
        }
        return self._make(name, "vdisks/", body, memo, self._client.patience.task)

    def clone(
        self, template: str, name: str, *, size: int, host: str, memo: Memo, progress: Progress
    ) -> VolumeFacts:
        parent, _, snapshot = template.partition("@")
        origin = self._sure(parent, "is_vtemplate")
        body: Item = {"name": name, "storagerouter_guid": self._router(host)}
        verb = "create_from_template" if origin["is_vtemplate"] else "clone"
        if snapshot:
            body["snapshot_id"] = snapshot
        made = self._make(
            name,
            f"vdisks/{origin['guid']}/{verb}/",
            body,
            memo,
            self._client.patience.sync,
            parent=origin["guid"],
            progress=progress,
        )
        if size > made.size:
            self.grow(made.key, size)
            made = facts(self._sure(made.key))
        return made

    def grow(self, key: str, size: int) -> None:
        now = self._sure(key)
        if size < now["size"]:
            raise StorageFailed(
                f"{now['name']} has {now['size']} bytes; a volume cannot shrink to {size}."
            )
        if (wanted := _sized(size)) > now["size"]:
            self._do(f"vdisks/{now['guid']}/extend/", {"new_size": wanted})

    def delete(self, key: str, *, memo: Memo | None = None) -> None:
        parent, _, snapshot = key.partition("@")
        if snapshot:
            self._forget_template(parent, key)
            return
        found = self._find(key, NEEDED_BY) or self._late(key, memo)
        if found is None:
            return
        if children := self._needed_by(found):
            raise in_use(found, children)
        try:
            self._do(f"vdisks/{found['guid']}/delete/")
        except StorageFailed:
            if self._find(found["guid"]) is not None:
                raise

    def move(self, key: str, host: str) -> None:
        """Have the volume served by the storage router of `host`; safe to ask for again.

        Where it is served now is told up to a quarter of a minute late, so that is not looked at.
        """
        wanted = {"target_storagerouter_guid": self._router(host)}
        self._do(f"vdisks/{self._sure(key)['guid']}/move/", wanted)

    def ensure_served(self, key: str) -> None:
        found = self._sure(key)
        end = time.monotonic() + self._client.patience.stale
        while len(said := survey.serving(self._client, self._guid, found["guid"])) != 1:
            if time.monotonic() > end:
                raise _not_by_one(str(found["name"]), said, self._client.name)
            green.sleep(self._client.patience.last_look)

    def disk(self, key: str, *, target: str, boot_order: int | None) -> DiskSpec:
        if not self._edge:
            return DiskSpec(source=self._path(key), target=target, boot_order=boot_order)
        device = str(self._sure(key)["devicename"])
        return DiskSpec(
            source=device.removeprefix("/").removesuffix(".raw"),
            target=target,
            boot_order=boot_order,
            kind="network",
            server=survey.edge(self._client, self._guid, self._routers.get(self._at, "")),
        )

    # how

    def _find(self, key: str, contents: str = "") -> Item | None:
        """Return a vDisk by guid or by name, None when there is none."""
        if _GUID.fullmatch(key):
            return self._client.find(f"vdisks/{key}/", contents=contents)
        query = json.dumps({"type": "AND", "items": [["name", "EQUALS", key]]})
        found = self._client.get("vdisks/", vpoolguid=self._guid, contents=contents, query=query)[
            "data"
        ]
        return found[0] if found else None

    def _sure(self, key: str, contents: str = "") -> Item:
        found = self._find(key, contents)
        if found is None:
            raise StorageFailed(f"Storage cluster {self._client.name} has no volume {key}.")
        return found

    def _path(self, key: str) -> str:
        device = str(self._sure(key)["devicename"])
        wanted = self._routers.get(self._at, "")
        return survey.mountpoint(self._client, self._guid, wanted) + device

    def _router(self, host: str) -> str:
        """Return the storage router of a host; of none in particular, any that runs."""
        if host in self._routers:
            return self._routers[host]
        if host:
            raise StorageFailed(
                f"No storage router of {self._client.name} is known to stand on host {host}. Say "
                "which one does on the storage pool's page.",
                host=host,
            )
        return survey.any_router(self._client, self._guid)

    def _do(self, path: str, body: Item | None = None, seconds: float = 0) -> Any:
        task = self._client.post(path, body)
        return self._client.finish(task, seconds or self._client.patience.task)

    def _begin(self, note: str, path: str, body: Item, memo: Memo, *, once: bool = False) -> str:
        """Return the task of a change: the one that an earlier attempt began, or a new one."""
        if task := memo.get(f"task {note}"):
            return task
        memo.set(f"asked {note}", "yes")
        task = self._client.post(path, body, once=once)
        memo.set(f"task {note}", task)
        return task

    def _ended(
        self, task: str, seconds: float, enough: Callable[[], bool] = lambda: False
    ) -> StorageFailed | None:
        """Wait for a task; return what it failed with, because what it made may be there still."""
        try:
            self._client.finish(task, seconds, enough)
        except StorageFailed as error:
            return error
        return None

    def _make(
        self,
        name: str,
        path: str,
        body: Item,
        memo: Memo,
        seconds: float,
        *,
        parent: str | None = None,
        progress: Progress = lambda _: None,
    ) -> VolumeFacts:
        """Have a volume made, unless it is there already."""
        made = self._find(name, "parent_vdisk")
        if made is None:
            task = self._begin(name, path, body, memo)
            error = self._ended(task, seconds, self._watch(name, seconds, progress))
            made = self._find(name, "parent_vdisk") or self._shown(name, error)
        if made is None:
            memo.set(f"task {name}", "")
            raise error or StorageTaskLost(f"Volume {name} was made, but is not there.")
        if parent is not None and made["parent_vdisk_guid"] != parent:
            raise StorageFailed(f"There is another volume {name} already.", volume=made["guid"])
        return facts(made)

    def _watch(self, name: str, seconds: float, progress: Progress) -> Callable[[], bool]:
        """Tell how far a task is, and from time to time whether it has done its work unnoticed."""
        begun = looked = time.monotonic()

        def enough() -> bool:
            nonlocal looked
            now = time.monotonic()
            progress(min((now - begun) / seconds, 0.9))
            if now - looked < self._client.patience.appear:
                return False
            looked = now
            return self._find(name) is not None

        return enough

    def _shown(self, name: str, error: StorageFailed | None) -> Item | None:
        """Wait for what an earlier call, whose answer was lost, is still making."""
        taken = error is not None and "already exists" in str(error.context.get("original"))
        return self._await(name) if taken else None

    def _late(self, key: str, memo: Memo | None) -> Item | None:
        """Return what the step of this memo asked for, once it is there, so that it can go."""
        if memo is None or not memo.get(f"asked {key}"):
            return None
        if task := memo.get(f"task {key}"):
            self._ended(task, self._client.patience.task)
            return self._find(key, NEEDED_BY)
        return self._await(key)

    def _await(self, name: str) -> Item | None:
        end = time.monotonic() + self._client.patience.appear
        while (found := self._find(name, f"parent_vdisk,{NEEDED_BY}")) is None and (
            time.monotonic() < end
        ):
            green.sleep(self._client.patience.first_look)
        return found


def _not_by_one(name: str, said: list[str], cluster: str) -> StorageFailed:
    why = (
        f"The storage routers of {cluster} disagree: {' and '.join(said)} each say that they "
        f"serve volume {name}, and two writers would ruin it. Have the volume restarted on one "
        "of them, then start the machine again."
        if said
        else f"No storage router of {cluster} serves volume {name}: it is halted. Have it "
        "restarted there, then start the machine again."
    )
    return StorageFailed(why, volume=name, routers=said)


def _sized(size: int) -> int:
    wanted = whole_blocks(size)
    if not 0 < wanted <= LARGEST:
        raise StorageFailed(f"A volume has between 1 byte and 64 TiB, not {size} bytes.")
    return wanted
