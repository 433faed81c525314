"""Consoles that are open, and their end."""

from __future__ import annotations

from typing import Any

from ovcadmin.api.creation import Secret
from ovcadmin.api.endpoint import endpoint
from ovcadmin.api.lists import Listing
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import console_sessions, console_sharing, consoles


@endpoint("consoles", "GET", permission=SIGNED_IN)
def listing(_context: Any, request: Any) -> Listing:
    rows = console_sessions.listing(request.work, request.identity.user_id)
    return Listing(rows, _shape)


@endpoint("console", "DELETE", permission=SIGNED_IN)
def end(_context: Any, request: Any) -> None:
    number = int(request.matchdict["id"])
    console_sessions.end(request.work, request.identity.user_id, number)
    request.response.status_int = 204


@endpoint("console_keyboard", "POST", permission=SIGNED_IN)
def ask_for_keyboard(_context: Any, request: Any) -> None:
    number = int(request.matchdict["id"])
    console_sharing.ask_for_keyboard(request.work, request.identity.user_id, number)
    request.response.status_int = 204


@endpoint("console_consent", "PUT", permission=SIGNED_IN)
def consent(_context: Any, request: Any) -> None:
    number, allow = int(request.matchdict["id"]), request.openapi_validated.body["allow"]
    console_sharing.decide(request.work, request.identity.user_id, number, allow)
    request.response.status_int = 204


def _ticket(context: Any, request: Any, _told: dict[str, Any]) -> str:
    return consoles.issue_shell(request.work, context.host)


@endpoint(
    "host_consoles", "POST", permission=Privilege.HOST_SHELL, secret=Secret("ticket", _ticket)
)
def open_shell(context: Any, request: Any) -> dict[str, Any]:
    ticket = consoles.issue_shell(request.work, context.host)
    request.response.status_int = 201
    return {
        "ticket": ticket,
        "url": consoles.URLS[consoles.SHELL],
        "kind": consoles.SHELL,
        "host_id": context.host.id,
        "seconds": request.settings.ticket_seconds,
    }


def _shape(row: console_sessions.Row) -> dict[str, Any]:
    console = row.console
    return {
        "id": console.id,
        "name": row.title,
        "kind": console.kind,
        "machine_id": console.machine_id,
        "address": console.address,
        "opened_at": console.opened_at,
        "left_at": console.left_at,
        "watches_id": console.watches_id,
        "granted": console.granted,
        "watching": [vars(one) for one in row.watching],
    }
