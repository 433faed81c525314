"""WebSocket on pywsgi: frames by wsproto, bytes by one writer a socket.

No compression (it costs memory a connection and gains nothing on a console), no delay (one key is
one packet).  `send` never waits: it queues, and one greenlet writes what is queued, so frames of
different senders cannot mix.  The queue is bounded: `pressure` is called with True when a reader
falls behind and with False when it has caught up; a sender that goes on all the same loses the
connection, never single bytes.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import socket
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import gevent
from gevent.event import Event
from wsproto import ConnectionType
from wsproto.connection import Connection, ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Message, Ping, Pong, TextMessage
from wsproto.events import Event as Frame
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError, RemoteProtocolError, generate_accept_token

MESSAGE_LIMIT = 64 * 1024
"""Longest message that is taken, bytes."""
HIGH, LOW = 256 * 1024, 64 * 1024
"""Bytes in the queue at which `pressure` is called."""
QUEUE_LIMIT = 4 * 1024 * 1024
READ_SIZE = 64 * 1024
WRITE_SIZE = 64 * 1024
PING_SECONDS = 20.0
SILENT_PINGS = 2
"""Pings without any answer after which the connection counts as dead."""
CLOSE_SECONDS = 2.0
"""How long the other side may take to answer a close."""
REASON_SIZE = 123
"""Bytes of text that a close frame may carry."""
CUT = " …"

TOO_SLOW = 4013
"""Close code: the reader fell too far behind."""


class BadHandshake(Exception):
    """The request is no WebSocket handshake of version 13."""


def accept(
    environ: dict[str, Any],
    start_response: Callable[..., Callable[[bytes], object]],
    *,
    pressure: Callable[[bool], None] | None = None,
) -> WebSocket:
    """Answer the handshake and return the open connection; raises `BadHandshake`."""
    key = _handshake_key(environ)
    answer = start_response(
        "101 Switching Protocols",
        [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", generate_accept_token(key).decode("ascii")),
        ],
    )
    answer(b"")
    return WebSocket(_socket_of(environ), pressure=pressure)


def _handshake_key(environ: dict[str, Any]) -> bytes:
    upgrade = environ.get("HTTP_UPGRADE", "").lower()
    connection = {part.strip().lower() for part in environ.get("HTTP_CONNECTION", "").split(",")}
    if environ["REQUEST_METHOD"] != "GET" or upgrade != "websocket" or "upgrade" not in connection:
        raise BadHandshake("This address speaks WebSocket only.")
    if environ.get("HTTP_SEC_WEBSOCKET_VERSION") != "13":
        raise BadHandshake("Only version 13 of WebSocket is spoken here.")
    key: str = environ.get("HTTP_SEC_WEBSOCKET_KEY", "")
    try:
        valid = len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        valid = False
    if not valid:
        raise BadHandshake("The handshake has no valid key.")
    return key.encode("ascii")


def _socket_of(environ: dict[str, Any]) -> Any:
    """Return the gevent socket below the request; pywsgi leaves it there on an upgrade only."""
    return environ["wsgi.input"].raw._sock  # noqa: SLF001 - pywsgi has no other way to it


class WebSocket:
    """One open connection.  One greenlet receives; any may send and close."""

    def __init__(self, sock: Any, *, pressure: Callable[[bool], None] | None = None) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(None)
        self._sock = sock
        self._wire = Connection(ConnectionType.SERVER)
        self.pressure = pressure
        self._pressed = False
        self._queue: deque[bytes] = deque()
        self._queued = 0
        self._wake = Event()
        self._heard_all = Event()
        self._parts: list[str | bytes] = []
        self._size = 0
        self.close_code: int | None = None
        """Why it ended, as said by the side that closed first; None while it is open."""
        self._writer = gevent.spawn(self._write)

    @property
    def open(self) -> bool:
        return self.close_code is None

    # --- sending

    def send(self, data: str | bytes) -> None:
        """Queue one message; after the end it is dropped."""
        if not self.open:
            return
        if self._queued > QUEUE_LIMIT:
            self.close(TOO_SLOW, "too slow")
            return
        self._put(TextMessage(data) if isinstance(data, str) else BytesMessage(data))

    def close(self, code: int = CloseReason.NORMAL_CLOSURE, reason: str = "") -> None:
        """Close after what is queued; the receiver then ends as well."""
        if self.open:
            self._put(CloseConnection(code=code, reason=_short(reason)))
            self.close_code = code

    def _put(self, frame: Frame) -> None:
        try:
            data = self._wire.send(frame)
        except LocalProtocolError:
            return  # both sides closed in the same moment
        self._queue.append(data)
        self._queued += len(data)
        self._wake.set()
        if self._queued > HIGH:
            self._press(on=True)

    def _press(self, *, on: bool) -> None:
        if self._pressed is not on:
            self._pressed = on
            if self.pressure is not None:
                self.pressure(on)

    def _write(self) -> None:
        with contextlib.suppress(OSError):
            while self.open or self._queue:
                self._wake.wait()
                self._wake.clear()
                while self._queue:
                    data = self._take()
                    self._sock.sendall(data)
                    self._queued -= len(data)
                    if self._queued < LOW:
                        self._press(on=False)
            # The other side is to answer our close; if it does not, its end is cut.
            self._heard_all.wait(CLOSE_SECONDS)
        self._hang_up()

    def _take(self) -> bytes:
        """Take as many queued frames as make one good write."""
        parts = [self._queue.popleft()]
        size = len(parts[0])
        while self._queue and size < WRITE_SIZE:
            parts.append(self._queue.popleft())
            size += len(parts[-1])
        return b"".join(parts) if len(parts) > 1 else parts[0]

    # --- receiving

    def __iter__(self) -> Iterator[str | bytes]:
        """Yield each message until the connection ends, for whatever reason."""
        try:
            while self._read():
                yield from self._messages()
                if self._wire.state is ConnectionState.CLOSED:
                    break
        except RemoteProtocolError as error:
            self.close(CloseReason.PROTOCOL_ERROR, str(error))
        except OSError:
            pass
        finally:
            self._end()

    def _read(self) -> bool:
        """Read once; False at the end.  Keeps the connection alive meanwhile."""
        for _ in range(SILENT_PINGS + 1):
            data: bytes | None = None
            with gevent.Timeout(PING_SECONDS, False):  # noqa: FBT003 - gevent's own signature
                data = self._sock.recv(READ_SIZE)
            if data:
                self._wire.receive_data(data)
            if data is not None:
                return bool(data)
            if self.open:
                self._put(Ping())
        return False

    def _messages(self) -> Iterator[str | bytes]:
        for frame in self._wire.events():
            if isinstance(frame, Ping):
                self._put(Pong(frame.payload))
            elif isinstance(frame, CloseConnection):
                self._put(frame.response())
                self.close_code = self.close_code or frame.code
            elif isinstance(frame, Message) and self.open:
                yield from self._assemble(frame)

    def _assemble(self, frame: Message[Any]) -> Iterator[str | bytes]:
        self._size += len(frame.data)
        if self._size > MESSAGE_LIMIT:
            self.close(CloseReason.MESSAGE_TOO_BIG, f"longer than {MESSAGE_LIMIT} bytes")
            return
        self._parts.append(frame.data)
        if frame.message_finished:
            whole = type(frame.data)().join(self._parts)
            self._parts, self._size = [], 0
            yield whole

    def _end(self) -> None:
        """Nothing more comes in: let the writer finish what is queued, then hang up."""
        if self.open:
            self.close_code = CloseReason.ABNORMAL_CLOSURE
        else:
            self._heard_all.set()
            self._writer.join(CLOSE_SECONDS)
        self._writer.kill(block=False)
        self._hang_up()

    def _hang_up(self) -> None:
        self._queue.clear()
        self._queued = 0
        self._press(on=False)
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)


def _short(reason: str) -> str:
    """Cut after a word, to the bytes that a close frame may carry; a cut shows."""
    if len(reason.encode()) <= REASON_SIZE:
        return reason
    kept = reason.encode()[: REASON_SIZE - len(CUT.encode())].decode(errors="ignore")
    return (kept.rpartition(" ")[0] or kept).rstrip(" .,;:") + CUT
