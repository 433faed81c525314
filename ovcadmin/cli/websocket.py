"""A WebSocket to the console's gateway: blocking to send, read when there is something."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.utilities import ProtocolError

from ovcadmin.cli import direct
from ovcadmin.cli.client import Client
from ovcadmin.cli.failures import Exit, Failure, exit_of

CONNECT_SECONDS = 10.0
CHUNK = 65536
ABNORMAL = 1006


class Wire:
    """One connection.  `closed`, `code` and `reason` tell how it ended."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.closed = False
        self.code = ABNORMAL
        self.reason = ""
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._parts: list[Any] = []

    def open(self, host: str, path: str, headers: dict[str, str]) -> None:
        """Shake hands; raises `Failure` when the gateway does not want to."""
        named = [(name.encode(), value.encode()) for name, value in headers.items()]
        request = Request(host=host, target=path, extra_headers=named)
        self.socket.sendall(self._protocol.send(request))
        while not self.closed:
            self._take_in()
            for event in self._protocol.events():
                if isinstance(event, AcceptConnection):
                    self.socket.settimeout(None)
                    return
                if isinstance(event, RejectConnection | RejectData):
                    status = getattr(event, "status_code", 400)
                    raise Failure(f"The gateway answered {status}.", exit_of(status))
        raise Failure("The gateway closed the connection at once.", Exit.UNREACHABLE)

    def send(self, message: str | bytes) -> None:
        """Send a message; nothing happens once the other side has closed."""
        event = TextMessage(message) if isinstance(message, str) else BytesMessage(message)
        with suppress(OSError, ProtocolError):
            self.socket.sendall(self._protocol.send(event))

    def receive(self) -> list[str | bytes]:
        """Return the messages that are complete now; call when the socket is readable."""
        self._take_in()
        found: list[str | bytes] = []
        for event in self._protocol.events():
            if isinstance(event, CloseConnection):
                self.closed, self.code, self.reason = True, event.code, event.reason or ""
                with suppress(OSError, ProtocolError):
                    self.socket.sendall(self._protocol.send(event.response()))
            elif isinstance(event, Ping):
                self.socket.sendall(self._protocol.send(event.response()))
            elif isinstance(event, TextMessage | BytesMessage):
                self._parts.append(event.data)
                if event.message_finished:
                    found.append(self._whole())
        return found

    def close(self) -> None:
        with suppress(OSError, ProtocolError):
            if not self.closed:
                self.socket.sendall(self._protocol.send(CloseConnection(code=1000)))
        self.socket.close()

    def _whole(self) -> str | bytes:
        parts, self._parts = self._parts, []
        joined = type(parts[0])().join(parts)
        return joined if isinstance(joined, str) else bytes(joined)

    def _take_in(self) -> None:
        """Read what is there, with TLS also what is decrypted already."""
        try:
            data = self.socket.recv(CHUNK)
            while isinstance(self.socket, ssl.SSLSocket) and self.socket.pending():
                data += self.socket.recv(CHUNK)
        except OSError:
            data = b""
        self.closed = self.closed or not data
        with suppress(ProtocolError):
            self._protocol.receive_data(data or None)


def connect(client: Client, path: str) -> Wire:
    """Open a WebSocket to a path of the client's console with the client's token."""
    parts = urlsplit(client.url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    headers = {"Authorization": f"Bearer {client.token}"}
    if direct.current is not None:
        (host, port), secure = direct.current.gateway, False
        headers |= {name: text for name, text in direct.current.headers.items() if name != "Host"}
    try:
        sock = socket.create_connection((host, port), CONNECT_SECONDS)
        if secure:
            context = ssl.create_default_context(cafile=client.ca)
            sock = context.wrap_socket(sock, server_hostname=host)
    except OSError as error:
        raise Failure(f"{client.url} cannot be reached: {error}", Exit.UNREACHABLE) from error
    wire = Wire(sock)
    wire.open(parts.netloc, f"{parts.path}{path}", headers)
    return wire
