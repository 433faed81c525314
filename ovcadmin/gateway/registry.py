"""All consoles of this process, and what is decided over them together."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ovcadmin.config import Settings
from ovcadmin.errors import ConsoleUnavailable
from ovcadmin.gateway.page import Page
from ovcadmin.gateway.pictures import Picture
from ovcadmin.gateway.recorders import Recorders
from ovcadmin.gateway.sessions import GONE, Session
from ovcadmin.gateway.sources import Sources
from ovcadmin.gateway.viewers import Viewer, Viewers
from ovcadmin.gateway.watchers import Watcher
from ovcadmin.services.console_standings import Admission, Standing
from ovcadmin.services.consoles import Holder

Held = Session | Picture | Viewer | Watcher


@dataclass
class News:
    """What the records do not know yet.

    Which consoles ended and why, which no page shows, and which one shows again.
    """

    ended: dict[int, str] = field(default_factory=dict)
    left: set[int] = field(default_factory=set)
    back: set[int] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.ended or self.left or self.back)


class Consoles:
    """`seek` is called when the records should be asked, or told, about some console."""

    def __init__(
        self,
        settings: Settings,
        source: Sources,
        recorders: Recorders,
        *,
        seek: Callable[[], None],
        taken_by: Callable[[Admission], str],
    ) -> None:
        self._settings = settings
        self._source = source
        self._recorders = recorders
        self._seek = seek
        self._taken_by = taken_by
        self._held: dict[int, Held] = {}
        self._known_left: set[int] = set()
        self._ended: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._held)

    def attach(self, admission: Admission, page: Page) -> Session:
        """Put the page on its session, a new one if need be; whoever else reads is told."""
        for session in self._living():
            if isinstance(session, Session) and _same_guest(session, admission):
                session.taken(admission.user_name)
        known = self._held.get(admission.console_id)
        if not isinstance(known, Session) or known.over:
            known = Session(admission, self._source, self._seek, self._taken_by)
            self._held[admission.console_id] = known
            self._ended.pop(admission.console_id, None)
        known.recorder = self._recorders.open(admission.recording)
        known.attach(page, admission)
        return known

    def show(self, admission: Admission, page: Page) -> Picture:
        """Put the page on a guest's screen; raises what calls to its host raise."""
        picture = Picture(admission, self._source, page, self._seek)
        picture.recorder = self._recorders.open(admission.recording)
        self._held[admission.console_id] = picture
        picture.open()
        return picture

    def watch(self, admission: Admission, page: Page) -> Watcher:
        """Put the page on somebody else's session; raises `ConsoleUnavailable` where it is gone."""
        session = self._held.get(admission.watches_id or 0)
        if not isinstance(session, Session) or session.over:
            raise ConsoleUnavailable("The console that you wanted to watch is closed.")
        watcher = Watcher(admission, session, page, self._seek)
        self._held[admission.console_id] = watcher
        self._seek()
        return watcher

    def promise(self, admission: Admission, viewers: Viewers) -> Viewer:
        """Expect a viewer; raises `ConsoleUnavailable` where none is let in."""
        viewer = viewers.promise(admission, self._seek)
        viewer.recorder = self._recorders.open(admission.recording)
        self._held[admission.console_id] = viewer
        return viewer

    def holders(self) -> dict[int, Holder]:
        return {number: one.holder for number, one in self._held.items() if not one.over}

    def judge(self, standings: dict[int, Standing]) -> None:
        """Take in what the records say of every console."""
        for number, one in list(self._held.items()):
            if number in standings and not one.over:
                one.judge(standings[number])
        self._forget()

    def news(self) -> News:
        """Return what changed since the last call."""
        self._forget()
        left = {number for number, one in self._held.items() if not one.shown}
        found = News(
            ended=self._ended,
            left=left - self._known_left,
            back=(self._known_left - left) & self._held.keys(),
        )
        self._known_left, self._ended = left, {}
        return found

    def typed(self) -> set[int]:
        """Return the sign-in sessions through which something was typed since the last call."""
        used = [one for one in self._living() if one.typed]
        for one in used:
            one.typed = False
        return {one.holder.session_id for one in used if one.holder.session_id is not None}

    def look_after(self) -> None:
        """Now and then: end what nobody came back to, let stalled guests go on."""
        now = time.monotonic()
        for one in self._living():
            one.look_after(now)
            if reason := self._outlived(one, now):
                one.end(GONE, reason)
        self._forget()

    def end_all(self, code: int, reason: str) -> None:
        for one in self._living():
            one.end(code, reason)
        self._forget()

    def _outlived(self, one: Held, now: float) -> str:
        """Return why the console's time is over; blank while it is not."""
        left, settings = one.detached_at, self._settings
        if left is not None and now - left > settings.console_keep_minutes * 60:
            return "Nobody came back to this console."
        if now - one.typed_at > settings.console_idle_minutes * 60:
            return "Nothing was typed for a long time."
        if now - one.opened_at > settings.console_hours * 3600:
            return "A console ends after some hours. Open it again."
        return ""

    def _living(self) -> list[Held]:
        return [one for one in self._held.values() if not one.over]

    def _forget(self) -> None:
        over = {number: one.reason for number, one in self._held.items() if one.over}
        if over:
            self._ended |= over
            for number in over:
                self._recorders.end(self._held[number].recorder)
            self._held = {number: one for number, one in self._held.items() if not one.over}
            self._seek()


def _same_guest(session: Session, admission: Admission) -> bool:
    """Whether the newcomer takes the session's guest over: a serial line has one reader."""
    return (
        session.admission.console_id != admission.console_id
        and session.holder.machine_id is not None
        and session.holder.machine_id == admission.holder.machine_id
    )
