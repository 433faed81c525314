"""The greenlets that a worker cannot live without.

Each does one task again and again and shrugs off failures (the database may be away for a
moment).  When one fails for a minute on end, or dies, the whole process ends with an error and is
started again from scratch: half a worker would look alive and do nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent
import structlog
from gevent.event import Event

logger = structlog.get_logger(__name__)

PATIENCE_SECONDS = 60.0
FAILED_PAUSE = 1.0


class Crew:
    def __init__(self) -> None:
        self._call = Event()
        self.lost = ""
        """The member that died, if one did."""

    def every(self, seconds: float, name: str, task: Callable[[], None]) -> None:
        """Do `task` now and then with `seconds` between."""
        gevent.spawn(steadily, seconds, name, task).link(lambda _: self._died(name))

    def wait(self) -> None:
        """Return when told to stop or when a member died."""
        self._call.wait()

    def stop(self) -> None:
        """Make `wait` return; safe in a signal handler of the hub."""
        self._call.set()

    def _died(self, name: str) -> None:
        self.lost = name
        self._call.set()


def steadily(seconds: float, name: str, task: Callable[[], None]) -> None:
    """Repeat `task`; raises its error once it has failed for `PATIENCE_SECONDS` on end."""
    failing_since: float | None = None
    while True:
        try:
            task()
            failing_since = None
        except Exception as error:
            now = time.monotonic()
            failing_since = failing_since or now
            logger.exception("worker.task_failed", task=name, error=type(error).__name__)
            if now - failing_since > PATIENCE_SECONDS:
                raise
            gevent.sleep(FAILED_PAUSE)
        gevent.sleep(seconds)
