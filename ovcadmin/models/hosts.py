"""Hosts, the storage pools on them, and the networks they offer."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ovcadmin.domain import rooms
from ovcadmin.models.base import Base, Numbered, utcnow
from ovcadmin.models.pools import Pool


class Host(Numbered, Base):
    """A hypervisor reached through libvirt.  Attached to a pool; serves that pool's subtree.

    Observed figures carry the time at which the host said so (`observed_at`).  Memory in KiB.
    """

    __tablename__ = "host"

    name: Mapped[str] = mapped_column(unique=True)
    uri: Mapped[str] = mapped_column(unique=True)
    pool_id: Mapped[int] = mapped_column(ForeignKey("pool.id"), index=True)
    enabled: Mapped[bool] = mapped_column(default=True)
    """Whether placement may choose it."""
    virt_type_setting: Mapped[str] = mapped_column(default="auto")
    """`auto` (probe), `kvm` or `qemu`."""
    description: Mapped[str] = mapped_column(default="")
    cpu_ratio: Mapped[float] = mapped_column(default=16.0)
    """vCPUs that may be promised for each of its CPUs."""
    memory_ratio: Mapped[float] = mapped_column(default=1.0)
    """Memory that may be promised for each KiB that is not reserved."""
    memory_reserve: Mapped[int] = mapped_column(default=0)
    """KiB kept for the host itself."""
    migration_uri: Mapped[str] = mapped_column(default="")
    """Where other hosts send guests to, such as `tcp://10.0.0.5`; empty: the address of `uri`."""
    worker_group: Mapped[str] = mapped_column(default="main", server_default="main")
    """Which workers look after it: those that serve this group."""
    maintenance: Mapped[str] = mapped_column(default="")
    """`evacuate` or `stop`: what becomes of its machines; empty when it is not in maintenance."""
    maintenance_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]
    """Out of lists and without a monitor; its history stays."""
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    version: Mapped[int] = mapped_column(default=1)

    state: Mapped[str] = mapped_column(default="new")
    """`new` (never answered), `up`, or `unresponsive`."""
    state_since: Mapped[datetime] = mapped_column(default=utcnow)
    state_reason: Mapped[str] = mapped_column(default="")
    observed_at: Mapped[datetime | None]
    hostname: Mapped[str] = mapped_column(default="")
    uuid: Mapped[str] = mapped_column(default="")
    arch: Mapped[str] = mapped_column(default="")
    cpu_model: Mapped[str] = mapped_column(default="")
    cpus: Mapped[int] = mapped_column(default=0)
    memory: Mapped[int] = mapped_column(default=0)
    libvirt_version: Mapped[str] = mapped_column(default="")
    qemu_version: Mapped[str] = mapped_column(default="")
    virt_type: Mapped[str] = mapped_column(default="")
    virt_note: Mapped[str] = mapped_column(default="")
    session: Mapped[bool] = mapped_column(default=False)
    networks: Mapped[list[str]] = mapped_column(default=list)
    """Names of the libvirt networks that are active on it."""
    storage_kinds: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    """Types of storage pools that its libvirt has a backend for; empty: not told yet."""

    measured_at: Mapped[datetime | None]
    load: Mapped[float] = mapped_column(default=0.0)
    """Part of its CPU time that was busy, 0 to 1, smoothed over a minute."""
    load_trend: Mapped[float] = mapped_column(default=0.0)
    """How the load grows, per hour: 0.2 is a fifth of the host more in an hour."""
    memory_used: Mapped[int] = mapped_column(default=0)
    """KiB that the host itself says are in use."""

    pool: Mapped[Pool] = relationship()

    __table_args__ = (
        CheckConstraint("state IN ('new', 'up', 'unresponsive')", name="state_known"),
        CheckConstraint("maintenance IN ('', 'evacuate', 'stop')", name="maintenance_known"),
        CheckConstraint("cpu_ratio > 0 AND memory_ratio > 0 AND memory_reserve >= 0", name="rooms"),
    )

    @property
    def answers(self) -> bool:
        return self.state == "up"

    @property
    def known(self) -> bool:
        """Whether it has ever told what it has."""
        return self.cpus > 0

    @property
    def vcpu_room(self) -> int:
        """Number of vCPUs that may be promised in all."""
        return rooms.vcpus(self)

    @property
    def memory_room(self) -> int:
        """KiB of memory that may be promised in all."""
        return rooms.memory(self)


class HostWatch(Base):
    """The worker that watches a host, as long as its lease lasts."""

    __tablename__ = "host_watch"

    host_id: Mapped[int] = mapped_column(
        ForeignKey("host.id", ondelete="CASCADE"), primary_key=True
    )
    worker: Mapped[str] = mapped_column(index=True)
    until: Mapped[datetime]


class StoragePool(Numbered, Base):
    """Where volumes live.  Attached to a pool; serves the subtree.  Sizes in bytes."""

    __tablename__ = "storage_pool"

    name: Mapped[str] = mapped_column(unique=True)
    driver: Mapped[str]
    """Name of the storage driver: one of domain/storage_kinds, or `openvstorage`."""
    target: Mapped[str]
    """What the driver needs to find it: the libvirt pool's name, the vPool's guid."""
    path: Mapped[str] = mapped_column(default="")
    source: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    """Where a libvirt pool has its storage from: server, portals, export, device, user; of a vPool
    `access`: how guests open its volumes."""
    sealed_secret: Mapped[str | None]
    """The password of `source`'s user."""
    trouble: Mapped[str] = mapped_column(default="", server_default="")
    """Why it does not answer, as its host says; empty while it does."""
    trouble_at: Mapped[datetime | None]
    paths: Mapped[list[dict[str, Any]]] = mapped_column(default=list, server_default="[]")
    """Of several portals each `portal`, and whether it is `up`."""
    layers: Mapped[list[dict[str, Any]]] = mapped_column(default=list, server_default="[]")
    """What it is built of, from the disks up, as its administrators say: `kind`, `name`, `state`,
    and whether that is `good`."""
    layers_at: Mapped[datetime | None]
    cluster_id: Mapped[int | None] = mapped_column(ForeignKey("storage_cluster.id"), index=True)
    """The OpenvStorage cluster whose vPool it is."""
    declared: Mapped[int] = mapped_column(default=0, server_default="0")
    """Capacity by people's word, where the storage does not tell its own; bytes."""
    pool_id: Mapped[int] = mapped_column(ForeignKey("pool.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    capacity: Mapped[int] = mapped_column(default=0)
    available: Mapped[int] = mapped_column(default=0)
    active: Mapped[bool] = mapped_column(default=False)
    observed_at: Mapped[datetime | None]

    pool: Mapped[Pool] = relationship()
    hosts: Mapped[list[Host]] = relationship(secondary="host_storage_pool")


class HostStoragePool(Base):
    """Which hosts reach which storage pool."""

    __tablename__ = "host_storage_pool"

    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"), primary_key=True)
    storage_pool_id: Mapped[int] = mapped_column(ForeignKey("storage_pool.id"), primary_key=True)


class UnmanagedDomain(Numbered, Base):
    """A domain on a host that is none of our machines there: listed, never touched."""

    __tablename__ = "unmanaged_domain"

    host_id: Mapped[int] = mapped_column(ForeignKey("host.id"))
    uuid: Mapped[str]
    name: Mapped[str]
    power: Mapped[str]
    machine_id: Mapped[int | None] = mapped_column(ForeignKey("machine.id"))
    """Our machine of the same uuid, which lives on another host: this is what it left behind."""
    seen_at: Mapped[datetime] = mapped_column(default=utcnow)
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What it consists of, as domain/adoption describes it; None before it was looked at."""
    looked_at: Mapped[datetime | None]
    """When it was looked at last; None also when it may have changed since."""

    host: Mapped[Host] = relationship()

    __table_args__ = (UniqueConstraint("host_id", "uuid"),)
