"""Consoles: tickets for them, this page's door to the gateway, and which of them are open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyramid.httpexceptions import HTTPSeeOther
from pyramid.view import view_config

from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import console_sessions, console_sharing, consoles
from ovcadmin.views.pages import Crumb, Page

CONSOLE_PATH = "/live/console"


@dataclass(frozen=True, kw_only=True)
class ConsolesPage(Page):
    rows: Sequence[console_sessions.Row]
    limit: int
    keep_minutes: int


@dataclass(frozen=True, kw_only=True)
class ShellPage(Page):
    host: Any


@view_config(
    route_name="machine_ticket",
    request_method="POST",
    renderer="json",
    permission=Privilege.CONTROL,
)
def ticket(context: Any, request: Any) -> dict[str, str]:
    kind = request.GET.get("kind", consoles.SERIAL)
    return _ticket(consoles.issue(request.work, context.machine, kind), kind)


@view_config(
    route_name="terminal_ticket", request_method="POST", renderer="json", permission=SIGNED_IN
)
def terminal(request: Any) -> dict[str, str]:
    key = consoles.issue_terminal(request.work, int(request.matchdict["number"]))
    return _ticket(key, consoles.TERMINAL)


@view_config(
    route_name="host_shell",
    request_method="GET",
    renderer="hosts/shell.pt",
    permission=Privilege.HOST_SHELL,
)
def host_shell(context: Any, request: Any) -> dict[str, Any]:
    host = context.host
    return {
        "page": ShellPage(
            title=f"Shell on {host.name}",
            section="hosts",
            crumbs=(Crumb(label=host.name, url=request.route_path("host", id=host.id)),),
            host=host,
        )
    }


@view_config(
    route_name="host_ticket",
    request_method="POST",
    renderer="json",
    permission=Privilege.HOST_SHELL,
)
def host_ticket(context: Any, request: Any) -> dict[str, str]:
    return _ticket(consoles.issue_shell(request.work, context.host), consoles.SHELL)


def _ticket(key: str, kind: str) -> dict[str, str]:
    return {"ticket": key, "kind": kind, "url": consoles.URLS.get(kind, CONSOLE_PATH)}


@view_config(
    route_name="consoles",
    request_method="GET",
    renderer="consoles/list.pt",
    permission=SIGNED_IN,
)
def listing(request: Any) -> dict[str, Any]:
    return {
        "page": ConsolesPage(
            title="Consoles",
            section="machines",
            rows=console_sessions.listing(request.work, request.identity.user_id),
            limit=request.settings.consoles_per_user,
            keep_minutes=request.settings.console_keep_minutes,
        )
    }


@view_config(route_name="console_keyboard", request_method="POST", permission=SIGNED_IN)
def ask_for_keyboard(request: Any) -> Any:
    number = int(request.matchdict["id"])
    console_sharing.ask_for_keyboard(request.work, request.identity.user_id, number)
    request.flash("Whoever has the console is asked for the keyboard.")
    return HTTPSeeOther(request.route_path("consoles"))


@view_config(route_name="console_consent", request_method="POST", permission=SIGNED_IN)
def consent(request: Any) -> Any:
    number, allow = int(request.matchdict["id"]), request.POST.get("allow", "")
    console_sharing.decide(request.work, request.identity.user_id, number, allow)
    request.flash("It is said.")
    return HTTPSeeOther(request.route_path("consoles"))


@view_config(route_name="console_end", request_method="POST", permission=SIGNED_IN)
def end(request: Any) -> Any:
    console_sessions.end(request.work, request.identity.user_id, int(request.matchdict["id"]))
    request.flash("The console is ended.")
    return HTTPSeeOther(request.route_path("consoles"))
