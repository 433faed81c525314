"""Hosts: enrolment, what they say of themselves, and what their silence means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, bindparam, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload, selectinload

from ovcadmin.domain import names
from ovcadmin.domain.load import Load as Measured
from ovcadmin.drivers.hypervisor.base import HostFacts
from ovcadmin.errors import HypervisorFailed, InvalidInput, NameTaken, NotFound
from ovcadmin.models import Host, Lineage, Machine, Pool, Reservation, StoragePool, UnmanagedDomain
from ovcadmin.models.database import announce
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import visible
from ovcadmin.services import audit
from ovcadmin.work import Work


@dataclass(frozen=True, kw_only=True)
class Load:
    """What is promised on a host.  Memory in KiB."""

    machines: int = 0
    vcpus: int = 0
    memory: int = 0


def get(work: Work, host_id: int) -> Host:
    host = work.db.get(Host, host_id)
    if host is None:
        raise NotFound("There is no such host.", host_id=host_id)
    return host


def listing(work: Work) -> list[Host]:
    """Return the hosts that the actor may see, by name; retired ones last."""
    statement = (
        select(Host)
        .options(joinedload(Host.pool))
        .where(*_seen(work))
        .order_by(Host.retired_at.is_not(None), Host.name)
    )
    return list(work.db.scalars(statement).unique())


def seen(work: Work) -> frozenset[int]:
    """Return the ids of the hosts that the actor may see."""
    return frozenset(work.db.scalars(select(Host.id).where(*_seen(work))))


def _seen(work: Work) -> list[ColumnElement[bool]]:
    user_id = work.actor.user_id
    return [] if user_id is None else [visible(user_id, Host.pool_id)]


def topmost_pool(work: Work, privilege: Privilege) -> Pool | None:
    """Return the pool nearest to the root on which the actor holds the privilege."""
    statement = (
        select(Pool)
        .join(Lineage, Lineage.pool_id == Pool.id)
        .where(Pool.retired_at.is_(None))
        .group_by(Pool.id)
        .order_by(func.count(), Pool.name_key, Pool.id)
    )
    if work.actor.user_id is not None:
        statement = statement.where(visible(work.actor.user_id, Pool.id, privilege))
    return work.db.scalars(statement.limit(1)).unique().first()


def watched(work: Work) -> list[Host]:
    """Return every host that is in use, for the worker's monitors."""
    return list(
        work.db.scalars(
            select(Host)
            .options(selectinload(Host.pool))
            .where(Host.retired_at.is_(None))
            .order_by(Host.id)
        )
    )


def loads(work: Work) -> dict[int, Load]:
    """Return what runs, or is about to, on each host."""
    statement = (
        select(
            Machine.host_id,
            func.count(Machine.id.distinct()),
            func.sum(Reservation.vcpus),
            func.sum(Reservation.memory),
        )
        .join(Reservation, Reservation.machine_id == Machine.id)
        .where(Machine.host_id.is_not(None), Reservation.kind == "running")
        .group_by(Machine.host_id)
    )
    return {
        host_id: Load(machines=int(count), vcpus=int(vcpus), memory=int(memory))
        for host_id, count, vcpus, memory in work.db.execute(statement)
        if host_id is not None
    }


def strangers(work: Work, host: Host) -> list[UnmanagedDomain]:
    """Return the domains on the host that are none of our machines."""
    statement = (
        select(UnmanagedDomain)
        .where(UnmanagedDomain.host_id == host.id)
        .order_by(UnmanagedDomain.name)
    )
    return list(work.db.scalars(statement))


def storage_pools(work: Work, host: Host) -> list[StoragePool]:
    statement = (
        select(StoragePool)
        .where(StoragePool.hosts.any(Host.id == host.id))
        .order_by(StoragePool.name)
    )
    return list(work.db.scalars(statement).unique())


def enroll(work: Work, pool: Pool, *, name: str, uri: str, virt_type: str = "auto") -> Host:
    """Write a host down; a worker connects to it and learns the rest."""
    try:
        cleaned = names.clean(name)
    except ValueError as error:
        raise InvalidInput("The host needs a name.", fields={"name": str(error)}) from None
    host = Host(
        name=cleaned,
        uri=uri,
        pool_id=pool.id,
        virt_type_setting=virt_type,
        created_at=work.now(),
        state_since=work.now(),
    )
    work.db.add(host)
    try:
        work.db.flush()
    except IntegrityError:
        raise NameTaken(f"A host {cleaned} or its address is enrolled already.") from None
    announce(work.db, "host", host.id, pool.id)
    audit.record(
        work, "host.enroll", "host", host.id, host.name, pool_id=pool.id, after={"uri": uri}
    )
    return host


