"""Consoles that are shared: somebody asks to watch, whoever has the console says yes or no.

One who watches may ask for the keyboard; one at a time has it.  What was said is a column of the
watching console's row, so it can be said from a page, by REST or by `ovc`, and the gateway that
holds both learns of it.
"""

from __future__ import annotations

from sqlalchemy import select

from ovcadmin.errors import ConsoleUnavailable, InvalidInput, NotFound
from ovcadmin.models import ConsoleSession, Machine
from ovcadmin.models.database import announce
from ovcadmin.services import audit, people, pools
from ovcadmin.services.consoles import SERIAL, Holder
from ovcadmin.work import Work

NOTHING, LOOK, KEYBOARD = "nothing", "watch", "keyboard"
GRANTS = (NOTHING, LOOK, KEYBOARD)


def holder_of(work: Work, machine: Machine) -> str:
    """Return who else has the machine's serial console before him now; blank: nobody."""
    row = _held(work, machine.id, work.actor.user_id)
    return _name(work, row.user_id) if row is not None and row.left_at is None else ""


def watched(work: Work, holder: Holder, gateway: str) -> ConsoleSession:
    """Return the console that can be watched; raises `ConsoleUnavailable`."""
    row = _held(work, holder.machine_id, holder.user_id)
    if row is None:
        raise ConsoleUnavailable(
            "Nobody else has the serial console of this machine open.",
            machine_id=holder.machine_id,
        )
    if row.gateway != gateway:
        raise ConsoleUnavailable(
            f"The console is open at another gateway ({row.gateway}); it is watched there only.",
            machine_id=holder.machine_id,
        )
    return row


def ask_to_watch(work: Work, row: ConsoleSession, target: ConsoleSession) -> None:
    """Make the console of this row one that looks at another, once that one's user agrees."""
    row.watches_id, row.wants, row.granted = target.id, LOOK, ""
    _announce(work, target.user_id)


def ask_for_keyboard(work: Work, user_id: int, console_id: int) -> None:
    """Ask whoever is watched to let one type; raises `NotFound`."""
    row = work.db.get(ConsoleSession, console_id)
    if row is None or row.user_id != user_id or row.ended_at or row.watches_id is None:
        raise _nothing()
    row.wants = KEYBOARD
    _announce(work, work.db.get_one(ConsoleSession, row.watches_id).user_id)


def decide(work: Work, user_id: int, console_id: int, grant: str) -> None:
    """Say what somebody who watches one's console may do; raises `NotFound`, `InvalidInput`.

    Whoever had the keyboard before looks on from now on.
    """
    if grant not in GRANTS:
        raise InvalidInput(
            "Nothing was allowed.", fields={"allow": f"Use one of {', '.join(GRANTS)}."}
        )
    row = work.db.get(ConsoleSession, console_id)
    target = work.db.get(ConsoleSession, row.watches_id) if row and row.watches_id else None
    if row is None or row.ended_at or target is None or target.user_id != user_id:
        raise _nothing()
    if grant == KEYBOARD:
        typing = select(ConsoleSession).where(
            ConsoleSession.watches_id == target.id, ConsoleSession.granted == KEYBOARD
        )
        for other in work.db.scalars(typing).all():
            other.granted = LOOK
    row.granted, row.wants = grant, ""
    _announce(work, user_id)
    _announce(work, row.user_id)
    machine = work.db.get_one(Machine, target.machine_id)
    audit.record(
        work, "console.allow", "machine", machine.id, machine.name, pool_id=machine.pool_id,
        after={"who": _name(work, row.user_id), "allowed": grant},
    )  # fmt: skip


def _held(work: Work, machine_id: int | None, not_by: int | None) -> ConsoleSession | None:
    """Return the newest open serial console of the machine, unless it is of this user."""
    statement = select(ConsoleSession).where(
        ConsoleSession.machine_id == machine_id,
        ConsoleSession.kind == SERIAL,
        ConsoleSession.ended_at.is_(None),
    )
    row = work.db.scalar(
        statement.order_by(ConsoleSession.left_at.is_not(None), ConsoleSession.id.desc()).limit(1)
    )
    return row if row is not None and row.user_id != not_by else None


def _name(work: Work, user_id: int) -> str:
    user = people.get(work, user_id)
    return f"{user.name}@{user.realm.name}"


def _announce(work: Work, user_id: int) -> None:
    announce(work.db, "user", user_id, pools.root(work).id)


def _nothing() -> NotFound:
    return NotFound("There is nobody who watches.")
