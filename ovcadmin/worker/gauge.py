"""Measures what one host and its guests use, for pages and for placement."""

from __future__ import annotations

from collections.abc import Mapping

import gevent
import structlog

from ovcadmin.config import Settings
from ovcadmin.domain import load
from ovcadmin.domain.measurements import Counters, Rates, rates
from ovcadmin.drivers.hypervisor.stats import HostCounters
from ovcadmin.errors import LeaseLost, NotFound, OutsideError
from ovcadmin.models.database import Database
from ovcadmin.services import measurements
from ovcadmin.worker.links import Duty

logger = structlog.get_logger(__name__)

EVERY_SECONDS = 10.0
LOOK_SECONDS = 1.0
"""A host that came up just now is measured this soon."""


class Gauge:
    """In a greenlet of its own: a sweep does not wait for it."""

    def __init__(self, database: Database, settings: Settings, duty: Duty) -> None:
        self._database = database
        self._settings = settings
        self._duty = duty
        self._link = duty.link
        self._last: HostCounters | None = None
        self._load: load.Load | None = None
        self._guests: Mapping[str, Counters] = {}
        self._asked = False

    def run(self) -> None:
        while not self._duty.over:
            if self._link.up:
                self._measure()
            gevent.sleep(EVERY_SECONDS if self._asked else LOOK_SECONDS)

    def _measure(self) -> None:
        try:
            counters = self._link.hypervisor.counters()
            guests = self._link.hypervisor.guests()
            self._asked = True
            used = self._used(guests)
            if counters is None:
                return
            before, self._last = self._last, counters
            if before is None:
                return
            busy = load.part(counters.busy - before.busy, counters.idle - before.idle)
            if busy is None:
                return  # the host was started anew
            self._load = load.follow(self._load, busy, counters.at - before.at)
            with self._duty.writing(self._database, self._settings) as work:
                measurements.record(
                    work, self._link.host_id, self._load, busy, counters.memory_used, used
                )
        except (OutsideError, NotFound, LeaseLost) as error:
            logger.info("host.not_measured", host=self._link.name, text=error.text)
        except Exception:
            logger.exception("host.gauge_failed", host=self._link.name)

    def _used(self, guests: Mapping[str, Counters]) -> dict[str, Rates]:
        """Return by uuid what each guest used since the last reading."""
        before, self._guests = self._guests, guests
        found = {uuid: rates(before[uuid], now) for uuid, now in guests.items() if uuid in before}
        return {uuid: used for uuid, used in found.items() if used is not None}
