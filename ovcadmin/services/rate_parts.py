"""What running machines are given of the rates that pools limit, and whether their guests have it.

It is divided here now and then by a chore; the watcher of each host tells the guests on it, so a
host that hangs keeps only its own machines waiting.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from ovcadmin.domain.rates import LEAST, NAMES, GuestRates, Part, Taker, divide, spread
from ovcadmin.domain.states import State
from ovcadmin.models import Lineage, Machine, MachineRates, Nic, PoolRates, Volume
from ovcadmin.models.database import announce
from ovcadmin.work import Work

AGAIN = timedelta(minutes=1)
"""After so long a host that refused a limit is asked once more."""
CPU = "cpu"
DEVICES = {"byte_rate": 0, "iops": 1, "receive": 0, "send": 1}
"""Place of each rate among the two of its device."""

Pair = list[int | None]


@dataclass(frozen=True, kw_only=True)
class Runner:
    """A running machine, with its own limits."""

    machine_id: int
    name: str
    pool_id: int
    host_id: int | None
    state_since: Any
    cpu: int
    drives: dict[str, Pair] = field(default_factory=dict)
    cards: dict[str, Pair] = field(default_factory=dict)

    def devices(self, rate: str) -> dict[str, int | None]:
        """Return what takes the rate, and its own limit of it."""
        if rate == CPU:
            return {CPU: self.cpu}
        held = self.drives if rate in ("byte_rate", "iops") else self.cards
        return {name: pair[DEVICES[rate]] for name, pair in held.items()}

    def own(self, rate: str) -> int | None:
        """Return how much it takes at most by itself; None is without limit."""
        limits = self.devices(rate).values()
        return None if None in limits else sum(limit or 0 for limit in limits)


@dataclass(frozen=True, kw_only=True)
class News:
    """A machine whose row is to be written: it gets something else, or is to be told again."""

    machine_id: int
    pool_id: int
    parts: dict[str, list[int]]
    due: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Due:
    """What a guest is to be told."""

    machine_id: int
    uuid: str
    rates: GuestRates
    due: dict[str, Any]


# --- dividing ------------------------------------------------------------------------------------


def runners(work: Work, condition: ColumnElement[bool]) -> list[Runner]:
    """Return the running machines that `condition` finds, in the order of their numbers.

    A card of QEMU's own user-mode network takes part in nothing: no limit can stand in it.
    """
    chosen = (Machine.state == State.RUNNING.value) & Machine.deleted_at.is_(None) & condition
    columns = (
        Machine.id, Machine.name, Machine.pool_id, Machine.host_id, Machine.state_since,
        Machine.vcpus, Machine.pending, Machine.cpu_limit,
    )  # fmt: skip
    found = {
        row.id: Runner(
            machine_id=row.id,
            name=row.name,
            pool_id=row.pool_id,
            host_id=row.host_id,
            state_since=row.state_since,
            cpu=min(100 * _vcpus(row), row.cpu_limit or 100 * _vcpus(row)),
        )
        for row in work.db.execute(select(*columns).where(chosen).order_by(Machine.id))
    }
    drives = select(Volume.machine_id, Volume.target, Volume.bytes_limit, Volume.iops_limit)
    drives = drives.join(Machine, Machine.id == Volume.machine_id)
    for number, target, *pair in work.db.execute(drives.where(chosen, Volume.key.is_not(None))):
        found[number].drives[target] = pair
    cards = select(Nic.machine_id, Nic.mac, Nic.receive_limit, Nic.send_limit)
    cards = cards.join(Machine, Machine.id == Nic.machine_id)
    for number, mac, *pair in work.db.execute(cards.where(chosen, Nic.network.is_not(None))):
        found[number].cards[mac] = pair
    return list(found.values())


def _vcpus(row: Any) -> int:
    return int(max(row.vcpus, row.pending.get("vcpus", [row.vcpus])[0]))


def outdated(work: Work) -> list[News]:
    """Divide all limits among what runs now; return whose row says something else."""
    limits = work.db.scalars(select(PoolRates)).all()
    chains = _chains(work, [row.pool_id for row in limits])
    rows = {row.machine_id: row for row in work.db.scalars(select(MachineRates))}
    if not limits and not rows:
        return []
    held = select(MachineRates.machine_id)
    crowd = runners(work, or_(Machine.pool_id.in_(_below(limits)), Machine.id.in_(held)))
    parts = _parts(limits, chains, crowd)
    found = []
    for one in crowd:
        given = parts.get(one.machine_id, {})
        due = _by_device(one, given)
        if _is_news(rows.get(one.machine_id), one, given, due):
            listed = {rate: [part.amount, part.pool_id] for rate, part in given.items()}
            found.append(
                News(machine_id=one.machine_id, pool_id=one.pool_id, parts=listed, due=due)
            )
    return found


def _below(limits: Iterable[PoolRates]) -> Any:
    ids = [row.pool_id for row in limits]
    return select(Lineage.pool_id).where(Lineage.ancestor_id.in_(ids))


def _chains(work: Work, limited: list[int]) -> dict[int, set[int]]:
    """Return of each pool the limited ones on its chain, itself among them."""
    found: dict[int, set[int]] = defaultdict(set)
    pairs = select(Lineage.pool_id, Lineage.ancestor_id).where(Lineage.ancestor_id.in_(limited))
    for pool_id, ancestor_id in work.db.execute(pairs):
        found[pool_id].add(ancestor_id)
    return found


def _parts(
    limits: Iterable[PoolRates],
    chains: Mapping[int, set[int]],
    crowd: list[Runner],
) -> dict[int, dict[str, Part]]:
    """Return what each machine is given of each rate."""
    # A limited pool has fewer limited ones above it than those below it have.
    inner_first = sorted(limits, key=lambda row: -len(chains[row.pool_id]))
    found: dict[int, dict[str, Part]] = defaultdict(dict)
    for rate in NAMES:
        limited = [
            (row.pool_id, limit) for row in inner_first if (limit := getattr(row, rate)) is not None
        ]
        if not limited:
            continue
        takers = [_taker(one, rate, chains) for one in crowd if one.devices(rate)]
        for machine_id, part in divide(limited, takers).items():
            found[machine_id][rate] = part
    return found


def _taker(one: Runner, rate: str, chains: Mapping[int, set[int]]) -> Taker:
    return Taker(
        machine_id=one.machine_id,
        pools=frozenset(chains.get(one.pool_id, ())),
        own=one.own(rate),
        least=LEAST[rate] * len(one.devices(rate)),
    )


def _by_device(one: Runner, parts: Mapping[str, Part]) -> dict[str, Any]:
    """Divide what a machine is given among its drives and its cards."""
    due: dict[str, Any] = {}
    for rate, part in parts.items():
        held = one.devices(rate)
        shares = spread(part.amount, [(LEAST[rate], limit) for limit in held.values()])
        for name, share in zip(held, shares, strict=True):
            if rate == CPU:
                due[CPU] = share
            else:
                due.setdefault(name, [None, None])[DEVICES[rate]] = share
    return due


def _is_news(
    row: MachineRates | None, one: Runner, parts: Mapping[str, Part], due: dict[str, Any]
) -> bool:
    if row is None:
        return bool(parts)
    if {rate: [part.amount, part.pool_id] for rate, part in parts.items()} != row.parts:
        return True
    if row.due != due:
        return True
    # It was told, and has started or moved to another host since.
    elsewhere = row.told_at is None or row.told_at < one.state_since
    return not row.waiting and (elsewhere or row.told_host_id != one.host_id)


def write(work: Work, news: Iterable[News]) -> None:
    """Write down what machines are given from now on; their guests are told next."""
    for one in news:
        row = work.db.get(MachineRates, one.machine_id)
        if row is None:
            row = MachineRates(machine_id=one.machine_id, trouble="")
            work.db.add(row)
        row.parts, row.due = one.parts, one.due
        row.waiting, row.tried_at = True, None
        announce(work.db, "machine", one.machine_id, one.pool_id)


# --- telling -------------------------------------------------------------------------------------


def hosts_waiting(work: Work) -> set[int]:
    """Return the hosts with guests that are to be told something."""
    statement = (
        select(Machine.host_id)
        .join(MachineRates, MachineRates.machine_id == Machine.id)
        .where(*_TO_TELL, _not_just_tried(work), Machine.host_id.is_not(None))
    )
    return {host_id for host_id in work.db.scalars(statement) if host_id is not None}


def waiting(work: Work, host_id: int) -> list[Due]:
    """Return what guests on a host are to be told now.

    Not while an operation works on the machine: it may have read what was due before.
    """
    statement = (
        select(MachineRates, Machine)
        .join(Machine, Machine.id == MachineRates.machine_id)
        .where(*_TO_TELL, _not_just_tried(work), Machine.host_id == host_id)
        .order_by(Machine.id)
    )
    return [
        Due(machine_id=machine.id, uuid=machine.uuid, rates=_rates(machine, row.due), due=row.due)
        for row, machine in work.db.execute(statement)
    ]


_TO_TELL = (
    MachineRates.waiting,
    Machine.state == State.RUNNING.value,
    Machine.tail_id.is_(None),
)


def _not_just_tried(work: Work) -> ColumnElement[bool]:
    tried = MachineRates.tried_at
    return or_(tried.is_(None), tried < work.now() - AGAIN)


def _rates(machine: Machine, due: Mapping[str, Any]) -> GuestRates:
    return GuestRates(
        cpu=lower(machine.cpu_limit, due.get(CPU)),
        drives={
            one.target: pair(due, one.target, one.bytes_limit, one.iops_limit)
            for one in machine.volumes
            if one.key
        },
        cards={
            one.mac: pair(due, one.mac, one.receive_limit, one.send_limit)
            for one in machine.nics
            if one.network
        },
    )


def told(work: Work, one: Due, refused: Iterable[str]) -> None:
    """Write down that a guest was told, or why its host would not limit it."""
    row, machine = work.db.get(MachineRates, one.machine_id), work.db.get(Machine, one.machine_id)
    if row is None or machine is None:
        return
    row.tried_at, row.trouble = work.now(), "; ".join(refused)
    if row.due == one.due and not row.trouble:
        row.waiting, row.tried_at = False, None
        row.told_at, row.told_host_id = work.now(), machine.host_id
        if not row.due:
            work.db.delete(row)
    elif row.due != one.due:
        row.tried_at = None  # divided anew meanwhile
    announce(work.db, "machine", machine.id, machine.pool_id)


def due_of(session: Session, machine_id: int) -> dict[str, Any]:
    """Return what a machine is given at most, device by device; nothing where no pool binds."""
    row = session.get(MachineRates, machine_id)
    return dict(row.due) if row is not None else {}


def lower(own: int | None, due: int | None) -> int | None:
    """Return the lower of two limits; None is no limit."""
    return min((limit for limit in (own, due) if limit is not None), default=None)


def pair(
    due: Mapping[str, Any], name: str, first: int | None, second: int | None
) -> tuple[int | None, int | None]:
    """Return the two limits of a device as they count: its own, or less by what is due."""
    given = due.get(name, (None, None))
    return lower(first, given[0]), lower(second, given[1])
