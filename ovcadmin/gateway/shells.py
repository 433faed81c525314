"""Shells of hosts: ssh on a pseudo-terminal, to an account that the settings name.

Only keys that are in `host_shell_known_hosts` are believed; nothing is forwarded, nothing is asked,
and no sign that is typed means anything to ssh itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress

import gevent

from ovcadmin.config import Settings
from ovcadmin.errors import ConsoleUnavailable
from ovcadmin.gateway.pty import Pty, open_pty
from ovcadmin.services.console_standings import Shell

LOOK_SECONDS = 0.2
PATIENCE = 15
"""Looks at a process that was told to end before it is killed."""
OPTIONS = (
    "BatchMode=yes", "StrictHostKeyChecking=yes", "GlobalKnownHostsFile=/dev/null",
    "UpdateHostKeys=no", "IdentitiesOnly=yes", "IdentityAgent=none", "ForwardAgent=no",
    "ForwardX11=no", "ClearAllForwardings=yes", "PermitLocalCommand=no", "EscapeChar=none",
    "ConnectTimeout=10", "ServerAliveInterval=15", "ServerAliveCountMax=3", "LogLevel=ERROR",
)  # fmt: skip


class ShellPty(Pty):
    """A pseudo-terminal with ssh at its other side."""

    def __init__(
        self,
        handle: int,
        process: subprocess.Popen[bytes],
        on_data: Callable[[bytes], None],
        on_close: Callable[[str], None],
    ) -> None:
        self._process = process
        super().__init__(handle, on_data, on_close)

    def resize(self, columns: int, rows: int) -> None:
        super().resize(columns, rows)
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGWINCH)

    def ended(self) -> None:
        gevent.spawn(self._reap)

    def _reap(self) -> None:
        self._process.terminate()
        for _ in range(PATIENCE):
            if self._process.poll() is not None:
                return
            gevent.sleep(LOOK_SECONDS)
        self._process.kill()
        self._process.wait()


def open_shell(
    settings: Settings,
    shell: Shell,
    *,
    on_data: Callable[[bytes], None],
    on_close: Callable[[str], None],
) -> ShellPty:
    """Start ssh; raises `ConsoleUnavailable`.  What ssh itself complains of is shown."""
    ours, theirs = open_pty()
    try:
        process = subprocess.Popen(  # noqa: S603 - the words are settings and an enrolled address
            _words(settings, shell.address),
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={"PATH": os.environ.get("PATH", os.defpath), "TERM": "xterm-256color"},
            start_new_session=True,
        )
    except OSError as error:
        os.close(ours)
        raise ConsoleUnavailable("ssh cannot be started on the gateway.") from error
    finally:
        with suppress(OSError):
            os.close(theirs)
    return ShellPty(ours, process, on_data, on_close)


def _words(settings: Settings, address: str) -> list[str]:
    options = [f"UserKnownHostsFile={settings.host_shell_known_hosts}", *OPTIONS]
    return [
        "ssh", "-F", "none", "-tt", "-p", str(settings.host_shell_port),
        "-i", str(settings.host_shell_key), "-l", settings.host_shell_user,
        *(word for option in options for word in ("-o", option)),
        "--", address,
    ]  # fmt: skip
