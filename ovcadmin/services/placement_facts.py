"""The statements that read what placement wants to know of hosts.

Each is built once: building them costs more than running them.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    bindparam,
    exists,
    func,
    literal_column,
    select,
    union_all,
)

from ovcadmin.models import (
    Host,
    HostStoragePool,
    Lineage,
    Machine,
    Operation,
    OperationState,
    Reservation,
    StoragePool,
    Volume,
)

# Written out, not bound: indexes that hold only such rows are of no use to a value not known yet.
RUNNING = Reservation.kind == literal_column("'running'")
OPEN = Operation.state.in_(
    [literal_column(f"'{state}'") for state in (OperationState.QUEUED, OperationState.RUNNING)]
)
FEW = 3
"""Hosts that a quick look asks."""
MANY = 100
"""What belongs to more hosts is read of all: naming each of them would take most of the time."""

FACTS = (
    Host.id, Host.name, Host.pool_id, Host.state, Host.enabled, Host.maintenance, Host.retired_at,
    Host.cpus, Host.cpu_ratio, Host.memory, Host.memory_reserve, Host.memory_ratio, Host.networks,
    Host.cpu_model, Host.load, Host.load_trend,
)  # fmt: skip
"""What the rules want to know of a host.  Columns: a thousand objects would take most of the time
of a decision."""


def _chain_of() -> Any:
    return select(Lineage.ancestor_id).where(Lineage.pool_id == bindparam("of"))


def _committed_on(*, named: bool) -> Any:
    """Build what adds up what runs on hosts, and what is on its way to them."""
    sums = (func.sum(Reservation.vcpus), func.sum(Reservation.memory))
    living = (
        select(Machine.host_id, *sums)
        .join(Reservation, Reservation.machine_id == Machine.id)
        .where(_among(Machine.host_id, named=named), RUNNING)
        .group_by(Machine.host_id)
    )
    coming = (
        select(Operation.target_host_id, *sums)
        .join(Reservation, Reservation.machine_id == Operation.machine_id)
        .where(
            _among(Operation.target_host_id, named=named),
            OPEN,
            Operation.machine_id.is_distinct_from(bindparam("but", type_=Integer())),
            RUNNING,
        )
        .group_by(Operation.target_host_id)
    )
    return union_all(living, coming)


def _storage_of(*, named: bool) -> Any:
    """Build what finds the active storage pools of hosts that serve a pool."""
    copied = exists().where(
        Volume.storage_pool_id == StoragePool.id,
        Volume.image_id == bindparam("image", type_=Integer()),
        Volume.key.is_not(None),
    )
    return (
        select(
            HostStoragePool.host_id, StoragePool.id, StoragePool.available, copied.label("copied")
        )
        .join(StoragePool, StoragePool.id == HostStoragePool.storage_pool_id)
        .where(
            StoragePool.pool_id.in_(_chain_of()),
            StoragePool.active,
            _among(HostStoragePool.host_id, named=named),
        )
    )


def _among(column: Any, *, named: bool) -> ColumnElement[bool]:
    found: ColumnElement[bool] = (
        column.in_(bindparam("hosts", expanding=True)) if named else column.is_not(None)
    )
    return found


def of_hosts(statements: dict[bool, Any], hosts: list[int]) -> tuple[Any, dict[str, Any]]:
    """Return the statement about these hosts, and the names that it takes."""
    named = len(hosts) <= MANY
    return statements[named], {"hosts": hosts} if named else {}


LEAST_LOADED = (
    select(*FACTS)
    .where(
        Host.pool_id.in_(_chain_of()), Host.state == "up", Host.enabled,
        Host.maintenance == "", Host.retired_at.is_(None),
    )
    .order_by(Host.load, Host.id)
    .limit(FEW)
)  # fmt: skip
COMMITTED = {named: _committed_on(named=named) for named in (True, False)}
STORAGE = {named: _storage_of(named=named) for named in (True, False)}
