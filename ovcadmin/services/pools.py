"""The pool tree: what is where, and making, changing and removing its nodes."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import case, func, select
from sqlalchemy import delete as delete_rows
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased

from ovcadmin.domain import names
from ovcadmin.errors import (
    Forbidden,
    InvalidInput,
    NameTaken,
    NotFound,
    ObjectInUse,
    Outdated,
    PoolFrozen,
)
from ovcadmin.models import (
    ConsolePolicy,
    Grant,
    GroupMember,
    HelpCase,
    Host,
    Image,
    LeaseDefault,
    Lineage,
    Loan,
    LogicalGroup,
    Machine,
    Note,
    PersonQuota,
    Pool,
    PoolRates,
    PoolUse,
    Quota,
    QuotaRequest,
    Recording,
    Reservation,
    StoragePool,
    Tag,
    Volume,
)
from ovcadmin.models.database import announce
from ovcadmin.models.use import lock
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on, visible
from ovcadmin.services import audit, tokens
from ovcadmin.work import Work


@dataclass(frozen=True, kw_only=True)
class Node:
    """A pool in tree order.  `depth` counts from the topmost pool that the reader may see."""

    pool: Pool
    depth: int
    machines: int
    """Machines in its whole subtree."""
    has_children: bool


def root(work: Work) -> Pool:
    return work.db.scalars(select(Pool).where(Pool.parent_id.is_(None))).one()


def get(work: Work, pool_id: int) -> Pool:
    pool = work.db.get(Pool, pool_id)
    if pool is None:
        raise NotFound("There is no such pool.", pool_id=pool_id)
    return pool


def tree(work: Work, privilege: Privilege = Privilege.VIEW, *, retired: bool = False) -> list[Node]:
    """Return the pools on which the actor holds the privilege; retired ones only when asked for.

    Parents before children, siblings by name.  The tree is rooted at the actor's own pools: a
    pool whose parent he may not see is a root.
    """
    statement = select(Pool).order_by(Pool.name_key)
    if not retired:
        closed = aliased(Pool)
        gone = (
            select(Lineage.pool_id)
            .join(closed, closed.id == Lineage.ancestor_id)
            .where(closed.retired_at.is_not(None))
        )
        statement = statement.where(Pool.id.not_in(gone))
    if work.actor.user_id is not None:
        statement = statement.where(visible(work.actor.user_id, Pool.id, privilege))
    pools = list(work.db.scalars(statement).unique())
    counts = machine_counts(work, [pool.id for pool in pools])
    shown = {pool.id for pool in pools}
    children: dict[int | None, list[Pool]] = {}
    for pool in pools:
        above = pool.parent_id if pool.parent_id in shown else None
        children.setdefault(above, []).append(pool)

    nodes: list[Node] = []
    waiting = [(pool, 0) for pool in reversed(children.get(None, []))]
    while waiting:
        pool, depth = waiting.pop()
        below = children.get(pool.id, [])
        nodes.append(
            Node(pool=pool, depth=depth, machines=counts.get(pool.id, 0), has_children=bool(below))
        )
        waiting.extend((child, depth + 1) for child in reversed(below))
    return nodes


def machine_counts(work: Work, pool_ids: list[int]) -> dict[int, int]:
    """Return how many machines live in the subtree of each pool."""
    statement = (
        select(Lineage.ancestor_id, func.count(Machine.id))
        .join(Machine, Machine.pool_id == Lineage.pool_id)
        .where(Machine.deleted_at.is_(None), Lineage.ancestor_id.in_(pool_ids))
        .group_by(Lineage.ancestor_id)
    )
    return {row[0]: row[1] for row in work.db.execute(statement)}


def lineage(work: Work, pool: Pool) -> list[Pool]:
    """Return the pools from the topmost one that the actor may see down to `pool`."""
    chain = above(work, pool)
    if work.actor.user_id is None:
        return chain
    seen = set(
        work.db.scalars(
            select(Pool.id).where(
                Pool.id.in_([step.id for step in chain]), visible(work.actor.user_id, Pool.id)
            )
        )
    )
    return [step for step in chain if step.id in seen]


def above(work: Work, pool: Pool) -> list[Pool]:
    """Return the whole chain, root first, `pool` last, whoever may see it."""
    statement = (
        select(Pool)
        .join(Lineage, Lineage.ancestor_id == Pool.id)
        .where(Lineage.pool_id == pool.id)
        .order_by(Lineage.distance.desc())
    )
    return list(work.db.scalars(statement).unique())


def ids_above(work: Work, pool: Pool) -> set[int]:
    """Return the numbers of the chain: what hangs at one of these pools serves this one."""
    return set(work.db.scalars(select(Lineage.ancestor_id).where(Lineage.pool_id == pool.id)))


def to_modify(work: Work, pool_id: int) -> Pool:
    """Return a pool in which the actor may change things, named by something else than the address.

    Raises `NotFound` where he does not see it, `Forbidden` where he may only look.
    """
    pool = work.db.get(Pool, pool_id)
    if pool is None:
        raise NotFound("There is nothing here, or nothing that you may see.")
    if work.actor.user_id is not None:
        held = privileges_on(work.db, work.actor.user_id, pool.id)
        if Privilege.VIEW not in held:
            raise NotFound("There is nothing here, or nothing that you may see.")
        if Privilege.MODIFY not in held:
            raise Forbidden(f"You may look at {pool.name}, and not change what is in it.")
    return pool


def children(work: Work, pool: Pool) -> list[Pool]:
    statement = select(Pool).where(Pool.parent_id == pool.id).order_by(Pool.name_key)
    return list(work.db.scalars(statement).unique())


def create(work: Work, parent: Pool, *, name: str, description: str = "") -> Pool:
    """Make a pool under `parent`, which moves nowhere meanwhile."""
    lock(work.db)
    ensure_open(work, parent)
    pool = Pool(parent_id=parent.id, description=_described(description), created_at=work.now())
    pool.name, pool.name_key = _named(name)
    if parent.quota is not None and parent.quota.defaults:
        pool.quota = Quota(**parent.quota.defaults)
    work.db.add(pool)
    flush_unique(work, pool)
    add_lineage(work, pool)
    announce(work.db, "pool", pool.id, pool.id)
    audit.record(
        work, "pool.create", "pool", pool.id, pool.name, pool_id=pool.id,
        after={"name": pool.name, "parent_id": parent.id, **dict(pool.limits.items())},
    )  # fmt: skip
    return pool


def add_lineage(work: Work, pool: Pool) -> None:
    """Write the lineage rows of a new pool: its parent's, one further, and itself."""
    columns = select(Lineage.ancestor_id, Lineage.distance)
    parents = work.db.execute(columns.where(Lineage.pool_id == pool.parent_id)).all()
    work.db.add_all(
        Lineage(ancestor_id=ancestor_id, pool_id=pool.id, distance=distance + 1)
        for ancestor_id, distance in parents
    )
    work.db.add(Lineage(ancestor_id=pool.id, pool_id=pool.id, distance=0))
    work.db.flush()


