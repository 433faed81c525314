"""`ovcadmin serve`: web, gateway and worker of one machine as children of one foreground program.

One thread, one loop: it waits for output, for signals and for the time of the next restart.
"""

from __future__ import annotations

import errno
import fcntl
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO

from ovcadmin.config import Settings
from ovcadmin.errors import Conflict
from ovcadmin.manage.children import Child
from ovcadmin.manage.processes import MODULES, command

GRACE_SECONDS = 3.0
"""Beyond what a worker may take to stop: then what is left is killed."""
_COLOURS = {"gateway": "35", "web": "36", "worker": "33", "serve": "1"}


def serve(ini: Path, settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises `Conflict` when these data are served already, or another program has an address.
    """
    with only_one(settings.data_dir):
        for name in ("gateway_listen", "web_listen"):
            ensure_free(f"ovc.{name}", getattr(settings, name))
        Supervisor(ini, settings).run()


@contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Hold the data directory; the lock ends with this process, however it ends."""
    path = data_dir / "serve.lock"
    with path.open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            pid = file.read().strip() or "unknown"
            raise Conflict(
                f"{data_dir} is being served already, by process {pid}. Stop that one first, or "
                "give this one another data_dir.",
                pid=pid,
            ) from None
        _write_pid(file)
        yield


def ensure_free(setting: str, listen: str) -> None:
    """Raise `Conflict` unless the address can be listened on.

    What a killed predecessor leaves behind ends within moments and is waited for.
    """
    host, _, port = listen.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    deadline = time.monotonic() + GRACE_SECONDS
    while True:
        try:
            socket.create_server((host.strip("[]"), int(port)), family=family).close()
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                time.sleep(0.1)
                continue
            raise Conflict(
                f"Nothing can listen on {listen} ({setting}): {error.strerror}. Stop the program "
                "that does, or choose another address.",
                setting=setting,
            ) from None
        return


def _write_pid(file: IO[str]) -> None:
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()


class Supervisor:
    def __init__(self, ini: Path, settings: Settings) -> None:
        self._settings = settings
        self._colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        self._selector = selectors.DefaultSelector()
        self._signals = 0
        self._ready = False
        self._children = [
            Child(
                name=kind,
                command=command(kind, ini),
                say=lambda line, kind=kind: self._say(kind, line),  # type: ignore[misc]
            )
            for kind in MODULES
        ]

    def run(self) -> None:
        receiver, sender = socket.socketpair()
        with closing(receiver), closing(sender), self._selector:
            receiver.settimeout(0)
            sender.settimeout(0)
            signal.set_wakeup_fd(sender.fileno())
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self._told_to_stop)
            # Only to be woken: without a handler the wake-up descriptor stays silent.
            signal.signal(signal.SIGCHLD, lambda *_: None)
            self._selector.register(receiver, selectors.EVENT_READ)
            try:
                while not self._signals:
                    self._start_due()
                    self._turn(receiver, self._pause())
                    self._announce()
            finally:
                self._stop(receiver)
                signal.set_wakeup_fd(-1)

    def _start_due(self) -> None:
        for child in self._children:
            if child.restart_at is not None and child.restart_at <= time.monotonic():
                child.start()
                self._selector.register(child.output, selectors.EVENT_READ, child)

    def _turn(self, receiver: socket.socket, seconds: float) -> None:
        """Wait for something to happen and take care of it."""
        for key, _ in self._selector.select(seconds):
            if key.data is None:
                receiver.recv(4096)
                continue
            key.data.read()
            if key.data.output < 0:
                self._selector.unregister(key.fileobj)
        for child in self._children:
            self._look_after(child)

    def _look_after(self, child: Child) -> None:
        before = child.output
        code = child.reap()
        if code is None:
            return
        if before >= 0 and child.output < 0:
            self._selector.unregister(before)
        if not self._signals:
            wait = max((child.restart_at or 0) - time.monotonic(), 0)
            self._say("serve", f"{child.name} ended with {_ending(code)}; again in {wait:.1f} s")

    def _pause(self) -> float:
        times = [child.restart_at for child in self._children if child.restart_at is not None]
        longest = 60.0 if self._ready else 0.2
        return max(min([time.monotonic() + longest, *times]) - time.monotonic(), 0.0)

    def _announce(self) -> None:
        """Say the address, once, when it answers."""
        if self._ready or not all(map(_answers, self._addresses())):
            return
        self._ready = True
        self._say("serve", f"OpenvCloud is served on {address(self._settings)}")

    def _addresses(self) -> tuple[str, str]:
        return self._settings.gateway_listen, self._settings.web_listen

    def _told_to_stop(self, _number: int, _frame: object) -> None:
        self._signals += 1

    def _stop(self, receiver: socket.socket) -> None:
        """Tell all to stop, wait, kill what is left; a second signal cuts the wait short."""
        deadline = time.monotonic() + self._settings.stop_seconds + GRACE_SECONDS
        before = self._signals
        for child in self._children:
            child.stop()
        while any(child.running for child in self._children):
            left = deadline - time.monotonic()
            if left <= 0 or self._signals > max(before, 1):
                break
            self._turn(receiver, left)
        for child in self._children:
            child.kill()
            child.read()
            if child.process is not None:
                child.process.wait()
        self._say("serve", "stopped")

    def _say(self, name: str, line: str) -> None:
        prefix = f"{name:<7} |"
        if self._colour:
            prefix = f"\033[{_COLOURS[name]}m{prefix}\033[0m"
        print(prefix, line, flush=True)


def address(settings: Settings) -> str:
    """The address that a browser uses."""
    if settings.public_url:
        return settings.public_url
    listen = settings.gateway_listen if settings.gateway_front else settings.web_listen
    host, _, port = listen.rpartition(":")
    return f"http://{'localhost' if host in ('127.0.0.1', '0.0.0.0') else host}:{port}"  # noqa: S104


def _answers(listen: str) -> bool:
    host, _, port = listen.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=0.2):
            return True
    except OSError:
        return False


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
