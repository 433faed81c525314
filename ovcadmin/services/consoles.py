"""Who may open a console: tickets and their redemption.

A ticket is a random key, kept only as a hash, bound to user, session or token, subject and kind,
good for one use within `ticket_seconds`.  The two halves of its redemption are two transactions:
`use` takes the ticket out of the world by compare-and-swap, `console_sessions.admit` then judges
who came with it.  A ticket that comes to the wrong door is thereby burnt.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, select, update

from ovcadmin.domain.states import HOLDS_RUNNING
from ovcadmin.errors import ConsoleUnavailable, Forbidden, InvalidInput, NotFound, TicketRefused
from ovcadmin.models import ConsoleTicket, Host, Machine
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on
from ovcadmin.services.sessions import hashed
from ovcadmin.work import Work

SERIAL = "serial"
GRAPHICS = "graphics"
TERMINAL = "terminal"
SHELL = "shell"
"""On a host itself; its `number` is the host's."""
VIEWER = "viewer"
WATCH = "watch"
"""Looks at the serial console that somebody else has open, once he agrees."""
KINDS = (SERIAL, GRAPHICS, VIEWER, WATCH)
"""Of a machine's consoles."""
URLS = {
    SERIAL: "/live/console",
    GRAPHICS: "/live/console",
    SHELL: "/live/console",
    WATCH: "/live/console",
    VIEWER: "/live/viewer",
}
"""Where the gateway takes the tickets of a kind."""
TERMINALS = 9
"""Embedded terminals of one sign-in."""
_KEEP_TICKETS = timedelta(hours=1)
"""Beyond its end a ticket is kept this long, so that the log can say why it was refused."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds which console, and what he is signed in with: what a ticket is good for."""

    user_id: int
    kind: str = SERIAL
    machine_id: int | None = None
    number: int = 0
    """Which of his terminals, or which host; 0 for a machine's console."""
    session_id: int | None = None
    token_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class Presented:
    """What came along with a ticket.

    Machine and kind are what the visitor believes it to be for, where he says so.
    """

    machine_id: int | None = None
    kind: str | None = None
    session_key: str | None = None
    token_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a machine's domain is."""

    host_id: int
    host_name: str
    uri: str
    uuid: str


def issue(work: Work, machine: Machine, kind: str = SERIAL) -> str:
    """Return the key of a new ticket for the actor.

    Raises `NotFound` or `Forbidden` without the rights, `ConsoleUnavailable` when the machine
    does not run or its host does not answer.
    """
    if kind not in KINDS:
        raise InvalidInput(
            "There is no such kind of console.", fields={"kind": f"Use one of {', '.join(KINDS)}."}
        )
    _ensure_control(work, work.actor.user_id, machine)
    place(machine)
    if kind == VIEWER and not work.settings.viewer_listen:
        raise ConsoleUnavailable(
            "This console lets no viewers in. An administrator can set ovc.viewer_listen.",
            machine_id=machine.id,
        )
    return _ticket(work, kind, machine_id=machine.id)


def issue_terminal(work: Work, number: int) -> str:
    """Return the key of a new ticket for one of the actor's embedded terminals.

    Raises `InvalidInput` for a number that there is not, `Forbidden` for anything but a browser.
    """
    if not work.settings.terminal:
        raise NotFound("The embedded terminal is switched off here.")
    if not 1 <= number <= TERMINALS:
        raise InvalidInput(
            "There is no such terminal.", fields={"number": f"Choose 1 to {TERMINALS}."}
        )
    if work.actor.session_id is None:
        raise Forbidden("The terminal is for signed-in browsers. You have `ovc` itself.")
    return _ticket(work, TERMINAL, number=number)


def issue_shell(work: Work, host: Host) -> str:
    """Return the key of a new ticket for a shell on a host, whose privilege was checked.

    Raises `ConsoleUnavailable` where hosts have none.
    """
    settings = work.settings
    if not (settings.host_shell and settings.host_shell_key and settings.host_shell_known_hosts):
        raise ConsoleUnavailable(
            "Shells on hosts are switched off. An administrator of the console itself can switch "
            "them on: ovc.host_shell.",
            host_id=host.id,
        )
    return _ticket(work, SHELL, number=host.id)


