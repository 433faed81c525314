"""Whether open consoles may stay open, and where each of them is now: one question for all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from ovcadmin.models import ConsoleSession, Host, Machine, User
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import holders
from ovcadmin.services import sessions, tokens
from ovcadmin.services.consoles import (
    SHELL,
    TERMINAL,
    WATCH,
    Holder,
    Place,
    place_or_none,
)
from ovcadmin.services.recordings import Order
from ovcadmin.work import Work


@dataclass(frozen=True, kw_only=True)
class Prompt:
    """Where an embedded terminal runs: in the gateway itself."""

    console_id: int


@dataclass(frozen=True, kw_only=True)
class Shell:
    """Where a host's shell runs: at the other end of ssh."""

    console_id: int
    address: str


@dataclass(frozen=True, kw_only=True)
class Admission:
    holder: Holder
    user_name: str
    """`anna@internal`."""
    title: str
    """What it is the console of."""
    place: Place | Prompt | Shell
    recording: Order | None = None
    """What is to be recorded; None: nothing."""
    watches_id: int | None = None
    """The console that this one only looks at."""
    opening_id: int
    """The audit row of this opening: a later one of the same machine took the console over."""
    console_id: int


@dataclass(frozen=True, kw_only=True)
class Watching:
    """Somebody who watches a console, or asks to; see the model's `wants` and `granted`."""

    id: int
    who: str
    wants: str
    granted: str


@dataclass(frozen=True, kw_only=True)
class Standing:
    """Whether a console may stay open (`refusal` is empty), and where its machine runs now.

    `place` is None while the machine does not run.
    """

    refusal: str
    place: Place | Prompt | Shell | None
    watching: tuple[Watching, ...] = ()
    """Who looks at it or asks to."""
    granted: str = ""
    """What one who watches may do by the word of whom he watches."""


def standings(work: Work, wanted: Mapping[int, Holder]) -> dict[int, Standing]:
    """Judge all open consoles at once: a handful of queries, however many there are."""
    held = wanted.values()
    statement = (
        select(Machine)
        .options(joinedload(Machine.host))
        .where(Machine.id.in_({one.machine_id for one in held if one.machine_id is not None}))
    )
    machines = {row.id: row for row in work.db.scalars(statement)}
    users, pool_ids = {one.user_id for one in held}, {row.pool_id for row in machines.values()}
    controls = {
        (user_id, pool_id)
        for user_id, pool_id in work.db.execute(holders(Privilege.CONTROL, users, pool_ids))
    }
    shells = shells_among(work, wanted)
    signed_in = sessions.living(work, {one.session_id for one in held if one.session_id})
    keys = tokens.living(work, {one.token_id for one in held if one.token_id})
    within = tokens.reaching(work, Privilege.CONTROL, keys, pool_ids)
    ended, watching, granted = (
        _ended(work, wanted),
        watching_of(work, wanted),
        _granted(work, wanted),
    )

    def judge(console_id: int, one: Holder) -> Standing:
        if console_id in ended:
            return Standing(refusal=ended[console_id], place=None)
        if one.session_id not in signed_in and one.token_id not in keys:
            return Standing(refusal="You are signed out.", place=None)
        if one.kind == SHELL:
            return _judge_shell(shells.get(console_id))
        if one.kind == TERMINAL:
            return Standing(refusal="", place=Prompt(console_id=console_id))
        return judge_machine(console_id, one, machines.get(one.machine_id or 0))

    def judge_machine(console_id: int, one: Holder, machine: Machine | None) -> Standing:
        if machine is None or machine.deleted_at is not None:
            return Standing(refusal="The machine was deleted.", place=None)
        in_scope = one.token_id is None or (one.token_id, machine.pool_id) in within
        if (one.user_id, machine.pool_id) not in controls or not in_scope:
            return Standing(refusal="Your right to this console was taken away.", place=None)
        return Standing(
            refusal="",
            place=place_or_none(machine),
            watching=watching.get(console_id, ()),
            granted=granted.get(console_id, ""),
        )

    return {console_id: judge(console_id, one) for console_id, one in wanted.items()}


def _judge_shell(found: Shell | None) -> Standing:
    if found is None:
        return Standing(refusal="Your right to this shell was taken away.", place=None)
    return Standing(refusal="", place=found)


def shells_among(work: Work, wanted: Mapping[int, Holder]) -> dict[int, Shell]:
    """Return the shells among these that may stay open."""
    held = {number: one for number, one in wanted.items() if one.kind == SHELL}
    if not held or not work.settings.host_shell:
        return {}
    statement = select(Host).where(Host.id.in_({one.number for one in held.values()}))
    hosts = {row.id: row for row in work.db.scalars(statement)}
    users, pool_ids = (
        {one.user_id for one in held.values()},
        {row.pool_id for row in hosts.values()},
    )
    may = {
        (row[0], row[1]) for row in work.db.execute(holders(Privilege.HOST_SHELL, users, pool_ids))
    }
    tokens_of = {one.token_id for one in held.values() if one.token_id is not None}
    within = tokens.reaching(work, Privilege.HOST_SHELL, tokens_of, pool_ids)

    def stays(one: Holder) -> bool:
        host = hosts.get(one.number)
        if host is None or (one.user_id, host.pool_id) not in may:
            return False
        return one.token_id is None or (one.token_id, host.pool_id) in within

    return {
        number: shell_of(number, hosts[one.number]) for number, one in held.items() if stays(one)
    }


def shell_of(console_id: int, host: Host) -> Shell:
    return Shell(console_id=console_id, address=urlsplit(host.uri).hostname or "localhost")


def watching_of(work: Work, console_ids: Collection[int]) -> dict[int, tuple[Watching, ...]]:
    """Return who looks at each of these consoles or asks to, the first one first."""
    found: dict[int, tuple[Watching, ...]] = {}
    statement = (
        select(ConsoleSession, User)
        .join(User, User.id == ConsoleSession.user_id)
        .options(joinedload(User.realm))
        .where(ConsoleSession.watches_id.in_(console_ids), ConsoleSession.ended_at.is_(None))
    )
    for row, user in work.db.execute(statement.order_by(ConsoleSession.id)):
        one = Watching(
            id=row.id, who=f"{user.name}@{user.realm.name}", wants=row.wants, granted=row.granted
        )
        target = row.watches_id or 0
        found[target] = (*found.get(target, ()), one)
    return found


def _granted(work: Work, wanted: Mapping[int, Holder]) -> dict[int, str]:
    ids = [console_id for console_id, one in wanted.items() if one.kind == WATCH]
    if not ids:
        return {}
    found = select(ConsoleSession.id, ConsoleSession.granted).where(ConsoleSession.id.in_(ids))
    return {row.id: row.granted for row in work.db.execute(found)}


def _ended(work: Work, console_ids: Collection[int]) -> dict[int, str]:
    found = select(ConsoleSession.id, ConsoleSession.end_reason).where(
        ConsoleSession.id.in_(console_ids), ConsoleSession.ended_at.is_not(None)
    )
    return {row.id: row.end_reason for row in work.db.execute(found)}
