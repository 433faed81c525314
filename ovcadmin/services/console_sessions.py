"""Open consoles: who comes in, whether they may stay open, who has which, and their end.

Each is a row, so a limit holds over all gateways together and a console can be ended from
anywhere.  A row belongs to the gateway that holds the console; rows of a gateway that is silent
count for nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import Select, delete, select
from sqlalchemy.orm import joinedload

from ovcadmin.errors import NotFound, TooManyConsoles
from ovcadmin.models import Audit, ConsoleSession, Host, Machine, Process
from ovcadmin.models.database import announce
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on
from ovcadmin.services import (
    audit,
    console_sharing,
    people,
    pools,
    processes,
    recordings,
    sessions,
    tokens,
)
from ovcadmin.services.console_standings import (
    Admission,
    Prompt,
    Shell,
    Watching,
    shell_of,
    shells_among,
    watching_of,
)
from ovcadmin.services.consoles import (
    SERIAL,
    SHELL,
    TERMINAL,
    WATCH,
    Holder,
    Place,
    Presented,
    place,
    refused,
)
from ovcadmin.work import Actor, Work

OPENED = "console.open"
WATCHED = "console.watch"
ENDED = "console.end"
_KEEP_ROWS = timedelta(days=1)
_ELSEWHERE = "Opened in another window of yours."
_MADE_ROOM = "Ended to make room for another console of yours."


@dataclass(frozen=True, kw_only=True)
class Row:
    """An open console as its owner's page shows it."""

    console: ConsoleSession
    title: str
    watching: tuple[Watching, ...] = ()
    """Who looks at it, or asks to."""

    @property
    def id(self) -> int:
        return self.console.id


def admit(work: Work, holder: Holder, presented: Presented, gateway: str) -> Admission:
    """Judge who came with a ticket, write the opening down, say where the console is.

    Raises `TicketRefused` when ticket and visitor do not fit together or the rights are gone,
    `ConsoleUnavailable` when the machine does not run any more, `TooManyConsoles` at the limit.
    """
    if presented.machine_id not in (None, holder.machine_id):
        raise refused("for another machine")
    if presented.kind not in (None, holder.kind):
        raise refused("for another kind of console")
    if not _is_bearer(work, holder, presented):
        raise refused("of another session")
    user = people.get(work, holder.user_id)
    user_name = f"{user.name}@{user.realm.name}"
    machine = _machine(work, holder) if holder.machine_id is not None else None
    host = _host(work, holder) if holder.kind == SHELL else None
    where: Place | Shell | None = place(machine) if machine is not None else None
    watched = console_sharing.watched(work, holder, gateway) if holder.kind == WATCH else None
    row = _enter(work, holder, gateway)
    if host is not None:
        where = shell_of(row.id, host)
    if watched is not None:
        console_sharing.ask_to_watch(work, row, watched)
    subject = machine or host
    return Admission(
        holder=holder,
        user_name=user_name,
        title=subject.name if subject is not None else f"ovc {holder.number}",
        place=where or Prompt(console_id=row.id),
        opening_id=_record_opening(work, holder, user_name, subject),
        console_id=row.id,
        recording=recordings.order(work, holder, row.id, subject)
        if subject is not None and watched is None
        else None,
        watches_id=row.watches_id,
    )


def opened_since(work: Work, admission: Admission) -> str:
    """Return who opened the same machine's console after this opening; blank: nobody did."""
    later = (
        select(Audit.actor)
        .where(
            Audit.object_kind == "machine",
            Audit.object_id == admission.holder.machine_id,
            Audit.action == OPENED,
            Audit.id > admission.opening_id,
        )
        .order_by(Audit.id.desc())
        .limit(1)
    )
    return work.db.scalar(later) or ""


# --- what their owner sees -----------------------------------------------------------------------


