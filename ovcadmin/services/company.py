"""Which machines one must live together with, and which apart from: logical groups say so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import case, select

from ovcadmin.models import GroupMember, LogicalGroup, Machine
from ovcadmin.security.visibility import visible
from ovcadmin.work import Work


def of(
    work: Work, machine: Machine
) -> tuple[dict[int, list[str]], dict[int, list[str]]]:  # fmt: skip
    """Return by host the machines to be kept apart from, and those to be together with."""
    mine = select(GroupMember.group_id).where(
        GroupMember.kind == "machine", GroupMember.object_id == machine.id
    )
    statement = (
        select(LogicalGroup.placement, Machine.host_id, _name_for(work))
        .join(GroupMember, GroupMember.group_id == LogicalGroup.id)
        .join(Machine, Machine.id == GroupMember.object_id)
        .where(
            LogicalGroup.id.in_(mine),
            LogicalGroup.placement != "",
            GroupMember.kind == "machine",
            Machine.id != machine.id,
            Machine.deleted_at.is_(None),
            Machine.host_id.is_not(None),
        )
        .order_by(Machine.name_key, Machine.id)
    )
    return _by_host(work.db.execute(statement).all())


def _name_for(work: Work) -> Any:
    """Return the machine's name, or what is told to who may not see it."""
    if work.actor.user_id is None:
        return Machine.name
    seen = visible(work.actor.user_id, Machine.pool_id)
    return case((seen, Machine.name), else_="a machine of its group")


def _by_host(rows: Iterable[Any]) -> tuple[dict[int, list[str]], dict[int, list[str]]]:
    apart: dict[int, list[str]] = {}
    together: dict[int, list[str]] = {}
    for placement, host_id, name in rows:
        side = apart if placement == "apart" else together
        names = side.setdefault(host_id, [])
        if name not in names:
            names.append(name)
    return apart, together


def elsewhere(companions: dict[int, list[str]], host_id: int) -> tuple[str, ...]:
    """Return the machines to be together with that are not on this host."""
    return tuple(
        sorted(name for place, names in companions.items() if place != host_id for name in names)
    )
