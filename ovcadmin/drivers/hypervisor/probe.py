"""Why a host can or cannot be reached: the way to it tried step by step, each with a deadline."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from ovcadmin import green
from ovcadmin.domain import host_versions
from ovcadmin.drivers.hints import with_hint
from ovcadmin.drivers.hypervisor import ssh
from ovcadmin.drivers.hypervisor.base import Finding
from ovcadmin.drivers.hypervisor.line import Dialler, Line
from ovcadmin.errors import HostUnreachable, HostUnresponsive

PORTS = {"ssh": 22, "tls": 16514, "tcp": 16509}
LOCAL_SOCKET = "/run/libvirt/libvirt-sock"
STEP_SECONDS = 5.0
OPEN_SECONDS = 10.0

_HINTS = (
    ("permission denied", ("The ssh key of the user that runs the worker must be in the "
     "authorized_keys of the user in the address.")),
    ("identification has changed", ("The host shows another ssh key than the worker knows: it was "
     "set up anew, or something else answers in its place. Check the fingerprint on the host.")),
    ("host key verification failed", ("The worker does not know the host's ssh key: connect once "
     "by hand as the user that runs it, and check the fingerprint.")),
    ("our own certificate", ("TLS: the worker's certificate must be valid and signed by the CA "
     "beside it (cacert.pem): the one of the hosts.")),
    ("cannot read", ("TLS: the worker needs cacert.pem, clientcert.pem and clientkey.pem, in the "
     "directory of ovc.libvirt_certificates or where libvirt looks by itself.")),
    ("tls confirmation", ("TLS: the host does not take the worker's certificate: it must be "
     "signed by the CA that the host knows, and be one that its tls_allowed_dn_list lets in.")),
    ("certificate", ("TLS: the certificate of the host must be signed by the CA that the worker "
     "knows and name the host as in the address.")),
    ("no route", "The address is not reachable from the worker."),
    ("authentication", "The host asks for a sign-in that the address does not give."),
    ("failed to connect socket", "libvirtd does not run there, or listens elsewhere."),
    ("command not found", "libvirt is not installed on the host."),
)  # fmt: skip
"""Part of the words of libvirt or ssh, and what helps."""


def check(uri: str, opened: str = "") -> Iterator[Finding]:
    """Try the way to a libvirt address; stops after the first step that fails.

    `opened` is how the worker opens it, if otherwise: with what nobody else is to read.
    """
    for step in (_name, _port, partial(_libvirt, opened=opened or uri)):
        for finding in step(uri):
            yield finding
            if not finding.passed:
                return


def _name(uri: str) -> Iterator[Finding]:
    """Look the name up, or look for the local socket."""
    parts = urlsplit(uri)
    if not parts.hostname:
        yield from _local_socket(parts)
        return
    threads = green.HostThreads(parts.hostname, size=1, ceiling=1)
    try:
        found = threads.call(
            lambda: socket.getaddrinfo(parts.hostname, None), deadline=STEP_SECONDS
        )
    except OSError as error:
        yield Finding(passed=False, text=f"The name {parts.hostname} is not known: {error}.")
    except HostUnresponsive:
        yield Finding(
            passed=False, text=f"No name server told within {STEP_SECONDS:g} s of {parts.hostname}."
        )
    else:
        yield Finding(passed=True, text=f"{parts.hostname} is {found[0][4][0]}.")


def _local_socket(parts: SplitResult) -> Iterator[Finding]:
    if parts.path == "/session" or parts.scheme.startswith("test"):
        return
    path = Path(parse_qs(parts.query).get("socket", [LOCAL_SOCKET])[0])
    there = path.exists()
    yield Finding(
        passed=there,
        text=(
            f"The socket {path} is there." if there
            else f"There is no socket {path} on the worker's machine: libvirtd does not run there."
        ),
    )  # fmt: skip


def _port(uri: str) -> Iterator[Finding]:
    """Open a connection to the port, and close it again."""
    parts = urlsplit(uri)
    transport = parts.scheme.partition("+")[2]
    if not parts.hostname:
        return
    port = parts.port or PORTS.get(transport, PORTS["tls"])
    where = f"{parts.hostname}:{port}"
    threads = green.HostThreads(where, size=1, ceiling=1)

    def knock() -> None:
        socket.create_connection((parts.hostname or "", port), STEP_SECONDS).close()

    try:
        threads.call(knock, deadline=STEP_SECONDS + 1)
    except ConnectionRefusedError:
        yield Finding(
            passed=False,
            text=f"Nobody listens at {where}: the service does not run, or on another port.",
        )
    except (OSError, HostUnresponsive) as error:
        why = "no answer" if isinstance(error, (TimeoutError, HostUnresponsive)) else str(error)
        yield Finding(
            passed=False,
            text=f"{where} cannot be reached ({why}): a firewall, or the wrong address.",
        )
    else:
        yield Finding(passed=True, text=f"{where} takes connections.")


def _libvirt(uri: str, opened: str) -> Iterator[Finding]:
    def ask(line: Line) -> tuple[str, int]:
        conn: Any = line.conn
        told = conn.getHostname(), conn.getLibVersion()
        line.close()
        return told

    try:
        _, (name, number) = Dialler(uri, opened).dial(ask, deadline=OPEN_SECONDS)
    except HostUnreachable as error:
        yield Finding(passed=False, text=_explained(uri, error.text))
    else:
        version = host_versions.dotted(number)
        yield Finding(passed=True, text=f"libvirt {version} answers on {name}.")
        if old := host_versions.too_old(libvirt=version):
            yield Finding(passed=False, text=old)


def _explained(uri: str, text: str) -> str:
    """Say what failed and what helps; ssh is asked itself when the way goes through it."""
    said = ssh.complaint(uri, deadline=OPEN_SECONDS) if uri.startswith("qemu+ssh:") else ""
    if said:
        text = f"ssh does not get in: {ssh.last_line(said)}"
    return with_hint(text, _HINTS, said=said)
