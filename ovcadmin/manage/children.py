"""One child process of `ovcadmin serve`: start, read, restart with back-off, stop.

A child lives in its own session, so that Ctrl-C reaches only the parent, which stops its children
in order; and it asks the kernel to be told when the parent dies, so that even a killed parent
leaves nothing behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

PR_SET_PDEATHSIG = 1
FIRST_BACK_OFF = 0.5
LONGEST_BACK_OFF = 30.0
STEADY_SECONDS = 60.0
"""A process that ran this long may start again at once when it ends."""
CHUNK = 65536

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(kw_only=True)
class Child:
    """`say` writes one line of the child's output to the common log."""

    name: str
    command: Sequence[str]
    say: Callable[[str], None]
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    restart_at: float | None = 0.0
    """When to start it (monotonic); None while it runs."""
    back_off: float = FIRST_BACK_OFF
    _partial: bytes = field(default=b"", repr=False)

    @property
    def output(self) -> int:
        """File descriptor of its output, -1 when there is none."""
        stdout = self.process.stdout if self.process else None
        return stdout.fileno() if stdout and not stdout.closed else -1

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509 - we have one thread
        )
        os.set_blocking(self.output, False)
        self.started = time.monotonic()
        self.restart_at = None

    def read(self) -> None:
        """Pass on the complete lines that wait."""
        while self.output >= 0:
            try:
                chunk = os.read(self.output, CHUNK)
            except BlockingIOError:
                return
            if not chunk:
                self._close()
                chunk = b"\n" if self._partial else b""
            *lines, self._partial = (self._partial + chunk).split(b"\n")
            for line in lines:
                self.say(line.decode(errors="replace"))

    def reap(self) -> int | None:
        """Return the exit code if it just ended, and plan the next start."""
        if self.process is None or self.restart_at is not None:
            return None
        code = self.process.poll()
        if code is None:
            return None
        self.kill()  # what it may have started itself
        self.read()
        self._close()
        if time.monotonic() - self.started > STEADY_SECONDS:
            self.back_off = FIRST_BACK_OFF
        self.restart_at = time.monotonic() + self.back_off
        self.back_off = min(2 * self.back_off, LONGEST_BACK_OFF)
        return code

    def _close(self) -> None:
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self) -> None:
        if self.running:
            assert self.process is not None
            self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Kill whatever is left of its session."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)


def _die_with(parent: int) -> Callable[[], None]:
    def prepare() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we could ask
            os._exit(1)

    return prepare
