"""Images, volumes, machines and the recorded events of a machine's life."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    JSON,
    CheckConstraint,
    ForeignKey,
    Index,
    Text,
    UniqueConstraint,
    false,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from ovcadmin.domain.resources import Resources
from ovcadmin.domain.states import State
from ovcadmin.models.base import Base, Numbered, utcnow
from ovcadmin.models.hosts import Host, StoragePool
from ovcadmin.models.people import User
from ovcadmin.models.pools import Pool

if TYPE_CHECKING:
    from ovcadmin.models.operations import Operation


class Image(Numbered, Base):
    """What a new disk starts from.  Sizes in bytes."""

    __tablename__ = "image"

    kind: Mapped[str] = mapped_column(default="disk", server_default="disk")
    """`disk`, `iso`, `network` or `kickstart`; see domain/images."""
    name: Mapped[str]
    name_key: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    os_type: Mapped[str] = mapped_column(default="linux")
    size: Mapped[int]
    """0 of what has no content of its own: a network boot entry, a kickstart."""
    checksum: Mapped[str]
    """SHA-256 of the content; of a kickstart that of its answers."""
    source: Mapped[str] = mapped_column(default="")
    """Path of the file that copies are made from; the address of a network boot entry."""
    converted_from: Mapped[str] = mapped_column(default="", server_default="")
    """SHA-256 of the qcow2 file that it was converted from."""
    installer_id: Mapped[int | None] = mapped_column(ForeignKey("image.id"))
    """The installation ISO of a kickstart."""
    answers: Mapped[str] = mapped_column(default="", server_default="", deferred=True)
    """What the installer of a kickstart is told, sealed."""
    pool_id: Mapped[int] = mapped_column(ForeignKey("pool.id"), index=True)
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    deleted_at: Mapped[datetime | None]
    """Machines that were made from it stay in reports, and so does its row."""

    pool: Mapped[Pool] = relationship()
    installer: Mapped[Image | None] = relationship(remote_side="Image.id")
    volumes: Mapped[list[Volume]] = relationship(back_populates="image")

    __table_args__ = (
        Index(
            "uq_image_name_key",
            "name_key",
            unique=True,
            sqlite_where=text("deleted_at IS NULL"),
            postgresql_where=text("deleted_at IS NULL"),
        ),
        CheckConstraint("kind IN ('disk', 'iso', 'network', 'kickstart')", name="kind_known"),
    )


class Volume(Numbered, Base):
    """A raw volume in a storage pool: a machine's disk, an image's copy, or nobody's yet.

    `key` is the driver's lasting name for it; empty until the driver has made it.
    """

    __tablename__ = "volume"

    storage_pool_id: Mapped[int] = mapped_column(ForeignKey("storage_pool.id"))
    name: Mapped[str]
    key: Mapped[str | None]
    size: Mapped[int]
    image_id: Mapped[int | None] = mapped_column(ForeignKey("image.id"), index=True)
    machine_id: Mapped[int | None] = mapped_column(ForeignKey("machine.id"), index=True)
    target: Mapped[str] = mapped_column(default="vda")
    swap: Mapped[bool] = mapped_column(default=False)
    """Scratch space on the host's own storage: in no snapshot and no template, empty after a move
    to another host."""
    bytes_limit: Mapped[int | None]
    """Bytes a second that the guest may read and write together."""
    iops_limit: Mapped[int | None]
    """Operations a second."""
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    pool_id: Mapped[int | None] = mapped_column(ForeignKey("pool.id"), index=True)
    """Whose it is while no machine has it, so that no other pool reads what was written on it;
    NULL is for whoever the storage pool serves."""
    found: Mapped[bool] = mapped_column(default=False, server_default=false())
    """It was there before us (a LUN, a partition): it is given back and never deleted."""
    offered: Mapped[bool] = mapped_column(default=False, server_default=false())
    """Whether a machine may take it when no machine has it."""
    address: Mapped[str] = mapped_column(default="", server_default="")
    """Where its storage shows it: a path, a LUN."""
    use: Mapped[str] = mapped_column(default="", server_default="")
    """What else uses it, by the word of its storage; such a one is never offered."""
    allocated: Mapped[int | None]
    """Bytes that it really takes, as last seen."""
    missing_at: Mapped[datetime | None]
    """Since when its storage does not show it any more."""
    operation_id: Mapped[int | None] = mapped_column(ForeignKey("operation.id"))
    """The operation that works on it: nothing else may meanwhile."""

    storage_pool: Mapped[StoragePool] = relationship()
    image: Mapped[Image | None] = relationship(back_populates="volumes")
    machine: Mapped[Machine | None] = relationship(back_populates="volumes")
    pool: Mapped[Pool | None] = relationship()

    __table_args__ = (
        UniqueConstraint("storage_pool_id", "name"),
        UniqueConstraint("storage_pool_id", "key"),
        # One copy of an image in a storage pool.
        UniqueConstraint("storage_pool_id", "image_id"),
        CheckConstraint("image_id IS NULL OR machine_id IS NULL", name="one_purpose"),
    )


class Nic(Numbered, Base):
    __tablename__ = "nic"

    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"), index=True)
    mac: Mapped[str] = mapped_column(unique=True)
    network: Mapped[str | None]
    """Name of a libvirt network, or `bridge:` and a bridge of the host; NULL is QEMU's user-mode
    network."""
    receive_limit: Mapped[int | None]
    """Bytes a second towards the guest."""
    send_limit: Mapped[int | None]
    """Bytes a second from the guest."""
    address: Mapped[str | None]
    """The one IPv4 address that the guest may send from; NULL: any."""


class Medium(Numbered, Base):
    """An ISO image in a CD-ROM drive of a machine.  The drives follow from its OS type."""

    __tablename__ = "medium"

    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"))
    target: Mapped[str]
    """The drive: `hda`, `hdb`."""
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"), index=True)

    image: Mapped[Image] = relationship()

    __table_args__ = (UniqueConstraint("machine_id", "target"),)


class Machine(Numbered, Base):
    """A virtual machine.

    Three facts are kept apart: `state` (stable), `power` (observed, with source and time), and
    the operation in flight (`tail`, the last one queued).  Memory in KiB, storage in bytes.
    """

    __tablename__ = "machine"

    uuid: Mapped[str] = mapped_column(unique=True)
    pool_id: Mapped[int] = mapped_column(ForeignKey("pool.id"))
    owner_id: Mapped[int] = mapped_column(ForeignKey("user_account.id"), index=True)
    name: Mapped[str]
    name_key: Mapped[str]
    description: Mapped[str] = mapped_column(default="")
    host_id: Mapped[int | None] = mapped_column(ForeignKey("host.id"), index=True)
    image_id: Mapped[int | None] = mapped_column(ForeignKey("image.id"), index=True)
    """None for a machine that was not made here: one that was adopted."""
    size_name: Mapped[str]
    vcpus: Mapped[int]
    memory: Mapped[int]
    storage: Mapped[int]
    snapshot_storage: Mapped[int] = mapped_column(default=0)
    """Bytes that its snapshots take of the storage quota, beside `storage`."""
    nic_count: Mapped[int] = mapped_column(default=1)
    protected: Mapped[bool] = mapped_column(default=False)
    """Failover-protected: takes a place of the redundancy limit while it runs."""
    os_type: Mapped[str] = mapped_column(default="linux")
    boot: Mapped[str] = mapped_column(default="disk,cdrom")
    """What it boots from, in order; see domain/devices."""
    cpu_limit: Mapped[int | None]
    """Hard limit, percent of one CPU for all its vcpus together."""
    pending: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """What a running guest will only have after it was off: name to [present, coming]."""
    cloud_init: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    """What its first boot is told; see services/cloud_init."""
    definition: Mapped[str] = mapped_column(Text, default="", server_default="")
    """Of an adopted machine: its domain's own definition, as it was last seen; see
    drivers/hypervisor/kept.  Empty where the console writes it."""
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    deleted_at: Mapped[datetime | None]

    locked: Mapped[bool] = mapped_column(default=False)
    """Protected against deletion, by people and by leases."""
    binned_at: Mapped[datetime | None]
    """Since when it rests in the bin; its name is free meanwhile."""
    purge_at: Mapped[datetime | None]
    """When the bin lets go of it."""
    shutdown_seconds: Mapped[int | None]
    """How long its guest may take to shut down; NULL is the console's setting."""
    keep_running: Mapped[bool] = mapped_column(default=False)
    """Start it again when it stopped without having been asked to here."""
    wanted: Mapped[bool] = mapped_column(default=False)
    """The last thing that was asked for here left it running."""
    restarts: Mapped[int] = mapped_column(default=0)
    """How often it was started again since `restarted_at`."""
    restarted_at: Mapped[datetime | None]
    given_up_at: Mapped[datetime | None]
    """Since when it is no longer started again: it stopped too often."""
    run_until: Mapped[datetime | None]
    """End of its lease to run."""
    run_end: Mapped[str] = mapped_column(default="shutdown")
    """What happens then: `shutdown`, `power_off`, `save`."""
    keep_until: Mapped[datetime | None]
    """End of its lease on storage: then it goes into the bin."""
    warned_until: Mapped[datetime | None]
    """The end of a lease that was warned of last."""

    state: Mapped[str] = mapped_column(default=State.NEW.value)
    state_since: Mapped[datetime] = mapped_column(default=utcnow)
    power: Mapped[str] = mapped_column(default="")
    power_source: Mapped[str] = mapped_column(default="")
    """Who said so: `event`, `sweep` or `operation`."""
    power_at: Mapped[datetime | None]
    """When `power` was last seen to change; its age is that of the host's last answer."""
    missing_at: Mapped[datetime | None]
    """Since when its host no longer knows the domain; the machine is kept, not forgotten."""
    tail_id: Mapped[int | None] = mapped_column(ForeignKey("operation.id", use_alter=True))
    """The last operation queued and not ended: the slot that a new one takes over by
    compare-and-swap, having judged the state that the tail will leave."""
    version: Mapped[int] = mapped_column(default=1)

    pool: Mapped[Pool] = relationship()
    owner: Mapped[User] = relationship()
    host: Mapped[Host | None] = relationship()
    image: Mapped[Image | None] = relationship()
    volumes: Mapped[list[Volume]] = relationship(
        back_populates="machine", order_by="Volume.target, Volume.id"
    )
    nics: Mapped[list[Nic]] = relationship(order_by="Nic.id")
    media: Mapped[list[Medium]] = relationship(order_by="Medium.target")
    tail: Mapped[Operation | None] = relationship(foreign_keys=[tail_id])

    __table_args__ = (
        Index(
            "uq_machine_pool_id_name_key",
            "pool_id",
            "name_key",
            unique=True,
            sqlite_where=text("deleted_at IS NULL AND binned_at IS NULL"),
            postgresql_where=text("deleted_at IS NULL AND binned_at IS NULL"),
        ),
        CheckConstraint("vcpus > 0 AND memory > 0 AND storage >= 0", name="amounts"),
    )

    @property
    def stable(self) -> State:
        return State(self.state)

    @property
    def domain_name(self) -> str:
        """The domain's name on its host: safe in any tool, never typed by people.

        With a part of the uuid: another console on the same host may have its own machine 1.
        """
        return f"ovc-{self.id}-{self.uuid[:8]}"

    def present(self, name: str) -> int:
        """Return how many vcpus, or KiB of memory, its guest has while it runs."""
        wanted = int(getattr(self, name))
        return int(self.pending[name][0]) if name in self.pending else wanted

    @property
    def storage_held(self) -> int:
        """Bytes that it takes of the storage quota in every state: disks and snapshots."""
        return self.storage + self.snapshot_storage

    @property
    def running_resources(self) -> Resources:
        """What it takes from its pool while it runs or is suspended."""
        return Resources(
            vcpus=max(self.vcpus, self.present("vcpus")),
            memory=max(self.memory, self.present("memory")),
            nics=self.nic_count,
            machines=1,
            redundancy=1 if self.protected else 0,
        )


