"""Screens in memory: they greet, and answer each byte with itself."""

from __future__ import annotations

import socket

from ovcadmin import green
from ovcadmin.drivers.hypervisor.base import DomainState, PowerState
from ovcadmin.errors import ConsoleUnavailable

GREETING = b"RFB 003.008\n"


class FakeGraphics:
    """The part of `FakeHypervisor` that meets `base.Graphics`."""

    def state(self, uuid: str) -> DomainState | None:
        raise NotImplementedError

    def open_graphics(self, uuid: str) -> int:
        found = self.state(uuid)
        if found is None or found.power is not PowerState.RUNNING:
            raise ConsoleUnavailable("The machine shows no screen.")
        ours, theirs = socket.socketpair()

        def echo() -> None:
            with ours:
                ours.sendall(GREETING)
                while data := ours.recv(4096):
                    ours.sendall(data)

        green.native_thread(echo)
        return theirs.detach()
