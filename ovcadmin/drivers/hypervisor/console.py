"""Serial consoles: one libvirt connection each, so that none can hold up another.

Two limits of libvirt ask for it.  Its client library takes in all that the daemon sends, so the
only brake is to leave the connection's socket unread; and the daemon stops listening to a
connection on which five messages wait for a guest that does not read.  A connection costs about
8 kB here and less in the daemon.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

import libvirt

from ovcadmin import green
from ovcadmin.drivers.hypervisor import guest
from ovcadmin.drivers.hypervisor.base import ConsoleEnd
from ovcadmin.drivers.hypervisor.line import PATIENT_KEEPALIVE, Conn, Dialler, Line, run
from ovcadmin.drivers.hypervisor.loop import loop

CHUNK = 64 * 1024
HIGH, LOW = 256 * 1024, 64 * 1024
"""Bytes read from the guest and not yet taken, at which reading stops and goes on again."""
LINGER = 0.002
"""Seconds after a chunk was handed on in which more is collected: a guest that prints comes in
pieces of some bytes, and each costs as much as a large one.  The first is never delayed."""
MESSAGE = 4096
"""Bytes typed that go to the daemon at once: what its pty takes."""
RETRY = 0.02
"""Seconds until a full socket is looked at again."""
MOST_TYPED = 4 * 1024 * 1024
"""Bytes typed that may wait for a guest that does not read."""
SOCKET_BUFFER = 64 * 1024
SO_SNDBUF, SO_RCVBUF = 7, 8

READABLE = libvirt.VIR_STREAM_EVENT_READABLE
FAILURE = libvirt.VIR_STREAM_EVENT_ERROR | libvirt.VIR_STREAM_EVENT_HANGUP
WOULD_BLOCK = -2


class LibvirtConsole:
    """An open console; see `base.ConsoleStream`.  Its methods belong to the hub.

    `on_close` is called once, with the reason, after all output was handed on.
    """

    def __init__(self, on_data: Callable[[bytes], None], on_close: Callable[[str], None]) -> None:
        self._on_data = on_data
        self._on_close = on_close
        self._box: green.Mailbox[None] = green.Mailbox(self._handle)
        self._lock = green.native("_thread", "allocate_lock")()
        self._line: Line | None = None
        self._stream: Any = None
        self._me: list[LibvirtConsole] = [self]
        # Shared with libvirt's thread, under the lock:
        self._output: deque[bytes] = deque()
        self._held_bytes = 0
        self._paused = False
        self._reading = True
        self._end = ""
        """Why it ends; blank while it does not."""
        # The hub's own:
        self._typed = bytearray()
        self._sending = False
        """Whether a further attempt to send is on its way."""
        self._over = False

    def open(self, dialler: Dialler, uuid: str, *, deadline: float) -> LibvirtConsole:
        """Dial and take the console over; raises what `Hypervisor` calls raise."""
        line, self._stream = dialler.dial(
            lambda line: run(dialler.host, line, partial(self._take, line, uuid)),
            deadline=deadline,
        )
        self._line = line
        self._stream.eventAddCallback(READABLE | FAILURE, _ready, self._me)
        return self

    def _take(self, line: Line, uuid: str, conn: Conn) -> Any:
        """Become the one reader of the guest's first console, in the dialling thread."""
        for handle in line.handles:
            # Over TCP the kernel would otherwise take in megabytes for a reader that pauses.
            loop().buffer(handle, SO_RCVBUF, SOCKET_BUFFER)
            loop().buffer(handle, SO_SNDBUF, SOCKET_BUFFER)
        # The stream says nothing when its connection breaks.
        line.guard(lambda _reason: self._finish(ConsoleEnd.LOST), PATIENT_KEEPALIVE)
        stream = conn.newStream(libvirt.VIR_STREAM_NONBLOCK)
        domain = guest.find(conn, uuid)
        domain.openConsole(None, stream, libvirt.VIR_DOMAIN_CONSOLE_FORCE)
        return stream

    # --- the hub's side ----------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        if self._over or self._end:
            return
        self._typed += data
        if len(self._typed) > MOST_TYPED:
            self._finish(ConsoleEnd.DEAF)
        elif not self._sending:
            self._send()

    def pause(self) -> None:
        with self._lock:
            self._paused = True
            self._steer()

    def resume(self) -> None:
        with self._lock:
            self._paused = False
            self._steer()
        self._box.put(None)

    def close(self) -> None:
        with self._lock:
            self._output.clear()
            self._paused = False
        self._finish(ConsoleEnd.CLOSED)

    def _finish(self, reason: str) -> None:
        with self._lock:
            self._end = self._end or reason
        self._box.put(None)

    def _handle(self, _fact: None) -> None:
        """Hand output on, in a greenlet; one at a time."""
        while not self._over:
            with self._lock:
                if self._paused:
                    return
                chunk = self._take_output()
                self._steer()
                ended = not chunk and bool(self._end)
            if ended:
                self._bury()
            if not chunk:
                return
            self._on_data(chunk)
            green.sleep(LINGER)

    def _take_output(self) -> bytes:
        """Join what waits, up to a chunk.  The lock is held."""
        taken: list[bytes] = []
        size = 0
        while self._output and size < CHUNK:
            taken.append(self._output.popleft())
            size += len(taken[-1])
        self._held_bytes -= size
        return b"".join(taken)

    def _send(self) -> None:
        """Pass typed bytes on while there is room on the socket.

        A stream's `send` waits for the rest when the socket takes only a part, non-blocking or not.
        """
        self._sending = False
        try:
            while self._typed and not self._over:
                assert self._line is not None
                if not all(loop().has_room(handle) for handle in self._line.handles):
                    self._send_later()
                    return
                sent = self._stream.send(bytes(self._typed[:MESSAGE]))
                if sent == WOULD_BLOCK:
                    self._send_later()
                    return
                del self._typed[:sent]
        except libvirt.libvirtError:
            self._typed.clear()  # the reading side learns why

    def _send_later(self) -> None:
        if not self._sending:
            self._sending = True
            green.later(RETRY, self._send)

    def _bury(self) -> None:
        """Let go of the connection without waiting for the daemon."""
        self._over = True
        self._typed.clear()
        line, stream = self._line, self._stream
        self._line = self._stream = None
        if line is not None:
            line.farewells.append(partial(_release, stream, self._me))
            line.hang_up()
        self._on_close(self._end)

    def _steer(self) -> None:
        """Leave the socket unread, or read it again.  The lock is held."""
        if self._line is None:
            return
        limit = HIGH if self._reading else LOW
        reading = not self._paused and self._held_bytes < limit
        if reading != self._reading:
            self._reading = reading
            for handle in self._line.handles:
                if reading:
                    loop().release(handle)
                else:
                    loop().hold(handle)

    # --- libvirt's side: runs in its event thread ------------------------------------------------

    def ready(self, stream: Any, events: int) -> None:
        """Take in what the stream has to tell."""
        try:
            if events & READABLE:
                self._read(stream)
            if events & FAILURE:
                self._ended(stream, ConsoleEnd.LOST)
        except libvirt.libvirtError:
            # Whoever takes a console over makes the former reader's stream fail.
            line = self._line
            alive = line is not None and line.alive()
            self._ended(stream, ConsoleEnd.TAKEN_OVER if alive else ConsoleEnd.LOST)

    def _read(self, stream: Any) -> None:
        got = stream.recv(CHUNK)
        if got == WOULD_BLOCK:
            return
        if not got:
            self._ended(stream, ConsoleEnd.STOPPED)
            return
        with self._lock:
            told = bool(self._output)
            self._output.append(got)
            self._held_bytes += len(got)
            self._steer()
        if not told:
            self._box.put(None)

    def _ended(self, stream: Any, reason: str) -> None:
        with suppress(libvirt.libvirtError):
            stream.eventUpdateCallback(0)
        self._finish(reason)


def _ready(stream: Any, events: int, me: list[LibvirtConsole]) -> None:
    for console in me:
        console.ready(stream, events)


def _release(stream: Any, me: list[LibvirtConsole]) -> None:
    """Free the stream by hand, and what its callback holds.

    libvirt-python keeps a stream that ever had a callback, and what was given with it, in a
    dictionary that it never gives back; with them the connection and its descriptors.
    """
    stream.__del__()
    del stream.cb
    stream._conn = None  # noqa: SLF001
    me.clear()