def edit(work: Work, pool: Pool, *, name: str, description: str, version: int) -> None:
    """Change name and description, if nobody else did since `version` was shown."""
    if version != pool.version:
        raise Outdated(
            f"{pool.name} was changed by somebody else meanwhile. Look at it again before you "
            "save.",
            pool_id=pool.id,
            version=pool.version,
        )
    before = {"name": pool.name, "description": pool.description}
    pool.name, pool.name_key = _named(name)
    pool.description = _described(description)
    pool.version += 1
    flush_unique(work, pool)
    announce(work.db, "pool", pool.id, pool.id)
    audit.record(
        work, "pool.edit", "pool", pool.id, pool.name, pool_id=pool.id,
        before=before, after={"name": pool.name, "description": pool.description},
    )  # fmt: skip


def delete(work: Work, pool: Pool) -> None:
    """Remove an empty pool.  Refused while anything lives in it or is attached to it.

    Machines deleted earlier belong to the pool's reports, so a pool that ever held one stays.
    """
    if pool.is_root:
        raise ObjectInUse("The cloud itself cannot be deleted.", pool_id=pool.id)
    lock(work.db)  # whoever puts something into it now is waited for
    holds = [
        (Pool.parent_id, "sub-pools"),
        (Machine.pool_id, "machines (deleted ones count: reports show them)"),
        (Host.pool_id, "hosts"),
        (StoragePool.pool_id, "storage pools"),
        (Image.pool_id, "images"),
        (Volume.pool_id, "volumes"),
        (Recording.pool_id, "recordings of consoles"),
        (Reservation.pool_id, "reservations"),
        (LogicalGroup.pool_id, "logical groups"),
        (case((Loan.returned_at.is_(None), Loan.lender_id)), "loans to siblings"),
        (case((Loan.returned_at.is_(None), Loan.borrower_id)), "loans of siblings"),
    ]
    found = [
        text
        for column, text in holds
        if work.db.scalar(select(func.count()).where(column == pool.id))
    ]
    if found:
        raise ObjectInUse(
            f"{pool.name} still has {', '.join(found)}. Move or delete them first.",
            pool_id=pool.id,
        )
    audit.record(work, "pool.delete", "pool", pool.id, pool.name, before={"name": pool.name})
    announce(work.db, "pool", pool.id, pool.parent_id or pool.id)
    _forget(work, pool)


