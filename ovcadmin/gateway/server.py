"""pywsgi as the gateway needs it: raw target and headers kept, our log, deadlines on sockets."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Callable
from typing import Any

import structlog
from gevent.pywsgi import WSGIHandler, WSGIServer

log = structlog.get_logger(__name__)

IDLE_SECONDS = 75.0
"""How long a connection may neither send nor take anything (WebSockets have their own rule)."""
UNHEARD_MS = 60_000
"""How long sent bytes may stay unacknowledged before the kernel gives the connection up."""
BACKLOG = 512
CONNECTIONS = 5000


class Handler(WSGIHandler):
    """Never logs headers, bodies or query strings: they may hold what is secret."""

    def __init__(self, sock: Any, address: Any, server: Any) -> None:
        sock.settimeout(IDLE_SECONDS)
        super().__init__(sock, address, server)

    def get_environ(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environ()
        environ["gateway.target"] = self.path
        environ["gateway.headers"] = self.headers.items()
        environ["gateway.socket"] = self.socket
        return environ

    def log_request(self) -> None:
        if not self.path:
            return
        log.debug(
            "gateway.answered",
            method=self.command,
            path=self.path.partition("?")[0][:200],
            status=self.code,
            ms=round((time.time() - self.time_start) * 1000, 1),
        )

    def log_error(self, msg: str, *_args: Any) -> None:
        log.info("gateway.bad_request", address=self.client_address[0], kind=msg.partition(":")[0])

    def _log_error(self, t: Any, v: Any, tb: Any) -> None:
        if issubclass(t, Exception):
            log.error("gateway.failed", exc_info=(t, v, tb))


def listen(address: str) -> socket.socket:
    """Open the listening socket; what is set on it holds for every accepted one."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD_MS)
    listener.bind((host, int(port)))
    listener.listen(BACKLOG)
    listener.settimeout(0)
    return listener


def make(address: str, application: Callable[..., Any]) -> WSGIServer:
    """Make the server; a console takes a file descriptor or two, so raise their limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return WSGIServer(
        listen(address),
        application,
        handler_class=Handler,
        spawn=CONNECTIONS,
        log=None,
        error_log=None,
    )
