"""Volumes that go from one storage pool to another, perhaps on another host."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from ovcadmin.drivers.hypervisor import volumes
from ovcadmin.drivers.hypervisor.connection import Link
from ovcadmin.drivers.hypervisor.volumes import Transfer
from ovcadmin.drivers.storage.base import Memo, Progress, StorageDriver, VolumeFacts
from ovcadmin.errors import StorageFailed

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Outlet:
    """A volume to be read: bytes in all, bytes that are no holes, and how it is opened."""

    size: int
    content: int
    open: Callable[[], AbstractContextManager[Any]]
    """Called in the thread that copies."""


class LibvirtTakes:
    """Mixed into `LibvirtPool`: bytes go through this process, holes do not."""

    _bulk: Link
    _pool: Callable[[Any], Any]
    _existing: Callable[[str], VolumeFacts]
    _ensure_room: Callable[[str, int], None]
    _make_once: Callable[[str, Memo, Callable[[], None]], VolumeFacts]
    _move: Callable[[Callable[[Any], Any], Transfer, Progress], Any]
    _call: Callable[[Callable[[Any], Any]], Any]

    def take(
        self, source: StorageDriver, key: str, name: str, *, memo: Memo, progress: Progress
    ) -> VolumeFacts:
        if not isinstance(source, LibvirtTakes):
            raise StorageFailed(f"{key} lives in storage of another kind, which cannot be copied.")

        def make() -> None:
            outlet = source.outlet(key)
            self._ensure_room(name, outlet.content)
            self._call(lambda pool: volumes.create(pool, name, outlet.size))
            transfer = Transfer(total=outlet.size)

            def copy(conn: Any) -> None:
                there = self._pool(conn).storageVolLookupByName(name)
                with outlet.open() as here:
                    volumes.copy(conn, here, there, transfer)

            self._move(copy, transfer, progress)

        return self._make_once(name, memo, make)

    def outlet(self, key: str) -> Outlet:
        """Return what another pool needs to read a volume of this one."""
        content = self._call(lambda pool: volumes.content(pool.storageVolLookupByName(key)))
        self._bulk.open()
        return Outlet(
            size=self._existing(key).size, content=content, open=partial(self._opened, key)
        )

    @contextmanager
    def _opened(self, key: str) -> Iterator[Any]:
        """Its own connection: this host sends there while the other one takes the bytes."""
        with self._bulk.lent() as line:
            yield self._pool(line.conn).storageVolLookupByName(key)
