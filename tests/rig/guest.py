"""Inside a guest: its shell, over the serial console that virsh opens."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import time
from itertools import count
from typing import Self

from tests.rig.hypervisor import LibvirtHost

PROMPT = "starter:"
_numbers = count(1)


class Guest:
    """A shell in the starter guest; it waits for the prompt of one that boots."""

    def __init__(self, host: LibvirtHost, domain: str, seconds: float = 180) -> None:
        self._host, self._domain, self._seconds = host, domain, seconds

    def run(self, command: str) -> str:
        """Type a command; return what it printed."""
        mark = f"mark{next(_numbers)}"
        with _Console(self._host, self._domain, self._seconds) as console:
            console.until(PROMPT)
            # The mark is typed in two parts: its echo must not look like the answer.
            console.type(f"{command}; echo {mark[:2]}''{mark[2:]}\r")
            told = console.until(f"\n{mark}")
        lines = re.sub(r"\x1b\[[0-9;]*[a-zA-Z]", "", told).replace("\r", "").split("\n")
        start = max(n for n, line in enumerate(lines) if f"{mark[:2]}''{mark[2:]}" in line)
        return "\n".join(lines[start + 1 : lines.index(mark)]).strip()


class _Console:
    def __init__(self, host: LibvirtHost, domain: str, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._text = ""
        self._fd, other = pty.openpty()
        self._process = subprocess.Popen(
            ["virsh", "--quiet", "--connect", host.uri, "console", "--force", domain],
            stdin=other, stdout=other, stderr=other, start_new_session=True,
        )  # fmt: skip
        os.close(other)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait(10)
        os.close(self._fd)

    def type(self, text: str) -> None:
        self._text = ""
        os.write(self._fd, text.encode())

    def until(self, text: str) -> str:
        """Read until the text was printed; a silent guest is woken by an empty line."""
        while text not in self._text:
            assert time.monotonic() < self._end, f"no {text!r} in {self._text[-500:]!r}"
            if select.select([self._fd], [], [], 1)[0]:
                self._text += os.read(self._fd, 65536).decode(errors="replace").replace("\r", "")
            elif text == PROMPT:
                os.write(self._fd, b"\r")
        return self._text
