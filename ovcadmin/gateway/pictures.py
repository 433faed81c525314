"""A guest's screen on a page: the bytes of RFB between the page and QEMU, as they are.

Each page has a line of its own to QEMU, which shows its screen to all of them.  RFB sends a
picture only when asked for one, so a slow page gets fewer of them; should one be larger than the
page takes in, reading from QEMU stops until it has.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import gevent
from gevent.event import Event

from ovcadmin.gateway.page import Page
from ovcadmin.gateway.sessions import GONE, MOVED, UNAVAILABLE
from ovcadmin.gateway.sources import Sources
from ovcadmin.gateway.views import CHUNK, View, why_not
from ovcadmin.services.console_standings import Admission


class Picture(View):
    """A page's line to a guest's screen."""

    def __init__(
        self, admission: Admission, source: Sources, page: Page, seek: Callable[[], None]
    ) -> None:
        super().__init__(admission, seek)
        self._source, self._page = source, page
        self._flows = Event()
        self._flows.set()

    def open(self) -> None:
        """Open the line; raises what calls to the host raise."""
        try:
            self.line = self._source.open_graphics(self.place)
        except BaseException as error:
            self.end(UNAVAILABLE, why_not(error))
            raise
        if self.over:  # its right went while it was being opened
            self.line.close()
            return
        self._page.socket.pressure = self._press
        recorded = self.recorder is not None
        about = {"title": self.admission.title, "kind": self.holder.kind, "recorded": recorded}
        self._page.say(type="attached", **about)
        self.pumps = [gevent.spawn(self._read), *self.record(self._source)]

    def write(self, data: bytes) -> None:
        """Pass on what the page says; waits while QEMU does not listen."""
        self.note_key()
        with suppress(OSError):
            self.line.sendall(data)

    def detach(self, page: Page) -> None:
        self.end(GONE, "The page was left.")

    def hang_up(self, code: int, reason: str) -> None:
        self._page.socket.close(code, reason)

    def _press(self, on: bool) -> None:  # noqa: FBT001 - what a WebSocket calls
        (self._flows.clear if on else self._flows.set)()

    def _read(self) -> None:
        while True:
            self._flows.wait()
            try:
                data = self.line.recv(CHUNK)
            except OSError:
                data = b""
            if not data:
                break
            self._page.socket.send(data)
        self.end(MOVED, "The machine stopped showing its screen.")
