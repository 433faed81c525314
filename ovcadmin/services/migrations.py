"""Migrations: which hosts could take a machine, and asking for its move to one of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import Session

from ovcadmin.domain.placement import Candidate, Verdict, Wanted
from ovcadmin.domain.states import State
from ovcadmin.errors import HostUnreachable, HostUnresponsive, InvalidInput, ObjectInUse
from ovcadmin.models import Host, HostStoragePool, Machine, Operation, SnapshotPart, Volume
from ovcadmin.services import operations, placement, quotas
from ovcadmin.work import Work

TYPE = "machine.migrate"


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """What moving a machine would mean: every other host with its verdict, the best one first."""

    verdicts: list[Verdict]
    best: Candidate | None
    live: bool
    """Whether the guest goes on running on the way."""

    @property
    def able(self) -> list[Verdict]:
        return [verdict for verdict in self.verdicts if verdict.fits]


def outlook(work: Work, machine: Machine) -> Outlook:
    """Judge every host that the machine could go to, or that the actor may see."""
    verdicts = [
        verdict
        for verdict in placement.verdicts(work, machine.pool, wanted(machine), machine)
        if verdict.candidate.host_id != machine.host_id
    ]
    verdicts.sort(key=lambda v: (not v.fits, -v.score, v.candidate.host_id))
    return Outlook(
        verdicts=verdicts,
        best=verdicts[0].candidate if verdicts and verdicts[0].fits else None,
        live=_live(machine),
    )


def wanted(machine: Machine) -> Wanted:
    """Return what the machine wants of another host: its disks come with it, no image is needed."""
    host = machine.host
    return replace(
        placement.wanted_for(machine),
        storage=sum(volume.size for volume in machine.volumes),
        image_id=None,
        image="",
        cpu_model=host.cpu_model if host is not None and _live(machine) else "",
    )


def _live(machine: Machine) -> bool:
    return operations.state_to_come(machine) is State.RUNNING


def migrate(work: Work, machine: Machine, host_id: int | None = None) -> Operation:
    """Queue the move to a host, the best one when none is named.

    What the machine holds of the quota stays as it is: nothing is reserved a second time.  The
    room on the other host is promised to it until it is there.  Raises `PlacementFailed`,
    `StateConflict`, `Busy`, `HostUnresponsive` or `InvalidInput`.
    """
    source = machine.host
    if source is None:
        raise InvalidInput(f"{machine.name} was never placed on a host.")
    if host_id == source.id:
        raise InvalidInput(
            "Nothing was moved.", fields={"host": f"{machine.name} lives on {source.name} already."}
        )
    if source.state == "unresponsive":
        raise HostUnresponsive(
            f"{source.name} does not answer ({source.state_reason}); {machine.name} cannot be "
            "taken away from it before it does.",
            host_id=source.id,
        )
    # One decision at a time about what is free on the hosts of these pools.
    quotas.lock_chain(work, machine.pool, machine=machine)
    chosen = _choose(work, machine, host_id)
    target = work.db.get_one(Host, chosen.host_id)
    copied = elsewhere(work.db, machine, target.id)
    _ensure_without_snapshots(work, machine, target, copied)
    if _live(machine):
        address(target)
    return operations.submit(
        work,
        operations.Request(
            type=TYPE,
            pool=machine.pool,
            name=f"{machine.name} to {target.name}",
            machine=machine,
            target_host=target,
            params={
                "from": source.name,
                "to": target.name,
                "storage_pool_id": chosen.storage_pool_id if copied else None,
            },
        ),
    )


def _ensure_without_snapshots(
    work: Work, machine: Machine, target: Host, copied: list[Volume]
) -> None:
    """Raise `ObjectInUse` when disks would be copied whose snapshots stay behind."""
    of_these = SnapshotPart.volume_id.in_([volume.id for volume in copied])
    if work.db.scalar(select(SnapshotPart.volume_id).where(of_these).limit(1)) is not None:
        raise ObjectInUse(
            f"{target.name} does not reach the disks of {machine.name}, and their snapshots cannot "
            "come along. Delete the snapshots, or choose a host that reaches the storage pool.",
            machine_id=machine.id,
        )


def _choose(work: Work, machine: Machine, host_id: int | None) -> Candidate:
    outlook_ = outlook(work, machine)
    fitting = [v for v in outlook_.able if host_id in (None, v.candidate.host_id)]
    if not fitting:
        raise placement.refusal(
            [v for v in outlook_.verdicts if host_id in (None, v.candidate.host_id)]
        )
    return fitting[0].candidate


def ensure_fits(work: Work, machine: Machine, host_id: int) -> None:
    """Raise `PlacementFailed` when the host cannot take the machine (any more)."""
    verdicts = outlook(work, machine).verdicts
    mine = [verdict for verdict in verdicts if verdict.candidate.host_id == host_id]
    if not any(verdict.fits for verdict in mine):
        raise placement.refusal(mine)


def elsewhere(db: Session, machine: Machine, host_id: int) -> list[Volume]:
    """Return the machine's volumes that the host does not reach: they are copied."""
    reached = select(HostStoragePool.storage_pool_id).where(HostStoragePool.host_id == host_id)
    return list(
        db.scalars(
            select(Volume)
            .where(Volume.machine_id == machine.id, Volume.storage_pool_id.not_in(reached))
            .order_by(Volume.id)
        )
    )


def address(host: Host) -> str:
    """Return where other hosts send running guests to; raises `HostUnreachable` without one."""
    if host.migration_uri:
        return host.migration_uri
    name = urlsplit(host.uri).hostname or host.hostname
    if not name:
        raise HostUnreachable(
            f"It is not known at which address {host.name} takes running guests: set its "
            "migration address.",
            host_id=host.id,
        )
    return f"tcp://[{name}]" if ":" in name else f"tcp://{name}"
