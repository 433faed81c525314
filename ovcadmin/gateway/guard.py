"""Asks the records, again and again, whether what is open may stay open.

Every few seconds, and at once when the change feed names a user, a pool or a machine: one question
for all consoles and all event streams of this process.  Nobody keeps a console longer than that
after his rights, his session or the machine went away.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

import gevent
import structlog
from gevent.event import Event

from ovcadmin.gateway.live import Live
from ovcadmin.gateway.recorders import Recorders
from ovcadmin.gateway.records import Records
from ovcadmin.gateway.registry import Consoles
from ovcadmin.services import console_sessions, console_standings, sessions, tokens
from ovcadmin.services.changes import Change

log = structlog.get_logger(__name__)

CHECK_SECONDS = 2.0
LEAST_SECONDS = 0.2
"""Changes come in crowds: they are answered together."""
LOOK_SECONDS = 1.0
TOUCH_SECONDS = 60.0
BLIND_SECONDS = 60.0
"""Without an answer from the records for this long, everything open is closed."""
SERVICE_RESTART = 1012

_CONCERNS = frozenset({"user", "pool", "machine", "host"})


class Guard:
    def __init__(
        self, records: Records, open_consoles: Consoles, live: Live, recorders: Recorders
    ) -> None:
        self._records = records
        self._consoles = open_consoles
        self._live = live
        self._recorders = recorders
        self._poke = Event()
        self._answered = time.monotonic()
        self._touched = time.monotonic()

    def poke(self) -> None:
        """Ask soon."""
        self._poke.set()

    def hear(self, news: Iterable[Change]) -> None:
        if any(change.kind in _CONCERNS for change in news):
            self.poke()

    def run(self) -> None:
        """Ask for ever."""
        while True:
            self._poke.wait(CHECK_SECONDS)
            self._poke.clear()
            self._turn()
            gevent.sleep(LEAST_SECONDS)

    def look_after(self) -> None:
        """What needs no records: sessions nobody came back to, pages that draw nothing."""
        while True:
            gevent.sleep(LOOK_SECONDS)
            self._consoles.look_after()

    def _turn(self) -> None:
        try:
            self._check()
            self._touch()
        except Exception:
            log.exception("guard.blind")
            if time.monotonic() - self._answered > BLIND_SECONDS:
                reason = "The console cannot check rights at the moment."
                self._consoles.end_all(SERVICE_RESTART, reason)
                self._live.end_all()
            gevent.sleep(LOOK_SECONDS)
        else:
            self._answered = time.monotonic()

    def _check(self) -> None:
        holders = self._consoles.holders()
        if holders:
            self._consoles.judge(
                self._records.read(lambda work: console_standings.standings(work, holders))
            )
        self.write_down()
        pages, programs = self._live.holders()
        if pages or programs:
            living = self._records.read(
                lambda work: (sessions.living(work, pages), tokens.living(work, programs))
            )
            self._live.keep(*living)

    def write_down(self) -> None:
        """Tell the records what became of the consoles of this process."""
        news = self._consoles.news()
        if news:
            self._recorders.write()  # a recording is complete when its console has ended
            self._records.write(
                lambda work: console_sessions.note(
                    work, ended=news.ended, left=news.left, back=news.back
                )
            )

    def _touch(self) -> None:
        """Typing into a console is using the session: it must not end as idle meanwhile."""
        if time.monotonic() - self._touched < TOUCH_SECONDS:
            return
        self._touched = time.monotonic()
        for session_id in self._consoles.typed():
            self._records.write(lambda work, used=session_id: sessions.touch(work, used))  # type: ignore[misc]
