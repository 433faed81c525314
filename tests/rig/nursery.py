"""Processes of the console that begin where their imports end.

Python takes two seconds of a processor to import a worker, and the tests start a thousand of them.
So a nursery imports all of it once, and forks whenever a process is asked for.  What runs there is
what `python -m MODULE ARGUMENT...` or `python SCRIPT ARGUMENT...` runs, in a process of its own.
There are two: one with the standard library made green, as workers have it, and a plain one.
They run `cradle.py`.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from select import select
from socket import AF_UNIX, socket
from threading import Lock

from tests.rig.base import LOGS, PREFIX, ROOT

_one_at_a_time = Lock()
CRADLE = Path(__file__).with_name("cradle.py")
KINDS = {
    "ovcadmin.worker": "green",
    "ovcadmin.gateway": "plain",
    "ovcadmin.manage.main": "plain",
    "ovcadmin.manage.web": "plain",
}


class Born:
    """A process of a nursery, with what tests want of a `subprocess.Popen`."""

    def __init__(self, nursery: socket) -> None:
        self._nursery = nursery
        self._said = nursery.makefile()
        self.pid = int(self._said.readline())
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        return self._look(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._look(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _look(self, seconds: float | None) -> int | None:
        if self._code is None and select([self._nursery], [], [], seconds)[0]:
            self._code = int(self._said.readline() or -signal.SIGKILL)
            self._said.close()
            self._nursery.close()
        return self._code


def bear(command: Sequence[str | Path], log: Path, environment: dict[str, str]) -> Born | None:
    """Start a command of ours; None for one that no nursery knows."""
    words = [str(word) for word in command]
    if words[0] != sys.executable:
        return None
    module = words[2] if words[1] == "-m" else None
    if module is not None:
        kind = KINDS.get(module, "")
    else:
        kind = "green" if "green.patch()" in Path(words[1]).read_text() else "plain"
    if not kind:
        return None
    LOGS.append(log)
    log.touch()
    asked = {
        "module": module,
        "words": words[2:] if module else words[1:],
        "environment": os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        "log": str(log),
    }
    nursery = socket(AF_UNIX)
    with _one_at_a_time:  # threads of a test may ask at once
        nursery.connect(str(_nursery(kind)))
    nursery.sendall(json.dumps(asked).encode() + b"\n")
    return Born(nursery)


@cache
def _nursery(kind: str) -> Path:
    """Start the nursery of this process; return its socket."""
    directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-nursery-", dir="/tmp"))
    path = directory / "socket"
    started = subprocess.Popen(
        [sys.executable, "-uP", CRADLE, path, kind], env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    atexit.register(_end, started, directory)
    assert started.stdout is not None
    assert started.stdout.readline() == b"ready\n", f"no nursery of {kind} processes"
    return path


def _end(nursery: subprocess.Popen[bytes], directory: Path) -> None:
    """It ends with its standard input, at the latest when we are gone."""
    nursery.communicate()
    shutil.rmtree(directory)
