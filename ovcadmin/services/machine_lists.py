"""Lists of machines: filtered, sorted and paged in SQL, within what the reader may see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, or_, select
from sqlalchemy.orm import defer, joinedload, selectinload

from ovcadmin.domain import names
from ovcadmin.models import Host, Lineage, Machine, Nic, Operation, Pool, User
from ovcadmin.security.visibility import visible
from ovcadmin.services import machines, tags
from ovcadmin.services.machines import Badge
from ovcadmin.work import Work

PAGE = 50


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What a list is narrowed to; every part may be blank."""

    text: str = ""
    """Part of the name, case aside; or a MAC or uuid."""
    state: str = ""
    """A state as shown: running, stopped, ..., busy, unknown or missing."""
    owner: str = ""
    host: str = ""
    tag: str = ""
    host_id: int | None = None
    pool_id: int | None = None
    """The pool's whole subtree."""
    image_id: int | None = None
    binned: bool = False
    """Those in the bin, instead of the others."""
    sort: str = "name"
    """A key of `SORTS`, with a leading `-` for the other direction."""
    page: int = 1
    after: int | None = None
    """Only ids above, in the order of ids: the cursor of the API."""
    size: int = PAGE
    whole: bool = False
    """With cards and image, which rows of pages do not show."""


@dataclass(frozen=True, kw_only=True)
class Row:
    machine: Machine
    badge: Badge
    operation: Operation | None


@dataclass(frozen=True, kw_only=True)
class Page:
    rows: list[Row]
    total: int
    page: int
    pages: int


_SHOWN = case(
    (Host.state == "unresponsive", "unknown"),
    (Machine.tail_id.is_not(None), "busy"),
    (Machine.missing_at.is_not(None), "missing"),
    else_=Machine.state,
)

SORTS: dict[str, Any] = {
    "name": Machine.name_key,
    "state": _SHOWN,
    "host": Host.name,
    "pool": Pool.name_key,
    "owner": User.name_key,
    "vcpus": Machine.vcpus,
    "memory": Machine.memory,
    "storage": Machine.storage,
    "since": Machine.state_since,
    "created": Machine.created_at,
}


def listing(work: Work, wanted: Filter, total: int | None = None) -> Page:
    """Return one page of the machines that the actor may see.

    `total` spares counting them where that was done already.
    """
    base = _narrowed(work, wanted)
    if total is None:
        total = work.db.scalar(base.with_only_columns(func.count(Machine.id))) or 0
    pages = max(1, -(-total // wanted.size))
    page = min(max(wanted.page, 1), pages)
    if wanted.after is not None:
        base = base.where(Machine.id > wanted.after).order_by(Machine.id)
    else:
        base = base.order_by(*_order(wanted.sort)).offset((page - 1) * wanted.size)
    # Ids first: sorting whole rows takes several times as long.
    ids = list(work.db.scalars(base.with_only_columns(Machine.id).limit(wanted.size)))
    found = rows(work, _load(work, ids, whole=wanted.whole))
    return Page(rows=found, total=total, page=page, pages=pages)


def owned(work: Work, user_id: int, most: int) -> list[Machine]:
    """Return the machines of an owner that the actor may see, the newest first."""
    statement = (
        select(Machine.id)
        .where(Machine.owner_id == user_id, Machine.deleted_at.is_(None))
        .order_by(Machine.id.desc())
        .limit(most)
    )
    if work.actor.user_id is not None:
        statement = statement.where(visible(work.actor.user_id, Machine.pool_id))
    return _load(work, list(work.db.scalars(statement)))


def _load(work: Work, ids: list[int], *, whole: bool = False) -> list[Machine]:
    """Return these machines with what a row shows of them, in the order of `ids`."""
    statement = (
        select(Machine)
        .where(Machine.id.in_(ids))
        .options(
            joinedload(Machine.pool).lazyload(Pool.quota),
            joinedload(Machine.host),
            joinedload(Machine.owner).lazyload(User.realm),
            # Long, and no row shows them.
            defer(Machine.definition),
            defer(Machine.cloud_init),
        )
    )
    if whole:
        more = (selectinload(Machine.nics), selectinload(Machine.image))
        statement = statement.options(*more)
    found = {machine.id: machine for machine in work.db.scalars(statement).unique()}
    return [found[machine_id] for machine_id in ids if machine_id in found]


def rows(work: Work, found: list[Machine]) -> list[Row]:
    """Add to each machine what it is doing, with one query for all."""
    current = machines.current_operations(work, found)
    return [
        Row(
            machine=machine,
            badge=machines.badge(machine, current.get(machine.id)),
            operation=current.get(machine.id),
        )
        for machine in found
    ]


def counts(work: Work, wanted: Filter) -> dict[str, int]:
    """Return how many machines are in each shown state."""
    base = _narrowed(work, replace(wanted, sort="state"))
    statement = base.with_only_columns(_SHOWN, func.count(Machine.id)).group_by(_SHOWN)
    return {row[0]: row[1] for row in work.db.execute(statement)}


def _narrowed(work: Work, wanted: Filter) -> Select[Machine]:
    statement = select(Machine).where(
        Machine.deleted_at.is_(None),
        Machine.binned_at.is_not(None) if wanted.binned else Machine.binned_at.is_(None),
        *_conditions(wanted),
    )
    if work.actor.user_id is not None:
        statement = statement.where(visible(work.actor.user_id, Machine.pool_id))
    return _joined(statement, wanted)


def _joined(statement: Select[Machine], wanted: Filter) -> Select[Machine]:
    """Join what the list is narrowed or sorted by; a join for nothing takes ten times as long."""
    sort = wanted.sort.removeprefix("-")
    if wanted.state or wanted.host or sort in ("state", "host"):
        statement = statement.outerjoin(Host, Host.id == Machine.host_id)
    if sort == "pool":
        statement = statement.join(Pool, Pool.id == Machine.pool_id)
    if wanted.owner or sort == "owner":
        statement = statement.join(User, User.id == Machine.owner_id)
    return statement


def _conditions(wanted: Filter) -> list[Any]:
    found: list[Any] = []
    if wanted.text:
        found.append(_matches(wanted.text))
    if wanted.state:
        found.append(wanted.state == _SHOWN)
    if wanted.owner:
        found.append(User.name_key == names.key(wanted.owner))
    if wanted.host:
        found.append(Host.name == wanted.host)
    if wanted.tag:
        found.append(Machine.id.in_(tags.tagged("machine", wanted.tag)))
    if wanted.host_id is not None:
        found.append(Machine.host_id == wanted.host_id)
    if wanted.image_id is not None:
        found.append(Machine.image_id == wanted.image_id)
    if wanted.pool_id is not None:
        below = select(Lineage.pool_id).where(Lineage.ancestor_id == wanted.pool_id)
        found.append(Machine.pool_id.in_(below))
    return found


def _matches(text: str) -> ColumnElement[bool]:
    part = names.key(text)
    return or_(
        Machine.name_key.contains(part, autoescape=True),
        Machine.uuid == part,
        Machine.nics.any(Nic.mac == part),
    )


def _order(sort: str) -> list[ColumnElement[Any]]:
    column = SORTS.get(sort.removeprefix("-"), Machine.name_key)
    first = column.desc() if sort.startswith("-") else column.asc()
    return [first, Machine.name_key.asc(), Machine.id.asc()]
