"""Tells guests what they are given of limits that machines of a pool share."""

from __future__ import annotations

import gevent
import structlog

from ovcadmin.config import Settings
from ovcadmin.errors import DomainMissing, LeaseLost, NotFound, OutsideError
from ovcadmin.models.database import Database
from ovcadmin.services import rate_parts
from ovcadmin.services.rate_parts import Due
from ovcadmin.work import SYSTEM, Work
from ovcadmin.worker.links import Duty, Links

logger = structlog.get_logger(__name__)


class Teller:
    """One look for all hosts; what it finds is told by a greenlet for each of them."""

    def __init__(self, database: Database, settings: Settings, links: Links) -> None:
        self._database = database
        self._settings = settings
        self._links = links
        self._busy: set[int] = set()

    def look(self) -> None:
        """Begin with each host that this worker watches, that answers and has guests waiting."""
        with self._database.reading() as session:
            work = Work(db=session, actor=SYSTEM, settings=self._settings)
            hosts = rate_parts.hosts_waiting(work) - self._busy
        for duty in self._links.duties():
            if duty.link.host_id in hosts and duty.link.up:
                self._busy.add(duty.link.host_id)
                gevent.spawn(self._tell_all, duty)

    def _tell_all(self, duty: Duty) -> None:
        host_id, name = duty.link.host_id, duty.link.name
        try:
            with self._database.reading() as session:
                work = Work(db=session, actor=SYSTEM, settings=self._settings)
                found = rate_parts.waiting(work, host_id)
            for one in found:
                self._tell(duty, one)
        except (OutsideError, NotFound, LeaseLost) as error:
            logger.info("host.not_limited", host=name, text=error.text)
        except Exception:
            logger.exception("host.limiting_failed", host=name)
        finally:
            self._busy.discard(host_id)

    def _tell(self, duty: Duty, one: Due) -> None:
        try:
            refused = duty.link.hypervisor.set_rates(one.uuid, one.rates)
        except DomainMissing as error:
            refused = (error.text,)
        except OutsideError as error:
            # The guest may hang, and not its host: the others on it are told first next time.
            with duty.writing(self._database, self._settings) as work:
                rate_parts.told(work, one, (error.text,))
            raise
        for why in refused:
            logger.info("machine.not_limited", machine_id=one.machine_id, text=why)
        with duty.writing(self._database, self._settings) as work:
            rate_parts.told(work, one, refused)
