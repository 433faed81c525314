"""Asks the storage pools of one host now and then how full they are."""

from __future__ import annotations

import gevent
import structlog
from sqlalchemy.orm import Session

from ovcadmin.config import Settings
from ovcadmin.errors import NotFound, OutsideError
from ovcadmin.models.database import Database
from ovcadmin.services import storage, storage_changes
from ovcadmin.work import SYSTEM, Work
from ovcadmin.worker.links import Duty

logger = structlog.get_logger(__name__)

EVERY_SECONDS = 30.0
LOOK_SECONDS = 1.0
"""A pool that was attached just now is asked this soon: nothing is placed on it before."""


class StoreWatch:
    """In a greenlet of its own: a pool whose path hangs must not make its host look silent."""

    def __init__(self, database: Database, settings: Settings, duty: Duty) -> None:
        self._database = database
        self._settings = settings
        self._duty = duty
        self._link = duty.link
        self._asked: set[int] = set()

    def run(self) -> None:
        waited = 0.0
        while not self._duty.over:
            if self._link.up:
                if waited >= EVERY_SECONDS:
                    self._asked.clear()
                    waited = 0.0
                for store_id in set(self._link.stores) - self._asked:
                    self._asked.add(store_id)
                    gevent.spawn(self._ask, store_id)  # one that hangs holds up no other
            gevent.sleep(LOOK_SECONDS)
            waited += LOOK_SECONDS

    def _ask(self, store_id: int) -> None:
        try:
            driver = self._link.stores[store_id]
            facts = driver.facts()
            with self._database.writing() as session:
                storage.observed(self._work(session), store_id, facts)
            # Apart: what is placed hangs on how full it is, not on what each volume takes.
            seen, traffic = driver.volumes(), self._link.hypervisor.disk_traffic()
            with self._database.writing() as session:
                storage_changes.measured(self._work(session), store_id, seen, traffic)
        except OutsideError as error:
            # Its row keeps the last figures and their age, and tells why.
            self._tell(store_id, error.text)
            logger.warning("storage.silent", host=self._link.name, store=store_id, text=error.text)
        except Exception:
            logger.exception("storage.watch_failed", host=self._link.name, store=store_id)

    def _work(self, session: Session) -> Work:
        return Work(db=session, actor=SYSTEM, settings=self._settings)

    def _tell(self, store_id: int, why: str) -> None:
        try:
            with self._database.writing() as session:
                storage.silent(self._work(session), store_id, why)
        except NotFound:
            pass  # it was removed meanwhile
