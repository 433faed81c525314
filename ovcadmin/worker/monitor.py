"""Watches one host: what its machines do, and whether it answers at all.

One greenlet a host reads and writes in turn, so that what it writes is in the order in which it
was read.  An event is a hint: the real state is read again, and a sweep over all domains every
few seconds repairs what events missed.  A host that is deaf holds up nobody but this greenlet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress

import gevent
import structlog
from gevent.event import Event

from ovcadmin import log
from ovcadmin.config import Settings
from ovcadmin.domain import host_versions
from ovcadmin.drivers.hypervisor.base import DomainState, HostEvent
from ovcadmin.errors import (
    HypervisorFailed,
    InvalidInput,
    LeaseLost,
    NotFound,
    OutsideError,
)
from ovcadmin.models import utcnow
from ovcadmin.models.database import Database
from ovcadmin.services import hosts, machines, strangers
from ovcadmin.work import SYSTEM, Work
from ovcadmin.worker.links import Duty

logger = structlog.get_logger(__name__)

GRACE_SECONDS = 6.0
"""A host that answered this recently is not called silent: libvirtd may just be restarting."""
RETRY_SECONDS = 1.0
SILENT_RETRY_SECONDS = 3.0


class Monitor:
    def __init__(self, database: Database, settings: Settings, duty: Duty) -> None:
        self._database = database
        self._settings = settings
        self._duty = duty
        self._link = duty.link
        self._met = False
        self._met_at = 0.0
        self._unsubscribe: Callable[[], None] | None = None
        self._answered = float("-inf")
        self._touched: set[str] = set()
        self._wake = Event()
        self._next_sweep = 0.0

    def run(self) -> None:
        """Watch until the host is no longer enrolled, or another worker watches it."""
        with log.bound(host=self._link.name):
            logger.info("host.watched")
            while not self._duty.over:
                self._look()
            if self._unsubscribe is not None:
                self._unsubscribe()

    def _look(self) -> None:
        try:
            if not self._met:
                self._meet()
            self._turn()
            self._answered = time.monotonic()
        except OutsideError as error:
            self._failed(error)
        except NotFound:  # removed meanwhile
            self._link.close()
        except LeaseLost:
            # By the next turn it is known whose host it is; what was seen here is dropped.
            gevent.sleep(RETRY_SECONDS)
        except Exception:
            # The database, most likely; the next sweep says everything again.
            logger.exception("host.watch_failed")
            gevent.sleep(RETRY_SECONDS)

    def _meet(self) -> None:
        """First contact, or contact again: facts, events, and the state of every machine."""
        # A cheap question first: facts of a fresh daemon may take a minute.
        self._link.hypervisor.states()
        facts = self._link.hypervisor.facts()
        found = {"libvirt": facts.libvirt_version, "QEMU": facts.qemu_version}
        if old := host_versions.too_old(**found):
            raise HypervisorFailed(old)
        self._met_at = time.time()
        if self._unsubscribe is None:
            self._unsubscribe = self._link.hypervisor.subscribe(self._heard)
        with self._writing() as work:
            hosts.answered(work, self._link.host_id, facts)
        self._sweep()
        self._met = True
        self._answered = time.monotonic()
        logger.info("host.up", libvirt=facts.libvirt_version, virt=facts.virt_type.value)
        self._link.settle(up=True)

    def _turn(self) -> None:
        """Wait for events or the time of the next sweep, and take in what there is."""
        self._wake.wait(max(self._next_sweep - time.monotonic(), 0.0))
        self._wake.clear()
        if time.monotonic() >= self._next_sweep:
            self._touched.clear()
            self._sweep()
        elif self._touched:
            self._look_at_touched()

    def _heard(self, event: HostEvent) -> None:
        """Take a hint; called in the hub, so it only takes notes."""
        if event.uuid is not None:
            self._touched.add(event.uuid)
        else:
            # The connection broke or is back: everything may have changed meanwhile.
            self._next_sweep = 0.0
            if event.kind == "connected" and event.received > self._met_at:
                self._met = False
        self._wake.set()

    def _look_at_touched(self) -> None:
        uuids, self._touched = self._touched, set()
        at = utcnow()
        seen = {uuid: self._link.hypervisor.state(uuid) for uuid in uuids}
        with self._writing() as work:
            for uuid, state in seen.items():
                machines.observe_one(work, self._link.host_id, uuid, state, "event", at)

    def _sweep(self) -> None:
        # Before the call: what is heard meanwhile may want the next one sooner.
        self._next_sweep = time.monotonic() + self._settings.sweep_seconds
        at = utcnow()
        seen = self._link.hypervisor.states()
        if self._met and self._is_known(seen):
            self._duty.heard = utcnow()
            return
        with self._writing() as work:
            strange = machines.observe(work, self._link.host_id, seen, "sweep", at)
            hosts.answered(work, self._link.host_id)
        for uuid in strange:
            self._describe(uuid)

    def _is_known(self, seen: Mapping[str, DomainState]) -> bool:
        with self._database.reading() as session:
            work = Work(db=session, actor=SYSTEM, settings=self._settings)
            return machines.is_known(work, self._link.host_id, seen)

    def _describe(self, uuid: str) -> None:
        """Read what a domain consists of that is nobody's machine."""
        try:
            found = self._link.hypervisor.describe(uuid)
        except (HypervisorFailed, InvalidInput) as error:
            logger.info("host.domain_unread", domain=uuid, code=error.code, text=error.text)
            found = None
        with self._writing() as work:
            strangers.described(work, self._link.host_id, uuid, found)

    def _failed(self, error: OutsideError) -> None:
        """One call failed; when none has succeeded for a while, the host is silent."""
        if self._duty.over:
            return
        self._met = False
        if self._link.settled and time.monotonic() - self._answered < GRACE_SECONDS:
            logger.info("host.call_failed", code=error.code, text=error.text)
            gevent.sleep(RETRY_SECONDS)
            return
        news = self._link.up or not self._link.settled
        self._link.settle(up=False, reason=error.text)
        with suppress(LeaseLost):
            with self._writing() as work:
                hosts.silent(work, self._link.host_id, error.text)
            if news:
                logger.warning("host.silent", code=error.code, text=error.text)
        gevent.sleep(SILENT_RETRY_SECONDS)

    def _writing(self) -> AbstractContextManager[Work]:
        return self._duty.writing(self._database, self._settings)
