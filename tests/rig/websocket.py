"""A WebSocket client for tests and benchmarks: blocking, plain, and as slow as one wants."""

from __future__ import annotations

import json
import socket
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError


class Refused(Exception):
    """The handshake was answered with an ordinary response; `status` is its number."""

    def __init__(self, status: int) -> None:
        super().__init__(f"refused with {status}")
        self.status = status


class WebSocketClient:
    """One connection.  `close_code` and `close_reason` tell how it ended."""

    def __init__(
        self,
        address: tuple[str, int],
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        host: str | None = None,
        receive_buffer: int | None = None,
        seconds: float = 20,
    ) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(seconds)
        self.socket.connect(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wire = WSConnection(ConnectionType.CLIENT)
        self._parts: list[Any] = []
        self.close_code: int | None = None
        self.close_reason = ""
        self.answers_pings = True
        named = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
        request = Request(
            host=host or f"{address[0]}:{address[1]}", target=path, extra_headers=named
        )
        self.socket.sendall(self._wire.send(request))
        self._events: deque[Any] = deque()
        self._gone = False
        self._shake_hands()

    def _shake_hands(self) -> None:
        answer = self._next(20)
        if isinstance(answer, RejectConnection):
            self.socket.close()
            raise Refused(answer.status_code)
        assert isinstance(answer, AcceptConnection), answer

    def _next(self, seconds: float) -> Any:
        """Return the next event of the wire; None when the other side is gone."""
        deadline = time.monotonic() + seconds
        while not self._events:
            if self._gone:
                return None
            self.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            data = self.socket.recv(65536)
            self._gone = not data
            self._wire.receive_data(data or None)
            self._events.extend(self._wire.events())
        return self._events.popleft()

    def send(self, message: str | bytes) -> None:
        event = TextMessage(message) if isinstance(message, str) else BytesMessage(message)
        self.socket.sendall(self._wire.send(event))

    def say(self, **message: Any) -> None:
        self.send(json.dumps(message))

    def receive(self, seconds: float = 20) -> str | bytes | None:
        """Return the next message; None once the connection is closed."""
        deadline = time.monotonic() + seconds
        while event := self._next(deadline - time.monotonic()):
            if isinstance(event, CloseConnection):
                self._closed(event)
                return None
            if isinstance(event, Ping) and self.answers_pings:
                self.socket.sendall(self._wire.send(event.response()))
            if isinstance(event, TextMessage | BytesMessage):
                self._parts.append(event.data)
                if event.message_finished:
                    parts, self._parts = self._parts, []
                    whole = type(parts[0])().join(parts)
                    return whole if isinstance(whole, str) else bytes(whole)
        self.close_code = self.close_code or 1006
        return None

    def drain(self, seconds: float = 20) -> int | None:
        """Take in what comes until the other side closes; return the close code."""
        while self.receive(seconds) is not None:
            pass
        return self.close_code

    def close(self, code: int = 1000) -> None:
        """Close cleanly, without waiting for the answer."""
        with suppress(OSError, LocalProtocolError):
            if self.close_code is None:
                self.socket.sendall(self._wire.send(CloseConnection(code=code)))
        self.socket.close()

    def _closed(self, event: CloseConnection) -> None:
        if self.close_code is None:
            self.close_code, self.close_reason = event.code, event.reason or ""
            # There is nobody to answer when the connection just broke.
            with suppress(OSError, LocalProtocolError):
                self.socket.sendall(self._wire.send(event.response()))
