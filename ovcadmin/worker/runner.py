"""Claims operations and runs each in its own greenlet, with a lease that it keeps alive.

A hanging host must not take every place: of one host only so many operations are claimed at a
time, and of those that have no host yet (they are still to be placed) only half of all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import gevent
import structlog
from gevent.event import Event
from sqlalchemy.exc import IntegrityError

from ovcadmin import log
from ovcadmin.config import Settings
from ovcadmin.drivers.directory.base import Directory
from ovcadmin.drivers.downloads.base import Downloads
from ovcadmin.drivers.hypervisor.base import Finding, Hypervisor
from ovcadmin.drivers.storage.base import StorageDriver
from ovcadmin.engine import dispatch, reaper, store
from ovcadmin.engine.run import Outside, Run
from ovcadmin.errors import LeaseLost
from ovcadmin.models import Operation, utcnow
from ovcadmin.models.database import Database
from ovcadmin.work import SYSTEM, Work

logger = structlog.get_logger(__name__)

MakeRun = Callable[..., Run]


@dataclass(kw_only=True)
class Attempt:
    """An operation that runs here now, and its way to the outside, which notes where it goes.

    An attempt is never killed: an exception out of the blue in the middle of a database call
    leaves a broken connection behind, and might pass for a failure of the operation.  It is
    refused the outside instead, and its next write finds that it owns nothing any more.
    """

    operation: Operation
    outside: Outside
    host_id: int | None
    greenlet: gevent.Greenlet | None = field(default=None, repr=False)
    given_up: bool = False

    def hypervisor(self, host_id: int) -> Hypervisor:
        self._go(host_id)
        return self.outside.hypervisor(host_id)

    def storage(self, storage_pool_id: int, host_id: int) -> StorageDriver:
        self._go(host_id)
        return self.outside.storage(storage_pool_id, host_id)

    def way_to(self, uri: str) -> Iterable[Finding]:
        self._ensure_ours()
        return self.outside.way_to(uri)

    def directory(self, realm_id: int, mapping: Mapping[str, str]) -> Directory:
        self._ensure_ours()
        return self.outside.directory(realm_id, mapping)

    def downloads(self) -> Downloads:
        self._ensure_ours()
        return self.outside.downloads()

    def _go(self, host_id: int) -> None:
        self._ensure_ours()
        self.host_id = host_id

    def _ensure_ours(self) -> None:
        if self.given_up:
            raise LeaseLost(f"Operation {self.operation.id} is not run here any more.")


class Runner:
    def __init__(
        self,
        database: Database,
        settings: Settings,
        outside: Outside,
        name: str,
        *,
        make_run: MakeRun = Run,
    ) -> None:
        self._database = database
        self._settings = settings
        self._outside = outside
        self._name = name
        self._make_run = make_run
        self._lease = timedelta(seconds=settings.operation_lease_seconds)
        self._attempts: dict[int, Attempt] = {}
        self._watch = dispatch.Watch(database, dispatch.CHANNEL, pause=gevent.sleep)
        self._word = Event()
        self._steady = reaper.Steady(utcnow())
        self._stopping = False

    # tasks of the crew

    def look(self) -> None:
        """Take the word of a carrier that something may be there to claim."""
        self._word.set()

    def listen(self) -> None:
        """Wait for the word that something may be there to claim.

        Where a broker carries it (it calls `look`), the database is only asked now and then.
        """
        if self._settings.dispatch == "local":
            self._watch.wait()
        else:
            gevent.sleep(dispatch.FALLBACK_SECONDS)
        self._word.set()

    def claim(self) -> None:
        """Claim and start what may run, as long as there is room."""
        self._word.wait()
        self._word.clear()
        while not self._stopping and len(self._attempts) < self._settings.operation_slots:
            operation = self._claim_one()
            if operation is None:
                return
            self._start(operation)

    def renew(self) -> None:
        """Keep the leases of what runs here; give up what somebody else runs by now."""
        for attempt in list(self._attempts.values()):
            operation = attempt.operation
            until = utcnow() + self._lease
            try:
                with self._database.writing() as session:
                    store.renew(session, operation.id, operation.attempt, until)
            except LeaseLost:
                attempt.given_up = True

    def reap(self) -> None:
        with self._database.writing() as session:
            reaper.reap(Work(db=session, actor=SYSTEM, settings=self._settings), self._steady)

    # the end

    def stop(self, seconds: float) -> None:
        """Claim no more, let what runs go on for `seconds`, hand the rest to other workers.

        The process ends right after.
        """
        self._stopping = True
        attempts = list(self._attempts.values())
        gevent.joinall([attempt.greenlet for attempt in attempts], timeout=seconds)
        for attempt in attempts:
            if self._attempts.pop(attempt.operation.id, None) is not None:
                attempt.given_up = True
                self._hand_over(attempt.operation)

    def _hand_over(self, operation: Operation) -> None:
        """End the lease now instead of later."""
        logger.info("operation.handed_over", operation=operation.id)
        try:
            with self._database.writing() as session:
                store.renew(session, operation.id, operation.attempt, utcnow())
        except LeaseLost:
            pass  # it has an owner, or an end

    def _claim_one(self) -> Operation | None:
        with self._database.reading() as session:
            if not store.waiting(session):
                return None
        try:
            with self._database.writing() as session:
                return store.claim(
                    session, self._name, utcnow(), self._lease,
                    skip_hosts=self._full(), groups=self._settings.worker_groups,
                )  # fmt: skip
        except IntegrityError:
            # Another worker took the same lock in the same moment: look again.
            self._word.set()
            return None

    def _full(self) -> list[int | None]:
        """Hosts of which enough runs here; None stands for operations still to be placed."""
        slots = self._settings.operation_slots
        running = Counter(attempt.host_id for attempt in self._attempts.values())
        limits: dict[int | None, int] = {None: max(slots // 2, 1)}
        return [
            host_id
            for host_id, count in running.items()
            if count >= limits.get(host_id, self._settings.host_slots)
        ]

    def _start(self, operation: Operation) -> None:
        attempt = Attempt(operation=operation, outside=self._outside, host_id=operation.host_id)
        self._attempts[operation.id] = attempt
        attempt.greenlet = gevent.spawn(self._run, attempt)

    def _run(self, attempt: Attempt) -> None:
        operation = attempt.operation
        with log.bound(operation=operation.id, attempt=operation.attempt):
            logger.info("operation.claimed", type=operation.type)
            try:
                self._make_run(
                    self._database, self._settings, attempt, operation, pause=gevent.sleep
                ).execute()
            except LeaseLost:
                logger.warning("operation.lease_lost")
            except Exception:
                # It could not even be ended: its lease runs out and the reaper decides.
                logger.exception("operation.abandoned")
            finally:
                self._attempts.pop(operation.id, None)
                self._word.set()
