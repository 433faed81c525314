"""What every look at a guest has in common, be it a page, a viewer, or somebody who watches."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent
import structlog

from ovcadmin.errors import DomainError
from ovcadmin.gateway.recorders import Recorder
from ovcadmin.gateway.screen_recorder import record
from ovcadmin.gateway.sessions import GONE, MOVED, UNAVAILABLE
from ovcadmin.gateway.sources import Sources
from ovcadmin.services.console_standings import Admission, Standing
from ovcadmin.services.consoles import Holder, Place

log = structlog.get_logger(__name__)

CHUNK = 64 * 1024


def why_not(error: BaseException) -> str:
    """Return what to say of a screen that could not be opened."""
    return error.text if isinstance(error, DomainError) else "The screen could not be opened."


class Look:
    """One look at one guest, that ends with either side.

    `seek` is called when the records should hear of its end.
    """

    def __init__(self, admission: Admission, seek: Callable[[], None]) -> None:
        self.admission = admission
        self.over = False
        self.reason = ""
        self.typed = False
        self.opened_at = self.typed_at = time.monotonic()
        self.detached_at: float | None = None
        self.shown = True
        self._seek = seek

    @property
    def holder(self) -> Holder:
        return self.admission.holder

    def note_key(self) -> None:
        self.typed = True
        self.typed_at = time.monotonic()

    def end(self, code: int, reason: str) -> None:
        if self.over:
            return
        self.over, self.reason = True, reason
        log.info("console.ended", console=self.admission.console_id, reason=reason)
        self.hang_up(code, reason)
        self._seek()

    def hang_up(self, code: int, reason: str) -> None:
        """Close the side of whoever looks."""
        raise NotImplementedError


class View(Look):
    """A line to a guest's screen."""

    def __init__(self, admission: Admission, seek: Callable[[], None]) -> None:
        assert isinstance(admission.place, Place)
        super().__init__(admission, seek)
        self.place = admission.place
        self.line: Any = None
        """The socket to QEMU, once there is one."""
        self.pumps: list[Any] = []
        self.recorder: Recorder | None = None

    def record(self, sources: Sources) -> list[Any]:
        """Begin to record the screen where that is wanted; return what does it."""
        if self.recorder is None:
            return []
        return [gevent.spawn(record, sources, self.place, self.recorder)]

    def judge(self, standing: Standing) -> None:
        """Take in what the records say: whether it may stay open, and where its machine runs."""
        if standing.refusal:
            self.end(GONE, standing.refusal)
        elif standing.place is None:
            self.end(UNAVAILABLE, "The machine does not run.")
        elif standing.place != self.place:
            self.end(MOVED, "The machine runs on another host now.")

    def look_after(self, now: float) -> None:
        """Do what is due now and then; a screen by itself waits for nobody."""

    def end(self, code: int, reason: str) -> None:
        if self.over:
            return
        super().end(code, reason)
        own = gevent.getcurrent()
        for pump in self.pumps:
            if pump is not own:
                pump.kill(block=False)
        if self.line is not None:
            self.line.close()
