"""Forwards for remote-viewer: a file opens one connection, once, and soon.

The file names this gateway and a password that is only in memory.  Whoever connects proves that he
knows it, is joined with the guest's screen, and from then on stands under the same watch as a page.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import gevent
import structlog
from gevent import ssl
from gevent.server import StreamServer

from ovcadmin.config import Settings
from ovcadmin.errors import ConsoleUnavailable, DomainError
from ovcadmin.gateway import rfb, server
from ovcadmin.gateway.sessions import GONE, MOVED, UNAVAILABLE
from ovcadmin.gateway.sources import Sources
from ovcadmin.gateway.views import CHUNK, View, why_not
from ovcadmin.services.console_standings import Admission

log = structlog.get_logger(__name__)

HANDSHAKE_SECONDS = 15.0
STRANGERS = 50
"""Connections that may be without proof at the same time."""
WRONG_PAUSE = 1.0
"""Seconds that a wrong answer takes."""


class Viewer(View):
    """A viewer's line to a guest's screen; before it connects, its promise."""

    def __init__(self, admission: Admission, seek: Callable[[], None], seconds: float) -> None:
        super().__init__(admission, seek)
        self.password = secrets.token_urlsafe(6)
        assert len(self.password) == rfb.PASSWORD_LENGTH
        self._until = time.monotonic() + seconds
        self._taken = False
        self._peer: Any = None

    @property
    def waits(self) -> bool:
        return not (self._taken or self.over)

    def take(self) -> None:
        """Somebody has proved to be the one: nobody else can be now."""
        self._taken = True

    def join(self, peer: Any, source: Sources) -> None:
        """Carry bytes until either side ends; raises what calls to the host raise."""
        self._peer = peer
        try:
            self.line = source.open_graphics(self.place)
            rfb.enter(self.line)
        except BaseException as error:
            self.end(UNAVAILABLE, why_not(error))
            raise
        if self.over:
            self.line.close()
            return
        self.pumps = [
            gevent.spawn(self._pump, peer, self.line, self.note_key),
            gevent.spawn(self._pump, self.line, peer, lambda: None),
        ]
        both = list(self.pumps)
        self.pumps += self.record(source)
        gevent.joinall(both)

    def look_after(self, now: float) -> None:
        if self.waits and now > self._until:
            self.end(GONE, "The file was not opened in time.")

    def detach(self, _page: object) -> None:
        self.end(GONE, "The viewer was closed.")

    def write(self, data: bytes) -> None:
        """A viewer brings its keys itself."""

    def hang_up(self, code: int, reason: str) -> None:
        if self._peer is not None:
            with suppress(OSError):
                self._peer.close()

    def _pump(self, origin: Any, target: Any, noted: Callable[[], None]) -> None:
        with suppress(OSError):
            while data := origin.recv(CHUNK):
                noted()
                target.sendall(data)
        self.end(MOVED, "The viewer or the machine hung up.")


class Viewers:
    """The door that viewers come to."""

    def __init__(self, settings: Settings, source: Sources) -> None:
        self._settings, self._source = settings, source
        self._promised: list[Viewer] = []
        self._strangers = 0
        self._server: Any = None
        self._tls = _context(settings)

    def start(self) -> None:
        if self._settings.viewer_listen:
            listener = server.listen(self._settings.viewer_listen)
            self._server = StreamServer(listener, self._serve)
            self._server.start()

    def close(self) -> None:
        if self._server is not None:
            self._server.stop(timeout=0)

    def promise(self, admission: Admission, seek: Callable[[], None]) -> Viewer:
        """Expect a viewer; raises `ConsoleUnavailable` where there is no door for them."""
        if self._server is None:
            raise ConsoleUnavailable("This gateway lets no viewers in (ovc.viewer_listen).")
        self._promised = [one for one in self._promised if one.waits]
        made = Viewer(admission, seek, self._settings.ticket_seconds)
        self._promised.append(made)
        return made

    def file(self, viewer: Viewer, host: str) -> str:
        """Return what remote-viewer reads; `host` is the name by which the browser came."""
        port = self._settings.viewer_listen.rpartition(":")[2]
        title = "".join(sign for sign in viewer.admission.title if sign.isprintable())
        return (
            "[virt-viewer]\ntype=vnc\n"
            f"host={host}\nport={port}\npassword={viewer.password}\ntitle={title}\n"
            "delete-this-file=1\nsecure-attention=ctrl+alt+end\n"
        )

    def _serve(self, sock: Any, address: Any) -> None:
        if self._strangers >= STRANGERS:
            sock.close()
            return
        self._strangers += 1
        viewer: Viewer | None = None
        try:
            with gevent.Timeout(HANDSHAKE_SECONDS, rfb.HandshakeFailed("too slow")):
                viewer, sock = rfb.welcome(sock, self._proved, self._tls)
        except (rfb.HandshakeFailed, OSError) as error:
            log.info("viewer.refused", why=str(error), address=address[0])
            gevent.sleep(WRONG_PAUSE)
        finally:
            self._strangers -= 1
        if viewer is not None:
            log.info("viewer.connected", console=viewer.admission.console_id, address=address[0])
            self._join(viewer, sock)
        sock.close()

    def _join(self, viewer: Viewer, sock: Any) -> None:
        try:
            viewer.join(sock, self._source)
        except (DomainError, rfb.HandshakeFailed) as error:
            log.info("viewer.failed", why=str(error))

    def _proved(self, challenge: bytes, answer: bytes) -> Viewer | None:
        """Return whom the answer is for; it is good for no second one."""
        for viewer in self._promised:
            right = secrets.compare_digest(rfb.answer(viewer.password, challenge), answer)
            if right and viewer.waits:
                self._promised.remove(viewer)
                viewer.take()
                return viewer
        return None


def _context(settings: Settings) -> Callable[[Any], Any] | None:
    if settings.viewer_certificate is None:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(settings.viewer_certificate)

    def secure(sock: Any) -> Any:
        return made.wrap_socket(sock, server_side=True)

    return secure
