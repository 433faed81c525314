"""Pseudo-terminals as streams of a console."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from collections import deque
from collections.abc import Callable
from contextlib import suppress

import gevent
from gevent.event import Event
from gevent.os import make_nonblocking, nb_read, nb_write

CHUNK = 16 * 1024
MOST_TYPED = 2 * 1024 * 1024
"""Bytes typed that may wait for a command that does not read."""
COLUMNS, ROWS = 100, 24
"""Of a terminal whose page has not told yet."""
LEFT = "The terminal was left."
STUCK = "The terminal does not read what is typed."


class Pty:
    """Our side of a pseudo-terminal; see `base.ConsoleStream`.  Its methods belong to the hub."""

    def __init__(
        self, handle: int, on_data: Callable[[bytes], None], on_close: Callable[[str], None]
    ) -> None:
        make_nonblocking(handle)
        self._handle = handle
        self._on_data, self._on_close = on_data, on_close
        self._typed: deque[bytes] = deque()
        self._waiting = 0
        self._wake, self._flows = Event(), Event()
        self._flows.set()
        self._over = False
        self._reader = gevent.spawn(self._read)
        self._writer = gevent.spawn(self._write)

    def write(self, data: bytes) -> None:
        if self._over:
            return
        self._waiting += len(data)
        if self._waiting > MOST_TYPED:
            gevent.spawn(self._end, STUCK)
            return
        self._typed.append(data)
        self._wake.set()

    def pause(self) -> None:
        self._flows.clear()

    def resume(self) -> None:
        self._flows.set()

    def resize(self, columns: int, rows: int) -> None:
        if not self._over:
            set_size(self._handle, columns, rows)

    def close(self) -> None:
        """Hang up: the other side gets SIGHUP."""
        self._end("")

    def ended(self) -> None:
        """Clear up what is at the other side; nothing, when the hang-up alone ends it."""

    def _read(self) -> None:
        while True:
            self._flows.wait()
            try:
                data = nb_read(self._handle, CHUNK)
            except OSError:
                data = b""  # nobody has the other side any more
            if not data:
                break
            self._on_data(data)
        self._end(LEFT)

    def _write(self) -> None:
        with suppress(OSError):
            while True:
                self._wake.wait()
                self._wake.clear()
                while self._typed:
                    data = self._typed.popleft()
                    while data:
                        sent = nb_write(self._handle, data[:CHUNK])
                        self._waiting -= sent
                        data = data[sent:]

    def _end(self, reason: str) -> None:
        if self._over:
            return
        self._over = True
        own = gevent.getcurrent()
        gevent.killall([one for one in (self._reader, self._writer) if one is not own])
        os.close(self._handle)
        self.ended()
        if reason:
            self._on_close(reason)


def open_pty() -> tuple[int, int]:
    """Return our side and the other of a new pseudo-terminal."""
    ours, theirs = os.openpty()
    set_size(ours, COLUMNS, ROWS)
    return ours, theirs


def set_size(handle: int, columns: int, rows: int) -> None:
    with suppress(OSError):
        fcntl.ioctl(handle, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
