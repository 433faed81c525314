"""The help desk's page: one box that finds what a call is about, and a sheet on each thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyramid.view import view_config

from ovcadmin.security.contexts import (
    HostContext,
    ImageContext,
    MachineContext,
    StoragePoolContext,
    UserContext,
)
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import (
    groups,
    help_cases,
    help_desk,
    machine_lists,
    people,
    rights,
    sessions,
    users,
)
from ovcadmin.services.help_desk import Found
from ovcadmin.services.rights import Holding, Rights
from ovcadmin.views.badges import host_badge
from ovcadmin.views.pages import Crumb, Page
from ovcadmin.views.privileges import WORDS
from ovcadmin.views.tables import whole_number

LONGEST = 200


@dataclass(frozen=True, kw_only=True)
class DeskPage(Page):
    tab: str = "help_desk"
    question: str
    found: Found | None


@dataclass(frozen=True, kw_only=True)
class SheetPage(Page):
    """What is known of a machine, pool or host while somebody is on the telephone."""

    tab: str = "help_desk"
    kind: str
    thing: Any
    pool: Any
    badge: Any
    operations: Sequence[Any]
    refusals: Sequence[Any]
    cases: Sequence[Any]
    asked: str
    """The caller as he was typed."""
    callers: Sequence[Any]
    """Who that may be."""
    caller: Any
    rights: Rights | None
    words: Sequence[str]
    """What the caller may do here."""
    lacks: Sequence[str]
    may_view_as: bool


@dataclass(frozen=True, kw_only=True)
class PersonPage(Page):
    tab: str = "help_desk"
    person: Any
    groups: Sequence[Any]
    holdings: Sequence[Holding]
    machines: Sequence[Any]
    operations: Sequence[Any]
    refusals: Sequence[Any]
    sessions: int


@view_config(
    route_name="help_desk",
    request_method="GET",
    renderer="help_desk/desk.pt",
    permission=Privilege.SEE_GRANTS,
)
def desk(request: Any) -> dict[str, Any]:
    question = request.GET.get("q", "").strip()[:LONGEST]
    found = help_desk.find(request.work, question) if question else None
    page = DeskPage(title="Help desk", section="users", question=question, found=found)
    return {"page": page}


@view_config(
    route_name="desk_person",
    request_method="GET",
    renderer="help_desk/person.pt",
    permission=Privilege.SEE_GRANTS,
)
def person(context: Any, request: Any) -> dict[str, Any]:
    work, found = request.work, context.user
    page = PersonPage(
        title=found.label,
        section="users",
        crumbs=[way(request)],
        person=found,
        groups=groups.of(work, found),
        holdings=rights.holdings(work, found),
        machines=help_desk.machines_of(work, found),
        operations=help_desk.recent(work, "user", found.id),
        refusals=help_desk.refusals(work, user=found),
        sessions=len(sessions.listing(work, found.id)),
    )
    return {"page": page}


@view_config(
    route_name="desk_machine",
    request_method="GET",
    renderer="help_desk/sheet.pt",
    permission=Privilege.SEE_GRANTS,
)
@view_config(
    route_name="desk_pool",
    request_method="GET",
    renderer="help_desk/sheet.pt",
    permission=Privilege.SEE_GRANTS,
)
@view_config(
    route_name="desk_host",
    request_method="GET",
    renderer="help_desk/sheet.pt",
    permission=Privilege.SEE_GRANTS,
)
def sheet(context: Any, request: Any) -> dict[str, Any]:
    work, (kind, thing) = request.work, subject(context)
    callers, caller = _callers(request)
    found = rights.on(work, caller, context.pool) if caller else None
    page = SheetPage(
        title=thing.name,
        section="users",
        crumbs=[way(request)],
        pool_id=context.pool.id,
        kind=kind,
        thing=thing,
        pool=context.pool,
        badge=_badge(work, kind, thing),
        operations=help_desk.recent(work, kind, thing.id),
        refusals=help_desk.refusals(work, kind=kind, object_id=thing.id),
        cases=help_cases.listing(work, kind=kind, object_id=thing.id),
        asked=request.GET.get("caller", ""),
        callers=callers,
        caller=caller,
        rights=found,
        words=[word for one, (word, _) in WORDS.items() if found and one in found.privileges],
        lacks=[word for one, (word, _) in WORDS.items() if found and one not in found.privileges],
        may_view_as=people.may_on_root(work, Privilege.VIEW_AS),
    )
    return {"page": page}


def subject(context: Any) -> tuple[str, Any]:
    """Return what a context is about: its kind and the thing."""
    if isinstance(context, MachineContext):
        return "machine", context.machine
    if isinstance(context, HostContext):
        return "host", context.host
    if isinstance(context, StoragePoolContext):
        return "storage_pool", context.storage_pool
    if isinstance(context, ImageContext):
        return "image", context.image
    if isinstance(context, UserContext):
        return "user", context.user
    return "pool", context.pool


SHEETS = {
    "machine": "desk_machine",
    "pool": "desk_pool",
    "host": "desk_host",
    "user": "desk_person",
    "storage_pool": "storage_pool",
    "image": "image",
}


def sheet_path(request: Any, kind: str, number: int) -> str:
    """Return where all that is known of a thing or person stands."""
    return str(request.route_path(SHEETS[kind], id=number))


def way(request: Any) -> Crumb:
    return Crumb(label="Help desk", url=request.route_path("help_desk"))


def _badge(work: Any, kind: str, thing: Any) -> Any:
    if kind == "machine":
        return machine_lists.rows(work, [thing])[0].badge
    return host_badge(thing) if kind == "host" else None


def _callers(request: Any) -> tuple[Sequence[Any], Any]:
    """Return who the typed caller may be, and who it is when that is sure."""
    chosen = whole_number(request.GET.get("person", ""), 0)
    if chosen:
        return (), users.get(request.work, chosen)
    typed = request.GET.get("caller", "").strip()[:LONGEST]
    if not typed:
        return (), None
    found = help_desk.find(request.work, typed).people
    return (found, None) if len(found) != 1 else ((), found[0])
