"""Console sessions: one for each user and machine, or terminal; they outlive the page by minutes.

A session owns the stream to the guest and remembers what it printed.  One page at a time is
attached; a newer one of the same user takes over, and so does another user, because a console has
one reader.  Whoever lost it is told to whom.

Nothing is lost on the way to a page: it says how much it has drawn, and when too much is
outstanding the stream is paused at its source, so that the guest waits.  A page that draws nothing
at all for a while must not stop the guest for ever: it is left behind, and gets the scrollback
again as soon as it goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import gevent
import structlog
from gevent.event import Event

from ovcadmin.drivers.hypervisor.base import ConsoleEnd, ConsoleStream
from ovcadmin.errors import DomainError
from ovcadmin.gateway.page import HIGH, LOW, Page
from ovcadmin.gateway.recorders import Recorder
from ovcadmin.gateway.scrollback import Scrollback
from ovcadmin.gateway.sources import Sized, Sources
from ovcadmin.services.console_standings import Admission, Prompt, Shell, Standing, Watching
from ovcadmin.services.consoles import Holder, Place

log = structlog.get_logger(__name__)

STALLED_SECONDS = 30.0
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
"""Seconds between two attempts to open a stream."""

REFUSED, GONE, OVER, LIMIT, TAKEN, UNAVAILABLE, MOVED = 4001, 4003, 4004, 4008, 4009, 4010, 4011
"""Close codes: bad ticket; rights, session or machine gone; the terminal was left; too many
sessions; another reader has it; the machine does not run; it goes on elsewhere, try again."""

CONNECTING, CONNECTED, RECONNECTING = "connecting", "connected", "reconnecting"
STOPPED, ELSEWHERE = "stopped", "elsewhere"


class Onlooker(Protocol):
    """Somebody who watches a session, with the consent of whoever has it."""

    def follow(self, data: bytes) -> None: ...

    def tell(self) -> None:
        """Tell how the session stands."""
        ...

    def end(self, code: int, reason: str) -> None: ...


@dataclass(eq=False)
class Session:
    """One console of one user.

    `seek` is called when the stream broke: the records should be asked what became of the
    machine.  `taken_by` asks them who opened the console after this session did; blank: nobody.
    """

    admission: Admission
    source: Sources
    seek: Callable[[], None]
    taken_by: Callable[[Admission], str]
    place: Place | Prompt | Shell | None = field(init=False)
    page: Page | None = None
    detached_at: float | None = None
    """Monotonic time at which the last page went; None while one is attached."""
    typed: bool = False
    """Whether something was typed since this was last looked at."""
    scrollback: Scrollback = field(default_factory=Scrollback)
    recorder: Recorder | None = None
    onlookers: list[Onlooker] = field(default_factory=list)
    typist: Onlooker | None = None
    """Who has the keyboard; None: whoever has the session."""
    watching: tuple[Watching, ...] = ()
    """Who watches or asks to, as the records say."""
    state: str = CONNECTING
    text: str = ""
    over: bool = False
    reason: str = ""
    """Why it is over."""
    opened_at: float = field(default_factory=time.monotonic)
    typed_at: float = field(default_factory=time.monotonic)
    _size: tuple[int, int] | None = None
    """Columns and rows of the page's terminal."""
    _stream: ConsoleStream | None = None
    _line: int = 0
    """Number of the stream in use: what an earlier one still says is not heard."""
    _paused_at: float | None = None
    _usurped: bool = False
    """Whether the last stream ended because somebody else took the console."""
    _wake: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self.place = self.admission.place
        self._keeper = gevent.spawn(self._keep)

    @property
    def holder(self) -> Holder:
        return self.admission.holder

    @property
    def shown(self) -> bool:
        """Whether a page is attached."""
        return self.page is not None

    # --- pages

    def attach(self, page: Page, admission: Admission) -> None:
        """Show the console on this page; one that was attached before is told and closed."""
        self._dismiss(TAKEN, "Opened in another window of yours.")
        self.admission = admission
        self._move(admission.place)
        if self.state == ELSEWHERE:
            self._enter(CONNECTING)
        self.page = page
        self.detached_at = None
        self._replay(page)
        self._wake.set()

    def detach(self, page: Page) -> None:
        if self.page is page:
            self.page = None
            self.detached_at = time.monotonic()
            self._let_flow()

    def drawn(self, page: Page, count: int) -> None:
        """Take in that the page has drawn `count` more bytes."""
        page.undrawn = max(page.undrawn - count, 0)
        if page is not self.page:
            return
        if page.behind and page.undrawn < LOW:
            self._replay(page)
        elif self._paused_at is not None:
            self._paused_at = time.monotonic()
            if page.undrawn < LOW:
                self._let_flow()

    def write(self, data: bytes) -> None:
        """Type into the guest as the one who has the session, unless he gave the keyboard away."""
        if self.typist is None:
            self.press(data)

    def press(self, data: bytes) -> None:
        """Type into the guest; while there is no stream, keys go nowhere."""
        self.typed = True
        self.typed_at = time.monotonic()
        if self._stream is not None:
            self._stream.write(data)
            if self.recorder is not None:
                self.recorder.typed(data)

    def resize(self, columns: int, rows: int) -> None:
        """Take in how large the page's terminal is; a serial line knows no size."""
        if self.recorder is not None and self._size != (columns, rows):
            self.recorder.resized(columns, rows)
        self._size = (columns, rows)
        if isinstance(self._stream, Sized):
            self._stream.resize(columns, rows)

    # --- what others decide

    def judge(self, standing: Standing) -> None:
        """Take in what the records say: whether it may stay open, and where its machine runs."""
        if standing.refusal:
            self.end(GONE, standing.refusal)
            return
        self._move(standing.place)
        if standing.watching != self.watching:
            self.watching = standing.watching
            if self.page is not None:
                self._tell_watching(self.page)

    def look_at(self, onlooker: Onlooker) -> None:
        """Let somebody watch from now on."""
        self.onlookers.append(onlooker)

    def look_away(self, onlooker: Onlooker) -> None:
        self.hand_keyboard(None, of=onlooker)
        if onlooker in self.onlookers:
            self.onlookers.remove(onlooker)

    def hand_keyboard(self, to: Onlooker | None, *, of: Onlooker | None = None) -> None:
        """Say who types from now on; `of`: only if this one had the keyboard."""
        if of is None or self.typist is of:
            self.typist = to

    def taken(self, by: str) -> None:
        """Give the console up: `by` reads it now."""
        self._drop_stream()
        self._usurped = False
        self._enter(ELSEWHERE, f"Taken over by {by}.")
        self._send_away(TAKEN, self.text)
        self._dismiss(TAKEN, self.text)

    def end(self, code: int, reason: str) -> None:
        if not self.over:
            self.over, self.reason = True, reason
            log.info("console.ended", console=self.admission.console_id, reason=reason)
            self._drop_stream()
            self._send_away(code, reason)
            self._dismiss(code, reason)
            self._keeper.kill(block=False)

    def look_after(self, now: float) -> None:
        """Now and then: let the guest go on when the page draws nothing."""
        if self._paused_at is not None and now - self._paused_at > STALLED_SECONDS:
            if self.page is not None:
                self.page.behind = True
            self._let_flow()

    # --- the stream

    def _keep(self) -> None:
        """Hold a stream open for as long as the machine runs."""
        pause = FIRST_PAUSE
        while True:
            self._wake.clear()
            try:
                settled = self._settle()
            except Exception:
                log.exception("console.keeper", machine=self.holder.machine_id)
                settled = False
            if settled:
                pause = FIRST_PAUSE
                self._wake.wait()
            else:
                self._wake.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    def _settle(self) -> bool:
        """Bring the stream in line with what is known; False when it must be tried again."""
        if self.state == ELSEWHERE or self._stream is not None:
            return True
        if self._usurped:
            self.taken(self.taken_by(self.admission) or "somebody on the host itself")
            return True
        if self.place is None:
            self._note_stop()
            return True
        return self._open(self.place)

    def _open(self, place: Place | Prompt | Shell) -> bool:
        """Open the stream; False when that did not work this time."""
        self._line += 1
        line = self._line
        try:
            stream = self.source.open_console(
                place,
                on_data=lambda chunk: self._heard(line, chunk),
                on_close=lambda reason: self._broken(line, reason),
            )
        except DomainError as error:
            self._enter(RECONNECTING, error.text)
            self.seek()
            return False
        if line != self._line:
            stream.close()  # while it opened, it broke or the console went to somebody else
            return False
        self._stream = stream
        if self._size is not None:
            self.resize(*self._size)
        if self.state == STOPPED:
            self._note("the machine runs again")
        self._enter(CONNECTED)
        return True

    def _heard(self, line: int, chunk: bytes) -> None:
        if line != self._line:
            return
        self._print(chunk)
        page = self.page
        full = page is not None and page.undrawn > HIGH
        if full and self._paused_at is None and self._stream is not None:
            self._stream.pause()
            self._paused_at = time.monotonic()

    def _broken(self, line: int, reason: str) -> None:
        if line != self._line:
            return
        if isinstance(self.place, Prompt | Shell):
            self.end(OVER, reason)
        else:
            log.info("console.stream_ended", machine=self.holder.machine_id, reason=reason)
            self._drop_stream()
            self._usurped = reason == ConsoleEnd.TAKEN_OVER
            self._enter(RECONNECTING, reason)
            self.seek()
            self._wake.set()

    def _move(self, place: Place | Prompt | Shell | None) -> None:
        if place != self.place:
            self.place = place
            self._drop_stream()
            self._wake.set()

    def _drop_stream(self) -> None:
        stream, self._stream = self._stream, None
        self._line += 1
        self._paused_at = None
        if stream is not None:
            stream.close()

    def _let_flow(self) -> None:
        if self._paused_at is not None and self._stream is not None:
            self._paused_at = None
            self._stream.resume()

    # --- what the page is told

    def _note_stop(self) -> None:
        if self.state != STOPPED:
            self._note("machine stopped")
            self._enter(STOPPED, "The machine is stopped. The console goes on when it runs.")

    def _note(self, text: str) -> None:
        """Write a line of our own between what the guest prints."""
        self._print(f"\r\n\x1b[0;2m[{text}]\x1b[0m\r\n".encode())

    def _print(self, data: bytes) -> None:
        self.scrollback.append(data)
        if self.recorder is not None:
            self.recorder.printed(data)
        if self.page is not None and not self.page.behind:
            self.page.show(data)
        for onlooker in self.onlookers:
            onlooker.follow(data)

    def _enter(self, state: str, text: str = "") -> None:
        if (state, text) == (self.state, self.text):
            return
        self.state, self.text = state, text
        if self.page is not None:
            self.page.say(type="state", state=state, text=text)
        for onlooker in self.onlookers:
            onlooker.tell()

    def about(self) -> dict[str, Any]:
        """Say what a page must know that shows this session."""
        return {
            "title": self.admission.title,
            "kind": self.holder.kind,
            "state": self.state,
            "text": self.text,
            "recorded": self.recorder is not None,
        }

    def _replay(self, page: Page) -> None:
        page.replay(bytes(self.scrollback), **self.about())
        if self.watching:
            self._tell_watching(page)

    def _tell_watching(self, page: Page) -> None:
        page.say(type="watching", people=[vars(one) for one in self.watching])

    def _send_away(self, code: int, reason: str) -> None:
        for onlooker in list(self.onlookers):
            onlooker.end(code, reason)

    def _dismiss(self, code: int, reason: str) -> None:
        page, self.page = self.page, None
        if page is not None:
            self.detached_at = time.monotonic()
            self._let_flow()
            page.socket.close(code, reason)
