"""`python -m ovcadmin.cli.shell_host FD`: makes the embedded terminals of the gateway.

Started by the gateway, which sends over the socket FD, for each terminal, an order (JSON) and the
terminal's side of a pseudo-terminal.  This process forks once for each, and each fork is confined
before it reads the first key: it opens no file but what the interpreter itself reads, connects to
nothing but the console, starts nothing, and has no rights that it could give away.  What is typed
is only ever read by `ovc`, so all of this is the second wall.
"""

from __future__ import annotations

import array
import fcntl
import gc
import io
import json
import os
import pwd
import resource
import signal
import socket
import sys
import termios
from importlib import import_module
from typing import Any

from ovcadmin.cli import direct
from ovcadmin.cli.direct import Direct

ORDER = 16 * 1024
"""Longest order, bytes."""
NOBODY = "nobody"
MEMORY = 1024**3
NICE = 5
LOCAL = frozenset({"login", "logout", "profiles", "completion", "shell"})
"""Commands about files of the machine that `ovc` runs on."""
PRELOADED = (
    "csv", "difflib", "rich.cells", "rich.console", "rich.progress", "yaml", "urllib3", "wsproto",
    "termios", "tty", "encodings.idna",
    "prompt_toolkit", "prompt_toolkit.shortcuts", "prompt_toolkit.output.vt100",
    "prompt_toolkit.input.vt100", "ovcadmin.cli.client", "ovcadmin.cli.websocket",
    "ovcadmin.cli.profiles",
)  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
FORBIDDEN = (
    "subprocess.", "os.exec", "os.posix_spawn", "os.spawn", "os.system", "os.fork", "pty.spawn",
    "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod",
    "os.chown", "os.link", "os.symlink", "os.truncate", "os.kill", "shutil.", "socket.bind",
    "ctypes.", "webbrowser.", "tempfile.",
)  # fmt: skip
NO_FILES = "There are no files here: for that run ovc on your own machine."


def main(handle: int) -> None:
    """Make terminals until the gateway goes away."""
    _preload()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever ends is forgotten at once
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    line = socket.socket(fileno=handle)
    gc.freeze()
    while True:
        room = socket.CMSG_SPACE(array.array("i").itemsize)
        data, told, _, _ = line.recvmsg(ORDER, room)
        if not data:
            return
        terminal = array.array("i", told[0][2][:4])[0]
        if os.fork() == 0:
            line.close()
            _serve(json.loads(data), terminal)
        os.close(terminal)


def _preload() -> None:
    from ovcadmin.cli.main import COMMANDS  # noqa: PLC0415 - all of it, and only here

    for module, _ in COMMANDS.values():
        import_module(f"ovcadmin.cli.{module}")
    for name in PRELOADED:
        import_module(name)
    _draw_once()


def _draw_once() -> None:
    """Draw a progress bar into nothing: rich imports parts of itself when it first draws."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(file=io.StringIO(), force_terminal=True)) as bar:
        bar.update(bar.add_task("", total=2), advance=1)


def _serve(order: dict[str, Any], terminal: int) -> None:
    """Be one terminal, in a process of one's own; does not return."""
    try:
        _settle(terminal)
        way = direct.of(**{name: order[name] for name in ("url", "web", "gateway", "address")})
        direct.current = way
        os.environ.clear()
        os.environ |= {
            "OVC_URL": order["url"],
            "OVC_TOKEN": order["token"],
            "TERM": "xterm-256color",
            "LC_ALL": "C.UTF-8",
            "PROMPT_TOOLKIT_NO_CPR": "1",
            "HOME": "/nonexistent",
        }
        _confine(way)
        _run()
    finally:
        os._exit(0)


def _settle(terminal: int) -> None:
    """Make the pseudo-terminal ours, and forget everything else that is open."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    for number in range(3):
        os.dup2(terminal, number)
    os.closerange(3, 256)
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        stream = open(number, mode, encoding="utf-8", errors="replace", buffering=1, closefd=False)  # noqa: SIM115
        setattr(sys, name, stream)


def _confine(way: Direct) -> None:
    """Give up what a terminal does not need, for good."""
    for what, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_DATA, MEMORY),
    ):
        resource.setrlimit(what, (most, most))
    os.nice(NICE)
    os.chdir("/")
    if os.geteuid() == 0:
        nobody = pwd.getpwnam(NOBODY)
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
    sys.addaudithook(_Guard(way))


class _Guard:
    """Refuses what no command of `ovc` needs.  Once added, an audit hook cannot be removed."""

    def __init__(self, way: Direct) -> None:
        self._to = {way.web, way.gateway}
        own = (sys.prefix, sys.base_prefix, *sys.path)
        self._readable = tuple(f"{os.path.realpath(path)}/" for path in own if path)
        self._readable += ("/usr/share/zoneinfo/", "/usr/lib/ssl/", "/etc/ssl/", "/proc/self/")

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            self._open(*args)
        elif event in ("os.listdir", "os.scandir"):  # the importer looks around
            self._open(args[0], None, 0)
        elif event == "socket.connect":
            if tuple(args[1][:2]) not in self._to:
                raise PermissionError("A terminal connects to its own console only.")
        elif event.startswith(FORBIDDEN):
            raise PermissionError(NO_FILES)

    def _open(self, path: Any, mode: Any, flags: int) -> None:
        if isinstance(path, int):
            return
        where = os.path.realpath(os.fsdecode(path))
        writes = flags & WRITES
        if where in ("/dev/null", "/dev/tty"):
            return
        if writes or not f"{where}/".startswith(self._readable):
            raise PermissionError(NO_FILES)


def _run() -> None:
    from ovcadmin.cli import main, shell  # noqa: PLC0415 - loaded long ago

    for name in LOCAL:
        main.COMMANDS.pop(name, None)
    shell.run(main.root, main.run_words)


if __name__ == "__main__":
    main(int(sys.argv[1]))
