"""Asking the agent in a guest what it knows; the part of `Hypervisor` that is about that.

A guest is not to be trusted: it may hang, lie or send nonsense.  libvirt gives each question a
time, asking has threads of its own on each host, and the answer is only ever shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

from ovcadmin.drivers.hypervisor import xml
from ovcadmin.drivers.hypervisor.connection import Connection, Lane

Conn = Any

ANSWER_SECONDS = 3
"""Time for each question; there are a handful."""
AGENT_SECONDS = 20.0
"""Time for all of them: libvirt gives up long before."""


class Agents(Protocol):
    def guest_says(self, uuid: str) -> Mapping[str, Any] | None:
        """Return what the agent says, by libvirt's keys; None when none is listening.

        Raises `HypervisorFailed` when it does not answer, or not as an agent does.
        """
        ...


class LibvirtAgents:
    """Mixed into `LibvirtHypervisor`."""

    connection: Connection

    def guest_says(self, uuid: str) -> Mapping[str, Any] | None:
        ask = partial(_ask, uuid=uuid)
        return self.connection.call(ask, lane=Lane.AGENT, deadline=AGENT_SECONDS)


def _ask(conn: Conn, uuid: str) -> Mapping[str, Any] | None:
    domain = conn.lookupByUUIDString(uuid)
    if not _listening(domain.XMLDesc()):
        return None
    domain.agentSetResponseTimeout(ANSWER_SECONDS)
    # No kind named: what this agent or this libvirt does not know is left out.
    said = dict(domain.guestInfo(0, 0))
    memory = domain.memoryStats()
    return said | {f"memory.{name}": int(memory.get(name, 0)) for name in ("available", "unused")}


def _listening(definition: str) -> bool:
    targets = xml.read(definition).iterfind("devices/channel/target")
    return any(one.get("name") == xml.AGENT and one.get("state") == "connected" for one in targets)