def _forget(work: Work, pool: Pool) -> None:
    for model, column in (
        (PoolUse, PoolUse.pool_id),
        (PoolRates, PoolRates.pool_id),
        (ConsolePolicy, ConsolePolicy.pool_id),
        (PersonQuota, PersonQuota.pool_id),
        (QuotaRequest, QuotaRequest.pool_id),
        (QuotaRequest, QuotaRequest.for_pool_id),
        (Loan, Loan.lender_id),
        (Loan, Loan.borrower_id),
        (LeaseDefault, LeaseDefault.pool_id),
    ):
        work.db.execute(delete_rows(model).where(column == pool.id))
    for named in (Tag, GroupMember, Note, HelpCase):
        work.db.execute(delete_rows(named).where(named.kind == "pool", named.object_id == pool.id))
    tokens.end_with_pool(work, pool.id)
    for grant in work.db.scalars(select(Grant).where(Grant.pool_id == pool.id)):
        work.db.delete(grant)
    for row in work.db.scalars(select(Lineage).where(Lineage.pool_id == pool.id)):
        work.db.delete(row)
    work.db.flush()
    work.db.delete(pool)


def ensure_open(work: Work, pool: Pool) -> None:
    """Raise `PoolFrozen` when the pool or one above it takes nothing new."""
    ensure_all_open(above(work, pool))


def ensure_all_open(chain: list[Pool]) -> None:
    """Raise `PoolFrozen` for the first of these pools, root first, that takes nothing new."""
    closed = _first_closed(chain)
    if closed is not None:
        refuse_closed(closed.id, closed.name, retired=closed.retired_at is not None)


def refuse_closed(pool_id: int, name: str, *, retired: bool) -> None:
    word = "retired" if retired else "frozen"
    raise PoolFrozen(f"{name} is {word}: nothing new starts in it.", pool_id=pool_id)


def closed_by(work: Work, pool: Pool) -> Pool | None:
    """Return the topmost pool that is frozen or retired, itself included; None when open."""
    return _first_closed(above(work, pool))


def _first_closed(chain: list[Pool]) -> Pool | None:
    return next((step for step in chain if step.is_closed), None)


def _named(name: str) -> tuple[str, str]:
    try:
        cleaned = names.clean(name)
    except ValueError as error:
        raise InvalidInput("The pool cannot have this name.", fields={"name": str(error)}) from None
    return cleaned, names.key(cleaned)


def _described(text: str) -> str:
    if len(text) > 2000:
        raise InvalidInput(
            "The description is too long.", fields={"description": "Use at most 2000 characters."}
        )
    return text.strip()


def flush_unique(work: Work, pool: Pool) -> None:
    """Flush, telling a name that a sibling has from every other fault."""
    name = pool.name
    sibling = select(Pool.id).where(
        Pool.parent_id == pool.parent_id, Pool.name_key == pool.name_key, Pool.id != pool.id
    )
    with work.db.no_autoflush:
        taken = work.db.scalar(sibling) is not None
    try:
        if not taken:
            work.db.flush()
    except IntegrityError:
        taken = True
    if taken:
        raise NameTaken(
            f"There is already a pool {name} here; choose another name.", field="name"
        ) from None
