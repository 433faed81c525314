"""Rates that the running machines of a pool share: setting the limits, and who gets how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from ovcadmin.domain.rates import LEAST, NAMES, Rates, show
from ovcadmin.domain.resources import LARGEST
from ovcadmin.errors import InvalidInput
from ovcadmin.models import Lineage, Machine, MachineRates, Pool, PoolRates
from ovcadmin.models.database import announce
from ovcadmin.security.visibility import visible
from ovcadmin.services import audit, pools, quotas, rate_parts
from ovcadmin.services.rate_parts import Runner
from ovcadmin.work import Work


@dataclass(frozen=True, kw_only=True)
class Given:
    """How much of a rate a machine gets; None is without limit."""

    rate: str
    amount: int | None
    shared: bool = False
    """Whether a pool's limit binds, and not the machine's own."""
    pool: Pool | None = None
    """That pool, where the actor sees it."""

    @property
    def text(self) -> str:
        return "no limit" if self.amount is None else show(self.rate, self.amount)


@dataclass(frozen=True, kw_only=True)
class Sharer:
    """A running machine that shares the limits of a pool."""

    machine_id: int
    name: str
    given: dict[str, Given]
    """By rate; without what it has no device for."""
    waiting: bool
    """Whether its guest is still to be told."""
    trouble: str


@dataclass(frozen=True, kw_only=True)
class Level:
    """The limits of one pool of a chain."""

    pool: Pool
    rates: Rates


def of(work: Work, pool: Pool) -> Rates:
    """Return the limits of a pool, as set."""
    row = work.db.get(PoolRates, pool.id)
    return row.rates if row is not None else Rates()


def levels(work: Work, pool: Pool) -> list[Level]:
    """Return the limited pools of the chain that the actor sees, nearest first."""
    chain = pools.lineage(work, pool)
    found = [Level(pool=one, rates=of(work, one)) for one in reversed(chain)]
    return [level for level in found if level.rates]


def limited(work: Work, pool: Pool) -> list[str]:
    """Return the rates that the pool or one above limits, whoever may see that one."""
    chain = select(Lineage.ancestor_id).where(Lineage.pool_id == pool.id)
    rows = work.db.scalars(select(PoolRates).where(PoolRates.pool_id.in_(chain))).all()
    return [name for name in NAMES if any(getattr(row, name) is not None for row in rows)]


def set_rates(work: Work, pool: Pool, rates: Rates) -> None:
    """Set what the running machines of the pool, and of those below it, share.

    Raises `InvalidInput` for what cannot be counted, and for less than the least that a host can
    give to each of the machines that run now.
    """
    quotas.lock_chain(work, pool)
    crowd = _crowd(work, pool) if rates else []
    wrong = {
        name: told
        for name in NAMES
        if (limit := getattr(rates, name)) is not None and (told := _refusal(name, limit, crowd))
    }
    if wrong:
        raise InvalidInput("The limits cannot be set.", fields=wrong)
    before = of(work, pool)
    row = work.db.get(PoolRates, pool.id)
    if row is None:
        row = PoolRates(pool_id=pool.id)
        work.db.add(row)
    for name in NAMES:
        setattr(row, name, getattr(rates, name))
    if not rates:
        work.db.flush()
        work.db.delete(row)
    work.db.flush()
    announce(work.db, "pool", pool.id, pool.id)
    audit.record(
        work, "rates.set", "pool", pool.id, pool.name, pool_id=pool.id,
        before=values(before), after=values(rates),
    )  # fmt: skip


def _refusal(name: str, limit: int, crowd: list[Runner]) -> str:
    """Say why a limit cannot be set; blank when it can."""
    if not LEAST[name] <= limit <= LARGEST:
        return f"Write a whole number of {LEAST[name]} or more, or leave it blank for no limit."
    takers = [one for one in crowd if one.devices(name)]
    least = sum(LEAST[name] * len(one.devices(name)) for one in takers)
    if limit < least:
        return (
            f"{len(takers)} machines run that share it, and a host gives each at least something: "
            f"write {least} or more."
        )
    return ""


def values(rates: Rates) -> dict[str, int | None]:
    return {name: getattr(rates, name) for name in NAMES}


def sharers(work: Work, pool: Pool) -> list[Sharer]:
    """Return the running machines below the pool, by name, with what each gets."""
    crowd = _crowd(work, pool)
    rows = _rows(work, [one.machine_id for one in crowd])
    names = _pools(work, rows.values())
    found = [
        Sharer(
            machine_id=one.machine_id,
            name=one.name,
            given={
                rate: _given(rate, one, rows.get(one.machine_id), names)
                for rate in NAMES
                if one.devices(rate)
            },
            waiting=one.machine_id in rows and rows[one.machine_id].waiting,
            trouble=rows[one.machine_id].trouble if one.machine_id in rows else "",
        )
        for one in crowd
    ]
    return sorted(found, key=lambda one: (one.name.casefold(), one.machine_id))


def of_machine(work: Work, machine: Machine) -> Sharer | None:
    """Return what a running machine gets of what pools limit; None where none binds it."""
    row = work.db.get(MachineRates, machine.id)
    crowd = rate_parts.runners(work, Machine.id == machine.id) if row is not None else []
    if row is None or not crowd or not (row.parts or row.trouble):
        return None
    names = _pools(work, [row])
    return Sharer(
        machine_id=machine.id,
        name=machine.name,
        given={rate: _given(rate, crowd[0], row, names) for rate in row.parts},
        waiting=row.waiting,
        trouble=row.trouble,
    )


def _given(rate: str, one: Runner, row: MachineRates | None, names: dict[int, Pool]) -> Given:
    if row is not None and rate in row.parts:
        amount, pool_id = row.parts[rate]
        return Given(rate=rate, amount=amount, shared=True, pool=names.get(pool_id))
    return Given(rate=rate, amount=one.own(rate))


def _crowd(work: Work, pool: Pool) -> list[Runner]:
    below = select(Lineage.pool_id).where(Lineage.ancestor_id == pool.id)
    return rate_parts.runners(work, Machine.pool_id.in_(below))


def _rows(work: Work, machine_ids: list[int]) -> dict[int, MachineRates]:
    statement = select(MachineRates).where(MachineRates.machine_id.in_(machine_ids))
    return {row.machine_id: row for row in work.db.scalars(statement)}


def _pools(work: Work, rows: Any) -> dict[int, Pool]:
    ids = {pool_id for row in rows for _, pool_id in row.parts.values()}
    statement = select(Pool).where(Pool.id.in_(ids))
    if work.actor.user_id is not None:
        statement = statement.where(visible(work.actor.user_id, Pool.id))
    return {pool.id: pool for pool in work.db.scalars(statement).unique()}
