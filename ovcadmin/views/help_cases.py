"""Cases: handing one over, and the page behind the link that its owner gets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import colander
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import help_cases, help_desk, machine_lists, users
from ovcadmin.services.help_cases import Draft
from ovcadmin.views.badges import host_badge
from ovcadmin.views.forms import Done, Form, choice, text
from ovcadmin.views.help_desk import subject, way
from ovcadmin.views.pages import Empty, Page
from ovcadmin.views.tables import whole_number

HANDED = {"request_method": ("GET", "POST"), "permission": Privilege.SEE_GRANTS}


class Handed(colander.Schema):
    owner = choice("To")
    operation = choice("Operation", missing="")
    text = text(
        "What it is about",
        kind="textarea",
        longest=help_cases.LONGEST,
        hint="What the caller wants, what you found, what you told him.",
    )


class Answered(colander.Schema):
    answer = text("What became of it", kind="textarea", longest=help_cases.LONGEST)


@dataclass(frozen=True, kw_only=True)
class HandOverPage(Page):
    tab: str = "help_desk"
    kind: str
    thing: Any
    caller: Any
    form: Form


@dataclass(frozen=True, kw_only=True)
class CasePage(Page):
    case: Any
    thing: Any
    sees: bool
    """Whether the reader may see the thing itself, not only what was told to him of it."""
    staff: bool
    badge: Any
    operations: Sequence[Any]
    link: str
    """The whole address, to be sent."""
    form: Form | None


@dataclass(frozen=True, kw_only=True)
class CasesPage(Page):
    cases: Sequence[Any]
    names: dict[int, str]
    empty: Empty


@view_config(route_name="machine_hand_over", renderer="help_desk/hand_over.pt", **HANDED)
@view_config(route_name="pool_hand_over", renderer="help_desk/hand_over.pt", **HANDED)
@view_config(route_name="host_hand_over", renderer="help_desk/hand_over.pt", **HANDED)
def hand_over(context: Any, request: Any) -> dict[str, Any] | Response:
    work, (kind, thing) = request.work, subject(context)
    number = whole_number(request.GET.get("person", ""), 0)
    caller = users.get(work, number) if number else None
    owners = {str(one.id): one for one in help_cases.owners(work, kind, thing)}
    recent = {str(one.id): one for one in help_desk.recent(work, kind, thing.id)}
    form = Form(
        Handed(),
        {"operation": request.GET.get("operation", "")},
        choices={
            "owner": [(key, f"{one.label} ({one.name})") for key, one in owners.items()],
            "operation": [("", "none")]
            + [(key, f"{one.title}: {one.state}") for key, one in recent.items()],
        },
    )

    def save(values: dict[str, Any]) -> Done:
        draft = Draft(
            kind=kind,
            row=thing,
            owner=owners[values["owner"]],
            text=values["text"],
            operation=recent.get(values["operation"]),
            caller=caller,
        )
        case = help_cases.hand_over(work, draft)
        told = f"The case is handed to {case.owner.label}. Send him the address of this page."
        return Done(text=told, path=request.route_path("help_case", id=case.id))

    page = HandOverPage(
        title=f"Hand over a case about {thing.name}",
        section="users",
        crumbs=[way(request)],
        pool_id=context.pool.id,
        kind=kind,
        thing=thing,
        caller=caller,
        form=form,
    )
    return form.submit(request, save) or {"page": page}


@view_config(
    route_name="help_case",
    request_method=("GET", "POST"),
    renderer="help_desk/case.pt",
    permission=SIGNED_IN,
)
def case(context: Any, request: Any) -> dict[str, Any] | Response:
    """Show the case; POST closes it."""
    work, found = request.work, context.case
    form = Form(Answered())

    def save(values: dict[str, Any]) -> Done:
        help_cases.close(work, found, values["answer"])
        return Done(text="The case is closed.", path=request.path)

    done = form.submit(request, save)
    if done is not None:
        return done
    thing = help_cases.thing(work, found)
    sees = Privilege.VIEW in context.privileges and getattr(thing, "deleted_at", None) is None
    page = CasePage(
        title=f"Case about {thing.name}",
        section="help",
        pool_id=context.pool_id if sees else None,
        case=found,
        thing=thing,
        sees=sees,
        staff=context.staff,
        badge=_badge(work, found.kind, thing) if sees else None,
        operations=help_desk.recent(work, found.kind, thing.id) if sees else (),
        link=request.route_url("help_case", id=found.id),
        form=form if found.closed_at is None else None,
    )
    return {"page": page}


def _badge(work: Any, kind: str, thing: Any) -> Any:
    if kind == "machine":
        return machine_lists.rows(work, [thing])[0].badge
    return host_badge(thing) if kind == "host" else None


@view_config(
    route_name="help_cases",
    request_method="GET",
    renderer="help_desk/cases.pt",
    permission=SIGNED_IN,
)
def listing(request: Any) -> dict[str, Any]:
    found = help_cases.listing(request.work, mine=True)
    page = CasesPage(
        title="Cases",
        section="help",
        cases=found,
        names=help_cases.names(request.work, found),
        empty=Empty(
            why="No case was handed to you.",
            more="The help desk hands a case to the owner of a machine or of a pool.",
        ),
    )
    return {"page": page}
