"""Screens of guests on hosts behind ssh, where only a port leads to them."""

from __future__ import annotations

import os
import socket
from types import SimpleNamespace

import pytest

from ovcadmin.drivers.hypervisor import graphics
from ovcadmin.drivers.hypervisor.graphics import LibvirtGraphics
from ovcadmin.errors import ConsoleUnavailable

OFF = "<domain><devices><graphics type='vnc' port='-1'/></devices></domain>"


def at(run, port):
    """What libvirt says of a guest that runs."""
    graphics = f"<graphics type='vnc' port='{port}'/>"
    return f"<domain id='{run}'><devices>{graphics}</devices></domain>"


class Host(LibvirtGraphics):
    """A host behind ssh whose libvirt says one thing after the other of the guest."""

    def __init__(self, *said):
        self._said = iter(said)
        self.connection = SimpleNamespace(
            uri="qemu+ssh://kvm-a/system", host="kvm-a", deadline=1, call=lambda look: look(self)
        )

    def lookupByUUIDString(self, _uuid):  # noqa: N802 - libvirt's own name
        return SimpleNamespace(XMLDesc=lambda: next(self._said))


@pytest.fixture
def tunnels(monkeypatch):
    """The ports to which a tunnel was opened, and the far end of each."""
    opened = []

    def opens(_uri, _host, port, *, deadline):
        ours, theirs = socket.socketpair()
        opened.append((port, theirs))
        return ours.detach()

    monkeypatch.setattr(graphics, "open_tunnel", opens)
    yield opened
    for _, end in opened:
        end.close()


def test_a_line_leads_to_the_port_of_the_guest(tunnels):
    handle = Host(at(7, 5901), at(7, 5901)).open_graphics("a")
    port, end = tunnels[0]
    assert port == 5901
    end.sendall(b"RFB")
    assert os.read(handle, 3) == b"RFB"
    os.close(handle)


@pytest.mark.parametrize("later", [at(8, 5901), at(8, 5902), OFF])
def test_fault_29_a_port_that_became_another_guests_is_not_shown(tunnels, later):
    with pytest.raises(ConsoleUnavailable):
        Host(at(7, 5901), later).open_graphics("a")
    assert tunnels[0][1].recv(1) == b"", "the line to the stranger was left open"
