"""Moving a guest from one host to another, while it runs or as a definition.

The worker holds both connections and steers the migration itself: when it dies, the source daemon
gives the migration up and the guest goes on where it was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import libvirt
from lxml import etree

from ovcadmin import green
from ovcadmin.drivers.hypervisor import addresses, xml
from ovcadmin.drivers.hypervisor.base import Hypervisor
from ovcadmin.drivers.hypervisor.connection import Connection, Lane, Link
from ovcadmin.drivers.hypervisor.migration import Route
from ovcadmin.errors import DomainError, HostUnresponsive, HypervisorFailed

Conn = Any

LOOK_SECONDS = 0.25
STALL_SECONDS = 60.0
"""A migration that moves no byte for this long is given up."""
ABORT_SECONDS = 30.0
"""How long the source may take to give a migration up."""
REMAINS_SECONDS = 60.0
"""How long the migration of a worker that died may take to fall apart."""
DEFINE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Job:
    """How far a migration is, bytes."""

    done: int
    total: int
    passes: int = 0
    """How often memory that the guest changed meanwhile was sent again."""

    @property
    def part(self) -> float:
        return self.done / self.total if self.total else 0.0


class LibvirtMigrations:
    """Mixed into `LibvirtHypervisor`."""

    connection: Connection

    def migrate(
        self, uuid: str, to: Hypervisor, route: Route, *, progress: Callable[[float], None]
    ) -> None:
        assert isinstance(to, LibvirtMigrations)
        self._await_remains(uuid, progress)
        there, lane = (host.connection.links[Lane.MEMORY] for host in (to, self))
        there.open()
        call = lane.start(partial(_migrate, uuid=uuid, there=there, route=route))
        try:
            self._watch_migration(uuid, call, progress)
        except BaseException:
            # Asked for again: at its very beginning a migration cannot be aborted yet.
            end = time.monotonic() + ABORT_SECONDS
            while not call.finished and time.monotonic() < end:
                with suppress(DomainError):
                    self.connection.call(partial(_abort, uuid=uuid), lane=Lane.ACT)
                call.wait(1.0)
            if not call.finished:
                lane.threads.abandon(call)
                raise
            with suppress(DomainError):
                return call.value  # it had arrived
            raise
        return call.value

    def _await_remains(self, uuid: str, progress: Callable[[float], None]) -> None:
        """Wait until a job of before is over, unless `progress` raises; none is begun so long."""
        end = time.monotonic() + REMAINS_SECONDS
        while self.connection.call(partial(_job, uuid=uuid), lane=Lane.ACT) is not None:
            if time.monotonic() > end:
                raise HypervisorFailed(
                    "Another job of the domain, such as a migration or a dump, is not over after "
                    f"{REMAINS_SECONDS:g} seconds.",
                    domain=uuid,
                )
            progress(0.0)
            green.sleep(LOOK_SECONDS)

    def _watch_migration(
        self, uuid: str, call: green.Call[None], progress: Callable[[float], None]
    ) -> None:
        moved, since = -1, time.monotonic()
        while not call.wait(LOOK_SECONDS):
            job = self.connection.call(partial(_job, uuid=uuid), lane=Lane.ACT)
            if job is None:
                continue  # it has not begun yet, or is over
            if job.done != moved:
                moved, since = job.done, time.monotonic()
            elif time.monotonic() - since > STALL_SECONDS:
                raise HostUnresponsive(
                    f"The migration has not moved a byte for {STALL_SECONDS:g} seconds.",
                    domain=uuid,
                )
            progress(job.part)

    def define_moved(self, definition: str, route: Route) -> None:
        text = moved(definition, route)
        self.connection.call(
            lambda conn: _define(conn, text), lane=Lane.ACT, deadline=DEFINE_SECONDS
        )


def moved(definition: str, route: Route, *, running: bool = False) -> str:
    """Return the definition with the disks that the route names where they are over there.

    Of a running guest the odd ones go through the page cache.  Raises `HypervisorFailed` when it
    does not have these disks.
    """
    root = xml.read(definition)
    missing = {*route.sources, *route.servers}
    for disk in root.iterfind("devices/disk"):
        target = disk.find("target").get("dev")
        source = disk.find("source")
        if target not in missing or source is None:
            continue
        if target in route.sources:
            attribute = "dev" if disk.get("type") == "block" else "file"
            source.set(attribute, route.sources[target])
            if running and target in route.odd:
                disk.find("driver").set("cache", "writeback")
        elif (server := source.find("host")) is not None:
            address, port = route.servers[target]
            server.set("name", address)
            server.set("port", str(port))
        else:
            continue  # it was made a disk of another kind outside the console
        missing.remove(target)
    if missing:
        raise HypervisorFailed(
            f"The definition has no disk {', '.join(sorted(missing))}: it was changed outside "
            "the console.",
        )
    return etree.tostring(root, encoding="unicode")


def _read_only(definition: str) -> set[str]:
    """Return the CD-ROM drives: what is in them was made over there beforehand."""
    drives = xml.read(definition).iterfind("devices/disk[@device='cdrom']/target")
    return {drive.get("dev", "") for drive in drives}


def _define(conn: Conn, text: str) -> None:
    addresses.prepare(conn, text)
    conn.defineXML(text)


def _migrate(conn: Conn, uuid: str, there: Link, route: Route) -> None:
    domain = conn.lookupByUUIDString(uuid)
    flags = (
        libvirt.VIR_MIGRATE_LIVE
        | libvirt.VIR_MIGRATE_PERSIST_DEST
        | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
        | libvirt.VIR_MIGRATE_AUTO_CONVERGE
        | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
        # libvirt knows few kinds of shared storage; the console knows who reaches which pool,
        # and has looked that the volumes are there.
        | libvirt.VIR_MIGRATE_UNSAFE
    )
    params: dict[str, Any] = {libvirt.VIR_MIGRATE_PARAM_URI: route.address}
    if route.speed:
        params[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = route.speed
    if route.sources or route.servers:
        live = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE | libvirt.VIR_DOMAIN_XML_SECURE)
        lasting = domain.XMLDesc(
            libvirt.VIR_DOMAIN_XML_MIGRATABLE
            | libvirt.VIR_DOMAIN_XML_SECURE
            | libvirt.VIR_DOMAIN_XML_INACTIVE
        )
        params[libvirt.VIR_MIGRATE_PARAM_DEST_XML] = moved(live, route, running=True)
        params[libvirt.VIR_MIGRATE_PARAM_PERSIST_XML] = moved(lasting, route)
    if route.sources:
        flags |= libvirt.VIR_MIGRATE_NON_SHARED_DISK
        params[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = [
            target for target in route.sources if target not in _read_only(live)
        ]
    with there.lent() as line:
        addresses.prepare(line.conn, domain.XMLDesc())
        domain.migrate3(line.conn, params, flags)


def _job(conn: Conn, uuid: str) -> Job | None:
    """Return how far the domain's job is, or None when it has none."""
    try:
        stats = conn.lookupByUUIDString(uuid).jobStats()
    except libvirt.libvirtError as error:
        if error.get_error_code() in (
            libvirt.VIR_ERR_NO_DOMAIN,
            libvirt.VIR_ERR_OPERATION_INVALID,
        ):
            return None  # it has left
        raise
    if stats.get("type", libvirt.VIR_DOMAIN_JOB_NONE) == libvirt.VIR_DOMAIN_JOB_NONE:
        return None
    return Job(
        done=int(stats.get("data_processed", 0)),
        total=int(stats.get("data_total", 0)),
        passes=int(stats.get("memory_iteration", 0)),
    )


def _abort(conn: Conn, uuid: str) -> None:
    conn.lookupByUUIDString(uuid).abortJob()
