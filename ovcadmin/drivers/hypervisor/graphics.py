"""Screens of guests: a line to QEMU's VNC server, which listens on the host's loopback only.

On the console's own machine libvirt hands over a connected descriptor.  No socket carries one from
another machine: there ssh leads to the port, where libvirt is reached by ssh too.
"""

from __future__ import annotations

import socket
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import libvirt
from lxml import etree

from ovcadmin.drivers.hypervisor import guest
from ovcadmin.drivers.hypervisor.connection import Connection
from ovcadmin.drivers.hypervisor.ssh import open_tunnel
from ovcadmin.errors import ConsoleUnavailable

LOCAL_TRANSPORTS = frozenset({"qemu", "qemu+unix"})


class LibvirtGraphics:
    """The part of `LibvirtHypervisor` that meets `base.Graphics`."""

    connection: Connection

    def open_graphics(self, uuid: str) -> int:
        uri, host = self.connection.uri, self.connection.host
        parts = urlsplit(uri)
        if parts.scheme == "qemu+ssh":
            return self._through_ssh(uuid)
        if parts.scheme in LOCAL_TRANSPORTS and not parts.netloc:
            return self.connection.call(partial(_open, uuid=uuid, host=host))
        raise ConsoleUnavailable(
            f"Host {host} is reached by {parts.scheme}, which carries no screens: QEMU shows them "
            "on the host itself only. The serial console works; so does a host enrolled by "
            "qemu+ssh.",
            host=host,
        )

    def _through_ssh(self, uuid: str) -> int:
        """Open a line to the guest's port, and make sure that it was the guest's all the while.

        A port is free when its guest stops, and the next guest that starts may have it.
        """
        uri, host = self.connection.uri, self.connection.host
        look = partial(_running_at, uuid=uuid, host=host)
        before = self.connection.call(look)
        handle = open_tunnel(uri, host, before[1], deadline=self.connection.deadline)
        with socket.socket(fileno=handle) as line:
            if self.connection.call(look) != before:
                raise _no_screen(host, "it was started anew just now")
            return line.detach()


def _open(conn: Any, uuid: str, host: str) -> int:
    domain = guest.find(conn, uuid)
    try:
        handle: int = domain.openGraphicsFD(0, libvirt.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH)
    except libvirt.libvirtError as error:
        if error.get_error_code() not in (
            libvirt.VIR_ERR_INTERNAL_ERROR,
            libvirt.VIR_ERR_OPERATION_INVALID,
            libvirt.VIR_ERR_CONFIG_UNSUPPORTED,
        ):
            raise
        raise _no_screen(host, error.get_error_message()) from error
    return handle


def _running_at(conn: Any, uuid: str, host: str) -> tuple[str | None, int]:
    """Return the number of the guest's run, and the port of its VNC server on its host."""
    root = etree.fromstring(guest.find(conn, uuid).XMLDesc())
    vnc = root.find("devices/graphics[@type='vnc']")
    port = -1 if vnc is None else int(vnc.get("port", -1))
    if port <= 0:
        raise _no_screen(host, "it is off, or has no VNC")
    return root.get("id"), port


def _no_screen(host: str, why: str) -> ConsoleUnavailable:
    return ConsoleUnavailable(f"The machine shows no screen on host {host}: {why}.", host=host)
