"""The verbs of one domain.  Each runs in a native thread of its host, on an open connection.

Asking for a state that is there already is a success, so an operation may repeat any of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import libvirt

from ovcadmin.drivers.hypervisor import addresses, kept, xml
from ovcadmin.drivers.hypervisor.base import DomainState, MachineSpec, PowerState
from ovcadmin.errors import HypervisorFailed

Conn = Any
Domain = Any

HIDDEN_PREFIX = "ovc-probe-"
"""Domains of this name are the console's own short-lived probes."""

_STATES = {
    libvirt.VIR_DOMAIN_NOSTATE: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_RUNNING: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: PowerState.SHUTTING_DOWN,
    libvirt.VIR_DOMAIN_SHUTOFF: PowerState.SHUTOFF,
    libvirt.VIR_DOMAIN_CRASHED: PowerState.CRASHED,
}


def find(conn: Conn, uuid: str) -> Domain:
    return conn.lookupByUUIDString(uuid)


def power(domain: Domain) -> PowerState:
    state = _STATES.get(domain.state()[0], PowerState.RUNNING)
    if state is PowerState.SHUTOFF and domain.hasManagedSaveImage():
        return PowerState.SAVED
    return state


def states(conn: Conn) -> dict[str, DomainState]:
    """Read all domains in two calls, whatever their number; neither waits for a guest."""
    saved = {
        domain.UUIDString()
        for domain in conn.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE)
    }
    found: dict[str, DomainState] = {}
    for domain, stats in conn.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_STATE, 0):
        uuid, name = domain.UUIDString(), domain.name()
        state = _STATES.get(stats["state.state"], PowerState.RUNNING)
        if state is PowerState.SHUTOFF and uuid in saved:
            state = PowerState.SAVED
        if not name.startswith(HIDDEN_PREFIX):
            found[uuid] = DomainState(uuid=uuid, name=name, power=state)
    return found


def state(conn: Conn, uuid: str) -> DomainState | None:
    try:
        domain = find(conn, uuid)
        return DomainState(uuid=uuid, name=domain.name(), power=power(domain))
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return None
        raise


def read_xml(conn: Conn, uuid: str) -> str:
    return str(find(conn, uuid).XMLDesc())


def define(conn: Conn, spec: MachineSpec) -> None:
    """Define; the board of an earlier definition is kept, for the sake of saved memory."""
    known = _definition(conn, spec.uuid)
    if spec.kept:
        text = kept.altered(known or spec.kept, spec)
    else:
        machine = xml.machine_type(known) if known else xml.MACHINE
        text = xml.domain(spec, machine=machine)
    addresses.prepare(conn, text)
    conn.defineXML(text)


def _definition(conn: Conn, uuid: str) -> str | None:
    """Return the lasting definition with its passwords, or None where there is no such domain."""
    try:
        flags = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
        return str(find(conn, uuid).XMLDesc(flags))
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_DOMAIN:
            raise
        return None


def undefine(conn: Conn, uuid: str) -> None:
    try:
        domain = find(conn, uuid)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
            return
        raise
    if domain.isActive():
        raise HypervisorFailed(
            f"Machine {domain.name()} still runs: it can be removed from the host when it is off.",
            domain=uuid,
        )
    domain.undefineFlags(
        libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
        | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
        | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
        | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
    )


def _reach(done: Callable[[], bool], verb: Callable[[], object]) -> None:
    """Do `verb` unless `done`; a domain that got there by itself meanwhile is a success too."""
    if done():
        return
    try:
        verb()
    except libvirt.libvirtError:
        if not done():
            raise


def start(conn: Conn, uuid: str) -> None:
    domain = find(conn, uuid)

    def boot() -> None:
        try:
            domain.create()
        except libvirt.libvirtError as error:
            # A file system without O_DIRECT (some in memory or on a network): use the page cache.
            if "O_DIRECT" not in str(error):
                raise
            conn.defineXML(xml.without_direct_io(domain.XMLDesc()))
            domain.create()

    _reach(lambda: bool(domain.isActive()), boot)


def has_saved_memory(conn: Conn, uuid: str) -> bool:
    return bool(find(conn, uuid).hasManagedSaveImage())


def shutdown(conn: Conn, uuid: str) -> None:
    domain = find(conn, uuid)
    _reach(lambda: not domain.isActive(), domain.shutdown)


def destroy(conn: Conn, uuid: str) -> None:
    domain = find(conn, uuid)
    _reach(lambda: not domain.isActive(), domain.destroy)


def reset(conn: Conn, uuid: str) -> None:
    find(conn, uuid).reset()


def reboot(conn: Conn, uuid: str) -> None:
    find(conn, uuid).reboot()


def suspend(conn: Conn, uuid: str) -> None:
    domain = find(conn, uuid)
    _reach(lambda: power(domain) is PowerState.PAUSED, domain.suspend)


def resume(conn: Conn, uuid: str) -> None:
    domain = find(conn, uuid)
    _reach(lambda: power(domain) is PowerState.RUNNING, domain.resume)


def save(conn: Conn, uuid: str) -> None:
    domain = find(conn, uuid)
    _reach(lambda: power(domain) is PowerState.SAVED, domain.managedSave)
