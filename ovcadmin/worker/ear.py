"""The ear of a worker at the broker: a Celery consumer in this process, with a gevent pool."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import gevent
import structlog
from celery import Celery

from ovcadmin.config import Settings
from ovcadmin.engine import broker
from ovcadmin.engine.dispatch import ANY_GROUP

logger = structlog.get_logger(__name__)

AT_ONCE = 4
"""Words that are taken in at the same time: each only rings a bell."""


class Ear:
    """Listens at the queues of some host groups, and looks now and then whether the broker is up.

    The worker never depends on it: without the broker operations are found in the database.
    """

    def __init__(self, settings: Settings, heard: Callable[[], None]) -> None:
        self._app: Celery = broker.app(settings)

        @self._app.task(name=broker.TASK)
        def look() -> None:
            heard()

        self._queues: Sequence[str] = ()
        self._consumer: object | None = None
        self.trouble = ""

    def keep(self, groups: Sequence[str]) -> None:
        """Look at the broker, and listen at the queues of `groups` when it is there."""
        trouble = broker.look(self._app)
        if trouble != self.trouble:
            logger.warning("broker.silent", reason=trouble) if trouble else logger.info("broker.up")
        self.trouble = trouble
        wanted = tuple(broker.queue_name(group) for group in (ANY_GROUP, *sorted(groups)))
        if trouble or (wanted != self._queues and self._consumer is not None):
            self.stop()
        if not trouble and self._consumer is None:
            self._listen(wanted)

    def stop(self) -> None:
        consumer, self._consumer, self._queues = self._consumer, None, ()
        if consumer is not None:
            gevent.spawn(consumer.stop)  # type: ignore[attr-defined]

    def _listen(self, queues: Sequence[str]) -> None:
        with warnings.catch_warnings():
            # The standard library was patched before Celery was imported, which it cannot see.
            warnings.simplefilter("ignore", RuntimeWarning)
            from celery.concurrency.gevent import TaskPool  # noqa: PLC0415
        consumer = self._app.WorkController(
            app=self._app,
            pool_cls=TaskPool,
            concurrency=AT_ONCE,
            queues=list(queues),
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
            send_events=False,
        )
        self._consumer, self._queues = consumer, queues
        logger.info("broker.listening", queues=",".join(queues))
        gevent.spawn(consumer.start).link(lambda _: self._ended(consumer))

    def _ended(self, consumer: object) -> None:
        if self._consumer is consumer:
            logger.warning("broker.consumer_ended")
            self._consumer, self._queues = None, ()
