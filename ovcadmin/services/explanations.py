"""Why a quota refuses: the whole chain, the level that blocks, and what would free enough."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from ovcadmin.domain.quota import Block, Level, blocks, freeing
from ovcadmin.domain.resources import Resources
from ovcadmin.errors import QuotaExceeded
from ovcadmin.models import Lineage, Machine, Pool, Reservation
from ovcadmin.security.visibility import visible
from ovcadmin.work import Work


def refuse(work: Work, pool: Pool, chain: Sequence[Level], wanted: Resources, name: str) -> None:
    """Raise `QuotaExceeded` with every limit that blocks, unless there is none."""
    found = blocks(chain, wanted)
    if not found:
        return
    raise QuotaExceeded(
        f"{name} does not fit the quota. " + ". ".join(block.explain() for block in found) + ".",
        pool_id=pool.id,
        levels=_levels(work, chain, wanted),
        blocks=[_block(work, chain, block) for block in found],
    )


def refuse_blocks(found: Sequence[Block], name: str) -> None:
    """Raise `QuotaExceeded` for limits that no single chain holds (shares of several persons)."""
    raise QuotaExceeded(
        f"{name} does not fit the quota. " + ". ".join(block.explain() for block in found) + ".",
        blocks=[block.as_dict() for block in found],
    )


def _levels(work: Work, chain: Sequence[Level], wanted: Resources) -> list[dict[str, Any]]:
    """Show each level with what was wanted; figures of levels that block, or that may be seen."""
    seen = _seen(work, {level.pool_id for level in chain})
    return [
        {
            "pool_id": level.pool_id,
            "pool": level.label,
            "visible": level.pool_id in seen,
            "resources": [_figures(level, name, amount) for name, amount in wanted.items()
                          if amount and _told(level, name, amount, seen)],
        }
        for level in chain
    ]  # fmt: skip


def _told(level: Level, name: str, amount: int, seen: set[int]) -> bool:
    """Whether the reader is told the figures: of what he may see, and of what stops him."""
    return level.pool_id in seen or _blocks(level, name, amount)


def _blocks(level: Level, name: str, amount: int) -> bool:
    limit = getattr(level.limits, name)
    return limit is not None and getattr(level.taken, name) + amount > limit


def _figures(level: Level, name: str, amount: int) -> dict[str, Any]:
    return {
        "resource": name,
        "limit": getattr(level.limits, name),
        "used": getattr(level.used, name),
        "pending": getattr(level.pending, name),
        "wanted": amount,
        "blocks": _blocks(level, name, amount),
    }


def _block(work: Work, chain: Sequence[Level], block: Block) -> dict[str, Any]:
    level = next(one for one in chain if (one.pool_id, one.label) == (block.pool_id, block.pool))
    return {
        **block.as_dict(),
        "person": level.person,
        "machines": _machines(work, level, block),
    }


def _machines(work: Work, level: Level, block: Block) -> list[dict[str, Any]]:
    """Name the machines, of those that the actor may see, that would free enough."""
    kind = "storage" if block.resource == "storage" else "running"
    amount = func.sum(getattr(Reservation, block.resource))
    statement = (
        select(Machine.id, Machine.name, amount)
        .join(Reservation, Reservation.machine_id == Machine.id)
        .join(Lineage, Lineage.pool_id == Reservation.pool_id)
        .where(
            Lineage.ancestor_id == level.pool_id,
            Reservation.operation_id.is_(None),
            Reservation.kind == kind,
        )
        .group_by(Machine.id, Machine.name)
    )
    if work.actor.user_id is not None:
        statement = statement.where(visible(work.actor.user_id, Machine.pool_id))
    if level.person_id is not None:
        statement = statement.where(Machine.owner_id == level.person_id)
    held = {number: (name, int(sum_)) for number, name, sum_ in work.db.execute(statement)}
    chosen = freeing([(number, pair[1]) for number, pair in held.items()], block.short)
    return [{"id": number, "name": held[number][0], "frees": held[number][1]} for number in chosen]


def _seen(work: Work, pool_ids: set[int]) -> set[int]:
    if work.actor.user_id is None:
        return pool_ids
    return set(
        work.db.scalars(
            select(Pool.id).where(Pool.id.in_(pool_ids), visible(work.actor.user_id, Pool.id))
        )
    )
