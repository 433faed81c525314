"""The OpenvStorage clusters as this worker reaches them: one client each, and the looks at them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import structlog
from gevent.pool import Pool as Crew

from ovcadmin.config import Settings
from ovcadmin.drivers.storage.base import StorageDriver
from ovcadmin.drivers.storage.openvstorage import survey
from ovcadmin.drivers.storage.openvstorage.client import Client
from ovcadmin.drivers.storage.openvstorage.driver import VPool
from ovcadmin.drivers.storage.openvstorage.settings import ClusterSettings
from ovcadmin.errors import DomainError
from ovcadmin.models import Host, StoragePool
from ovcadmin.models.database import Database
from ovcadmin.services import clusters, vpools
from ovcadmin.services.clusters import Contact
from ovcadmin.work import Work

if TYPE_CHECKING:
    from ovcadmin.worker.chores import Chores

logger = structlog.get_logger(__name__)


class Clusters:
    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._kept: dict[int, tuple[Contact, Client]] = {}

    def drivers(
        self, work: Work, stores: Iterable[StoragePool]
    ) -> dict[tuple[int, int], StorageDriver]:
        """Return the drivers of all vPools, by storage pool and host that uses it."""
        found: dict[tuple[int, int], StorageDriver] = {}
        for store in stores:
            if store.cluster_id is None:
                continue
            try:
                for host in store.hosts:
                    found[store.id, host.id] = self._driver(work, store, host)
            except DomainError as error:
                logger.warning("cluster.unusable", store=store.name, text=error.text)
        return found

    def _driver(self, work: Work, store: StoragePool, host: Host) -> VPool:
        assert store.cluster_id is not None
        contact = clusters.contact(work, clusters.get(work, store.cluster_id))
        return VPool(
            self.client(contact),
            store.target,
            routers=vpools.routers(work, store),
            at=host.hostname,
            capacity=store.declared,
            edge=store.source.get("access") == vpools.EDGE,
        )

    def client(self, contact: Contact) -> Client:
        """Return the one client of a cluster in this process; a changed contact makes a new one."""
        kept = self._kept.get(contact.cluster_id)
        if kept and kept[0] == contact:
            return kept[1]
        settings = ClusterSettings(
            name=contact.name,
            addresses=contact.addresses,
            client_id=contact.client_id,
            client_secret=contact.secret,
            authority=contact.authority,
            fingerprints=contact.fingerprints,
        )
        made = Client(settings, self._settings.data_dir / f"cluster-{contact.cluster_id}.token")
        self._kept[contact.cluster_id] = (contact, made)
        return made


def look(chores: Chores) -> None:
    """Ask every cluster whose turn it is; one that hangs holds up no other."""
    with chores.work() as work:
        if not any(cluster.look_at <= work.now() for cluster in clusters.listing(work)):
            return
    crew = Crew()
    with chores.work(write=True) as work:
        for cluster in clusters.due(work):
            try:
                crew.spawn(_look, chores, clusters.contact(work, cluster))
            except DomainError as error:
                clusters.silent(work, cluster.id, error)
    crew.join()


def _look(chores: Chores, contact: Contact) -> None:
    try:
        facts = survey.look(chores.clusters.client(contact))
    except DomainError as error:
        logger.warning("cluster.silent", cluster=contact.name, code=error.code, text=error.text)
        with chores.work(write=True) as work:
            clusters.silent(work, contact.cluster_id, error)
        return
    with chores.work(write=True) as work:
        clusters.observed(work, contact.cluster_id, facts)
