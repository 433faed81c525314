"""The hosts as this worker reaches them: one link each, and the operations' way to the outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

import gevent
import structlog
from gevent.event import Event
from gevent.lock import BoundedSemaphore

from ovcadmin.config import Settings
from ovcadmin.drivers.hypervisor.libvirt_host import LibvirtHypervisor
from ovcadmin.drivers.storage.base import StorageDriver
from ovcadmin.errors import HostUnresponsive, NotFound, SettingInvalid
from ovcadmin.models import Host, StoragePool
from ovcadmin.models.database import Database
from ovcadmin.services import hosts, seals, storage, watches
from ovcadmin.work import SYSTEM, Work
from ovcadmin.worker import connect
from ovcadmin.worker.clusters import Clusters

logger = structlog.get_logger(__name__)

_WRITERS = BoundedSemaphore(6)
"""Monitors that write at the same time: a thousand of them must leave connections for the leases
of hosts and operations, which are lost when they wait too long."""


@dataclass(kw_only=True, eq=False)
class Link:
    """One host: how it is reached, and whether it answers by the word of its monitor.

    The monitor may run in another worker: then its word is read from the host's row.
    """

    host_id: int
    name: str
    address: tuple[str, str]
    """Its libvirt address and the wanted kind of virtualisation: a change makes a new link."""
    hypervisor: LibvirtHypervisor
    stores: dict[int, StorageDriver] = field(default_factory=dict)
    targets: dict[int, str] = field(default_factory=dict)
    """What each driver was made for: a database may give the number of a row that went again."""
    up: bool = False
    reason: str = ""
    closed: bool = False
    duty: Duty | None = None
    """While this worker is the one that watches it."""
    _settled: Event = field(default_factory=Event, repr=False)

    @property
    def settled(self) -> bool:
        """Whether it is known by now if the host answers."""
        return bool(self._settled.is_set())

    def settle(self, *, up: bool, reason: str = "") -> None:
        self.up, self.reason = up, reason
        self._settled.set()

    def ensure_up(self, patience: float) -> None:
        """Raise `HostUnresponsive` at once when the host is known to be silent."""
        self._settled.wait(patience)
        if not self.up:
            raise HostUnresponsive(
                f"{self.name} does not answer. {self.reason}".strip(), host_id=self.host_id
            )

    def close(self) -> None:
        self.closed = True
        self.settle(up=False, reason="It is not enrolled any more.")
        self.hypervisor.close()


@dataclass(kw_only=True, eq=False)
class Duty:
    """The time in which this worker watches a host: from one lease of it to its end."""

    link: Link
    worker: str
    ended: bool = False
    heard: datetime | None = None
    """When the host answered that it has nothing new, where that is not written down yet."""

    @property
    def over(self) -> bool:
        """Whether its watchers are to end by themselves at their next turn."""
        return self.ended or self.link.closed

    @contextmanager
    def writing(self, database: Database, settings: Settings) -> Iterator[Work]:
        """A short transaction that only commits while this worker watches the host.

        Raises `LeaseLost`.
        """
        with _WRITERS, database.writing() as session:
            work = Work(db=session, actor=SYSTEM, settings=settings)
            watches.ensure(work, self.worker, self.link.host_id)
            yield work


Watcher = Callable[[Duty], None]


class Links:
    """Every enrolled host.  An `Outside` for operations: a silent host refuses at once."""

    def __init__(
        self, database: Database, settings: Settings, name: str, *watchers: Watcher
    ) -> None:
        self._database = database
        self._settings = settings
        self._name = name
        self._watchers = watchers
        self._mine: frozenset[int] = frozenset()
        self._links: dict[int, Link] = {}
        self.clusters = Clusters(database, settings)
        self._vpools: dict[tuple[int, int], StorageDriver] = {}

    def turn(self, trouble: str = "") -> None:
        """Say that this worker is up, renew and take its share of the hosts, and refresh."""
        groups = self._settings.worker_groups
        with self._database.writing() as session:
            work = Work(db=session, actor=SYSTEM, settings=self._settings)
            self._mine = watches.turn(work, self._name, groups, trouble)
            hosts.heard(work, self._heard())
        self.refresh()

    def _heard(self) -> dict[int, datetime]:
        """Return when the hosts of this worker said that they have nothing new, since last asked.

        What is lost with a transaction that fails is said again by the next sweep.
        """
        found = {}
        for host_id in self._mine & self._links.keys():
            duty = self._links[host_id].duty
            if duty is not None and duty.heard is not None:
                found[host_id], duty.heard = duty.heard, None
        return found

    def refresh(self) -> None:
        """Bring the links in line with the rows: new hosts, changed ones, gone ones."""
        with self._database.reading() as session:
            work = Work(db=session, actor=SYSTEM, settings=self._settings)
            rows = {host.id: host for host in hosts.watched(work)}
            stores = storage.listing(work)
            passwords = {
                store.id: _password(work, store) for store in stores if store.sealed_secret
            }
            self._vpools = self.clusters.drivers(work, stores)
        for host_id, link in list(self._links.items()):
            row = rows.get(host_id)
            if row is None or link.address != _address(row):
                del self._links[host_id]
                link.close()
                logger.info("host.dropped", host=link.name)
        for host_id, row in rows.items():
            if host_id not in self._links:
                self._links[host_id] = self._open(row)
        reached: dict[int, dict[int, StoragePool]] = {}
        for store in stores:
            for host in store.hosts:
                reached.setdefault(host.id, {})[store.id] = store
        for host_id, link in self._links.items():
            self._attach_stores(link, reached.get(host_id, {}), passwords)
            self._assign(link, rows[host_id])

    def _assign(self, link: Link, row: Host) -> None:
        """Begin or end the watch over a host; of one that another worker watches take its word."""
        if link.host_id in self._mine:
            if link.duty is None:
                link.duty = Duty(link=link, worker=self._name)
                for watcher in self._watchers:
                    gevent.spawn(watcher, link.duty)
            return
        if link.duty is not None:
            logger.info("host.handed_over", host=link.name)
            link.duty.ended = True
            link.duty = None
        if row.state != "new":
            link.settle(up=row.answers, reason=row.state_reason)

    def duties(self) -> list[Duty]:
        """Return the watch over each host that this worker watches."""
        return [link.duty for link in self._links.values() if link.duty is not None]

    def hypervisor(self, host_id: int) -> LibvirtHypervisor:
        link = self._link(host_id)
        link.ensure_up(self._settings.host_deadline_seconds)
        return link.hypervisor

    def storage(self, storage_pool_id: int, host_id: int) -> StorageDriver:
        link = self._link(host_id)
        link.ensure_up(self._settings.host_deadline_seconds)
        if link.targets.get(storage_pool_id) != self._target(storage_pool_id):
            self.refresh()
        if storage_pool_id not in link.stores:
            raise NotFound(f"{link.name} does not reach this storage pool.")
        return link.stores[storage_pool_id]

    def _target(self, storage_pool_id: int) -> str | None:
        with self._database.reading() as session:
            row = session.get(StoragePool, storage_pool_id)
            return row.target if row is not None else None

    def close(self) -> None:
        for link in self._links.values():
            link.close()
        self._links.clear()

    def _link(self, host_id: int) -> Link:
        if host_id not in self._links:
            self.refresh()
        if host_id not in self._links:
            raise NotFound("The host is not enrolled any more.", host_id=host_id)
        return self._links[host_id]

    def _open(self, row: Host) -> Link:
        return Link(
            host_id=row.id,
            name=row.name,
            address=_address(row),
            hypervisor=connect.hypervisor(row, self._settings),
        )

    def _attach_stores(
        self, link: Link, reached: Mapping[int, StoragePool], passwords: Mapping[int, str]
    ) -> None:
        for store_id in list(link.stores):
            if store_id not in reached or link.targets[store_id] != reached[store_id].target:
                del link.stores[store_id], link.targets[store_id]
        for store_id, store in reached.items():
            if vpool := self._vpools.get((store_id, link.host_id)):
                link.stores[store_id], link.targets[store_id] = vpool, store.target
            elif store_id not in link.stores and store.cluster_id is None:
                link.targets[store_id] = store.target
                link.stores[store_id] = connect.storage(
                    store, link.hypervisor, passwords.get(store_id, "")
                )


def _password(work: Work, store: StoragePool) -> str:
    """Return the secret of a storage pool; with the wrong key none, and only it will be refused."""
    try:
        return seals.unseal(work, store.sealed_secret or "")
    except SettingInvalid as error:
        logger.warning("storage.sealed", store=store.name, text=error.text)
        return ""


def _address(row: Host) -> tuple[str, str]:
    return row.uri, row.virt_type_setting
