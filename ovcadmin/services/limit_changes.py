"""What lower limits would take away, told before they are set."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sqlalchemy import select

from ovcadmin.domain.quota import fits, room, shifted
from ovcadmin.domain.resources import Limits, Resources
from ovcadmin.models import Lineage, Machine, Pool
from ovcadmin.services import pool_moves, quotas
from ovcadmin.work import Work


@dataclass(frozen=True, kw_only=True)
class Over:
    """A limit that would stand below what is there already.  Amounts in the resource's unit."""

    resource: str
    limit: int
    amount: int


@dataclass(frozen=True, kw_only=True)
class Lowering:
    """What other limits would mean for what is there; empty when they take nothing away."""

    used: list[Over] = field(default_factory=list)
    """More is used than that: nothing is taken away, it can only shrink."""
    promised: list[Over] = field(default_factory=list)
    """The sub-pools were promised more than that."""
    stuck: list[Machine] = field(default_factory=list)
    """Machines that the actor sees, that could start now and could not any more."""

    def __bool__(self) -> bool:
        return bool(self.used or self.promised or self.stuck)


def lowering(work: Work, pool: Pool, limits: Limits, lends: Resources | None = None) -> Lowering:
    """Compare new limits of the pool with what it uses and promised.  Changes nothing.

    `lends`: so much of them is to be lent, beside what is already.
    """
    own, *above = quotas.levels(work, pool)
    net = quotas.lent(work, [pool.id]).get(pool.id, Resources())
    new = replace(own, limits=shifted(limits, net - (lends or Resources())))
    given = quotas.promised(work, [pool.id]).get(pool.id, Resources())
    before, after = room([own, *above]), room([new, *above])
    below = select(Lineage.pool_id).where(Lineage.ancestor_id == pool.id)
    lowered = {
        name: limit
        for name, limit in new.limits.items()
        if limit is not None and ((was := getattr(own.limits, name)) is None or limit < was)
    }
    return Lowering(
        used=_over(lowered, own.taken),
        promised=_over(lowered, given),
        stuck=[
            machine
            for machine in pool_moves.startable(work, Machine.pool_id.in_(below))
            if fits(before, machine.running_resources)
            and not fits(after, machine.running_resources)
        ],
    )


def _over(lowered: dict[str, int], amounts: Resources) -> list[Over]:
    return [
        Over(resource=name, limit=limit, amount=getattr(amounts, name))
        for name, limit in lowered.items()
        if getattr(amounts, name) > limit
    ]