def listing(work: Work, user_id: int) -> list[Row]:
    """Return the user's open consoles, the oldest first."""
    rows = _living(work, user_id)
    machine_ids = {row.machine_id for row in rows if row.machine_id is not None}
    found = select(Machine.id, Machine.name).where(Machine.id.in_(machine_ids))
    names = {row.id: row.name for row in work.db.execute(found)}
    shells = select(Host.id, Host.name).where(Host.id.in_({row.number for row in rows}))
    hosts = {row.id: row.name for row in work.db.execute(shells)}

    def title(row: ConsoleSession) -> str:
        if row.machine_id is not None:
            return str(names.get(row.machine_id, ""))
        return str(hosts.get(row.number, "")) if row.kind == SHELL else f"ovc {row.number}"

    watching = watching_of(work, [row.id for row in rows])
    return [Row(console=row, title=title(row), watching=watching.get(row.id, ())) for row in rows]


def end(work: Work, user_id: int, console_id: int) -> None:
    """End one of the user's own consoles, wherever it is open; its gateway cuts it at once."""
    row = work.db.get(ConsoleSession, console_id)
    if row is None or row.user_id != user_id or row.ended_at is not None:
        raise NotFound("There is no such console.")
    _end(work, row, "Ended by yourself.")
    audit.record(work, ENDED, "user", user_id, row.kind)


# --- what the gateway tells ----------------------------------------------------------------------


def begin_gateway(work: Work, gateway: str, address: str) -> None:
    """Say that the gateway is up, and end what it held before it was started again."""
    processes.beat(work, "gateway", gateway, address)
    rows = work.db.scalars(_open().where(ConsoleSession.gateway == gateway)).all()
    for row in rows:
        _end(work, row, "The gateway was started again.")
    recordings.finish(work, [row.id for row in rows])


def note(
    work: Work, *, ended: Mapping[int, str], left: Collection[int], back: Collection[int]
) -> None:
    """Write down which consoles ended and why, which no page shows, and which one shows again."""
    recordings.finish(work, ended)
    rows = _open().where(ConsoleSession.id.in_({*ended, *left, *back}))
    for row in work.db.scalars(rows).all():
        if row.id in ended:
            _end(work, row, ended[row.id])
        else:
            row.left_at = work.now() if row.id in left else None


def sweep(work: Work) -> None:
    """Forget what ended a while ago, and end what a silent gateway held."""
    silent = _open().where(ConsoleSession.gateway.not_in(_gateways(work)))
    rows = work.db.scalars(silent).all()
    for row in rows:
        _end(work, row, "Its gateway is gone.")
    recordings.finish(work, [row.id for row in rows])
    work.db.execute(
        delete(ConsoleSession)
        .where(ConsoleSession.ended_at < work.now() - _KEEP_ROWS)
        .execution_options(synchronize_session=False)
    )


def own_token(work: Work, console_id: int) -> tuple[str, str, str]:
    """Give the commands of a terminal a new token; the one before ends.

    Returns its key, the user's name, and the address that he sits at.
    """
    row = work.db.get_one(ConsoleSession, console_id)
    assert row.session_id is not None, "terminals are opened by browsers"
    if row.own_token_id is not None:
        tokens.expire(work, row.own_token_id)
    token, key = tokens.create_for_session(work, row.user_id, row.session_id)
    row.own_token_id = token.id
    return key, f"{token.user.name}@{token.user.realm.name}", row.address


# --- rows ----------------------------------------------------------------------------------------


def _open() -> Select[ConsoleSession]:
    return select(ConsoleSession).where(ConsoleSession.ended_at.is_(None))


def _gateways(work: Work) -> list[str]:
    """Return the gateways that were heard of lately."""
    lately = work.now() - processes.SILENT_AFTER
    names = select(Process.name).where(Process.kind == "gateway", Process.seen_at > lately)
    return list(work.db.scalars(names))


def _living(work: Work, user_id: int, gateway: str | None = None) -> Sequence[ConsoleSession]:
    """Return the user's open consoles; `gateway` is up, whatever its row says."""
    names = _gateways(work) + ([gateway] if gateway is not None else [])
    wanted = _open().where(ConsoleSession.user_id == user_id, ConsoleSession.gateway.in_(names))
    return work.db.scalars(wanted.order_by(ConsoleSession.id)).all()


