"""Does the chores that are due.  Each stands by itself: one that fails stops no other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import gevent
import structlog

from ovcadmin.config import Settings
from ovcadmin.models.database import Database, latest_change
from ovcadmin.services import (
    audit_seals,
    bins,
    care,
    chores,
    loans,
    measurements,
    rate_parts,
    recordings,
    snapshot_schedules,
    uploads,
)
from ovcadmin.work import SYSTEM, Work
from ovcadmin.worker import clusters, realms
from ovcadmin.worker.clusters import Clusters
from ovcadmin.worker.realms import Realms

logger = structlog.get_logger(__name__)


LOOK_ANYWAY_SECONDS = 20.0
REST_FACTOR = 10
"""Dividing takes at most a tenth of a worker's time, whatever the number of machines."""
BATCH = 200
"""Machines in one transaction: others are to have their turn."""


@dataclass
class Turns:
    """Whether anything changed since a chore was done the last time in this process."""

    seen: int = -1
    at: float = float("-inf")
    rests_until: float = float("-inf")

    def due(self, change: int) -> bool:
        if time.monotonic() < self.rests_until:
            return False
        # Numbers of the feed may come late by a long transaction: now and then all is looked at.
        return change != self.seen or time.monotonic() - self.at > LOOK_ANYWAY_SECONDS

    def done(self, change: int, cost: float) -> None:
        """It is done up to this change; the next turn waits in proportion to what this one cost."""
        self.seen, self.at = change, time.monotonic()
        self.rests_until = self.at + REST_FACTOR * cost


@dataclass(frozen=True)
class Chores:
    """What a chore works with, and which of them are under way in this process."""

    database: Database
    settings: Settings
    realms: Realms
    clusters: Clusters
    rates: Turns = field(default_factory=Turns)
    _busy: set[str] = field(default_factory=set)

    @contextmanager
    def work(self, *, write: bool = False) -> Iterator[Work]:
        """Give a short transaction; a chore that waits for the outside holds none meanwhile."""
        with self.database.writing() if write else self.database.reading() as session:
            yield Work(db=session, actor=SYSTEM, settings=self.settings)

    def begin_due(self) -> None:
        """Start each chore that is due and that no other worker took."""
        with self.work() as work:
            waiting = chores.asleep(work, {one.name: one.every for one in CHORES}) | self._busy
        for chore in CHORES:
            if chore.name in waiting:
                continue
            with self.work(write=True) as work:
                taken = chores.take(work, chore.name, chore.every)
            if taken:
                self._busy.add(chore.name)
                gevent.spawn(self._do, chore)

    def _do(self, chore: Chore) -> None:
        try:
            chore.task(self)
        except Exception:
            logger.exception("chore.failed", chore=chore.name)
        finally:
            self._busy.discard(chore.name)


@dataclass(frozen=True, kw_only=True)
class Chore:
    name: str
    every: timedelta
    task: Callable[[Chores], None]


def _seal_audit(chores: Chores) -> None:
    """Seal all that has no seal yet, a batch in each transaction."""
    with chores.work() as work:
        if not audit_seals.due(work):
            return
    sealed = audit_seals.BATCH
    while sealed == audit_seals.BATCH:
        with chores.work(write=True) as work:
            sealed = audit_seals.seal(work)


def _clear_uploads(chores: Chores) -> None:
    """Remove what was begun and never sent to its end."""
    with chores.work(write=True) as work:
        uploads.clear(work)


def _take_snapshots(chores: Chores) -> None:
    """Begin what schedules want now; each machine in a transaction of its own."""
    with chores.work() as work:
        due = snapshot_schedules.due(work)
    for number in due:
        with chores.work(write=True) as work:
            machines = snapshot_schedules.begin(work, number)
        for machine in machines:
            with chores.work(write=True) as work:
                snapshot_schedules.take(work, machine)


def _one_by_one(
    found: Callable[[Work], Iterable[int]], act: Callable[[Work, int], object]
) -> Callable[[Chores], None]:
    """Return the task that finds what is due, and sees to each in a transaction of its own."""

    def task(chores: Chores) -> None:
        with chores.work() as work:
            due = list(found(work))
        for number in due:
            with chores.work(write=True) as work:
                act(work, number)

    return task


def _roll_measurements(chores: Chores) -> None:
    with chores.work(write=True) as work:
        measurements.roll(work)


def _forget_recordings(chores: Chores) -> None:
    """Forget what was kept for its days; a few in each transaction."""
    while True:
        with chores.work() as work:
            found = recordings.due(work)
        if not found:
            return
        with chores.work(write=True) as work:
            recordings.expire(work, found)


def _share_rates(chores: Chores) -> None:
    """Divide limits among what runs; nothing to do while nothing has changed since."""
    with chores.work() as work:
        change = latest_change(work.db)
        if not chores.rates.due(change):
            return
        begun = time.monotonic()
        news = rate_parts.outdated(work)
        cost = time.monotonic() - begun
    for start in range(0, len(news), BATCH):
        with chores.work(write=True) as work:
            rate_parts.write(work, news[start : start + BATCH])
    chores.rates.done(change, cost)


CHORES: tuple[Chore, ...] = (
    Chore(
        name="loan.settle", every=timedelta(minutes=1), task=_one_by_one(loans.due, loans.settle)
    ),
    Chore(name="image.uploads", every=timedelta(hours=1), task=_clear_uploads),
    Chore(
        name="machine.keep",
        every=timedelta(seconds=2),
        task=_one_by_one(care.fallen, care.start_again),
    ),
    Chore(
        name="machine.lease",
        every=timedelta(seconds=20),
        task=_one_by_one(care.ending, care.attend),
    ),
    Chore(
        name="machine.purge", every=timedelta(seconds=30), task=_one_by_one(bins.due, bins.purge)
    ),
    Chore(name="snapshot.take", every=timedelta(seconds=10), task=_take_snapshots),
    Chore(
        name="snapshot.forget",
        every=timedelta(seconds=20),
        task=_one_by_one(snapshot_schedules.superfluous, snapshot_schedules.forget),
    ),
    Chore(name="pool.rates", every=timedelta(seconds=1), task=_share_rates),
    Chore(name="measurement.roll", every=timedelta(minutes=1), task=_roll_measurements),
    Chore(name="recording.forget", every=timedelta(minutes=1), task=_forget_recordings),
    Chore(name="audit.seal", every=timedelta(seconds=2), task=_seal_audit),
    Chore(name="realm.sync", every=timedelta(seconds=30), task=realms.sync_due),
    Chore(name="realm.recheck", every=timedelta(seconds=10), task=realms.recheck),
    Chore(name="cluster.look", every=timedelta(seconds=1), task=clusters.look),
)
"""Every chore, by its name in the database."""
