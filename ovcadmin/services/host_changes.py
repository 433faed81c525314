"""What people change of hosts: enrolment, edits, whether they take machines, retirement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from ovcadmin.domain import addresses, names
from ovcadmin.domain.resources import LARGEST
from ovcadmin.errors import InvalidInput, NameTaken, ObjectInUse, Outdated
from ovcadmin.models import Host, Machine, Operation, Pool
from ovcadmin.models.database import announce
from ovcadmin.services import audit, operations
from ovcadmin.work import Work

VIRT_TYPES = ("auto", "kvm", "qemu")


@dataclass(frozen=True, kw_only=True)
class Details:
    """What people say about a host.  Memory in KiB."""

    name: str
    uri: str
    description: str = ""
    virt_type: str = "auto"
    cpu_ratio: float = 16.0
    memory_ratio: float = 1.0
    memory_reserve: int = 0
    migration_uri: str = ""
    worker_group: str = "main"


def details(host: Host) -> Details:
    return Details(
        name=host.name,
        uri=host.uri,
        description=host.description,
        virt_type=host.virt_type_setting,
        cpu_ratio=host.cpu_ratio,
        memory_ratio=host.memory_ratio,
        memory_reserve=host.memory_reserve,
        migration_uri=host.migration_uri,
        worker_group=host.worker_group,
    )


def enroll(work: Work, pool: Pool, given: Details) -> tuple[Host, Operation]:
    """Write a host down and queue a look at the way to it.

    A worker connects to it by itself; the operation says why when it cannot.
    """
    host = Host(pool_id=pool.id, created_at=work.now(), state_since=work.now(), networks=[])
    _describe(host, given)
    work.db.add(host)
    _flush(work, given)
    announce(work.db, "host", host.id, pool.id)
    audit.record(
        work, "host.enroll", "host", host.id, host.name, pool_id=pool.id, after=asdict(given)
    )
    return host, check(work, host)


def edit(work: Work, host: Host, given: Details, version: int | None = None) -> None:
    """Change what is said about the host, if nobody else did since `version` was shown."""
    if version is not None and version != host.version:
        raise Outdated(f"{host.name} was changed by somebody else meanwhile.", host_id=host.id)
    before = asdict(details(host))
    _describe(host, given)
    if host.uri != before["uri"] and host.state == "up":
        host.state, host.state_since = "new", work.now()  # nobody has answered there yet
    host.version += 1
    _flush(work, given)
    announce(work.db, "host", host.id, host.pool_id)
    audit.record(
        work, "host.edit", "host", host.id, host.name, pool_id=host.pool_id,
        before=before, after=asdict(given),
    )  # fmt: skip


def check(work: Work, host: Host) -> Operation:
    """Queue a look at the way to the host, step by step."""
    return operations.submit(
        work, operations.Request(type="host.check", pool=host.pool, name=host.name, host=host)
    )


def retire(work: Work, host: Host) -> None:
    """Take the host out of use: out of lists, nobody connects to it.  Its history stays.

    Raises `ObjectInUse` while machines live on it.
    """
    living = work.db.scalar(
        select(func.count()).where(Machine.host_id == host.id, Machine.deleted_at.is_(None))
    )
    if living:
        raise ObjectInUse(
            f"{living} machines live on {host.name}. Migrate or delete them first.",
            host_id=host.id,
            machines=living,
        )
    if host.retired_at is None:
        host.retired_at = work.now()
        _told(work, host, "host.retire")


def bring_back(work: Work, host: Host) -> None:
    if host.retired_at is not None:
        host.retired_at = None
        _told(work, host, "host.bring_back")


def _told(work: Work, host: Host, action: str) -> None:
    host.version += 1
    announce(work.db, "host", host.id, host.pool_id)
    audit.record(work, action, "host", host.id, host.name, pool_id=host.pool_id)


def _describe(host: Host, given: Details) -> None:
    wrong: dict[str, str] = {}
    host.name = _read(names.clean, given.name, "name", wrong)
    host.uri = _read(addresses.read, given.uri, "uri", wrong)
    host.migration_uri = _read(
        addresses.read_migration, given.migration_uri, "migration_uri", wrong
    )
    host.worker_group = _read(names.clean_group, given.worker_group, "worker_group", wrong)
    if given.virt_type not in VIRT_TYPES:
        wrong["virt_type"] = f"One of {', '.join(VIRT_TYPES)}."
    for name in ("cpu_ratio", "memory_ratio"):
        if not 0.1 <= getattr(given, name) <= 100:
            wrong[name] = "Write a number from 0.1 to 100."
    if not 0 <= given.memory_reserve <= LARGEST:
        wrong["memory_reserve"] = "Write an amount of memory."
    if len(given.description) > 2000:
        wrong["description"] = "Use at most 2000 characters."
    if wrong:
        raise InvalidInput("The host cannot be written down like this.", fields=wrong)
    host.description = given.description.strip()
    host.virt_type_setting = given.virt_type
    host.cpu_ratio, host.memory_ratio = given.cpu_ratio, given.memory_ratio
    host.memory_reserve = given.memory_reserve


def _read(reader: Callable[[str], Any], text: str, field: str, wrong: dict[str, str]) -> str:
    try:
        return str(reader(text))
    except ValueError as error:
        wrong[field] = str(error)
        return text


def _flush(work: Work, given: Details) -> None:
    try:
        work.db.flush()
    except IntegrityError:
        raise NameTaken(
            f"A host {given.name} or its address is enrolled already.", field="name"
        ) from None
