"""`ovc console`: a machine's serial console in this terminal, over the gateway's WebSocket."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from ovcadmin.cli.command import Ovc, command
from ovcadmin.cli.failures import Exit, Failure
from ovcadmin.cli.names import find, reference
from ovcadmin.cli.text import clean

LEAVE = b"\x1d"
"""Ctrl-]: what telnet and virsh take, too."""
CHUNK = 4096
LOOK_SECONDS = 0.5
QUIET_SECONDS = 2.0
NORMAL = (1000, 1001, 1005)
"""Codes of a WebSocket that was closed because it is over."""


@command(
    "console",
    calls=["openConsole"],
    examples=[
        "ovc console web01",
        "echo 'uname -a' | ovc console web01",
        "ovc console web01 --viewer > web01.vv",
        "ovc console web01 --watch",
    ],
)
@reference("machine")
@click.option(
    "--quiet-for", type=click.FloatRange(min=0.1), default=QUIET_SECONDS, show_default=True,
    metavar="SECONDS", help="When input comes from a pipe: leave so long after the last output.",
)  # fmt: skip
@click.option("--viewer", is_flag=True, help="Write a file for remote-viewer instead; good once.")
@click.option("--watch", is_flag=True, help="Ask whoever has it open to let you look on.")
def console(ovc: Ovc, *, name: str, quiet_for: float, viewer: bool, watch: bool) -> None:
    """Type into a machine's serial console; Ctrl-] leaves it.

    Whoever opens a console takes it over from the one who has it, unless he only watches.
    """
    machine = find(ovc.client, "machine", name)
    if viewer:
        path = f"/machines/{machine['id']}/consoles"
        answer = ovc.client.call("POST", path, {"kind": "viewer"}).body
        click.echo(ovc.client.file(answer["url"], {"ticket": answer["ticket"]}), nl=False)
        return
    asked = {"kind": "watch"} if watch else {}
    answer = ovc.client.call("POST", f"/machines/{machine['id']}/consoles", asked).body
    talk(ovc, f"Console of {clean(machine['name'])}", answer, quiet_for)


def talk(ovc: Ovc, title: str, answer: dict[str, Any], quiet_for: float) -> None:
    """Use a ticket: type and read until one side has enough."""
    from ovcadmin.cli.websocket import connect  # noqa: PLC0415 - only consoles need it

    wire = connect(ovc.client, answer["url"])
    wire.send(json.dumps({"ticket": answer["ticket"]}))
    session = _Session(ovc, wire, None if sys.stdin.isatty() else quiet_for)
    try:
        with _raw_terminal() as raw:
            if raw:
                ovc.note(f"{title}; Ctrl-] leaves it.\r")
            session.run()
    finally:
        wire.close()
        if sys.stdin.isatty():
            ovc.note("")


@contextmanager
def _raw_terminal() -> Iterator[bool]:
    """Pass every key on as it is typed, and give the terminal back as it was."""
    if not sys.stdin.isatty():
        yield False
        return
    import termios  # noqa: PLC0415 - Unix only
    import tty  # noqa: PLC0415

    before = termios.tcgetattr(sys.stdin)
    tty.setraw(sys.stdin)
    try:
        yield True
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


class _Session:
    """Two directions on one thread; `quiet_for` is None while a person types."""

    def __init__(self, ovc: Ovc, wire: Any, quiet_for: float | None) -> None:
        self._ovc, self._wire, self._quiet_for = ovc, wire, quiet_for
        self._typing = True
        self._attached = False
        self._waiting = b""
        self._heard = time.monotonic()

    def run(self) -> None:
        """Pass bytes both ways until one side has enough."""
        with selectors.DefaultSelector() as both:
            both.register(sys.stdin, selectors.EVENT_READ)
            both.register(self._wire.socket, selectors.EVENT_READ)
            while not self._over():
                for key, _ in both.select(LOOK_SECONDS):
                    if key.fileobj is sys.stdin:
                        if not self._type():
                            both.unregister(sys.stdin)
                            if self._quiet_for is None:
                                return
                    elif not self._print():
                        return

    def _over(self) -> bool:
        return (
            self._quiet_for is not None
            and not self._typing
            and time.monotonic() - self._heard > self._quiet_for
        )

    def _type(self) -> bool:
        """Send what was typed; False when there will be no more."""
        keys = os.read(sys.stdin.fileno(), CHUNK)
        before, leave, _ = keys.partition(LEAVE) if self._quiet_for is None else (keys, b"", b"")
        self._waiting += before
        if self._attached and self._waiting:
            self._flush()
        self._typing = bool(keys) and not leave
        return self._typing

    def _flush(self) -> None:
        self._wire.send(self._waiting)
        self._waiting = b""

    def _print(self) -> bool:
        """Show what came; False when the connection is over."""
        for message in self._wire.receive():
            if isinstance(message, bytes):
                sys.stdout.buffer.write(message)
                sys.stdout.buffer.flush()
                self._heard = time.monotonic()
                self._wire.send(json.dumps({"drawn": len(message)}))
            else:
                self._hear(json.loads(message))
        if not self._wire.closed:
            return True
        if self._wire.code not in NORMAL:
            raise Failure(self._wire.reason or "The connection was lost.", Exit.FAILED)
        return False

    def _hear(self, told: dict[str, Any]) -> None:
        """Take in what the gateway says beside the console's bytes."""
        self._heard = time.monotonic()
        if told.get("type") == "attached":
            self._attached = True
            if told.get("recorded"):
                self._ovc.note("This console is recorded.\r")
            columns, rows = shutil.get_terminal_size()
            self._wire.send(json.dumps({"size": [columns, rows]}))
            if self._waiting:
                self._flush()
        elif told.get("type") == "watching":
            for one in told["people"]:
                if one["wants"]:
                    word = (
                        "asks for the keyboard" if one["wants"] == "keyboard" else "asks to watch"
                    )
                    self._ovc.note(f"{clean(one['who'])} {word}: ovc consoles allow {one['id']}\r")
        elif told.get("text"):
            self._ovc.note(f"{clean(told['text'])}\r")
