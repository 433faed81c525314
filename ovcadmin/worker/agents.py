"""Asks the agents in the guests of one host what they know."""

from __future__ import annotations

import time

import gevent
import structlog

from ovcadmin.config import Settings
from ovcadmin.errors import NotFound, OutsideError
from ovcadmin.models import utcnow
from ovcadmin.models.database import Database
from ovcadmin.services import guests
from ovcadmin.work import SYSTEM, Work
from ovcadmin.worker.links import Duty

logger = structlog.get_logger(__name__)

ROUND_SECONDS = 30.0
"""How soon a guest that was started just now is asked."""


class Agents:
    """In a greenlet of its own, one guest after the other: one that hangs delays only its likes."""

    def __init__(self, database: Database, settings: Settings, duty: Duty) -> None:
        self._database = database
        self._settings = settings
        self._duty = duty
        self._link = duty.link
        self._due: dict[int, float] = {}
        """When a guest without an agent is looked at again; it has no row that would say so."""

    def run(self) -> None:
        while not self._duty.over:
            if self._link.up and self._settings.agent_seconds:
                self._round()
            gevent.sleep(min(ROUND_SECONDS, self._settings.agent_seconds or ROUND_SECONDS))

    def _round(self) -> None:
        try:
            with self._database.reading() as session:
                work = Work(db=session, actor=SYSTEM, settings=self._settings)
                asked = guests.to_ask(work, self._link.host_id)
            now = time.monotonic()
            self._due = {number: at for number, at in self._due.items() if number in asked}
            for machine_id, guest in asked.items():
                if self._due.get(machine_id, now) <= now:
                    self._ask(machine_id, guest)
        except Exception:
            logger.exception("host.agents_failed", host=self._link.name)

    def _ask(self, machine_id: int, guest: guests.Asked) -> None:
        at, why = utcnow(), ""
        self._due[machine_id] = time.monotonic() + self._settings.agent_seconds
        try:
            said = self._link.hypervisor.guest_says(guest.uuid)
        except (OutsideError, NotFound) as error:
            said, why = None, error.text
        if said is None and not why and not guest.known:
            return
        with self._duty.writing(self._database, self._settings) as work:
            if said is not None:
                guests.answered(work, machine_id, said, at)
            elif why:
                guests.silent(work, machine_id, why, at)
            else:
                guests.absent(work, machine_id, at)
