"""ssh to a host, with the words that libvirt gives it for the same address.

So whatever is reached here is reached by the same account, the same key and the same known hosts,
and what fails here is what libvirt failed by.
"""

from __future__ import annotations

import socket
import subprocess
import tempfile
from functools import partial
from urllib.parse import urlsplit

from ovcadmin import green
from ovcadmin.errors import ConsoleUnavailable

LOOK_SECONDS = 0.5
FAILED = 255
"""How ssh itself ends when there was no way; other codes are those of the command."""


def open_tunnel(uri: str, host: str, port: int, *, deadline: float) -> int:
    """Return a connected descriptor; the caller closes it, and ssh ends with it.

    `uri` is the host's libvirt address.  The other side must speak first, as VNC servers do: only
    then is the line known to be whole.  Raises `ConsoleUnavailable` with what ssh complains of.
    """
    ours, theirs = socket.socketpair()
    with tempfile.TemporaryFile() as said, ours:
        try:
            words = _words(uri, deadline, "-W", f"127.0.0.1:{port}")
            process = subprocess.Popen(  # noqa: S603 - an enrolled address, after "--"
                words, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=said
            )
        except OSError as error:
            raise _unavailable(host, str(error)) from error
        finally:
            theirs.close()
        green.background(partial(_reap, process))
        ours.settimeout(deadline)
        try:
            heard = ours.recv(1, socket.MSG_PEEK)
        except OSError as error:  # also the deadline
            process.kill()
            raise _unavailable(host, f"no answer within {deadline:g} s") from error
        if not heard:
            said.seek(0)
            raise _unavailable(host, last_line(said.read().decode(errors="replace")))
        ours.settimeout(None)
        return ours.detach()


def complaint(uri: str, *, deadline: float) -> str:
    """Return what ssh says when it cannot sign in there, or nothing.

    libvirt passes only short complaints on, and those of ssh can be long.
    """
    words = [*_words(uri, deadline), "true"]
    try:
        done = subprocess.run(  # noqa: S603 - an enrolled address, after "--"
            words, check=False, stdin=subprocess.DEVNULL, capture_output=True, timeout=deadline
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return done.stderr.decode(errors="replace") if done.returncode == FAILED else ""


def last_line(said: str) -> str:
    return (said.strip() or "the line was closed").splitlines()[-1]


def _words(uri: str, deadline: float, *more: str) -> list[str]:
    parts = urlsplit(uri)
    assert parts.hostname is not None
    return [
        "ssh", "-T", "-e", "none",
        "-o", "BatchMode=yes", "-o", f"ConnectTimeout={max(1, round(deadline))}",
        *(["-p", str(parts.port)] if parts.port else []),
        *(["-l", parts.username] if parts.username else []),
        *more, "--", parts.hostname,
    ]  # fmt: skip


def _reap(process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:
        green.sleep(LOOK_SECONDS)


def _unavailable(host: str, why: str) -> ConsoleUnavailable:
    return ConsoleUnavailable(
        f"ssh does not reach the screens of host {host}: {why.rstrip('.')}.", host=host
    )
