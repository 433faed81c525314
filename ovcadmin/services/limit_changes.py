"""What lower limits would take away, told before they are set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from sqlalchemy import select

from ovcadmin.domain.quota import Level, fits, room, shifted
from ovcadmin.domain.resources import Limits, Resources
from ovcadmin.models import Lineage, Machine, Pool, User
from ovcadmin.services import person_quotas, pool_limits, pool_moves, quotas
from ovcadmin.work import Work


@dataclass(frozen=True, kw_only=True)
class Over:
    """A limit that would stand below what is there already.  Amounts in the resource's unit."""

    resource: str
    limit: int
    amount: int
    person: str = ""
    """Whose share it is; blank for the whole pool."""


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
    lowered = _lowered(own.limits, new.limits)
    return Lowering(
        used=_over(lowered, own.taken),
        promised=_over(lowered, given),
        stuck=[
            machine
            for machine in _startable(work, pool)
            if fits(before, machine.running_resources)
            and not fits(after, machine.running_resources)
        ],
    )


def person_lowering(work: Work, pool: Pool, who: str, limits: Limits) -> Lowering:
    """Compare new limits of one person (blank: everybody else) with what he uses in the pool.

    Changes nothing.  Raises `InvalidInput` as setting them does.
    """
    pool_limits.ensure_counts(limits)
    user = person_quotas.find(work, pool, who)
    number = user.id if user else None
    now = person_quotas.limits_of(work, pool)
    then = {key: given for key, given in {**now, number: limits}.items() if given}
    taken = person_quotas.taken(work, pool)
    machines = _startable(work, pool)
    owners = {number} if number else {*taken, *(one.owner_id for one in machines)} - now.keys()
    changes = {
        owner: _Change(
            was=_rule(now, owner), new=_rule(then, owner), taken=taken.get(owner, Resources())
        )
        for owner in owners
    }
    return Lowering(
        used=[
            over
            for owner in _by_name(work, changes)
            for over in _over(
                _lowered(changes[owner.id].was, changes[owner.id].new),
                changes[owner.id].taken,
                person_quotas.full_name(owner),
            )
        ],
        stuck=[
            machine
            for machine in machines
            if (change := changes.get(machine.owner_id)) is not None
            and change.stops(
                machine.running_resources,
                lambda owner=machine.owner_id: _others(work, pool, owner),  # type: ignore[misc]
            )
        ],
    )


@dataclass(frozen=True, kw_only=True)
class _Change:
    """What one owner may take in the pool before and after, and takes now."""

    was: Limits
    new: Limits
    taken: Resources

    def stops(self, wanted: Resources, others: Callable[[], list[Level]]) -> bool:
        """Whether what is wanted fits now, under the other levels too, and not afterwards."""
        if fits(room([self._level(self.new)]), wanted):
            return False  # most do: of these the other levels need not be read
        return fits(room([*others(), self._level(self.was)]), wanted)

    def _level(self, limits: Limits) -> Level:
        return Level(pool_id=0, name="", limits=limits, used=self.taken, pending=Resources())


def _rule(rules: dict[int | None, Limits], owner_id: int) -> Limits:
    return rules.get(owner_id, rules.get(None, Limits()))


def _others(work: Work, pool: Pool, owner_id: int) -> list[Level]:
    """Return the levels that bound an owner's machines, without his share of this pool."""
    return [
        level
        for level in quotas.levels(work, pool, owner_id)
        if level.pool_id != pool.id or not level.person
    ]


def _by_name(work: Work, ids: Iterable[int]) -> list[User]:
    users = work.db.scalars(select(User).where(User.id.in_(list(ids)))).unique()
    return sorted(users, key=person_quotas.full_name)


def _startable(work: Work, pool: Pool) -> list[Machine]:
    below = select(Lineage.pool_id).where(Lineage.ancestor_id == pool.id)
    return pool_moves.startable(work, Machine.pool_id.in_(below))


def _lowered(was: Limits, new: Limits) -> dict[str, int]:
    return {
        name: limit
        for name, limit in new.items()
        if limit is not None and ((old := getattr(was, name)) is None or limit < old)
    }


def _over(lowered: dict[str, int], amounts: Resources, person: str = "") -> list[Over]:
    return [
        Over(resource=name, limit=limit, amount=getattr(amounts, name), person=person)
        for name, limit in lowered.items()
        if getattr(amounts, name) > limit
    ]