class Guest(Base):
    """What the agent in a guest said last.  It is the guest's own word: shown, never acted on."""

    __tablename__ = "guest"

    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"), primary_key=True)
    asked_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)
    """See services/guests."""
    trouble: Mapped[str] = mapped_column(default="")
    """Why there was no answer the last time; empty when there was one."""


class MachineEvent(Numbered, Base):
    """One event of a machine's life, from which consumption is summed.

    Each row tells what the machine holds from `at` on, so a stretch needs no other table.
    """

    __tablename__ = "machine_event"

    machine_id: Mapped[int] = mapped_column(ForeignKey("machine.id"))
    pool_id: Mapped[int] = mapped_column(ForeignKey("pool.id"), index=True)
    """Where the machine was from then on: what it used there stays there."""
    at: Mapped[datetime] = mapped_column(default=utcnow)
    kind: Mapped[str]
    """`created`, `started`, `stopped`, `destroyed`, ... ; see services/consumption."""
    running: Mapped[bool]
    vcpus: Mapped[int]
    memory: Mapped[int]
    storage: Mapped[int]
    source: Mapped[str]
    """`operation`, or `observed` when it happened behind our back."""
    operation_id: Mapped[int | None] = mapped_column(ForeignKey("operation.id"))

    __table_args__ = (Index("ix_machine_event_machine_id_at", "machine_id", "at"),)
