"""Embedded terminals: `ovc` on a pseudo-terminal, in a process that can do nothing else.

No shell of this machine takes part.  One preloaded process (`python -m ovcadmin.cli.shell_host`)
makes each terminal by forking itself: a terminal is there at once and shares what is loaded.  The
only things that it is given are its side of the pseudo-terminal, the addresses of the console's own
processes, and a token that ends with it.
"""

from __future__ import annotations

import array
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog

from ovcadmin.config import Settings
from ovcadmin.errors import ConsoleUnavailable
from ovcadmin.gateway import shells
from ovcadmin.gateway.pty import Pty, open_pty
from ovcadmin.gateway.records import Records
from ovcadmin.services import console_sessions
from ovcadmin.services.console_standings import Prompt, Shell

log = structlog.get_logger(__name__)

STOP_SECONDS = 3.0


class Terminals:
    """Makes terminals; starts the process that they are forked from when it is needed."""

    def __init__(self, settings: Settings, records: Records) -> None:
        self._settings, self._records = settings, records
        self._host: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None

    def open(
        self,
        prompt: Prompt,
        *,
        on_data: Callable[[bytes], None],
        on_close: Callable[[str], None],
    ) -> Pty:
        """Open a terminal; raises `ConsoleUnavailable`."""
        key, user, address = self._records.write(
            lambda work: console_sessions.own_token(work, prompt.console_id)
        )
        ours, theirs = open_pty()
        try:
            self._ask({"token": key, "user": user, **self._way(address)}, theirs)
        except OSError as error:
            os.close(ours)
            raise ConsoleUnavailable("The terminal cannot be started at the moment.") from error
        finally:
            os.close(theirs)
        return Pty(ours, on_data, on_close)

    def open_shell(
        self, shell: Shell, *, on_data: Callable[[bytes], None], on_close: Callable[[str], None]
    ) -> Pty:
        """Open a shell on a host; raises `ConsoleUnavailable`."""
        return shells.open_shell(self._settings, shell, on_data=on_data, on_close=on_close)

    def warm_up(self) -> None:
        """Start the process early, so that the first terminal is there at once, too."""
        if self._settings.terminal:
            with suppress(OSError):
                self._start()

    def close(self) -> None:
        if self._host is not None and self._line is not None:
            self._line.close()
            with suppress(subprocess.TimeoutExpired):
                self._host.wait(STOP_SECONDS)
            self._host.kill()
            self._host.wait()
            self._host = self._line = None

    def _way(self, address: str) -> dict[str, Any]:
        """Say how the terminal's commands reach the console: directly, past every proxy."""
        web = _reachable(self._settings.web_listen)
        return {
            "url": self._settings.public_url or f"http://{web}",
            "web": web,
            "gateway": _reachable(self._settings.gateway_listen),
            "address": address,
        }

    def _ask(self, order: dict[str, Any], handle: int) -> None:
        """Send the order and the other side of the pseudo-terminal; once more to a new process."""
        data = json.dumps(order).encode()
        try:
            self._send(data, handle)
        except OSError:
            self.close()
            self._send(data, handle)

    def _send(self, data: bytes, handle: int) -> None:
        if self._line is None:
            self._start()
        assert self._line is not None
        with_it = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [handle]))]
        self._line.sendmsg([data], with_it, socket.MSG_NOSIGNAL)

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._host = subprocess.Popen(  # noqa: S603 - our own program
                (sys.executable, "-m", "ovcadmin.cli.shell_host", str(theirs.fileno())),
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env={
                    name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ
                },
                start_new_session=True,
            )
        self._line = ours


def _reachable(listen: str) -> str:
    """Return the address at which a process of this machine is reached."""
    host, _, port = listen.rpartition(":")
    return f"{ {'0.0.0.0': '127.0.0.1', '[::]': '[::1]'}.get(host, host) }:{port}"  # noqa: S104
