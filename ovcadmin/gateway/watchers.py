"""Somebody who looks at the serial console of another, once that one agrees.

He sees what is shown from then on and the scrollback before it, at his own pace: he never holds the
guest up.  What he types goes nowhere unless he was given the keyboard.
"""

from __future__ import annotations

from collections.abc import Callable

from ovcadmin.gateway.page import LOW, Page
from ovcadmin.gateway.recorders import Recorder
from ovcadmin.gateway.sessions import GONE, Session
from ovcadmin.gateway.views import Look
from ovcadmin.services.console_sharing import KEYBOARD, LOOK, NOTHING
from ovcadmin.services.console_standings import Admission, Standing

WAITING = "waiting"


class Watcher(Look):
    """A page that looks at `session`; `seek` is called when the records should hear of its end."""

    recorder: Recorder | None = None

    def __init__(
        self, admission: Admission, session: Session, page: Page, seek: Callable[[], None]
    ) -> None:
        super().__init__(admission, seek)
        self._session, self._page = session, page
        self._granted = ""
        self._owner = session.admission.user_name
        page.say(type="state", state=WAITING, text=f"{self._owner} is asked to let you watch.")

    def judge(self, standing: Standing) -> None:
        """Take in what the records say, also what whoever has the console said."""
        if standing.refusal:
            self.end(GONE, standing.refusal)
        elif standing.granted == NOTHING:
            self.end(GONE, f"{self._owner} does not let you watch.")
        elif standing.granted != self._granted:
            self._grant(standing.granted)

    def follow(self, data: bytes) -> None:
        self._page.follow(data)

    def tell(self) -> None:
        self._page.say(type="state", state=self._session.state, text=self._session.text)

    def write(self, data: bytes) -> None:
        self.note_key()
        if self._session.typist is self:
            self._session.press(data)

    def drawn(self, page: Page, count: int) -> None:
        page.undrawn = max(page.undrawn - count, 0)
        if page.behind and page.undrawn < LOW:
            self._replay()

    def look_after(self, now: float) -> None:
        if self._session.over:
            self.end(GONE, f"{self._owner} closed the console.")

    def detach(self, page: Page) -> None:
        self.end(GONE, "The page was left.")

    def hang_up(self, code: int, reason: str) -> None:
        self._session.look_away(self)
        self._note("no longer watches")
        self._page.socket.close(code, reason)

    def _grant(self, granted: str) -> None:
        before, self._granted = self._granted, granted
        if not before:
            self._session.look_at(self)
            self._note("watches")
            self._replay()
        if granted == KEYBOARD:
            self._session.hand_keyboard(self)
            self._note("has the keyboard")
        elif before == KEYBOARD and granted == LOOK:
            self._session.hand_keyboard(None, of=self)
        about = {"console": self.admission.console_id, "owner": self._owner}
        self._page.say(type="granted", granted=granted, **about)

    def _replay(self) -> None:
        about = {**self._session.about(), "kind": self.holder.kind}
        kept = bytes(self._session.scrollback)
        self._page.replay(kept, **about)

    def _note(self, what: str) -> None:
        """Put it into the recording, so that a replay shows who typed."""
        if self._granted and self._session.recorder is not None:
            self._session.recorder.remark(f"{self.admission.user_name} {what}")
