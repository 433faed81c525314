"""What the steps of articles can act on: the reader's machines and pools, by his own rights."""

from __future__ import annotations

from collections.abc import Sequence

from ovcadmin.errors import Forbidden, NotFound
from ovcadmin.models import Machine, Operation, Pool
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on
from ovcadmin.services import machine_lists, machines, pools
from ovcadmin.services.steps import Deed, Way
from ovcadmin.work import Work

MOST = 50


def able(work: Work, deed: Deed, at_hand: int = 0) -> list[Machine]:
    """Return the machines that it can be done to: the one at hand first, then the reader's own.

    Raises `NotFound` for one at hand that he may not see.
    """
    return [
        one
        for one in _machines(work, at_hand)
        if deed.action in machines.allowed(one) and _may(work, one, machines.privilege(deed.action))
    ]


def do(work: Work, deed: Deed, machine: Machine) -> Operation:
    """Do it, with the rights of the reader at this moment.  Raises `Forbidden`."""
    needed = machines.privilege(deed.action)
    if not _may(work, machine, needed):
        raise Forbidden(f"It needs the privilege “{needed}” on {machine.pool.name}.")
    return machines.act(work, machine, deed.action)


def places(work: Work, way: Way, at_hand: int = 0) -> Sequence[Machine | Pool]:
    """Return what a way may lead to: pools, machines, or just the machine at hand."""
    if way.kind == "pool":
        return _pools(work, way)[:MOST]
    needed = Privilege(way.privilege)
    return [
        one
        for one in _machines(work, at_hand)
        if at_hand in (0, one.id) and _may(work, one, needed)
    ]


def _pools(work: Work, way: Way) -> list[Pool]:
    found = [node.pool for node in pools.tree(work, Privilege(way.privilege))]
    if not way.from_above:
        return found
    held = {pool.id for pool in found}
    return [pool for pool in found if pool.parent_id is None or pool.parent_id in held]


def _machines(work: Work, at_hand: int) -> list[Machine]:
    """Return machines that the reader sees: the one at hand, his own from the newest on, others."""
    assert work.actor.user_id is not None, "people read articles"
    own = machine_lists.owned(work, work.actor.user_id, MOST)
    rest = machine_lists.listing(work, machine_lists.Filter(size=MOST, sort="-created"), total=MOST)
    found = {one.id: one for one in [*own, *(row.machine for row in rest.rows)]}
    if at_hand and at_hand not in found:
        machine = machines.get(work, at_hand)
        if not _may(work, machine, Privilege.VIEW):
            raise NotFound("There is nothing here, or nothing that you may see.")
        found[at_hand] = machine
    return sorted(found.values(), key=lambda one: one.id != at_hand)


def _may(work: Work, machine: Machine, needed: str) -> bool:
    assert work.actor.user_id is not None, "people read articles"
    return needed in privileges_on(work.db, work.actor.user_id, machine.pool_id)