def _enter(work: Work, holder: Holder, gateway: str) -> ConsoleSession:
    """Return the row of this console, a new one if need be; ends what must give way."""
    living = _living(work, holder.user_id, gateway)
    same = [row for row in living if _is_same(row, holder)]
    others = [row for row in living if row not in same]
    for row in same:
        if row.gateway != gateway:
            _end(work, row, _ELSEWHERE)
    here = [row for row in same if row.gateway == gateway]
    if not here:
        _make_room(work, others)
    row = here[0] if here else ConsoleSession(gateway=gateway, opened_at=work.now())
    row.user_id, row.kind, row.machine_id = holder.user_id, holder.kind, holder.machine_id
    row.number, row.session_id, row.token_id = holder.number, holder.session_id, holder.token_id
    row.address, row.left_at = work.actor.address, None
    work.db.add(row)
    work.db.flush()
    return row


def _is_same(row: ConsoleSession, holder: Holder) -> bool:
    """Whether the holder comes back to this console.  Each screen is one of its own."""
    named = (row.kind, row.machine_id, row.number) == (
        holder.kind,
        holder.machine_id,
        holder.number,
    )
    if holder.kind == TERMINAL:
        return named and row.session_id == holder.session_id
    return named and holder.kind in (SERIAL, SHELL)


def _make_room(work: Work, others: Sequence[ConsoleSession]) -> None:
    """At the limit end what was left longest ago; raises `TooManyConsoles` when all are shown."""
    limit = work.settings.consoles_per_user
    if len(others) < limit:
        return
    left = [(row.left_at, row.id, row) for row in others if row.left_at is not None]
    if not left:
        raise TooManyConsoles(
            f"You have {len(others)} consoles open, and more are not allowed at once. Close one "
            "of them first.",
            limit=limit,
        )
    _end(work, min(left)[2], _MADE_ROOM)


def _end(work: Work, row: ConsoleSession, reason: str) -> None:
    row.ended_at, row.end_reason = work.now(), reason
    if row.own_token_id is not None:
        tokens.expire(work, row.own_token_id)
    announce(work.db, "user", row.user_id, pools.root(work).id)


# --- who comes -----------------------------------------------------------------------------------


def _machine(work: Work, holder: Holder) -> Machine:
    machine = work.db.get(Machine, holder.machine_id, options=[joinedload(Machine.host)])
    if machine is None or machine.deleted_at is not None:
        raise refused("machine deleted")
    if Privilege.CONTROL not in privileges_on(work.db, holder.user_id, machine.pool_id):
        raise refused("rights removed")
    by_token = {holder.token_id} - {None}
    if by_token and not tokens.reaching(work, Privilege.CONTROL, by_token, {machine.pool_id}):
        raise refused("outside of the token's scope")
    return machine


def _host(work: Work, holder: Holder) -> Host:
    host = work.db.get(Host, holder.number)
    if host is None or not shells_among(work, {0: holder}):
        raise refused("rights removed")
    return host


def _is_bearer(work: Work, holder: Holder, presented: Presented) -> bool:
    """Whether the request carried the living session or token that the ticket was made with."""
    if holder.session_id is not None:
        session = sessions.by_key(work, presented.session_key or "")
        return session is not None and session.id == holder.session_id
    token = tokens.by_key(work, presented.token_key or "")
    return token is not None and token.id == holder.token_id


def _record_opening(
    work: Work, holder: Holder, user_name: str, subject: Machine | Host | None
) -> int:
    actor = Actor(
        user_id=holder.user_id,
        name=user_name,
        door="page" if holder.session_id is not None else "api",
        address=work.actor.address,
        session_id=holder.session_id,
        token_id=holder.token_id,
    )
    kind, number, name = ("user", holder.user_id, user_name)
    if subject is not None:
        kind, number, name = (subject.__tablename__, subject.id, subject.name)
    row = audit.record(
        replace(work, actor=actor), WATCHED if holder.kind == WATCH else OPENED,
        kind, number, name,
        pool_id=subject.pool_id if subject is not None else None, after={"kind": holder.kind},
    )  # fmt: skip
    work.db.flush()
    return row.id
