"""Ports of one's own, and a place on the network that answers nothing."""

import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

LOOPBACK = "127.0.0.1"
PORTS = range(10_240, 32_768)
"""Below those that the kernel gives to outgoing connections, which would come in between."""


def free_ports(count: int) -> list[int]:
    """Return ports that nobody uses now, on any address of this machine."""
    found: list[int] = []
    with ExitStack() as stack:
        while len(found) < count:
            listener = stack.enter_context(socket.socket())
            with suppress(OSError):
                listener.bind(("", secrets.choice(PORTS)))
                found.append(int(listener.getsockname()[1]))
    return found


def free_port() -> int:
    return free_ports(1)[0]


@contextmanager
def black_hole() -> Iterator[int]:
    """A port of the loopback device where connecting never ends: the queue behind it is full."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((LOOPBACK, 0))
        listener.listen(0)
        port = int(listener.getsockname()[1])
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex((LOOPBACK, port))
        yield port
