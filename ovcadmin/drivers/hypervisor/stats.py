"""What a host measures of itself and of its guests."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import libvirt

from ovcadmin.domain.measurements import Counters
from ovcadmin.drivers.hypervisor.connection import Connection, Lane

Conn = Any


GROUPS = (
    libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)
RUNNING = (
    libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_ACTIVE
    | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
)


@dataclass(frozen=True, kw_only=True)
class HostCounters:
    """One reading.  CPU times in nanoseconds since the host started, memory in KiB.

    `at` was taken before the host was asked: an answer that comes late is no news.
    """

    at: float
    busy: int
    idle: int
    memory_used: int


class LibvirtStatistics:
    """Mixed into `LibvirtHypervisor`."""

    connection: Connection

    def counters(self) -> HostCounters | None:
        """Read the host's counters; None where it keeps none."""
        return self.connection.call(_read, lane=Lane.GAUGE)

    def guests(self) -> Mapping[str, Counters]:
        """Read the counters of all running guests by uuid; a busy one may be left out."""
        return self.connection.call(_read_guests, lane=Lane.GAUGE)

    def disk_traffic(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Read what every running guest has read from and written to each of its disks, bytes.

        By uuid and target, since the guest started.  A guest that hangs is left out.
        """
        return self.connection.call(_disk_traffic)


def _disk_traffic(conn: Conn) -> dict[tuple[str, str], tuple[int, int]]:
    flags = (
        libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_RUNNING
        | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
    )
    found = {}
    for domain, told in conn.getAllDomainStats(libvirt.VIR_DOMAIN_STATS_BLOCK, flags):
        for number in range(told.get("block.count", 0)):
            start = f"block.{number}"
            if f"{start}.rd.bytes" in told:
                moved = (int(told[f"{start}.rd.bytes"]), int(told.get(f"{start}.wr.bytes", 0)))
                found[domain.UUIDString(), str(told[f"{start}.name"])] = moved
    return found


def _read(conn: Conn) -> HostCounters | None:
    at = time.time()
    try:
        cpu = conn.getCPUStats(libvirt.VIR_NODE_CPU_STATS_ALL_CPUS)
        memory = conn.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return None
        raise
    free = sum(int(memory.get(name, 0)) for name in ("free", "buffers", "cached"))
    return HostCounters(
        at=at,
        busy=int(cpu["kernel"]) + int(cpu["user"]),
        idle=int(cpu["idle"]) + int(cpu.get("iowait", 0)),
        memory_used=max(int(memory["total"]) - free, 0),
    )


def _read_guests(conn: Conn) -> dict[str, Counters]:
    at = time.time()
    try:
        found = conn.getAllDomainStats(GROUPS, RUNNING)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return {}
        raise
    return {domain.UUIDString(): _counters(at, stats) for domain, stats in found}


def _counters(at: float, stats: Mapping[str, int]) -> Counters:
    def total(group: str, what: str) -> int:
        return sum(
            int(stats.get(f"{group}.{number}.{what}", 0))
            for number in range(int(stats.get(f"{group}.count", 0)))
        )

    return Counters(
        at=at,
        cpu=int(stats.get("cpu.time", 0)),
        memory=_memory(stats),
        received=total("net", "rx.bytes"),
        sent=total("net", "tx.bytes"),
        read=total("block", "rd.bytes"),
        written=total("block", "wr.bytes"),
    )


def _memory(stats: Mapping[str, int]) -> int:
    """Return what the guest says that it uses, or what QEMU takes of the host."""
    if "balloon.available" in stats and "balloon.unused" in stats:
        return int(stats["balloon.available"]) - int(stats["balloon.unused"])
    return int(stats.get("balloon.rss", 0))
