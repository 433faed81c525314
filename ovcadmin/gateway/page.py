"""A browser page with a console on it, and how much it may have to draw."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ovcadmin.gateway.websocket import WebSocket

HIGH, LOW = 512 * 1024, 128 * 1024
"""Bytes that a page may still have to draw when the stream is paused, and goes on again."""


@dataclass(eq=False)
class Page:
    """A browser page with a console on it."""

    socket: WebSocket
    undrawn: int = 0
    """Bytes that were sent and not yet drawn there."""
    behind: bool = False
    """Whether it missed output and needs the scrollback again."""

    def show(self, data: bytes) -> None:
        self.undrawn += len(data)
        self.socket.send(data)

    def say(self, **message: Any) -> None:
        self.socket.send(json.dumps(message))

    def follow(self, data: bytes) -> None:
        """Show what others may not wait for: a page that is too slow gets it again later."""
        self.behind = self.behind or self.undrawn > HIGH
        if not self.behind:
            self.show(data)

    def replay(self, kept: bytes, **about: Any) -> None:
        """Begin afresh with what was printed until now."""
        self.behind = False
        self.say(type="attached", replay=len(kept), **about)
        if kept:
            self.show(kept)
