"""Logical groups: named sets of hosts, storage pools, pools and machines across the tree.

A group grants nothing.  It is kept at a pool: who sees that pool sees the group, and of its
members those that he may see anyway; that there are others is not told.
"""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from ovcadmin.domain import names
from ovcadmin.errors import InvalidInput, NameTaken, Outdated
from ovcadmin.models import GroupMember, LogicalGroup, Pool
from ovcadmin.models.database import announce
from ovcadmin.security.visibility import visible
from ovcadmin.services import audit, tags
from ovcadmin.services.tags import MODELS, Named
from ovcadmin.work import Work

LONGEST = 1000
MOST = 1000
PLACEMENTS = ("", "together", "apart")


def listing(work: Work) -> list[LogicalGroup]:
    """Return the groups that the actor may see, by name."""
    statement = (
        select(LogicalGroup)
        .options(joinedload(LogicalGroup.pool))
        .order_by(LogicalGroup.name_key, LogicalGroup.id)
    )
    if work.actor.user_id is not None:
        statement = statement.where(visible(work.actor.user_id, LogicalGroup.pool_id))
    return list(work.db.scalars(statement).unique())


def members(work: Work, group: LogicalGroup) -> list[Named]:
    """Return the members that the actor may see."""
    found: list[Named] = []
    for kind, model in MODELS.items():
        ids = select(GroupMember.object_id).where(
            GroupMember.group_id == group.id, GroupMember.kind == kind
        )
        found += tags.seen(work, kind, model.id.in_(ids))
    return found


def holding(work: Work, kind: str, object_id: int) -> list[LogicalGroup]:
    """Return the groups that the actor may see and that hold this thing."""
    ids = select(GroupMember.group_id).where(
        GroupMember.kind == kind, GroupMember.object_id == object_id
    )
    held = set(work.db.scalars(ids))
    return [group for group in listing(work) if group.id in held]


def create(work: Work, pool: Pool, *, name: str, description: str = "") -> LogicalGroup:
    group = LogicalGroup(pool_id=pool.id, created_at=work.now(), members=[])
    _describe(work, group, pool.id, name, description)
    work.db.add(group)
    work.db.flush()
    _told(work, group, "logical_group.create", {"name": group.name})
    return group


def edit(
    work: Work,
    group: LogicalGroup,
    *,
    name: str,
    description: str,
    version: int,
    placement: str | None = None,
) -> None:
    """Change what is said of the group, if nobody else did since `version` was shown.

    `placement` is `together`, `apart` or nothing at all; None leaves it as it is.  What is not so
    now is not changed: it binds where machines go from now on.
    """
    if version != group.version:
        raise Outdated(f"{group.name} was changed by somebody else meanwhile.", group_id=group.id)
    _describe(work, group, group.pool_id, name, description)
    if placement is not None:
        if placement not in PLACEMENTS:
            told = {"placement": "Write together, apart, or nothing."}
            raise InvalidInput("The group cannot be placed so.", fields=told)
        group.placement = placement
    group.version += 1
    work.db.flush()
    _told(work, group, "logical_group.edit", {"name": group.name, "placement": group.placement})


def delete(work: Work, group: LogicalGroup) -> None:
    """Forget the set; its members stay as they are."""
    _told(work, group, "logical_group.delete", {"name": group.name})
    work.db.delete(group)
    work.db.flush()


def add(work: Work, group: LogicalGroup, kind: str, text: str) -> Named:
    """Add the thing of this name (or `pool/name`) that the actor may see."""
    place, _, name = text.strip().rpartition("/")
    wanted = names.key(name)
    known = tags.seen(work, kind) if kind in MODELS else []
    found = [
        one
        for one in known
        if names.key(one.name) == wanted and (not place or names.key(one.pool) == names.key(place))
    ]
    if len(found) != 1:
        several = " or ".join(sorted(f"{one.pool}/{one.name}" for one in found))
        told = f"There are several: say {several}." if found else "There is nothing of this name."
        raise InvalidInput("Nothing was added.", fields={"name": told})
    key = (group.id, kind, found[0].id)
    if work.db.get(GroupMember, key) is None:
        if len(group.members) >= MOST:
            raise InvalidInput("Nothing was added.", fields={"name": f"At most {MOST} members."})
        work.db.add(GroupMember(group_id=group.id, kind=kind, object_id=found[0].id))
        work.db.flush()
        _told(work, group, "logical_group.add", {"kind": kind, "name": found[0].name})
    return found[0]


def remove(work: Work, group: LogicalGroup, kind: str, object_id: int) -> None:
    """Take a member out; one that is not there is out already."""
    row = work.db.get(GroupMember, (group.id, kind, object_id))
    if row is not None:
        work.db.delete(row)
        work.db.flush()
        _told(work, group, "logical_group.remove", {"kind": kind, "id": object_id})


def _describe(work: Work, group: LogicalGroup, pool_id: int, name: str, description: str) -> None:
    try:
        cleaned = names.clean(name)
    except ValueError as error:
        told = {"name": str(error)}
        raise InvalidInput("The group cannot have this name.", fields=told) from None
    if len(description) > LONGEST:
        told = {"description": f"Use at most {LONGEST} characters."}
        raise InvalidInput("The description is too long.", fields=told)
    with work.db.no_autoflush:
        taken = work.db.scalar(
            select(LogicalGroup.id).where(
                LogicalGroup.pool_id == pool_id,
                LogicalGroup.name_key == names.key(cleaned),
                LogicalGroup.id.is_distinct_from(group.id),
            )
        )
    if taken is not None:
        raise NameTaken(f"There is already a group {cleaned} here.", field="name")
    group.name, group.name_key = cleaned, names.key(cleaned)
    group.description = description.strip()


def _told(work: Work, group: LogicalGroup, action: str, after: dict[str, object]) -> None:
    announce(work.db, "pool", group.pool_id, group.pool_id)
    audit.record(
        work, action, "logical_group", group.id, group.name, pool_id=group.pool_id, after=after
    )