def _ticket(work: Work, kind: str, *, machine_id: int | None = None, number: int = 0) -> str:
    actor = work.actor
    assert actor.user_id is not None, "the console itself opens no consoles"
    key = secrets.token_urlsafe(32)
    now = work.now()
    work.db.add(
        ConsoleTicket(
            key_hash=hashed(key),
            user_id=actor.user_id,
            session_id=actor.session_id,
            token_id=actor.token_id,
            machine_id=machine_id,
            number=number,
            kind=kind,
            created_at=now,
            expires_at=now + timedelta(seconds=work.settings.ticket_seconds),
        )
    )
    return key


def use(work: Work, key: str) -> Holder:
    """Use the ticket up and return what it is good for; raises `TicketRefused`."""
    now = work.now()
    taken = work.db.execute(
        update(ConsoleTicket)
        .where(
            ConsoleTicket.key_hash == hashed(key),
            ConsoleTicket.used_at.is_(None),
            ConsoleTicket.expires_at > now,
        )
        .values(used_at=now)
        .returning(ConsoleTicket)
        .execution_options(synchronize_session=False)
    ).scalar_one_or_none()
    if taken is None:
        raise refused(_why_not(work, key))
    return Holder(
        user_id=taken.user_id,
        kind=taken.kind,
        machine_id=taken.machine_id,
        number=taken.number,
        session_id=taken.session_id,
        token_id=taken.token_id,
    )


def sweep(work: Work) -> None:
    """Forget tickets that ended a while ago."""
    work.db.execute(
        delete(ConsoleTicket)
        .where(ConsoleTicket.expires_at < work.now() - _KEEP_TICKETS)
        .execution_options(synchronize_session=False)
    )


def _ensure_control(work: Work, user_id: int | None, machine: Machine) -> None:
    assert user_id is not None, "the console itself opens no consoles"
    held = privileges_on(work.db, user_id, machine.pool_id)
    if Privilege.VIEW not in held or machine.deleted_at is not None:
        raise NotFound("There is no such machine.", machine_id=machine.id)
    if Privilege.CONTROL not in held:
        raise Forbidden(
            f"A console types into {machine.name}: it needs the privilege to control machines "
            "in its pool. Ask the owner of the pool.",
            machine_id=machine.id,
        )


def place(machine: Machine) -> Place:
    """Return where it runs; raises `ConsoleUnavailable` with the reason why it does not."""
    found = place_or_none(machine)
    if found is None:
        raise ConsoleUnavailable(
            f"{machine.name} is {machine.stable.value.replace('_', ' ')}: only a running machine "
            "has a console. Start it first.",
            machine_id=machine.id,
            state=machine.state,
        )
    assert machine.host is not None
    if not machine.host.answers:
        raise ConsoleUnavailable(
            f"The host {machine.host.name} of {machine.name} does not answer; the console opens "
            "when it does.",
            machine_id=machine.id,
            host_id=machine.host_id,
        )
    return found


def place_or_none(machine: Machine) -> Place | None:
    if machine.stable not in HOLDS_RUNNING or machine.host is None:
        return None
    host = machine.host
    return Place(host_id=host.id, host_name=host.name, uri=host.uri, uuid=machine.uuid)


def _why_not(work: Work, key: str) -> str:
    row = work.db.scalar(select(ConsoleTicket).where(ConsoleTicket.key_hash == hashed(key)))
    if row is None:
        return "unknown"
    return "used before" if row.used_at is not None else "expired"


def refused(reason: str) -> TicketRefused:
    """One text for whoever came; the reason is a note for the log."""
    error = TicketRefused("This console ticket is not valid any more. Open the console again.")
    error.add_note(reason)
    return error
