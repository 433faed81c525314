"""The carrier `celery`: the word that an operation waits goes through an AMQP broker.

There is a queue for each host group, and one for operations that every worker may run.  A message
says no more than *look*: the database tells what there is to do and gives it to one worker only,
so a message that is lost, late or doubled harms nothing, and nothing waits for the broker.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import structlog
from celery import Celery
from kombu.exceptions import KombuError

from ovcadmin.config import Settings
from ovcadmin.log import without_password

logger = structlog.get_logger(__name__)

TASK = "ovcadmin.look"
QUEUE = "ovcadmin"
DEADLINE = 3.0
"""Seconds that the broker may take to answer."""
KEPT_SECONDS = 30
"""How long the broker keeps a word that nobody takes: by then the row was found without it."""
WAITING = 1000
"""Words that wait to be sent; more are dropped."""
AWAY = (KombuError, OSError)


def queue_name(group: str) -> str:
    """Return the queue of a host group, or that of all workers when blank."""
    return f"{QUEUE}.{group}" if group else QUEUE


def app(settings: Settings) -> Celery:
    made = Celery("ovcadmin", broker=settings.broker_url, set_as_current=False)
    made.conf.update(
        broker_connection_timeout=DEADLINE,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # With heartbeats a green worker takes ten messages a second and no more (measured); a
        # connection that is half open is noticed by the look at the broker instead.
        broker_heartbeat=0,
        broker_transport_options={"read_timeout": DEADLINE, "write_timeout": DEADLINE},
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_enable_remote_control=False,
    )
    return made


class Post:
    """Sends words from a thread of its own; `send` never waits and never fails."""

    def __init__(self, settings: Settings) -> None:
        self._app = app(settings)
        self._waiting: queue.Queue[str] = queue.Queue(WAITING)
        self.trouble = ""
        """Why the last word could not be sent, blank when it was."""
        threading.Thread(target=self._run, name="post", daemon=True).start()

    def send(self, groups: Iterable[str]) -> None:
        for group in groups:
            with suppress(queue.Full):
                self._waiting.put_nowait(group)

    def _run(self) -> None:
        while True:
            first = self._waiting.get()
            # One word says as much as many.
            groups = {first, *self._more()}
            try:
                for group in groups:
                    self._send(group)
                self._tell("")
            except AWAY as error:
                self._tell(reason(self._app, error))

    def _more(self) -> Iterable[str]:
        with suppress(queue.Empty):
            while True:
                yield self._waiting.get_nowait()

    def _send(self, group: str) -> None:
        self._app.send_task(
            TASK, queue=queue_name(group), retry=False, ignore_result=True, expiration=KEPT_SECONDS
        )

    def _tell(self, trouble: str) -> None:
        if trouble != self.trouble:
            logger.warning("broker.silent", reason=trouble) if trouble else logger.info("broker.up")
        self.trouble = trouble


def reason(of: Celery, error: BaseException) -> str:
    """Say for people that the broker does not answer, and why."""
    place = without_password(str(of.conf.broker_url))
    return f"The broker {place} does not answer: {str(error) or type(error).__name__}."


def look(at: Celery) -> str:
    """Connect to the broker; return why it does not answer, blank when it does."""
    connection: Any = at.connection_for_read(connect_timeout=DEADLINE)
    try:
        connection.connect()
    except AWAY as error:
        return reason(at, error)
    finally:
        with suppress(Exception):
            connection.release()
    return ""
