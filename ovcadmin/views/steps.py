"""Steps of articles: buttons that act on the reader's own machine, and ways to his own pages.

A button leads to a question; only its answer does something, with the reader's rights, by the
same service as the machine's own page.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import colander
from markupsafe import Markup
from pyramid.httpexceptions import HTTPSeeOther
from pyramid.response import Response
from pyramid.view import view_config

from ovcadmin.domain.states import TABLE
from ovcadmin.errors import NotFound
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.services import step_targets, steps
from ovcadmin.services.steps import Deed, Way
from ovcadmin.views.calls import Call
from ovcadmin.views.forms import Done, Form, choice
from ovcadmin.views.pages import Page
from ovcadmin.views.tables import whole_number

_BACK = re.compile(r"/(knowledge|tutorials|getting-started|help/errors)/[a-z0-9._/-]{1,130}")
_LINK = re.compile(r'href="(/(?:do|go)/[a-z_.]+)"')


class Chosen(colander.Schema):
    machine = choice("Machine")


@dataclass(frozen=True, kw_only=True)
class DeedPage(Page):
    deed: Deed
    label: str
    hint: str
    form: Form
    back: str
    any: bool
    """Whether there is a machine that it can be done to."""
    call: Call | None


@dataclass(frozen=True, kw_only=True)
class WayPage(Page):
    way: Way
    found: Sequence[tuple[str, str]]
    """Name and address of each thing that may be meant."""
    back: str


def addressed(html: str, back: str, machine_id: int | None = None) -> Markup:
    """Tell the steps of an article where they stand, and which machine is at hand."""
    query = {"back": back} | ({"machine": machine_id} if machine_id else {})
    told = urlencode(query)
    return Markup(_LINK.sub(rf'href="\1?{told}"', html))  # noqa: S704 - cleaned when rendered


@view_config(
    route_name="step_do",
    request_method=("GET", "POST"),
    renderer="knowledge/deed.pt",
    permission=SIGNED_IN,
)
def do(request: Any) -> dict[str, Any] | Response:
    deed = steps.DEEDS.get(request.matchdict["step"])
    if deed is None:
        raise NotFound("No step does this.")
    found = step_targets.able(request.work, deed, _at_hand(request))
    able = {str(one.id): one for one in found}
    back = _back(request)
    form = Form(
        Chosen(),
        {"machine": request.GET.get("machine", "")},
        choices={"machine": [(key, f"{one.name} in {one.pool.name}") for key, one in able.items()]},
    )

    def save(values: dict[str, Any]) -> Done:
        machine = able[values["machine"]]
        operation = step_targets.do(request.work, deed, machine)
        return Done(
            text=f"{TABLE[deed.action].label} {machine.name}: accepted.",
            path=back or request.route_path("machine", id=machine.id),
            href=request.route_path("operation", id=operation.id),
        )

    row = TABLE[deed.action]
    first = next(iter(able), None)
    page = DeedPage(
        title=f"{row.label} a machine",
        section="machines",
        deed=deed,
        label=row.label,
        hint=row.hint,
        form=form,
        back=back,
        any=bool(able),
        call=Call("POST", f"/machines/{first}/actions/{deed.action}") if first else None,
    )
    return form.submit(request, save) or {"page": page}


@view_config(
    route_name="step_go", request_method="GET", renderer="knowledge/way.pt", permission=SIGNED_IN
)
def go(request: Any) -> dict[str, Any] | Response:
    way = steps.WAYS.get(request.matchdict["step"])
    if way is None:
        raise NotFound("No step leads there.")
    found = _places(request, way)
    if len(found) == 1:
        return HTTPSeeOther(found[0][1])
    page = WayPage(
        title=way.label, section="getting_started", way=way, found=found, back=_back(request)
    )
    return {"page": page}


def _places(request: Any, way: Way) -> list[tuple[str, str]]:
    if not way.kind:
        return [(way.label, request.route_path(way.route))]
    found = step_targets.places(request.work, way, _at_hand(request))
    return [(one.name, _path(request, way, one.id)) for one in found]


def _path(request: Any, way: Way, number: int) -> str:
    if way.query:
        return str(request.route_path(way.route, _query={way.query: number}))
    return str(request.route_path(way.route, id=number))


def _at_hand(request: Any) -> int:
    """Return the machine that the article was read about, 0 for none."""
    return whole_number(request.GET.get("machine", ""), 0)


def _back(request: Any) -> str:
    """Return the article that led here; nothing for any other address."""
    told = request.GET.get("back", "")
    return told if _BACK.fullmatch(told) else ""