def set_enabled(work: Work, host: Host, *, enabled: bool) -> None:
    """Say whether placement may choose the host; what runs there goes on."""
    if host.enabled == enabled:
        return
    host.enabled = enabled
    announce(work.db, "host", host.id, host.pool_id)
    audit.record(
        work, "host.enable" if enabled else "host.disable", "host", host.id, host.name,
        pool_id=host.pool_id, before={"enabled": not enabled}, after={"enabled": enabled},
    )  # fmt: skip


def answered(work: Work, host_id: int, facts: HostFacts | None = None) -> None:
    """The host answered: it is up.  `facts` are taken in when it was asked for them.

    Raises `HypervisorFailed` when they are those of another host, which cannot know its machines.
    """
    host = get(work, host_id)
    if facts is not None:
        _ensure_same(work, host, facts)
    host.observed_at = work.now()
    if facts is not None:
        for name in _FACTS:
            setattr(host, name, getattr(facts, name))
        host.networks = list(facts.networks)
        host.storage_kinds = list(facts.storage_kinds)
        host.virt_type = facts.virt_type.value
        announce(work.db, "host", host.id, host.pool_id)
    if host.state != "up":
        _change_state(work, host, "up", "")


def _ensure_same(work: Work, host: Host, facts: HostFacts) -> None:
    """Raise `HypervisorFailed` when another host answers at the address.

    It would say of every machine that it is missing, and a start would make it there, while the
    old host may be running it still.
    """
    if not host.uuid or not facts.uuid or facts.uuid == host.uuid:
        return
    living = select(Machine.id).where(Machine.host_id == host.id, Machine.deleted_at.is_(None))
    if work.db.scalar(living.limit(1)) is not None:
        raise HypervisorFailed(
            f"Another host answers at its address: {facts.hostname or 'one'} with the uuid "
            f"{facts.uuid}. Machines live on {host.name}, and started there as well they would "
            f"run twice. Correct the address; if it was rebuilt, set host_uuid = "
            f'"{host.uuid}" in its libvirtd.conf.'
        )


def heard(work: Work, hosts: Mapping[int, datetime]) -> None:
    """Note when hosts last answered that had nothing new to say, by id."""
    if hosts:
        statement = update(Host.__table__).where(Host.id == bindparam("host")).values(  # type: ignore[arg-type]
            observed_at=bindparam("at")
        )  # fmt: skip
        rows = [{"host": host_id, "at": at} for host_id, at in sorted(hosts.items())]
        work.db.connection().execute(statement, rows)


def measured(work: Work, host_id: int, found: Measured, *, memory_used: int) -> None:
    """Take in how busy the host is.  Memory in KiB."""
    host = get(work, host_id)
    host.measured_at = work.now()
    host.load, host.load_trend = round(found.now, 4), round(found.trend, 4)
    host.memory_used = memory_used
    announce(work.db, "host", host.id, host.pool_id)


def silent(work: Work, host_id: int, reason: str) -> None:
    """The host does not answer: its machines are unknown, and still count for quota."""
    host, reason = get(work, host_id), reason.rstrip(".")  # it stands within sentences
    if host.state != "unresponsive":
        _change_state(work, host, "unresponsive", reason)
    elif host.state_reason != reason:
        host.state_reason = reason
        announce(work.db, "host", host.id, host.pool_id)


def _change_state(work: Work, host: Host, state: str, reason: str) -> None:
    before = host.state
    host.state, host.state_since, host.state_reason = state, work.now(), reason
    announce(work.db, "host", host.id, host.pool_id)
    machines = work.db.execute(
        select(Machine.id, Machine.pool_id).where(
            Machine.host_id == host.id, Machine.deleted_at.is_(None)
        )
    )
    for machine_id, pool_id in machines:
        announce(work.db, "machine", machine_id, pool_id)
    audit.record(
        work, "host.state", "host", host.id, host.name, pool_id=host.pool_id,
        before={"state": before}, after={"state": state, "reason": reason}, outcome="observed",
    )  # fmt: skip


_FACTS = (
    "hostname", "uuid", "arch", "cpu_model", "cpus", "memory", "libvirt_version", "qemu_version",
    "virt_note", "session",
)  # fmt: skip
