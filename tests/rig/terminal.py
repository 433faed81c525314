"""Somebody at a console: what a page does on the gateway's WebSocket, without a browser."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

from wsproto.utilities import LocalProtocolError

from tests.rig.websocket import WebSocketClient


class Terminal:
    """`screen` is what the guest printed so far, `told` what the gateway said beside it.

    It acknowledges what it has drawn as a page does, unless `draws` is off.
    """

    def __init__(self, socket: WebSocketClient, **hello: Any) -> None:
        self.socket = socket
        self.screen = bytearray()
        self.told: list[dict[str, Any]] = []
        self.draws = True
        self.undrawn = 0
        socket.say(**hello)

    @property
    def state(self) -> str:
        return str(self.told[-1]["state"]) if self.told else ""

    def type(self, text: str | bytes) -> None:
        self.socket.send(text.encode() if isinstance(text, str) else text)

    def draw(self) -> None:
        """Tell that everything received is drawn."""
        if self.undrawn:
            # The gateway may be closing meanwhile; a browser drops what is sent then, too.
            with suppress(LocalProtocolError, OSError):
                self.socket.say(drawn=self.undrawn)
            self.undrawn = 0

    def read(self, seconds: float = 20) -> bool:
        """Take one message in; False when the connection is closed."""
        message = self.socket.receive(max(seconds, 0.001))
        if isinstance(message, bytes):
            self.screen += message
            self.undrawn += len(message)
            if self.draws:
                self.draw()
        elif message is not None:
            self.told.append(json.loads(message))
        return message is not None

    def expect(self, text: str | bytes, seconds: float = 20) -> None:
        """Read until the guest has printed `text`."""
        wanted = text.encode() if isinstance(text, str) else text
        self._until(
            lambda: wanted in self.screen, f"{wanted!r} in {bytes(self.screen[-400:])!r}", seconds
        )

    def press_enter_until(self, prompt: str, seconds: float) -> None:
        """Press Enter until a shell answers; one that is still starting hears nothing."""
        deadline = time.monotonic() + seconds
        start = len(self.screen)
        while not _has(self.screen, prompt, start):
            assert time.monotonic() < deadline, f"no {prompt!r} in {bytes(self.screen[-400:])!r}"
            self.type("\r")
            with suppress(TimeoutError):
                while not _has(self.screen, prompt, start) and self.read(2):
                    pass

    def expect_state(self, state: str, seconds: float = 20) -> None:
        """Read until the gateway says that the console is in this state."""
        self._until(lambda: self.state == state, f"{state} after {self.told}", seconds)

    def expect_end(self, seconds: float = 20) -> tuple[int | None, str]:
        """Read until the gateway closes; return its code and reason."""
        deadline = time.monotonic() + seconds
        while self.read(deadline - time.monotonic()):
            pass
        return self.socket.close_code, self.socket.close_reason

    def _until(self, condition: Any, what: str, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            try:
                going = self.read(deadline - time.monotonic())
            except TimeoutError:
                going = False
            if not going:
                raise AssertionError(f"missed {what}; ended with {self.socket.close_code}")

    def close(self) -> None:
        self.socket.close()


def _has(screen: bytearray, text: str, start: int) -> bool:
    return screen.find(text.encode(), start) >= 0
