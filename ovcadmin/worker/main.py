"""Composition of the worker process."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import gevent
import structlog

import ovcadmin.operations  # noqa: F401 - declares every operation type
from ovcadmin import log
from ovcadmin.config import Settings
from ovcadmin.drivers.downloads.web import WebDownloads
from ovcadmin.engine.run import Run
from ovcadmin.models.database import Database
from ovcadmin.services import processes, watches
from ovcadmin.work import SYSTEM, Work
from ovcadmin.worker import addresses, connect
from ovcadmin.worker.agents import Agents
from ovcadmin.worker.chores import Chores
from ovcadmin.worker.crew import Crew
from ovcadmin.worker.enrol import Enrolment
from ovcadmin.worker.gauge import Gauge
from ovcadmin.worker.links import Duty, Links
from ovcadmin.worker.monitor import Monitor
from ovcadmin.worker.rates import Teller
from ovcadmin.worker.realms import Realms
from ovcadmin.worker.runner import MakeRun, Runner
from ovcadmin.worker.stores import StoreWatch
from ovcadmin.worker.ways import Ways

if TYPE_CHECKING:
    from ovcadmin.worker.ear import Ear

logger = structlog.get_logger(__name__)

CHORES_SECONDS = 1.0
"""How often is looked which chores are due."""
EAR_SECONDS = 3.0
"""How often the broker is looked at."""
GOODBYE_SECONDS = 2.0


def run(settings: Settings, *, make_run: MakeRun = Run) -> NoReturn:
    """Work until SIGTERM or SIGINT, then end the process: 0, or 1 when something vital died.

    `make_run` makes the runs of operations; tests bring one that dies where they want.
    """
    log.configure(settings.log_level)
    with _own_name(settings.data_dir) as name:
        code = Worker(settings, name, make_run).run()
    sys.stdout.flush()
    # Not by way of the interpreter's end, which would raise in every greenlet and let operations
    # that were handed over already see a failure.
    os._exit(code)


class Worker:
    def __init__(self, settings: Settings, name: str, make_run: MakeRun) -> None:
        self._settings = settings
        self._name = name
        self._database = Database(settings.database_url)
        self._crew = Crew()
        self._links = Links(
            self._database,
            settings,
            name,
            self._monitor,
            self._gauge,
            self._watch_stores,
            self._watch_addresses,
            self._ask_guests,
        )
        self._enrolment = Enrolment(self._database, settings, self._links, self._turn)
        realms = Realms(self._database, settings)
        outside = Ways(
            hosts=self._links,
            realms=realms,
            web=WebDownloads(settings.image_sources),
            address=partial(connect.address, settings=settings),
        )
        self._runner = Runner(self._database, settings, outside, name, make_run=make_run)
        self._chores = Chores(self._database, settings, realms, self._links.clusters)
        self._teller = Teller(self._database, settings, self._links)
        self._ear = self._listening(settings)

    def _listening(self, settings: Settings) -> Ear | None:
        """Return the ear at the broker, where one carries the word."""
        if settings.dispatch != "celery":
            return None
        from ovcadmin.engine.broker import Post  # noqa: PLC0415 - Celery, only where it is used
        from ovcadmin.worker.ear import Ear  # noqa: PLC0415

        self._database.told = Post(settings).send
        return Ear(settings, self._runner.look)

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            gevent.signal_handler(number, self._crew.stop)
        logger.info("worker.up", name=self._name)
        # First the hosts, then the operations that need them.
        self._crew.every(watches.TURN_SECONDS, "links", self._turn)
        self._crew.every(0, "listen", self._runner.listen)
        self._crew.every(0, "claim", self._runner.claim)
        lease = self._settings.operation_lease_seconds
        self._crew.every(lease / 3, "renew", self._runner.renew)
        self._crew.every(lease / 3, "reap", self._runner.reap)
        self._crew.every(CHORES_SECONDS, "chores", self._chores.begin_due)
        self._crew.every(CHORES_SECONDS, "rates", self._teller.look)
        if self._ear is not None:
            self._crew.every(EAR_SECONDS, "ear", partial(self._keep_ear, self._ear))
        gevent.spawn(self._enrolment.run)
        self._crew.wait()
        if self._crew.lost:
            logger.critical("worker.broken", lost=self._crew.lost)
        self._runner.stop(self._settings.stop_seconds)
        gevent.spawn(self._say_goodbye).join(GOODBYE_SECONDS)
        logger.info("worker.stopped", name=self._name)
        return 1 if self._crew.lost else 0

    def _say_goodbye(self) -> None:
        self._links.close()
        with self._database.writing() as session:
            work = Work(db=session, actor=SYSTEM, settings=self._settings)
            watches.give_up(work, self._name)
            processes.gone(work, self._name)

    def _turn(self) -> None:
        self._links.turn(self._ear.trouble if self._ear is not None else "")

    def _keep_ear(self, ear: Ear) -> None:
        with self._database.reading() as session:
            work = Work(db=session, actor=SYSTEM, settings=self._settings)
            groups = self._settings.worker_groups or watches.groups(work)
        ear.keep(groups)

    def _monitor(self, duty: Duty) -> None:
        Monitor(self._database, self._settings, duty).run()

    def _gauge(self, duty: Duty) -> None:
        Gauge(self._database, self._settings, duty).run()

    def _watch_addresses(self, duty: Duty) -> None:
        addresses.watch(self._database, self._settings, duty)

    def _watch_stores(self, duty: Duty) -> None:
        StoreWatch(self._database, self._settings, duty).run()

    def _ask_guests(self, duty: Duty) -> None:
        Agents(self._database, self._settings, duty).run()


@contextmanager
def _own_name(data_dir: Path) -> Iterator[str]:
    """Yield the first name that no other worker of this machine holds: it survives restarts."""
    for number in count(1):
        with (data_dir / f"worker-{number}.lock").open("w", encoding="ascii") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield f"worker-{number}@{socket.gethostname()}"
            return
