"""Operations run in the test itself, against storage in memory."""

from __future__ import annotations

from datetime import timedelta

from ovcadmin.drivers.downloads.web import WebDownloads
from ovcadmin.drivers.storage.fake import FakePool
from ovcadmin.engine import store
from ovcadmin.engine.run import Run
from ovcadmin.models import Operation, utcnow
from ovcadmin.services import operations
from tests.functional.world import World

LEASE = timedelta(minutes=1)


class Outside:
    """Storage in memory behind the rows, and the web as it is."""

    def __init__(self, *sources: str) -> None:
        self.pools: dict[int, FakePool] = {}
        self._sources = sources

    def storage(self, storage_pool_id: int, _host_id: int) -> FakePool:
        return self.pools.setdefault(storage_pool_id, FakePool())

    def downloads(self) -> WebDownloads:
        return WebDownloads(self._sources)


def run_next(world: World, outside: Outside) -> Operation | None:
    """Run the operation that waits longest; return how it ended, None when none waits."""
    with world.work() as work:
        claimed = store.claim(work.db, "test", utcnow(), LEASE, skip_hosts=[])
    if claimed is None:
        return None
    Run(world.database, world.settings, outside, claimed).execute()
    with world.work() as work:
        return operations.get(work, claimed.id)


def run_all(world: World, outside: Outside) -> list[Operation]:
    ended = []
    while (operation := run_next(world, outside)) is not None:
        ended.append(operation)
    return ended


def nothing_waits(world: World) -> None:
    """End what the making of the world queued."""
    with world.work() as work:
        work.db.query(Operation).update({"state": "done"})
