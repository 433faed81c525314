"""A console over WebSocket: who comes in, and the two directions of its bytes.

The first message is JSON and brings the ticket: `{"ticket": ..., "machine": 7, "kind": "serial"}`,
where the last two say what the visitor believes it to be for and may be left out.  A ticket never
stands in an address, and is worth nothing without the cookie or token that it was made with.

Then binary messages are keys to the guest and output from it (or RFB both ways), and JSON ones are
about the connection.  `{"drawn": n}` from the page says how many bytes more it has drawn; it is to
come at least for every 64 KiB.  `{"size": [columns, rows]}` tells of its terminal, and
`{"end": true}` ends the session instead of leaving it.  `{"type": "state" | "attached", ...}` tells
the page how things stand.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gevent
import structlog

from ovcadmin.errors import ConsoleUnavailable, DomainError, TicketRefused, TooManyConsoles
from ovcadmin.gateway import sessions
from ovcadmin.gateway.incoming import Caller
from ovcadmin.gateway.page import Page
from ovcadmin.gateway.records import Records
from ovcadmin.gateway.registry import Consoles, Held
from ovcadmin.gateway.sessions import Session
from ovcadmin.gateway.watchers import Watcher
from ovcadmin.gateway.websocket import WebSocket
from ovcadmin.services import console_sessions, consoles
from ovcadmin.services.console_standings import Admission
from ovcadmin.services.consoles import GRAPHICS, VIEWER, WATCH, Presented
from ovcadmin.work import Actor

log = structlog.get_logger(__name__)

HELLO_SECONDS = 10.0
"""How long a connection may take to bring its ticket."""
LARGEST = 500
"""Columns or rows that a terminal may have."""
STRANGERS = 100
"""Connections that may be without a ticket at the same time."""

_CODES: dict[type[DomainError], int] = {
    TicketRefused: sessions.REFUSED,
    TooManyConsoles: sessions.LIMIT,
    ConsoleUnavailable: sessions.UNAVAILABLE,
}


@dataclass(frozen=True, kw_only=True)
class Hello:
    """The first message."""

    key: str
    machine_id: int | None
    kind: str | None


class Bridge:
    def __init__(self, records: Records, open_consoles: Consoles, gateway: str) -> None:
        self._records = records
        self._gateway = gateway
        self._consoles = open_consoles
        self._strangers = 0

    @property
    def crowded(self) -> bool:
        """Whether too many connections are waiting to show a ticket."""
        return self._strangers >= STRANGERS

    def serve(self, socket: WebSocket, caller: Caller, request_id: str) -> None:
        """Run one connection to its end."""
        messages = iter(socket)
        page = Page(socket)
        held: Held | None = None
        try:
            held = self._enter(messages, page, caller, request_id)
            if held is not None:
                _pump(messages, page, held)
            else:
                socket.close(sessions.REFUSED, "no ticket")
        except DomainError as error:
            log.info(
                "console.refused",
                code=error.code,
                why="; ".join(getattr(error, "__notes__", [])),
                address=caller.address,
            )
            socket.close(_code(error), error.text)
        finally:
            if held is not None:
                held.detach(page)
        for _ in messages:
            pass  # until the other side has seen the close

    def _enter(
        self, messages: Iterator[str | bytes], page: Page, caller: Caller, request_id: str
    ) -> Held | None:
        """Take the ticket and put the page on its session; None without a ticket in time."""
        self._strangers += 1
        too_late = gevent.spawn_later(HELLO_SECONDS, page.socket.close, sessions.REFUSED)
        try:
            hello = read_hello(next(messages, ""))
        finally:
            self._strangers -= 1
            too_late.kill(block=False)
        return self._attach(hello, page, caller, request_id) if hello else None

    def _attach(self, hello: Hello, page: Page, caller: Caller, request_id: str) -> Held:
        admission = self.admit(hello, caller, request_id)
        if admission.holder.kind == GRAPHICS:
            return self._consoles.show(admission, page)
        if admission.holder.kind == VIEWER:
            raise TicketRefused("This ticket is for a viewer.")
        if admission.holder.kind == WATCH:
            return self._consoles.watch(admission, page)
        return self._consoles.attach(admission, page)

    def admit(self, hello: Hello, caller: Caller, request_id: str) -> Admission:
        """Redeem a ticket; raises `DomainError` when it admits nobody."""
        actor = Actor(user_id=None, name="anonymous", door="page", address=caller.address)
        holder = self._records.write(lambda work: consoles.use(work, hello.key))
        presented = Presented(
            machine_id=hello.machine_id,
            kind=hello.kind,
            session_key=caller.session_key,
            token_key=caller.token_key,
        )
        admission = self._records.write(
            lambda work: console_sessions.admit(work, holder, presented, self._gateway),
            actor=actor,
            request_id=request_id,
        )
        log.info(
            "console.opened",
            user=admission.user_name,
            machine=holder.machine_id,
            address=caller.address,
        )
        return admission


def _pump(messages: Iterator[str | bytes], page: Page, held: Held) -> None:
    """Carry what comes from the page.  The other direction needs no greenlet of its own."""
    for message in messages:
        if isinstance(message, str):
            _told(_object(message), page, held)
        elif not isinstance(held, Session) or held.page is page:
            held.write(message)


def _told(said: dict[str, Any], page: Page, held: Held) -> None:
    """Take in what the page says about itself."""
    if not isinstance(held, Session | Watcher):
        return
    drawn, size = said.get("drawn"), _size(said.get("size"))
    if isinstance(drawn, int) and drawn > 0:
        held.drawn(page, drawn)
    if not isinstance(held, Session) or held.page is not page:
        return
    if size is not None:
        held.resize(*size)
    if said.get("end") is True:
        held.end(sessions.OVER, "Closed.")


def _size(told: Any) -> tuple[int, int] | None:
    """Return columns and rows; None for what is no terminal that somebody can read."""
    match told:
        case [int(columns), int(rows)] if 1 <= columns <= LARGEST and 1 <= rows <= LARGEST:
            return columns, rows
    return None


def read_hello(message: str | bytes) -> Hello | None:
    """Read the message that brings a ticket; None when it brings none."""
    said = _object(message)
    key, machine, kind = said.get("ticket"), said.get("machine"), said.get("kind")
    known = isinstance(machine, int | None) and isinstance(kind, str | None)
    return Hello(key=key, machine_id=machine, kind=kind) if known and isinstance(key, str) else None


def _object(message: str | bytes) -> dict[str, Any]:
    try:
        said = json.loads(message)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _code(error: DomainError) -> int:
    return next((code for kind, code in _CODES.items() if isinstance(error, kind)), sessions.GONE)
